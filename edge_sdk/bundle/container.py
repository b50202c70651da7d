"""The signed container of bundles and policy files: checks that a file is whole and signed by a trusted key.

Nothing of the payload is parsed before. The writer is cloud_export/export/container_writer.py.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_sdk._sha256 import sha256
from edge_sdk.bundle.checked_tables import MalformedFileError, unpacked
from edge_sdk.errors import BundleDamagedError, BundleUnreadableError, BundleUntrustedError
from edge_sdk.limits import BUNDLE_BYTES_MAX

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import SignatureT

BUNDLE: Final = b"EDGE"  # file identifiers
POLICY: Final = b"EDGP"
SIGNATURES_MAX: Final = 16

# Raised by what reads the fields of a tree, on values that no check of the readers expects.
PARSE_ERRORS = (struct.error, IndexError, ValueError, TypeError, OverflowError, MemoryError, AttributeError)


def key_id(public_key: bytes) -> str:
    """Returns the name of a 32-byte Ed25519 public key: the first 16 hex digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def open_container(path: Path, *, trusted_keys: Sequence[bytes], allow_unsigned: bool) -> memoryview:
    """Reads a `.edge` file and checks it.

    Args:
        path: the file. It is read once, and may be changed or removed afterwards.
        trusted_keys: raw Ed25519 public keys, 32 bytes each; one of them must have signed.
        allow_unsigned: accept a whole file without checking its signatures.

    Returns:
        The payload, a view into the file's content.

    Raises:
        BundleUnreadableError: the file cannot be opened.
        BundleDamagedError: the file is truncated, altered or no bundle.
        BundleUntrustedError: no trusted key signed the file.
    """
    view = _content(path)
    return check_container(path, view, identifier=BUNDLE, trusted_keys=trusted_keys, allow_unsigned=allow_unsigned)


def check_container(
    source: Path | str, view: memoryview, *, identifier: bytes, trusted_keys: Sequence[bytes], allow_unsigned: bool
) -> memoryview:
    """Checks a signed file that is in memory.

    Args:
        source: the file's name, for messages.
        view: the file's bytes.
        identifier: `BUNDLE` or `POLICY`.
        trusted_keys: raw Ed25519 public keys, 32 bytes each; one of them must have signed.
        allow_unsigned: accept a whole file without checking its signatures.

    Returns:
        The payload, a part of the view.

    Raises:
        BundleDamagedError: the file is truncated, altered or no file of this sort.
        BundleUntrustedError: no trusted key signed the file.
    """
    is_policy = identifier == POLICY
    size = len(view)
    if size < 16:
        raise BundleDamagedError(source, "size", f"{size} bytes", is_policy=is_policy)
    if bytes(view[4:8]) != identifier:
        found = f"{bytes(view[4:8])!r} instead of {identifier!r}"
        raise BundleDamagedError(source, "file identifier", found, is_policy=is_policy)
    try:
        container = unpacked(view, "Container", {}, tables_max=2 + SIGNATURES_MAX)
    except MalformedFileError as problem:
        raise BundleDamagedError(source, "container", f"not readable ({problem})", is_policy=is_policy) from problem
    payload: memoryview | None = container.payload
    if not payload:
        raise BundleDamagedError(source, "payload", "0 bytes", is_policy=is_policy)
    if sha256(payload).digest() != bytes(container.sha256 or b""):
        raise BundleDamagedError(source, "sha256", "the payload has changed since it was packed", is_policy=is_policy)
    if not allow_unsigned:
        _require_signature(source, container.signatures or (), payload, trusted_keys, is_policy=is_policy)
    return payload


def _content(path: Path) -> memoryview:
    """Reads a file once, so that whoever changes or cuts it afterwards changes nothing here.

    Raises:
        BundleUnreadableError: the file cannot be read, or is no ordinary file (a FIFO would be waited for).
        BundleDamagedError: the file is larger than a bundle can be.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is no ordinary file but a folder, a FIFO, a socket or a device")
            if status.st_size > BUNDLE_BYTES_MAX:
                raise BundleDamagedError(path, "size", f"{status.st_size} bytes, at most {BUNDLE_BYTES_MAX} are read")
            with os.fdopen(file, "rb", closefd=False) as opened:
                return memoryview(opened.read(status.st_size))
        finally:
            os.close(file)
    except OSError as problem:
        raise BundleUnreadableError(path, problem) from problem


def _require_signature(
    source: Path | str,
    signatures: Sequence[SignatureT],
    payload: memoryview,
    trusted_keys: Sequence[bytes],
    *,
    is_policy: bool,
) -> None:
    # Imported here: an embedder that accepts unsigned bundles does not load it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    trusted = {key_id(key): key for key in trusted_keys if len(key) == 32}  # other lengths are no keys
    signers: list[str] = []
    if len(signatures) > SIGNATURES_MAX:
        found = f"{len(signatures)}, at most {SIGNATURES_MAX} are read"
        raise BundleDamagedError(source, "signatures", found, is_policy=is_policy)
    for signature in signatures:
        signer = (signature.keyId or b"")[:16].decode("ascii", "replace")
        signers.append(signer)
        if signer in trusted:
            try:
                public_key = Ed25519PublicKey.from_public_bytes(trusted[signer])
                public_key.verify(bytes(signature.ed25519 or b""), bytes(payload))
            except (InvalidSignature, ValueError) as problem:  # also what is no key, or no signature at all
                found = f"{signer} did not sign this payload"
                raise BundleDamagedError(source, "signature", found, is_policy=is_policy) from problem
            return
    raise BundleUntrustedError(source, tuple(signers), is_policy=is_policy)
