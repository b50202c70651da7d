"""One trained bundle under two policies: every sort of rule, and none. Only the rules differ, not the model."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import flatbuffers

from cloud_export.export.container_writer import development_key, public_bytes, sign_container
from cloud_export.scene.load import scene_from_table
from cloud_export.scene.policy_table import policy_table
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.format.generated.edge_generated import BundleT, ChannelT
from edge_sdk.vocabulary import kind_id

_FULL = Path(__file__).with_name("full_policy.toml")
_SCENE = Path(__file__).parents[2] / "cloud_export" / "scenes" / "wealth.toml"


@dataclass(frozen=True, slots=True)
class Bundles:
    """Files that differ in their policy alone."""

    full: Path
    bare: Path
    public_key: bytes


def decision_bundles(trained: Path, key: bytes, folder: Path) -> Bundles:
    """Write both into a folder, signed with the scene's development key.

    Args:
        trained: a bundle of the scene `wealth`.
        key: who signed it.
        folder: made if absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own, added = tomllib.loads(_SCENE.read_text()), tomllib.loads(_FULL.read_text())
    full = scene_from_table({**own, **added})
    bare = scene_from_table({**own, **added, "policy": {}})
    signer = development_key("wealth")
    for name, scene in (("full", full), ("bare", bare)):
        raw = BundleT.InitFromPackedBuf(open_container(trained, trusted_keys=[key], allow_unsigned=False))
        raw.policy, raw.attributes = policy_table(scene), list(scene.attributes.names)
        raw.variants = list(scene.variants)
        raw.channels = [
            ChannelT(name=channel, shownKind=kind_id(fields.shown or ""), cost=fields.cost)
            for channel, fields in scene.channels.items()
        ]
        builder = flatbuffers.Builder(1 << 18)
        builder.Finish(raw.Pack(builder))
        (folder / f"{name}.edge").write_bytes(sign_container(bytes(builder.Output()), [signer]))
    return Bundles(folder / "full.edge", folder / "bare.edge", public_bytes(signer))
