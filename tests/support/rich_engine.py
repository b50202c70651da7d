"""Engines on the scene of `random_policies`, which is packed once, each under its policy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cloud_export.export.container_writer import development_key
from cloud_export.export.policy_file import sign_policy_file
from cloud_export.scene.load import scene_from_table
from edge_sdk import BaseDecision, Engine
from tests.support.random_policies import CHANNELS, RICH, Table
from tests.support.scene import OFFERS, SettableClock, Small, packed

KEY = development_key("small")
LOG_BYTES = 1 << 18  # enough for all events of a test


@cache
def _packed(folder: Path) -> Small:
    folder.mkdir()
    return packed(folder, RICH)


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The rich scene without a policy; one bundle for all modules that use it."""
    return _packed(tmp_path_factory.getbasetemp() / "rich")


def signed(policy: Table, version: int = 1) -> bytes:
    """A policy file of the rich scene."""
    return sign_policy_file(scene_from_table({**RICH, "policy": {**policy, "version": version}}), KEY)


def opened(
    rich: Small, state: Path, clock: SettableClock, *, offset_s: int = 0, log_bytes: int = LOG_BYTES, seed: int = 11
) -> Engine:
    """An engine with a settable clock and local time."""
    return Engine.open(
        state, bundle=rich.bundle, trusted_keys=[rich.public_key], log_bytes=log_bytes, clock=clock,
        utc_offset_s=lambda now_ms: offset_s, seed=seed,
    )  # fmt: skip


@contextmanager
def under(
    rich: Small, policy: Table, clock: SettableClock, *, offset_s: int = 0, log_bytes: int = LOG_BYTES, seed: int = 11
) -> Iterator[Engine]:
    """An engine on an empty state folder under this policy."""
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(rich, Path(folder) / "s", clock, offset_s=offset_s, log_bytes=log_bytes, seed=seed) as engine,
    ):
        engine.install_policy(signed(policy))
        yield engine


def treatments(random: np.random.Generator, *, most: int = 8) -> BaseDecision:
    """Random treatments: offers in random channels with different logits; an offer may have several."""
    count = int(random.integers(1, most + 1))
    pairs = [(offer, channel) for offer in OFFERS for channel in CHANNELS]
    chosen = [pairs[index] for index in random.permutation(len(pairs))[:count].tolist()]
    logits = random.normal(size=(count, 2))
    costs = random.integers(0, 9, count) / 4 if random.random() < 0.5 else None
    return BaseDecision([o for o, _ in chosen], logits, channels=[channel for _, channel in chosen], costs=costs)
