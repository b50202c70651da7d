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
from typing import Any, Final

from edge_sdk._sha256 import sha256
from edge_sdk.bundle.format.generated.edge_generated import Container
from edge_sdk.errors import BundleDamagedError, BundleUnreadableError, BundleUntrustedError
from edge_sdk.limits import BUNDLE_BYTES_MAX

BUNDLE: Final = b"EDGE"  # file identifiers
POLICY: Final = b"EDGP"
_PAYLOAD: Final = 4  # offset of the first field of `table Container` in its vtable
SIGNATURES_MAX: Final = 16  # lengths in a damaged file can be 4 billion, so each is checked against a bound

# Raised by flatbuffers' Python reader on a file that is no FlatBuffer; the reader has no verifier of its own.
PARSE_ERRORS = (struct.error, IndexError, ValueError, TypeError, OverflowError, MemoryError, AttributeError)


def key_id(public_key: bytes) -> str:
    """Returns the name of a 32-byte Ed25519 public key: the first 16 hex digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def table_of(accessor: Any) -> Any:
    """Returns the `flatbuffers.table.Table` behind a generated accessor: its bytes, its position, its vectors."""
    return accessor._tab  # noqa: SLF001 - the only door of flatbuffers to the bytes of a table


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
        container = Container.GetRootAs(view)
        length, table = container.PayloadLength(), table_of(container)
        at = table.Vector(table.Offset(_PAYLOAD)) if length else 0
        digest = bytes(container.Sha256(i) for i in range(min(container.Sha256Length(), 33)))
    except PARSE_ERRORS as problem:
        raise BundleDamagedError(source, "container", f"not readable ({problem})", is_policy=is_policy) from problem
    if not 0 < length <= size or at + length > size:
        raise BundleDamagedError(source, "payload", f"{length} bytes at {at} of a file of {size}", is_policy=is_policy)
    payload = view[at : at + length]
    if sha256(payload).digest() != digest:
        raise BundleDamagedError(source, "sha256", "the payload has changed since it was packed", is_policy=is_policy)
    if not allow_unsigned:
        _require_signature(source, container, payload, trusted_keys, is_policy=is_policy)
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
                raise OSError(errno.EINVAL, "it is no ordinary file")
            if status.st_size > BUNDLE_BYTES_MAX:
                raise BundleDamagedError(path, "size", f"{status.st_size} bytes, at most {BUNDLE_BYTES_MAX} are read")
            with os.fdopen(file, "rb", closefd=False) as opened:
                return memoryview(opened.read(status.st_size))
        finally:
            os.close(file)
    except OSError as problem:
        raise BundleUnreadableError(path, problem) from problem


def _require_signature(
    source: Path | str, container: Container, payload: memoryview, trusted_keys: Sequence[bytes], *, is_policy: bool
) -> None:
    # Imported here: an embedder that accepts unsigned bundles does not load it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    trusted = {key_id(key): key for key in trusted_keys if len(key) == 32}  # other lengths are no keys
    signers: list[str] = []
    try:
        count = container.SignaturesLength()
        if count > SIGNATURES_MAX:
            raise BundleDamagedError(
                source, "signatures", f"{count}, at most {SIGNATURES_MAX} are read", is_policy=is_policy
            )
        for index in range(count):
            signature = container.Signatures(index)
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
