"""`record_many` writes the events that `record` writes, as back-filled ones: all of the events or none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import Engine
from edge_sdk.errors import InvalidValueError, UnknownKindError
from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.log.record import RECORD, items_of
from edge_sdk.memory.memory import Memory
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id, item_words, kind_id
from tests.support.engine_acts import tape
from tests.support.engine_model import BACK, LIVE
from tests.support.scene import ITEMS, KINDS, NOW_MS, SettableClock, Small

LOG_BYTES = 4096  # 126 records
NAMES = (*ITEMS, "", "never heard of")
FORWARD_MS, BACK_MS = (0, 1, 1_000, 60_000, 300_001, 40_000_000), (-5_000, -(10**10))
SIZES = st.sampled_from([0, 1, 2, 39, 40, 41, 62, 63, 64, 65, 125, 126, 127, 128, 252, 253, 400])


@pytest.fixture
def tiny(small: Small, clock: SettableClock, tmp_path: Path) -> Iterator[Engine]:
    """An engine whose ring is soon full, with one event in it."""
    with small.open(tmp_path / "state", clock, log_bytes=LOG_BYTES) as engine:
        engine.record("view", item="fund_a")
        yield engine


def content(engine: Engine) -> tuple[bytes, bytes, int]:
    return tape(engine), memory(engine), internals(engine).state.log.last_seq


def memory(engine: Engine) -> bytes:
    return internals(engine).state.memory.dump()


def events(engine: Engine, *, local: int) -> list[tuple[Any, ...]]:
    """Every record of the log, but for its crc and `local`, which is this one in each."""
    records = internals(engine).state.log.read()
    assert (records["local"] == local).all()
    compared = [name for name in RECORD.names or () if name not in ("local", "crc")]
    return list(map(tuple, records[compared].tolist()))


@given(
    sizes=st.lists(SIZES, min_size=1, max_size=3),
    seed=st.integers(0, 1000),
    without=st.sets(st.sampled_from(["items", "values", "decisions"])),
    life=st.tuples(st.sampled_from(["small", "derived"]), st.booleans()),
)
@settings(max_examples=40, deadline=None)
def test_at_once_is_as_one_by_one(
    small: Small, derived: Small, tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int], seed: int, without: set[str], life: tuple[str, bool],
) -> None:  # fmt: skip
    scene, steps_back = life
    subject = small if scene == "small" else derived
    folder, clock, random = tmp_path_factory.mktemp("state"), SettableClock(), np.random.default_rng(seed)
    live, back = Memory(subject.layout.memory), Memory(subject.layout.memory)
    with (
        subject.open(folder / "one", clock, log_bytes=LOG_BYTES) as one,
        subject.open(folder / "many", clock, log_bytes=LOG_BYTES) as many,
    ):
        for size in sizes:
            steps_ms = random.choice([*FORWARD_MS, *BACK_MS] if steps_back else FORWARD_MS, size)
            times_ms = np.clip(clock.now_ms + np.cumsum(steps_ms), 0, TIME_MS_MAX)
            kinds, items = random.integers(0, len(KINDS), size), random.integers(0, len(NAMES), size)
            values = random.normal(size=size).astype(np.float32)
            decisions = random.integers(0, 1 << 32, size, dtype=np.uint64)
            columns = {"items": items, "values": values, "decisions": decisions}
            given_columns: dict[str, Any] = {name: part for name, part in columns.items() if name not in without}
            last = many.record_many(times_ms, kinds, kind_names=KINDS, item_names=NAMES, **given_columns)
            newest_ms = max(clock.now_ms, int(times_ms.max(initial=0)))
            for index, time_ms in enumerate(times_ms.tolist()):
                clock.now_ms = time_ms
                kind, value = KINDS[kinds[index]], 0.0 if "values" in without else float(values[index])
                item = "" if "items" in without else NAMES[items[index]]
                one.record(
                    kind, item=item, value=value, decision=0 if "decisions" in without else int(decisions[index])
                )
                event = time_ms, kind_id(kind), item_id(item) if item else 0, value
                live.add(*event, LIVE)
                back.add(*event, BACK)
            clock.now_ms = newest_ms
            assert last == internals(one).state.log.last_seq
            assert events(many, local=BACK) == events(one, local=LIVE)
            assert memory(one) == live.dump()
            assert memory(many) == back.dump()
            assert steps_back or memory(many) == memory(one)
    with subject.open(folder / "one", clock) as one, subject.open(folder / "many", clock) as many:
        assert events(many, local=BACK) == events(one, local=LIVE)
        assert (memory(one), memory(many)) == (live.dump(), back.dump())


def test_what_is_written_of_one_event(tiny: Engine) -> None:
    times_ms, decisions = np.array([NOW_MS - 1_001], np.uint64), np.array([7], np.uint8)
    assert (
        tiny.record_many(times_ms, [2], [1], [2], decisions, kind_names=KINDS, item_names=["fund_a", "never heard of"])
        == 2
    )
    (record,) = internals(tiny).state.log.read()[1:]
    low, high = item_words("never heard of")
    assert record.tolist()[:9] == (2, (NOW_MS - 1_001) // 1000, 999, 45489, low, 2.0, 7, BACK, high)


def test_nothing_gives_the_newest_number(tiny: Engine) -> None:
    before = content(tiny)
    assert tiny.record_many([], [], kind_names=KINDS) == 1
    assert tiny.record_many([], [], [], [], [], kind_names=[], item_names=[]) == 1
    assert content(tiny) == before


@pytest.mark.parametrize(
    "types", [(np.int64, np.int8, np.uint32, np.float16), (np.uint64, np.uint64, np.int16, np.int8)]
)
def test_columns_of_any_integer_type(tiny: Engine, types: tuple[Any, Any, Any, Any]) -> None:
    time, kind, item, value = types
    columns = (
        np.array([NOW_MS] * 3, time), np.array([0, 5, 1], kind), np.array([1, 0, 1], item), np.array([1, 2, 3], value),
    )  # fmt: skip
    assert tiny.record_many(*columns, kind_names=KINDS, item_names=["", "fund_b"]) == 4
    assert internals(tiny).state.log.read()["value"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert items_of(internals(tiny).state.log.read()).tolist()[1:] == [item_id("fund_b"), 0, item_id("fund_b")]


GOOD: dict[str, Any] = {
    "times_ms": [NOW_MS] * 3,
    "kinds": [0, 1, 2],
    "items": [0, 1, 0],
    "values": [0.0, 1.0, 2.0],
    "decisions": [0, 1, 2],
    "kind_names": KINDS,
    "item_names": ["fund_a", "fund_b"],
}
BAD: list[tuple[str, object]] = [
    ("times_ms", [NOW_MS] * 2),
    ("times_ms", [float(NOW_MS)] * 3),
    ("times_ms", [NOW_MS, -1, NOW_MS]),
    ("times_ms", [NOW_MS, NOW_MS, TIME_MS_MAX + 1]),
    ("times_ms", [1 << 70] * 3),
    ("times_ms", [[NOW_MS] * 3]),
    ("times_ms", [[NOW_MS], [NOW_MS, 2]]),
    ("times_ms", ["now", "now", "now"]),
    ("times_ms", NOW_MS),
    ("kinds", [0, 1]),
    ("kinds", [0, 1, 6]),
    ("kinds", [0, 1, -1]),
    ("kinds", [True, False, True]),
    ("kinds", ["view", "view", "view"]),
    ("kinds", np.zeros((3, 1), np.int64)),
    ("items", [0, 1, 2]),
    ("items", [0, -1, 0]),
    ("items", [0, 1, 0, 1]),
    ("items", [0.0, 1.0, 0.0]),
    ("values", [0.0, math.nan, 0.0]),
    ("values", [0.0, math.inf, 0.0]),
    ("values", [0.0, 1e39, 0.0]),
    ("values", [0.0, 1.0]),
    ("values", ["1", "2", "3"]),
    ("values", [1j, 0, 0]),
    ("values", [[0.0], [1.0, 2.0], [0.0]]),
    ("decisions", [0, 1, 1 << 32]),
    ("decisions", [0, -1, 0]),
    ("decisions", [0.5, 0.0, 0.0]),
    ("decisions", [0]),
    ("kind_names", "view"),
    ("item_names", "fund_a"),
    ("item_names", b"ab"),
]


@pytest.mark.parametrize(("field", "value"), BAD, ids=[f"{field}-{index}" for index, (field, _) in enumerate(BAD)])
def test_columns_that_are_no_events_are_refused_whole_and_named(tiny: Engine, field: str, value: object) -> None:
    before = content(tiny)
    with pytest.raises(InvalidValueError, match=f"^{'times_ms|kinds' if field == 'times_ms' else field}="):
        tiny.record_many(**{**GOOD, field: value})
    assert content(tiny) == before
    assert tiny.record_many(**GOOD) == 4


@pytest.mark.parametrize("names", [["fund_a", None], ["fund_a", 5], ["fund_a", "half a \ud800"]])
def test_an_item_that_is_no_name_is_refused(tiny: Engine, names: list[Any]) -> None:
    before = content(tiny)
    with pytest.raises(InvalidValueError, match=r"^item=.*pass a str"):
        tiny.record_many(**{**GOOD, "item_names": names})
    assert content(tiny) == before


def test_a_kind_that_an_app_cannot_record_is_refused(derived: Small, clock: SettableClock, tmp_path: Path) -> None:
    with derived.open(tmp_path / "s", clock) as engine:
        for name in ("stay", "visit", "visit_end", "passed_over", "nonsense", "", None, 3):
            with pytest.raises(UnknownKindError, match="use one of view, click, impression, dismiss, convert, note"):
                engine.record_many(**{**GOOD, "kind_names": [*KINDS, name]})  # refused even where no event is of it
        assert engine.status().events == 0


def test_a_closed_engine_takes_no_more(tiny: Engine) -> None:
    tiny.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        tiny.record_many(**GOOD)
