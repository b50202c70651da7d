"""The engine records valid events and refuses every other one.

Every usable event is kept as it was given, about an unknown item too; an unknown kind, an unusable item, value or
decision id raises an error that names the fix, and writes nothing. `shown` and `feedback` record the kinds that the
bundle declares, with the decision they answer.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine
from edge_sdk.errors import InvalidValueError, UnknownKindError, UnknownOutcomeError
from edge_sdk.log.record import items_of
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id
from tests.support.engine_acts import names, tape
from tests.support.scene import HOME, SettableClock, Small

# ---- record ----


@pytest.mark.parametrize("kind", ["", "nonsense", "View", "\ud800", None, 3, ["view"]])
def test_an_unknown_kind_is_refused_and_nothing_is_written(engine: Engine, kind: str) -> None:
    engine.record("view", item="fund_a")
    before = tape(engine)
    with pytest.raises(UnknownKindError, match="use one of view, click, impression, dismiss, convert, note"):
        engine.record(kind, item="fund_a")
    assert tape(engine) == before
    assert engine.status().events == 1


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("fund_a", math.nan),
        ("fund_a", math.inf),
        ("fund_a", -math.inf),
        ("fund_a", 1e39),
        ("fund_a", -1e39),
        ("fund_a", 10**400),
        ("fund_a", None),
        ("fund_a", "12"),
        ("fund_a", 1j),
        ("fund_a", [1.0]),
        ("fund_a", np.array([1.0, 2.0])),
        (None, 0.0),
        (5, 0.0),
        (b"fund_a", 0.0),
        (["fund_a"], 0.0),
        ("fund_\ud800", 0.0),
    ],
)
def test_an_unusable_item_or_value_is_refused_and_nothing_is_written(engine: Engine, item: str, value: float) -> None:
    engine.record("view", item="fund_a")
    before = tape(engine)
    with pytest.raises(InvalidValueError, match="is not usable"):
        engine.record("click", item=item, value=value)
    assert tape(engine) == before
    assert engine.record("click", item="fund_a") == 2


@pytest.mark.parametrize("decision", [-1, 1 << 32, 1.5, "1", None])
def test_an_unusable_decision_id_is_refused_and_nothing_is_written(engine: Engine, decision: int) -> None:
    with pytest.raises(InvalidValueError, match="decision="):
        engine.record("click", item="fund_a", decision=decision)
    assert engine.status().events == 0


@pytest.mark.parametrize("value", [3.4028234663852886e38, -3.4028234663852886e38, 1e-45, True, np.float32(2.5), 7])
def test_every_float32_is_kept(engine: Engine, value: float) -> None:
    engine.record("click", item="fund_a", value=value)
    assert float(internals(engine).state.log.read()["value"][0]) == float(np.float32(value))


def test_an_unknown_item_is_recorded_and_kept(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    with small.open(tmp_path / "s", clock) as engine:
        assert engine.record("view", item="a new fund") == 1
        assert engine.record("view", item="a new fund") == 2
        assert engine.record("view", item="fund_a") == 3
        assert engine.status().unknown_items == 1
    with small.open(tmp_path / "s", clock) as engine:
        records = internals(engine).state.log.read()
        assert items_of(records).tolist() == [item_id("a new fund")] * 2 + [item_id("fund_a")]
        assert records["seq"].tolist() == [1, 2, 3]


def test_a_clock_out_of_range_is_clamped_to_it(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    for now_ms in (-5, 0, 1 << 62):
        clock.now_ms = now_ms
        engine.record("click", item="fund_a")
        assert np.isfinite(engine.rank(base, context=HOME).scores).all()
    assert internals(engine).state.log.read()["time_s"].tolist() == [0, 0, 0xFFFFFFFF]


# ---- shown and feedback ----


def test_shown_and_feedback_record_the_declared_kinds_with_the_decision(engine: Engine, base: BaseDecision) -> None:
    engine.rank(base, context=HOME)
    decision = engine.rank(base, context=HOME)
    engine.shown(decision, count=2)
    engine.feedback(decision, "fund_c", "click", value=2.5)
    first, second = names(decision)[:2]
    kinds = internals(engine).bundle.kind_ids
    records = internals(engine).state.log.read()
    columns = (records["seq"], records["kind"], items_of(records), records["value"], records["decision"])
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (1, kinds["impression"], item_id(first), 0.0, 2),
        (2, kinds["impression"], item_id(second), 0.0, 2),
        (3, kinds["click"], item_id("fund_c"), 2.5, 2),
    ]


@pytest.mark.parametrize(("count", "recorded"), [(None, 6), (0, 0), (-3, 0), (99, 6)])
def test_shown_counts(engine: Engine, base: BaseDecision, count: int | None, recorded: int) -> None:
    engine.shown(engine.rank(base, context=HOME), count=count)
    assert engine.status().events == recorded


def test_feedback_that_cannot_be_meant_is_refused(engine: Engine, base: BaseDecision) -> None:
    decision = engine.rank(base, context=HOME)
    with pytest.raises(UnknownOutcomeError, match="use one of click, convert, dismiss"):
        engine.feedback(decision, "fund_a", "applause")
    with pytest.raises(InvalidValueError, match="page_home"):
        engine.feedback(decision, "page_home", "click")
    with pytest.raises(InvalidValueError, match="nan"):
        engine.feedback(decision, "fund_a", "click", value=math.nan)
    assert engine.status().events == 0
