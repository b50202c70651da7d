"""Items that share a low word are apart, and events of version 1 still count, in an engine and in its files.

`log_of_version_1.log` and `memory_of_version_4.bin` in tests/golden were written by the runtime before, after 230
events in a ring of 126, under `bundle_of_format_4.edge`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine, Reason
from edge_sdk.log.record import items_of
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import NO_TARGET
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id, item_words, kind_id
from tests.golden.vector_play import BUNDLE, TRUSTED_KEY
from tests.support.paths import GOLDEN
from tests.support.scene import HOME, NOW_MS, SCENE, SettableClock, Small, packed

PAGE, FUND = "page_mijjnqdk", "fund_odunmrmz"  # one crc32, two SHA-256
OLD_NOW_MS = 1_768_000_000_000 + 230 * 61_007
# Counters of fund_a before this version, as `Counters.fill` gave them at `OLD_NOW_MS`.
OF_FUND_A = [
    3.789754643435117e-08, 2.5560765266418457, 4.6873778046574444e-05, 2.8745806217193604, 0.0, 0.0,
    0.0008085020817816257, 2.7839720249176025, 0.01396847702562809, 5.96344518661499, 0.02847149968147278,
    5.831874370574951, 3.209186445474188e-07, 2.2863004207611084, 0.4914279878139496, 8.676855087280273,
]  # fmt: skip


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A bundle with a page and an offer that share their low word."""
    return packed(tmp_path_factory.mktemp("twins"), SCENE, names={"page_home": PAGE, "fund_a": FUND})


def offer_of(engine: Engine, item: int) -> int:
    return Memory(internals(engine).state.layout).targets_of(item)[0]


def capped(engine: Engine, now: BaseDecision) -> set[str]:
    return {offer.id for offer in engine.rank(now, context=HOME).dropped if Reason.CAPPED in offer.reasons}


def test_a_page_and_an_offer_that_share_a_low_word_do_not_share_caps(twins: Small, tmp_path: Path) -> None:
    assert item_words(PAGE)[0] == item_words(FUND)[0]
    base = BaseDecision([FUND, "fund_b"], [1.0, 0.0])
    with twins.open(tmp_path, SettableClock()) as engine:
        assert offer_of(engine, item_id(PAGE)) == NO_TARGET
        assert offer_of(engine, item_id(FUND)) > 0
        for _ in range(5):
            engine.record("impression", item=PAGE)
        assert capped(engine, base) == set()
        for _ in range(2):  # the cap's limit
            engine.record("impression", item=FUND)
        assert capped(engine, base) == {FUND}
        assert engine.status().unknown_items == 0
        assert items_of(internals(engine).state.log.read()).tolist() == [item_id(PAGE)] * 5 + [item_id(FUND)] * 2
        assert engine.erase(items=[PAGE]) == 5
        assert capped(engine, base) == {FUND}


def test_an_unlisted_name_with_the_low_word_of_an_offer_does_not_count_for_it(small: Small, tmp_path: Path) -> None:
    low, high = item_words("fund_a")
    with small.open(tmp_path, SettableClock()) as engine:
        state = internals(engine).state
        for _ in range(2):
            state.append(NOW_MS, kind_id("impression"), low, 0.0, 0, high ^ 1)
        assert capped(engine, BaseDecision(["fund_a"], [1.0])) == set()
        for _ in range(2):  # as a log of version 1 has it
            state.append(NOW_MS, kind_id("impression"), low, 0.0, 0, 0)
        assert capped(engine, BaseDecision(["fund_a"], [1.0])) == {"fund_a"}


def test_an_old_event_counts_for_each_first_item_of_its_low_word(twins: Small, tmp_path: Path) -> None:
    with twins.open(tmp_path, SettableClock()) as engine:
        low = item_words(FUND)[0]
        assert offer_of(engine, low) == offer_of(engine, item_id(FUND))
        internals(engine).state.append(NOW_MS, kind_id("impression"), low, 0.0, 0, 0)
        engine.record("impression", item=FUND)
        assert capped(engine, BaseDecision([FUND], [1.0])) == {FUND}
        assert engine.erase(items=[FUND]) == 2
        assert capped(engine, BaseDecision([FUND], [1.0])) == set()


def old_folder(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(GOLDEN / "log_of_version_1.log", folder / "events.log")
    shutil.copy(GOLDEN / "memory_of_version_4.bin", folder / "memory.bin")
    return folder


@pytest.mark.parametrize("bundle", ["bundle_of_format_4.edge", BUNDLE])
def test_a_folder_of_the_former_version_counts_as_before(tmp_path: Path, bundle: str) -> None:
    clock = SettableClock(OLD_NOW_MS)
    for _ in range(2):  # at the second opening, files of this version
        with Engine.open(
            tmp_path / "state" if (tmp_path / "state").exists() else old_folder(tmp_path / "state"),
            bundle=GOLDEN / bundle, trusted_keys=[TRUSTED_KEY], clock=clock, utc_offset_s=lambda now_ms: 0,
        ) as engine:  # fmt: skip
            memory = internals(engine).state.memory
            row = memory.layout.offers.names().index("fund_a") + 1
            found = np.zeros((1, memory.layout.counter_features), np.float32)
            memory.counters.fill(OLD_NOW_MS, memory.layout.counter_slots(np.array([row])), found)
            assert found[0].tolist() == pytest.approx(OF_FUND_A, rel=1e-6)
            assert (engine.status().events, engine.status().damaged) == (112, 0)
    assert (tmp_path / "state" / "events.log").read_bytes()[8:12] == b"\x02\0\0\0"


@pytest.mark.parametrize("bundle", ["bundle_of_format_4.edge", BUNDLE])
def test_old_and_new_events_are_erased_by_the_name_of_their_item(tmp_path: Path, bundle: str) -> None:
    state = old_folder(tmp_path / "state")
    with Engine.open(
        state, bundle=GOLDEN / bundle, trusted_keys=[TRUSTED_KEY], clock=SettableClock(OLD_NOW_MS)
    ) as engine:
        before = items_of(internals(engine).state.log.read())
        old = int((before == item_words("fund_a")[0]).sum())
        assert old > 5
        engine.record("view", item="fund_a")
        engine.record("view", item="fund_b")
        assert engine.erase(items=["fund_a"]) == old - int(before[0] == item_words("fund_a")[0]) + 1
        left = {int(item) for item in items_of(internals(engine).state.log.read())}
        assert not left & {item_words("fund_a")[0], item_id("fund_a")}
        assert item_id("fund_b") in left
