"""Encryption at rest with the embedder's key: AES-GCM, one seal a record and one a kept memory.

A nonce must never come twice under one key (NIST SP 800-38D, 8.2). A record's nonce is 8 random bytes, drawn when the
log is opened and whenever numbers are used again, with the record's sequence number; other things get 12 random bytes.
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
_SALT_BYTES: Final = 8
_KEY_BYTES: Final = (16, 24, 32)


class Cipher:
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
