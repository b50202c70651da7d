"""A signed file, a bundle or a policy: is it whole, and does a trusted key vouch for it? Only then is it read."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge_sdk._sha256 import sha256
from edge_sdk.bundle.format.generated.edge_generated import Container
from edge_sdk.errors import BundleDamagedError, BundleUnreadableError, BundleUntrustedError

BUNDLE: Final = b"EDGE"  # file identifiers
POLICY: Final = b"EDGP"
SIGNATURES_MAX: Final = 16  # a length of the file is only believed within bounds: a damaged one could be 4 billion

# What flatbuffers' Python reader raises on a file that is no FlatBuffer; it has no verifier of its own.
PARSE_ERRORS = (struct.error, IndexError, ValueError, TypeError, OverflowError, MemoryError, AttributeError)


def key_id(public_key: bytes) -> str:
    """The name of a 32-byte Ed25519 public key: the first 16 hex digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def open_container(path: Path, *, trusted_keys: Sequence[bytes], allow_unsigned: bool) -> memoryview:
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
    return check_container(path, view, identifier=BUNDLE, trusted_keys=trusted_keys, allow_unsigned=allow_unsigned)


def check_container(
    source: Path | str, view: memoryview, *, identifier: bytes, trusted_keys: Sequence[bytes], allow_unsigned: bool
) -> memoryview:
    """Check a signed file that is in memory or mapped.

    Args:
        source: its name, for messages.
        view: its bytes.
        identifier: `BUNDLE` or `POLICY`.
        trusted_keys: raw Ed25519 public keys, 32 bytes each; one of them must have signed.
        allow_unsigned: take a whole file without asking who made it.

    Returns:
        The payload, a part of the view.

    Raises:
        BundleDamagedError: it is truncated, altered or something else.
        BundleUntrustedError: no trusted key signed it.
    """
    is_policy = identifier == POLICY
    size = len(view)
    if size < 16:
        raise BundleDamagedError(source, "size", f"{size} bytes", is_policy=is_policy)
    if bytes(view[4:8]) != identifier:
        found = f"{bytes(view[4:8])!r} instead of {identifier!r}"
        raise BundleDamagedError(source, "file identifier", found, is_policy=is_policy)
    try:
        release = Container.GetRootAs(view)
        length = release.PayloadLength()
        at = release._tab.Vector(release._tab.Offset(4)) if length else 0
        digest = bytes(release.Sha256(i) for i in range(min(release.Sha256Length(), 33)))
    except PARSE_ERRORS as problem:
        raise BundleDamagedError(source, "release", f"not readable ({problem})", is_policy=is_policy) from problem
    if not 0 < length <= size or at + length > size:
        raise BundleDamagedError(source, "payload", f"{length} bytes at {at} of a file of {size}", is_policy=is_policy)
    payload = view[at : at + length]
    if sha256(payload).digest() != digest:
        raise BundleDamagedError(source, "sha256", "the payload has changed since it was packed", is_policy=is_policy)
    if not allow_unsigned:
        _require_signature(source, release, payload, trusted_keys, is_policy=is_policy)
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


def _require_signature(
    source: Path | str, release: Container, payload: memoryview, trusted_keys: Sequence[bytes], *, is_policy: bool
) -> None:
    # Imported here: an embedder who lets the app store vouch for the bundle need not pay for it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    trusted = {key_id(key): key for key in trusted_keys if len(key) == 32}  # anything else is nobody's key
    signers: list[str] = []
    try:
        count = release.SignaturesLength()
        if count > SIGNATURES_MAX:
            raise BundleDamagedError(
                source, "signatures", f"{count}, at most {SIGNATURES_MAX} are read", is_policy=is_policy
            )
        for index in range(count):
            signature = release.Signatures(index)
            signer = (signature.KeyId() or b"")[:16].decode("ascii", "replace")
            signers.append(signer)
            if signer in trusted:
                raw = bytes(signature.Ed25519(i) for i in range(min(signature.Ed25519Length(), 65)))
                Ed25519PublicKey.from_public_bytes(trusted[signer]).verify(raw, bytes(payload))
                return
    except InvalidSignature as problem:
        found = f"{signer} did not sign this payload"
        raise BundleDamagedError(source, "signature", found, is_policy=is_policy) from problem
    except PARSE_ERRORS as problem:
        raise BundleDamagedError(source, "signatures", f"not readable ({problem})", is_policy=is_policy) from problem
    raise BundleUntrustedError(source, tuple(signers), is_policy=is_policy)
