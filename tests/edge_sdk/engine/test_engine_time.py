"""Under any clock events keep their order, no age is negative, and no count or cap lasts too long."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine, Reason
from edge_sdk.errors import InvalidValueError
from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.testing.white_box import internals
from tests.support.bound_inputs import made_from
from tests.support.engine_acts import dropped
from tests.support.scene import HOME, KINDS, NOW_MS, OFFERS, SCENE, SettableClock, Small, packed
from tests.support.small_state import copied

BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6))
SECOND, HOUR, DAY, YEAR = 1_000, 3_600_000, 86_400_000, 31_536_000_000
# A second to a century either way; an hour is also what a local clock jumps by when summer time begins or ends.
JUMPS = st.sampled_from([0, SECOND, HOUR, DAY, YEAR, 100 * YEAR]).flatmap(lambda ms: st.sampled_from([ms, -ms]))


@pytest.fixture(scope="module")
def forgetting(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Views are kept for a minute, everything else for a day."""
    return packed(tmp_path_factory.mktemp("scene"), SCENE | {"retention": {"max_age_s": 86_400, "kinds": {"view": 60}}})


def suppressed_s(clock: SettableClock, engine: Engine, longest_s: int) -> int:
    """For how many whole seconds from now fund_a is left out, in steps of a minute; -1 = beyond `longest_s`."""
    now_ms = clock.now_ms
    for later_s in range(0, longest_s + 1, 60):
        clock.now_ms = now_ms + later_s * 1000
        if "fund_a" not in dropped(engine.rank(BASE, context=HOME)):
            return later_s
    return -1


@given(steps=st.lists(st.tuples(JUMPS, st.sampled_from(KINDS), st.booleans()), max_size=30))
@settings(max_examples=40, deadline=None)
def test_a_clock_that_jumps_costs_no_order_and_counts_nothing_twice(
    small: Small, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, bool]]
) -> None:
    """Also where the device is switched off in between, and starts again at any date."""
    folder, clock, counted = tmp_path_factory.mktemp("state"), SettableClock(), 0
    engine = small.open(folder, clock)
    for number, (jump_ms, kind, reboots) in enumerate(steps, start=1):
        clock.now_ms += jump_ms
        if reboots:
            engine.close()
            engine = small.open(folder, clock)
        assert engine.record(kind, item="fund_a", value=float(number)) == number
        counted += kind in ("impression", "click", "convert")
        decision = engine.rank(BASE, context=HOME)
        assert np.isfinite(decision.scores).all()
        inputs = made_from(engine, decision)
        newest_first = [value for value in inputs.event_value.tolist() if value]
        seen = [n for n, (_, of, _) in enumerate(steps[:number], 1) if of in ("view", "click", "dismiss", "convert")]
        assert newest_first == seen[::-1][:8]
        assert (inputs.event_age_s >= 0).all()
        assert (inputs.counters >= 0).all()
        by_offer = inputs.counters.reshape(len(OFFERS), 2, 3, 2).sum(axis=2)
        assert by_offer.max(initial=0) <= counted * (1 + 1e-6)
    engine.close()


@pytest.mark.parametrize(
    ("back_s", "expected_s"),
    [
        (0, 3_600),  # twice within an hour is the limit
        (1_800, 3_600),  # set back: what was recorded is not later than that
        (3_601, 3_600),
        (31_536_000, 3_600),
    ],
)
def test_a_cap_is_in_force_no_longer_than_its_time_after_the_clock_was_set_back(
    small: Small, clock: SettableClock, tmp_path: Path, back_s: int, expected_s: int
) -> None:
    with small.open(tmp_path, clock) as engine:
        engine.record("impression", item="fund_a")
        engine.record("impression", item="fund_a")
        clock.now_ms -= back_s * 1000
        assert suppressed_s(clock, engine, 10_000) == expected_s


@pytest.mark.parametrize("ahead_ms", [HOUR // 2, 5 * YEAR])
def test_memory_that_is_made_anew_knows_that_the_clock_was_set_back(
    small: Small, clock: SettableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    """No event was recorded since then, from which memory could learn it."""
    clock.now_ms = NOW_MS + ahead_ms
    with small.open(tmp_path / "state", clock) as engine:
        engine.record("impression", item="fund_a")
        engine.record("impression", item="fund_a")
        clock.now_ms = NOW_MS
        assert "fund_a" in dropped(engine.rank(BASE, context=HOME))
        state = internals(engine).state
        caps = state.memory.caps.dump()

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(state.log, "_write", interrupt)
            with pytest.raises(KeyboardInterrupt):
                engine.record("click", item="fund_b")
        assert state.log.is_cut_short
        copied(tmp_path / "state", tmp_path / "copy")
        with small.open(tmp_path / "copy", clock) as again:
            assert dropped(engine.rank(BASE, context=HOME)) == dropped(again.rank(BASE, context=HOME))
            assert not state.log.is_cut_short
            assert state.memory.caps.dump() == internals(again).state.memory.caps.dump() == caps
        assert suppressed_s(clock, engine, 10_000) == 3_600


def test_a_clock_years_ahead_and_back_suppresses_nothing_for_years(
    small: Small, clock: SettableClock, tmp_path: Path
) -> None:
    with small.open(tmp_path, clock) as engine:
        clock.now_ms = NOW_MS + 5 * YEAR
        for kind in ("dismiss", "impression", "impression", "convert", "convert", "convert"):
            engine.record(kind, item="fund_a")
        suppressed = dropped(engine.rank(BASE, context=HOME))
        assert suppressed["fund_a"] == Reason.CAPPED | Reason.COOLING_DOWN
        clock.now_ms = NOW_MS
        decision = engine.rank(BASE, context=HOME)
        assert set(dropped(decision)) == {
            "fund_a",
            "fund_b",
            "fund_c",
            "fund_d",
        }  # its own caps, and those of its category
        assert made_from(engine, decision).event_age_s.tolist() == [0.0] * 8
        engine.record("dismiss", item="fund_a")
        assert dropped(engine.rank(BASE, context=HOME))["fund_a"] == Reason.CAPPED | Reason.COOLING_DOWN
        assert suppressed_s(clock, engine, 10_000) == 7_200  # as long as the longest of its caps counts


@pytest.mark.parametrize("restart_ms", [0, 1_000_000_000_000])
def test_a_device_that_starts_at_1970_or_at_its_build_date(small: Small, tmp_path: Path, restart_ms: int) -> None:
    clock = SettableClock()
    with small.open(tmp_path, clock) as engine:
        engine.record("click", item="fund_a", value=1.0)
    clock.now_ms = restart_ms
    with small.open(tmp_path, clock) as engine:
        assert engine.record("click", item="fund_b", value=2.0) == 2
        decision = engine.rank(BASE, context=HOME)
        assert np.isfinite(decision.scores).all()
        inputs = made_from(engine, decision)
        assert inputs.event_value.tolist()[:3] == [2.0, 1.0, 0.0]
        assert inputs.event_age_s.tolist()[:3] == [0.0, 0.0, 0.0]
        clock.now_ms = NOW_MS + 60_000  # the network has told the time
        engine.record("click", item="fund_c", value=3.0)
        inputs = made_from(engine, engine.rank(BASE, context=HOME))
        assert inputs.event_value.tolist()[:4] == [3.0, 2.0, 1.0, 0.0]
        assert inputs.event_age_s.tolist()[:3] == [0.0, np.float32((NOW_MS + 60_000 - restart_ms) / 1000), 60.0]


# ---- retention ----


def test_an_event_is_not_shown_after_its_time_and_leaves_the_log(forgetting: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    engine = forgetting.open(tmp_path, clock)
    engine.record("click", item="fund_a", value=1.0)
    engine.record("view", item="fund_b", value=2.0)
    for later_ms, shown, in_log in (
        (60_000, [2.0, 1.0], 2),
        (60_001, [0.0, 1.0], 2),  # its place is empty; the log drops it as events come, or at opening
        (DAY, [0.0, 1.0], 2),
        (DAY + 1, [0.0, 0.0], 2),
    ):
        clock.now_ms = NOW_MS + later_ms
        decision = engine.rank(BASE, context=HOME)
        assert made_from(engine, decision).event_value.tolist()[:2] == shown
        assert engine.status().events == in_log
    engine.close()
    for later_ms, in_log in ((60_000, 2), (60_001, 1), (DAY, 1), (DAY + 1, 0)):
        clock.now_ms = NOW_MS + later_ms
        with forgetting.open(tmp_path, clock) as engine:
            assert engine.status().events == in_log


def test_retention_goes_on_after_a_clock_has_come_back(forgetting: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with forgetting.open(tmp_path, clock, log_bytes=4096) as engine:
        clock.now_ms = NOW_MS + 5 * YEAR
        for _ in range(64):  # half a ring: the engine looks after its files
            engine.record("note")
        clock.now_ms = NOW_MS
        engine.record("view", item="fund_a")
        clock.now_ms = NOW_MS + 2 * HOUR
        for _ in range(63):
            engine.record("note")
        assert engine.erase(items=["fund_a"]) == 0  # the view is in the log no longer


# ---- what a clock may give ----


@pytest.mark.parametrize(
    ("given_ms", "recorded_ms"),
    [
        (NOW_MS + 0.75, NOW_MS),
        (np.int64(NOW_MS), NOW_MS),
        (np.float64(NOW_MS), NOW_MS),
        (Decimal(NOW_MS), NOW_MS),
        (True, 1),
        (-1, 0),
        (-1e300, 0),
        (1 << 100, TIME_MS_MAX),
        (math.inf, TIME_MS_MAX),
        (-math.inf, 0),
        (math.nan, 0),
    ],
)
def test_any_time_is_clamped_to_the_range(small: Small, tmp_path: Path, given_ms: Any, recorded_ms: int) -> None:
    clock = SettableClock(given_ms)
    with small.open(tmp_path, clock) as engine:
        engine.record("click", item="fund_a")
        decision = engine.rank(BASE, context=HOME)
        assert (decision.error, decision.time_ms, type(decision.time_ms)) == (0, recorded_ms, int)
        (record,) = internals(engine).state.log.read()
        assert int(record["time_s"]) * 1000 + int(record["time_ms"]) == recorded_ms


@pytest.mark.parametrize("given_ms", [None, "1768478400000", b"1", [1], 1j])
def test_a_clock_that_gives_no_number_is_refused_at_opening(small: Small, tmp_path: Path, given_ms: Any) -> None:
    with pytest.raises(InvalidValueError, match="pass a function that returns whole milliseconds since 1970"):
        small.open(tmp_path / "s", SettableClock(given_ms))
    assert not (tmp_path / "s").exists()
