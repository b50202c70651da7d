"""Changes a field of a packed bundle, and packs and signs the bundle again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_export.export.container_writer import sign_container
from edge_sdk.bundle.format.generated import edge_generated as fb
from tests.support.bundle_refusals import KEY

Change = Callable[[Any], object]  # changes an unpacked Bundle


def changed(payload: bytes, change: Change, keys: Sequence[Ed25519PrivateKey] = (KEY,)) -> bytes:
    """Returns the bundle with a change, packed and signed again."""
    bundle = fb.BundleT.InitFromPackedBuf(payload)
    change(bundle)
    builder = flatbuffers.Builder(len(payload))
    builder.Finish(bundle.Pack(builder))
    return sign_container(bytes(builder.Output()), list(keys))


def put(owner: Any, field: str, value: object) -> None:
    """Sets a field and checks that it exists."""
    assert hasattr(owner, field)
    setattr(owner, field, value)
