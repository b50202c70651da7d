"""Encryption at rest with the embedder's key: AES-GCM, one nonce and tag for each record and each snapshot.

A nonce must never be used twice under one key (NIST SP 800-38D, 8.2). The nonce of a record is a salt of 8 random bytes
followed by the record's sequence number; the salt is drawn when the log is opened and whenever numbers are used again.
Everything else gets 12 random bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_sdk.errors import WrongKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
SALT_BYTES: Final = 8
_KEY_BYTES: Final = (16, 24, 32)


class Cipher:
    """A checked key.

    Attributes:
        aead: AES-GCM under this key, for callers that choose the nonce themselves.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        """Checks the key; `path` is the file that the error names.

        Raises:
            WrongKeyError: the key is no AES key.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # imported only where a key is given

        if not isinstance(key, bytes) or len(key) not in _KEY_BYTES:
            raise WrongKeyError(path, "the key given is no AES key", "pass 16, 24 or 32 random bytes")
        self.aead: AESGCM = AESGCM(key)

    def tag(self, nonce: bytes, content: bytes) -> bytes:
        """Returns the 16 bytes that only this key gives for this content."""
        return self.aead.encrypt(nonce, b"", content)

    def encrypt(self, content: bytes) -> bytes:
        """Returns nonce, encrypted content and tag: 28 bytes more than the content."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.aead.encrypt(nonce, content, None)

    def decrypt(self, encrypted: bytes) -> bytes | None:
        """Returns the content; None if the content was altered or encrypted with another key."""
        from cryptography.exceptions import InvalidTag

        try:
            return self.aead.decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None
