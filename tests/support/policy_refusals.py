"""Packs the scene with one rule of every sort, and reads its bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.reader import read_bundle
from tests.support.policy_scene import POLICY_SCENE
from tests.support.scene import Small, packed


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return packed(tmp_path_factory.mktemp("policy"), POLICY_SCENE)


@pytest.fixture(scope="module")
def payload(scene: Small) -> bytes:
    return bytes(open_container(scene.bundle, trusted_keys=[scene.public_key], allow_unsigned=False))


@pytest.fixture(scope="module")
def bundle(payload: bytes) -> Bundle:
    return read_bundle(Path("a.edge"), memoryview(payload))


def names(bundle: Bundle, mask: np.ndarray | None) -> list[str] | None:
    """Returns the names of the selected offers."""
    offers = ["", *bundle.layout.offers.names()]  # behind them the mask has the unknown offers of each category
    return None if mask is None else sorted(np.array(offers)[mask[: len(offers)]].tolist())


def payload_of(container: bytes) -> bytes:
    """Returns the payload of a signed file, unchecked."""
    payload: bytes = fb.Container.GetRootAs(container).PayloadAsNumpy().tobytes()
    return payload
