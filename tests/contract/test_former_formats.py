"""Bundles of former formats rank as they did, and explain in the words of their own texts.

Up to format 2 the graphs hold the model's tables; up to format 3 the texts have other keys.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from cloud_export.export.container_writer import sign_container
from edge_sdk import BaseDecision, Decision, Engine, ErrorCode
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.format.generated.edge_generated import Bundle as Table
from edge_sdk.bundle.format.generated.edge_generated import BundleT
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.bundle.texts import FORMER_KEYS, FORMER_SLOTS
from edge_sdk.explain.wording import ENGLISH, SLOT
from edge_sdk.limits import FORMAT_VERSION
from tests.golden.vector_compare import decision_differences
from tests.golden.vector_play import BUNDLE, TRUSTED_KEY, Player, Scenario
from tests.golden.vector_scenarios import scenarios
from tests.golden.vector_scene import KEY
from tests.support.former_bundles import FORMER, FORMER_KEY
from tests.support.paths import GOLDEN
from tests.support.scene import OFFERS, SettableClock

NAMES = sorted(path.stem for path in (GOLDEN / "decisions").glob("*.json"))
FORMAT_2, FORMAT_3, FORMAT_4 = (GOLDEN / f"bundle_of_format_{number}.edge" for number in (2, 3, 4))
ONE_BY_ONE = {"term.counter", "term.counter_category"}  # a sentence gives all counters together, as `term.earlier`


def beside_policies(folder: Path, bundle: Path) -> Path:
    """The folder, with the golden policies and this bundle in it under the name that scenarios open."""
    for policy in GOLDEN.glob("*.policy"):
        shutil.copy(policy, folder)
    shutil.copy(bundle, folder / BUNDLE)
    return folder


def payload_of(bundle: Path) -> memoryview:
    return open_container(bundle, trusted_keys=[TRUSTED_KEY], allow_unsigned=False)


class ExplainingPlayer(Player):
    """A player that also collects each decision's explanations in Chinese."""

    def __init__(self, scenario: Scenario, files: Path, state: Path) -> None:
        super().__init__(scenario, files, state)
        self.sentences: list[str] = []

    def _stated(self, decision: Decision) -> dict[str, Any]:
        if decision.trace.evidence is not None:
            self.sentences += [explanation.text("zh") for explanation in self._engine.explain(decision)]
        return super()._stated(decision)


@pytest.mark.parametrize("bundle", [FORMAT_2, FORMAT_3, FORMAT_4], ids=lambda path: path.stem)
@pytest.mark.parametrize("name", NAMES)
def test_a_former_bundle_gives_the_golden_decisions(bundle: Path, name: str, tmp_path: Path) -> None:
    scenario = json.loads((GOLDEN / "decisions" / f"{name}.json").read_text(encoding="utf-8"))
    player = Player(scenario, beside_policies(tmp_path, bundle), tmp_path / "state")
    for request, (_, found, _) in zip(scenario["requests"], player.play(), strict=True):
        assert decision_differences(request["expect"], found) == [], request["now_ms"]
    player.close()


def test_the_stored_bundles_have_the_formats_of_their_names() -> None:
    formats = {path: Table.GetRootAs(payload_of(path)).FormatVersion() for path in (FORMAT_2, FORMAT_3, FORMAT_4)}
    assert formats == {FORMAT_2: 2, FORMAT_3: 3, FORMAT_4: 4}
    assert Table.GetRootAs(payload_of(GOLDEN / BUNDLE)).FormatVersion() == FORMAT_VERSION == 5
    former = BundleT.InitFromPackedBuf(payload_of(FORMAT_3))
    for texts in former.texts:
        assert {key.decode() for key in texts.keys} >= FORMER_KEYS.keys()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_texts_of_format_3_come_under_the_keys_and_slots_of_format_4(language: str) -> None:
    raw = BundleT.InitFromPackedBuf(payload_of(FORMAT_3))
    (stored,) = [texts for texts in raw.texts if texts.language.decode() == language]
    former = {key.decode(): text.decode() for key, text in zip(stored.keys, stored.texts, strict=True)}
    found = read_bundle(FORMAT_3, payload_of(FORMAT_3)).texts(language)
    assert ENGLISH.keys() - found.keys() <= {"place.x1", "place.x2", "place.x3"}  # English endings: nothing falls back
    assert not found.keys() & FORMER_KEYS.keys()
    for old, new in FORMER_KEYS.items():
        slot = FORMER_SLOTS.get(new, ("", ""))
        assert found[new] == former[old].replace(*slot), new
        assert set(SLOT.findall(found[new])) == set(SLOT.findall(ENGLISH[new])), new
    unchanged = former.keys() - FORMER_KEYS.keys() - FORMER_SLOTS.keys()
    assert {key: found[key] for key in unchanged} == {key: former[key] for key in unchanged}
    assert found["explanation.dropped"] == former["explanation.dropped"].replace("{obstacles}", "{suppressions}")


def test_a_bundle_of_format_3_explains_in_its_own_chinese(tmp_path: Path) -> None:
    """Each of its texts is marked with its key: a mark in a sentence shows that the sentence has that text."""
    raw = BundleT.InitFromPackedBuf(payload_of(FORMAT_3))
    (chinese,) = [texts for texts in raw.texts if texts.language == b"zh"]
    chinese.texts = [text + b"<" + key + b">" for key, text in zip(chinese.keys, chinese.texts, strict=True)]
    builder = flatbuffers.Builder(65536)
    builder.Finish(raw.Pack(builder))
    files = beside_policies(tmp_path, FORMAT_3)
    (files / BUNDLE).write_bytes(sign_container(bytes(builder.Output()), [KEY]))

    sentences: list[str] = []
    for name, scenario in scenarios().items():
        player = ExplainingPlayer(scenario, files, tmp_path / name)
        assert len(list(player.play())) == len(scenario["requests"])
        player.close()
        sentences += player.sentences

    text = "".join(sentences)
    marks = set(re.findall(r"<([a-zA-Z_.]+)>", text))
    assert FORMER_KEYS.keys() - marks == ONE_BY_ONE
    assert [sentence for sentence in sentences if not re.search(r"<explanation\.(stands|dropped)>", sentence)] == []
    english = {piece for words in ENGLISH.values() for piece in SLOT.split(words)[::3] if len(piece.strip()) > 3}
    assert [piece for piece in english if piece in text] == []
    assert re.findall(r"\{[a-z_]+\}", text) == []  # every slot was filled


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
