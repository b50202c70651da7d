"""Encryption at rest with the embedder's key: AES-GCM, one seal a record and one a kept memory.

A nonce must never come twice under one key (NIST SP 800-38D, 8.2). A record's nonce is 8 random bytes, drawn when the
log is opened and whenever numbers are used again, with the record's sequence number; other things get 12 random bytes.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_sdk.errors import WrongKeyError
from edge_sdk.log.record import BODY_BYTES, RECORD, Bytes, Mask, Records

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED_SLOT_BYTES: Final = 64
TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 8
_KEY_BYTES: Final = (16, 24, 32)
_SLOT: Final = struct.Struct("<12s44s8s")  # nonce, sealed body and tag, zeros
_SEALED_BODY: Final = slice(NONCE_BYTES, NONCE_BYTES + BODY_BYTES + TAG_BYTES)
_REST: Final = bytes(SEALED_SLOT_BYTES - _SEALED_BODY.stop)


class Seal:
    """A key, ready to use."""

    def __init__(self, path: Path, key: bytes) -> None:
        """`path` is what the error names.

        Raises:
            WrongKeyError: it is no AES key.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # only who encrypts pays for the import

        if not isinstance(key, bytes) or len(key) not in _KEY_BYTES:
            raise WrongKeyError(path, "the key given is no AES key", "pass 16, 24 or 32 random bytes")
        self.cipher: AESGCM = AESGCM(key)

    def tag(self, nonce: bytes, content: bytes) -> bytes:
        """16 bytes that only this key gives for this content."""
        return self.cipher.encrypt(nonce, b"", content)

    def close(self, content: bytes) -> bytes:
        """Nonce, sealed content, tag: 28 bytes more than the content."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, content, None)

    def open(self, sealed: bytes) -> bytes | None:
        """The content; None if it was altered or sealed with another key."""
        from cryptography.exceptions import InvalidTag

        try:
            return self.cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None


class SealedRecords:
    """A slot: salt (8), seq (4), sealed body (28) and its tag (16), 8 zero bytes."""

    slot_bytes = SEALED_SLOT_BYTES

    def __init__(self, seal: Seal) -> None:
        self._cipher = seal.cipher
        self.renew()

    def renew(self) -> None:
        """Draw a new salt: a sequence number under the old one may not be sealed twice."""
        self._salt = os.urandom(_SALT_BYTES)

    def write(self, target: mmap.mmap, at: int, body: bytes) -> None:
        """Write one record into its slot."""
        target[at : at + SEALED_SLOT_BYTES] = self._slot(body)

    def encode_many(self, records: Records) -> Bytes:
        """The slots (E, 64) of these records."""
        raw = np.ascontiguousarray(records).tobytes()
        size = RECORD.itemsize
        slots = [self._slot(raw[at : at + BODY_BYTES]) for at in range(0, len(raw), size)]
        return np.frombuffer(b"".join(slots), np.uint8).reshape(-1, SEALED_SLOT_BYTES)

    def decode(self, slots: Bytes, chosen: Mask) -> tuple[Records, Mask]:
        """Records (S,) and which of the chosen are intact; the others read as zeros."""
        from cryptography.exceptions import InvalidTag

        places = np.flatnonzero(chosen)
        decrypt, nothing, bodies = self._cipher.decrypt, bytes(BODY_BYTES), []
        for nonce, sealed, _ in _SLOT.iter_unpack(slots[places].tobytes()):
            try:
                bodies.append(decrypt(nonce, sealed, None))
            except InvalidTag:
                bodies.append(nothing)
        opened = np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, BODY_BYTES)
        fits = (opened[:, :4] == slots[places, _SALT_BYTES:NONCE_BYTES]).all(axis=1)  # the number it was sealed under
        fits &= opened.any(axis=1) & ~slots[places, _SEALED_BODY.stop :].any(axis=1)
        records = np.zeros((len(slots), RECORD.itemsize), np.uint8)
        records[places[fits], :BODY_BYTES] = opened[fits]
        intact = np.zeros(len(slots), np.bool_)
        intact[places[fits]] = True
        return records.reshape(-1).view(RECORD), intact

    def _slot(self, body: bytes) -> bytes:
        nonce = self._salt + body[:4]  # a body begins with its sequence number
        return nonce + self._cipher.encrypt(nonce, body, None) + _REST
