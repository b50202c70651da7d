"""Writes the signed container of bundles and policy files, and makes its keys.

The reader is edge_sdk/bundle/container.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import flatbuffers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_sdk.bundle.container import BUNDLE, key_id
from edge_sdk.bundle.format.generated import edge_generated as fb

_ALIGNMENT = 16  # of the payload in the file, so that its vectors can be used in place


def sign_container(payload: bytes, keys: Sequence[Ed25519PrivateKey], identifier: bytes = BUNDLE) -> bytes:
    """Returns a bundle's or a policy's file: the payload, its SHA-256, and a signature by each key.

    `edge_sdk.bundle.container.check_container` is the inverse.
    """
    builder = flatbuffers.Builder(len(payload) + 1024)
    signatures = []
    for key in keys:
        name = builder.CreateString(key_id(public_bytes(key)))
        raw = builder.CreateByteVector(key.sign(payload))
        fb.SignatureStart(builder)
        fb.SignatureAddKeyId(builder, name)
        fb.SignatureAddEd25519(builder, raw)
        signatures.append(fb.SignatureEnd(builder))
    fb.ContainerStartSignaturesVector(builder, len(signatures))
    for signature in reversed(signatures):
        builder.PrependUOffsetTRelative(signature)
    signature_vector = builder.EndVector()
    digest = builder.CreateByteVector(hashlib.sha256(payload).digest())
    body = _aligned_bytes(builder, payload)
    fb.ContainerStart(builder)
    fb.ContainerAddPayload(builder, body)
    fb.ContainerAddSha256(builder, digest)
    fb.ContainerAddSignatures(builder, signature_vector)
    builder.Finish(fb.ContainerEnd(builder), file_identifier=identifier)
    return bytes(builder.Output())


def development_key(scene: str) -> Ed25519PrivateKey:
    """Returns a key that anyone can derive from the scene's name, for files packed on a laptop: it protects nothing."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"edge-sdk development key " + scene.encode()).digest())


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Returns the 32 bytes that `Engine.open` takes in `trusted_keys`."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _aligned_bytes(builder: flatbuffers.Builder, content: bytes) -> int:
    """Adds a byte vector whose content starts at a multiple of 16 in the file."""
    builder.StartVector(1, len(content), _ALIGNMENT)
    builder.head -= len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
    return int(builder.EndVector())
