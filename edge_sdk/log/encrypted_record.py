"""Encrypted records of the event log."""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_sdk.log.record import BODY_BYTES, RECORD, Bytes, Mask, Records

if TYPE_CHECKING:
    pass
from edge_sdk.log.encryption import _SALT_BYTES, NONCE_BYTES, TAG_BYTES, Cipher

ENCRYPTED_SLOT_BYTES: Final = 64
_SLOT: Final = struct.Struct("<12s44s8s")  # nonce, sealed body and tag, zeros
_SEALED_BODY: Final = slice(NONCE_BYTES, NONCE_BYTES + BODY_BYTES + TAG_BYTES)
_REST: Final = bytes(ENCRYPTED_SLOT_BYTES - _SEALED_BODY.stop)


class EncryptedRecords:
    """A slot: salt (8), seq (4), sealed body (28) and its tag (16), 8 zero bytes."""

    slot_bytes = ENCRYPTED_SLOT_BYTES

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher.cipher
        self.renew()

    def renew(self) -> None:
        """Draw a new salt: a sequence number under the old one may not be sealed twice."""
        self._salt = os.urandom(_SALT_BYTES)

    def write(self, target: mmap.mmap, at: int, body: bytes) -> None:
        """Write one record into its slot."""
        target[at : at + ENCRYPTED_SLOT_BYTES] = self._slot(body)

    def encode_many(self, records: Records) -> Bytes:
        """The slots (E, 64) of these records."""
        raw = np.ascontiguousarray(records).tobytes()
        size = RECORD.itemsize
        slots = [self._slot(raw[at : at + BODY_BYTES]) for at in range(0, len(raw), size)]
        return np.frombuffer(b"".join(slots), np.uint8).reshape(-1, ENCRYPTED_SLOT_BYTES)

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
