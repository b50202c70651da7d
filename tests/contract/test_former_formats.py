"""Bundles whose graphs hold the tables themselves (formats 1 and 2) rank and explain as they did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine, ErrorCode
from tests.edge_sdk.bundle.test_bundle_policy import FORMER, FORMER_KEY
from tests.golden.vector_compare import decision_differences
from tests.golden.vector_play import BUNDLE, Player
from tests.support.paths import GOLDEN
from tests.support.scene import OFFERS, SettableClock

NAMES = sorted(path.stem for path in (GOLDEN / "decisions").glob("*.json"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden policies, beside the bundle of the same scene and weights as format 2 had it."""
    folder = tmp_path_factory.mktemp("files")
    for policy in GOLDEN.glob("*.policy"):
        shutil.copy(policy, folder)
    shutil.copy(GOLDEN / "bundle_of_format_2.edge", folder / BUNDLE)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_of_format_2_gives_the_golden_decisions(files: Path, name: str, tmp_path: Path) -> None:
    scenario = json.loads((GOLDEN / "decisions" / f"{name}.json").read_text(encoding="utf-8"))
    player = Player(scenario, files, tmp_path / "state")
    for request, (_, found, _) in zip(scenario["requests"], player.play(), strict=True):
        assert decision_differences(request["expect"], found) == [], request["now_ms"]
    player.close()


def test_a_bundle_of_0_1_ranks_and_its_explanations_add_up(tmp_path: Path, clock: SettableClock) -> None:
    base = BaseDecision(OFFERS, np.linspace(1, 0, 6))
    with Engine.open(tmp_path, bundle=FORMER, trusted_keys=[FORMER_KEY], clock=clock) as engine:
        silent = engine.rank(base)
        for offer in ("fund_a", "fund_c", "fund_a"):
            clock.now_ms += 5_000
            engine.record("click", item=offer, value=2.0)
        decision = engine.rank(base)
        assert (silent.error, decision.error) == (ErrorCode.NONE, ErrorCode.NONE)
        assert np.abs(decision.trace.result.stages.model - silent.trace.result.stages.model).max() > 1e-3
        for one in engine.explain(decision):
            assert one.base + sum(term.value for term in one.contributions) == pytest.approx(one.score, abs=1e-5)
