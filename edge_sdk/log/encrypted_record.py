"""Encodes and decodes encrypted records of the event log."""

from __future__ import annotations

import mmap
import os
import struct
from typing import Final

import numpy as np

from edge_sdk.log.encryption import NONCE_BYTES, SALT_BYTES, TAG_BYTES, Cipher
from edge_sdk.log.record import BODY_BYTES, RECORD, Bytes, Mask, PlainRecords, RecordCodec, Records

ENCRYPTED_SLOT_BYTES: Final = 64
_SLOT: Final = struct.Struct("<12s44s8s")  # nonce, encrypted body and tag, zeros
_BODY_AND_TAG: Final = slice(NONCE_BYTES, NONCE_BYTES + BODY_BYTES + TAG_BYTES)
_REST: Final = bytes(ENCRYPTED_SLOT_BYTES - _BODY_AND_TAG.stop)


class EncryptedRecords:
    """The codec of an encrypted log. A slot is salt (8), seq (4), encrypted body (28), tag (16), 8 zero bytes."""

    slot_bytes = ENCRYPTED_SLOT_BYTES

    def __init__(self, cipher: Cipher) -> None:
        self._aead = cipher.aead
        self.renew()

    def renew(self) -> None:
        """Draws a new salt, so that no sequence number is encrypted twice under one salt."""
        self._salt = os.urandom(SALT_BYTES)

    def write(self, target: mmap.mmap | bytearray, at: int, body: bytes) -> None:
        """Writes one record into the slot that begins at byte `at`."""
        target[at : at + ENCRYPTED_SLOT_BYTES] = self._slot(body)

    def encode_many(self, records: Records) -> Bytes:
        """Returns the slots (E, 64) of these records."""
        raw = np.ascontiguousarray(records).tobytes()
        size = RECORD.itemsize
        slots = [self._slot(raw[at : at + BODY_BYTES]) for at in range(0, len(raw), size)]
        return np.frombuffer(bytearray().join(slots), np.uint8).reshape(-1, ENCRYPTED_SLOT_BYTES)

    def decode(self, slots: Bytes, chosen: Mask) -> tuple[Records, Mask]:
        """Returns records (S,), and which of the chosen are intact; all others are zeros."""
        from cryptography.exceptions import InvalidTag

        places = np.flatnonzero(chosen)
        decrypt, nothing, bodies = self._aead.decrypt, bytes(BODY_BYTES), []
        for nonce, encrypted, _ in _SLOT.iter_unpack(slots[places].tobytes()):
            try:
                bodies.append(decrypt(nonce, encrypted, None))
            except InvalidTag:
                bodies.append(nothing)
        decrypted = np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, BODY_BYTES)
        is_intact = (decrypted[:, :4] == slots[places, SALT_BYTES:NONCE_BYTES]).all(axis=1)  # the nonce's number
        is_intact &= decrypted.any(axis=1) & ~slots[places, _BODY_AND_TAG.stop :].any(axis=1)
        records = np.zeros((len(slots), RECORD.itemsize), np.uint8)
        records[places[is_intact], :BODY_BYTES] = decrypted[is_intact]
        intact = np.zeros(len(slots), np.bool_)
        intact[places[is_intact]] = True
        return records.reshape(-1).view(RECORD), intact

    def _slot(self, body: bytes) -> bytes:
        nonce = self._salt + body[:4]  # a body begins with its sequence number
        return nonce + self._aead.encrypt(nonce, body, None) + _REST


def codec_for(cipher: Cipher | None) -> RecordCodec:
    """Returns the codec of a log with this cipher; None = plain."""
    return PlainRecords() if cipher is None else EncryptedRecords(cipher)
