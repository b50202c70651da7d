"""Writes a scene's policy as a file of its own, and checks such a file against a bundle as a device does.

The reader is edge_sdk/bundle/policy_reader.py.
"""

from __future__ import annotations

from pathlib import Path

import flatbuffers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import edge_sdk
from cloud_export.export.container_writer import sign_container
from cloud_export.features.device_ids import (
    CATEGORY_BITS,
    SharedIdError,
    named_categories,
    named_offers,
    shared_category,
)
from cloud_export.scene.policy_table import policy_table
from cloud_export.scene.sections import Scene
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import POLICY, open_container
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.policy_reader import read_policy_file
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.limits import POLICY_VERSION
from edge_sdk.vocabulary import item_id


def pack_policy_file(scene: Scene) -> bytes:
    """Returns the unsigned policy file; the same scene gives the same bytes."""
    file = fb.PolicyFileT(
        formatVersion=POLICY_VERSION,
        scene=scene.name,
        createdBy=f"cloud-export {edge_sdk.__version__}",
        policy=policy_table(scene),
    )
    builder = flatbuffers.Builder(4096)
    builder.Finish(file.Pack(builder))
    return bytes(builder.Output())


def sign_policy_file(scene: Scene, *keys: Ed25519PrivateKey) -> bytes:
    """Returns the policy file, with a signature by each key.

    `edge_sdk.bundle.policy_reader.read_policy_file` is the inverse.
    """
    return sign_container(pack_policy_file(scene), keys, POLICY)


def check_policy_file(scene: Scene, source: str, content: bytes, bundle: Path) -> list[str]:
    """Reads a policy file against a bundle; the signatures of both are not checked.

    Returns:
        Notes on what a device accepts although it is probably a mistake.

    Raises:
        EdgeError: the bundle cannot be read, or the policy does not fit it.
        SharedIdError: a category that the policy names has the id of another one.
    """
    installed = read_bundle(bundle, open_container(bundle, trusted_keys=(), allow_unsigned=True))
    if pair := shared_category({*installed.categories, *named_categories(scene)}):
        raise SharedIdError(f"category {pair[0]!r}", f"category {pair[1]!r}", CATEGORY_BITS)
    read = read_policy_file(source, content, installed.scene, installed.symbols, trusted_keys=(), allow_unsigned=True)
    notes = unknown_names(scene, installed)
    if read.version <= installed.policy.version:
        notes.append(
            f"policy.version is {read.version} and the bundle's is {installed.policy.version}: "
            "a device takes a higher one only; raise it in the scene"
        )
    return notes


def unknown_names(scene: Scene, bundle: Bundle) -> list[str]:
    """Returns a note for each offer or category that a rule names and the bundle does not know."""
    missing = [("category", name) for name in sorted(named_categories(scene).difference(bundle.categories))]
    missing += [("offer", name) for name in sorted(named_offers(scene)) if not bundle.layout.offers.row(item_id(name))]
    return [f"{word} {name!r} is not in the bundle: rules about it match nothing" for word, name in missing]
