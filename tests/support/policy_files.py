"""Reads, changes and signs policy files of the policy scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import flatbuffers
import pytest

from cloud_export.export.container_writer import development_key, public_bytes, sign_container
from cloud_export.export.policy_file import pack_policy_file
from cloud_export.scene.load import scene_from_table
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import POLICY
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.policy_reader import read_policy_file
from edge_sdk.policy.rules import Policy
from tests.support.policy_scene import POLICY_SCENE

KEY: Final = development_key("small")


@pytest.fixture(scope="module")
def raw() -> bytes:
    """The payload of the scene's policy file."""
    return pack_policy_file(scene_from_table(POLICY_SCENE))


def read(data: bytes, bundle: Bundle, *, unsigned: bool = False) -> Policy:
    """Returns the policy of a file that `KEY` has signed."""
    return read_policy_file(
        "new.policy", data, bundle.scene, bundle.symbols, trusted_keys=[public_bytes(KEY)], allow_unsigned=unsigned
    )


def changed(raw: bytes, change: Callable[[Any], object]) -> bytes:
    """Returns a signed file with a change."""
    file = fb.PolicyFileT.InitFromPackedBuf(raw)
    change(file)
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder))
    return sign_container(bytes(builder.Output()), [KEY], POLICY)
