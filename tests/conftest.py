"""Every test gets its packed scenes, clock, engine and base decision from these fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from edge_sdk import BaseDecision, Engine
from tests.support.scene import DERIVED_SCENE, OFFERS, SCENE, SettableClock, Small, packed

settings.register_profile("edge", deadline=None)  # a slow machine is no failure
settings.load_profile("edge")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The scene, packed once."""
    return packed(tmp_path_factory.mktemp("small"), SCENE)


@pytest.fixture(scope="session")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The same scene with derived events, packed once."""
    return packed(tmp_path_factory.mktemp("derived"), DERIVED_SCENE)


@pytest.fixture
def clock() -> SettableClock:
    """A clock at `NOW_MS`."""
    return SettableClock()


@pytest.fixture
def engine(small: Small, clock: SettableClock, tmp_path: Path) -> Iterator[Engine]:
    """An engine with an empty state folder."""
    with small.open(tmp_path / "state", clock) as opened:
        yield opened


@pytest.fixture
def base() -> BaseDecision:
    """All six offers with two logits each."""
    return BaseDecision(OFFERS, np.random.default_rng(7).normal(size=(6, 2)))
