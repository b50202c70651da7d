"""An engine is opened, used by many threads at once, closed and opened again.

The same state and clock give the same bits, also after a restart. Decision ids continue. Threads lose and repeat
nothing. A closed engine raises an error, and the status counts every event and decision.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from edge_sdk import BaseDecision, Decision, Engine, ErrorCode
from edge_sdk.log.record import items_of
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id
from tests.support.engine_acts import ACTS, Act, do, dropped, fresh, names
from tests.support.scene import HOME, OFFERS, SettableClock, Small


def test_a_closed_engine_raises_an_error_that_names_the_fix(engine: Engine, base: BaseDecision) -> None:
    decision = engine.rank(base, context=HOME)
    engine.close()
    engine.close()
    calls: list[Callable[[], object]] = [
        lambda: engine.record("click", item="fund_a"),
        lambda: engine.rank(base, context=HOME),
        lambda: engine.shown(decision),
        lambda: engine.feedback(decision, "fund_a", "click"),
        lambda: engine.explain(decision),
        engine.erase,
        engine.storage.sync,
        lambda: engine.record_many([1], [0], kind_names=["click"]),
        lambda: engine.storage.resize(8192),
        lambda: engine.storage.rotate_key(bytes(16)),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="the engine is closed; open a new one"):
            call()


def test_decision_ids_go_on_after_a_restart(
    small: Small, clock: SettableClock, base: BaseDecision, tmp_path: Path
) -> None:
    with small.open(tmp_path / "s", clock) as engine:
        for number in (1, 2, 3):
            decision = engine.rank(base, context=HOME)
            assert decision.id == number
        engine.shown(decision, count=1)
    with small.open(tmp_path / "s", clock) as engine:
        assert engine.rank(base, context=HOME).id == 4


@given(acts=ACTS)
@settings(max_examples=30, deadline=None)
def test_the_same_state_and_clock_give_the_same_bits(small: Small, acts: list[Act]) -> None:
    base = BaseDecision(OFFERS, np.linspace(1, 0, 6))
    answers = []
    for restart in (False, True):
        clock = SettableClock()
        folder, engine = fresh(small, clock)
        with folder:
            do(engine, clock, acts)
            if restart:
                engine.close()
                engine = small.open(Path(folder.name) / "state", clock)
            first, again = engine.rank(base, context=HOME), engine.rank(base, context=HOME)
            engine.close()
        assert first.scores.tobytes() == again.scores.tobytes()
        answers.append((first.scores.tobytes(), names(first), dropped(first)))
    assert answers[0] == answers[1]


def test_many_threads_record_and_rank(engine: Engine, base: BaseDecision) -> None:
    acknowledged: list[list[int]] = [[] for _ in range(4)]
    decided: list[list[Decision]] = [[] for _ in range(2)]
    start = threading.Barrier(6)

    def record(thread: int) -> None:
        start.wait()
        for number in range(300):
            acknowledged[thread].append(engine.record("view", item=f"item {thread}", value=number))

    def rank(thread: int) -> None:
        start.wait()
        for _ in range(100):
            decided[thread].append(engine.rank(base, context=HOME))

    threads = [threading.Thread(target=record, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=rank, args=(n,)) for n in range(2)]
    for running in threads:
        running.start()
    for running in threads:
        running.join()
    assert sorted(seq for seqs in acknowledged for seq in seqs) == list(range(1, 1201))
    records = internals(engine).state.log.read()
    for thread, seqs in enumerate(acknowledged):
        assert records["value"][np.array(seqs) - 1].tolist() == list(range(300))
        assert {*items_of(records)[np.array(seqs) - 1].tolist()} == {item_id(f"item {thread}")}
    assert sorted(decision.id for part in decided for decision in part) == list(range(1, 201))
    assert {decision.error for part in decided for decision in part} == {ErrorCode.NONE}


def test_status_and_context_fields(small: Small, engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="nobody's")
    engine.rank(base, context=HOME)
    engine.rank(BaseDecision([], []))
    status = engine.status()
    assert (status.scene, status.events, status.capacity, status.damaged) == ("small", 1, 2046, 0)
    assert (status.unknown_items, status.decisions, status.errors) == (1, 2, 1)
    assert len(status.model_version) == 12
    assert [(field.name, field.values) for field in engine.context_fields] == [
        ("surface", ("home", "wealth")),
        ("stage", ("new", "active")),
    ]
