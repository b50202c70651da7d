"""A `.edge` file: is it whole, and does a trusted key vouch for it? Only then is its payload looked at."""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge_sdk.errors import BundleDamagedError, BundleUnreadableError, BundleUntrustedError
from edge_sdk.format.generated.edge_generated import Release

SIGNATURES_MAX: Final = 16  # a length of the file is only believed within bounds: a damaged one could be 4 billion

# What flatbuffers' Python reader raises on a file that is no FlatBuffer; it has no verifier of its own.
PARSE_ERRORS = (struct.error, IndexError, ValueError, TypeError, OverflowError, MemoryError, AttributeError)


def key_id(public_key: bytes) -> str:
    """The name of a 32-byte Ed25519 public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def open_release(path: Path, *, trusted_keys: Sequence[bytes], allow_unsigned: bool) -> memoryview:
    """Map a `.edge` file and check it.

    Args:
        path: the file. It must not be overwritten in place while the engine is open; replace it by rename.
        trusted_keys: raw Ed25519 public keys, 32 bytes each; one of them must have signed.
        allow_unsigned: take a whole file without asking who made it.

    Returns:
        The payload, a view into the mapped file.

    Raises:
        BundleUnreadableError: the file cannot be opened.
        BundleDamagedError: it is truncated, altered or something else.
        BundleUntrustedError: no trusted key signed it.
    """
    view = _mapped(path)
    size = len(view)
    if bytes(view[4:8]) != b"EDGE":
        raise BundleDamagedError(path, "file identifier", f"{bytes(view[4:8])!r} instead of b'EDGE'")
    try:
        release = Release.GetRootAs(view)
        length = release.PayloadLength()
        at = release._tab.Vector(release._tab.Offset(4)) if length else 0
        digest = bytes(release.Sha256(i) for i in range(min(release.Sha256Length(), 33)))
    except PARSE_ERRORS as problem:
        raise BundleDamagedError(path, "release", f"not readable ({problem})") from problem
    if not 0 < length <= size or at + length > size:
        raise BundleDamagedError(path, "payload", f"{length} bytes at {at} of a file of {size}")
    payload = view[at : at + length]
    if hashlib.sha256(payload).digest() != digest:
        raise BundleDamagedError(path, "sha256", "the payload has changed since it was packed")
    if not allow_unsigned:
        _require_signature(path, release, payload, trusted_keys)
    return payload


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < 16:
                raise BundleDamagedError(path, "size", f"{size} bytes")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as problem:
        raise BundleUnreadableError(path, problem) from problem


def _require_signature(path: Path, release: Release, payload: memoryview, trusted_keys: Sequence[bytes]) -> None:
    # Imported here: an embedder who lets the app store vouch for the bundle need not pay for it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    trusted = {key_id(key): key for key in trusted_keys if len(key) == 32}  # anything else is nobody's key
    signers: list[str] = []
    try:
        count = release.SignaturesLength()
        if count > SIGNATURES_MAX:
            raise BundleDamagedError(path, "signatures", f"{count}, at most {SIGNATURES_MAX} are read")
        for index in range(count):
            signature = release.Signatures(index)
            signer = (signature.KeyId() or b"")[:16].decode("ascii", "replace")
            signers.append(signer)
            if signer in trusted:
                raw = bytes(signature.Ed25519(i) for i in range(min(signature.Ed25519Length(), 65)))
                Ed25519PublicKey.from_public_bytes(trusted[signer]).verify(raw, bytes(payload))
                return
    except InvalidSignature as problem:
        raise BundleDamagedError(path, "signature", f"{signer} did not sign this payload") from problem
    except PARSE_ERRORS as problem:
        raise BundleDamagedError(path, "signatures", f"not readable ({problem})") from problem
    raise BundleUntrustedError(path, tuple(signers))
