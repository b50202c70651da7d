"""Many threads use one engine: nothing raises, no number comes twice, an erase takes exactly the events before it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine
from edge_sdk.errors import ExplanationGoneError, StateOwnedError
from edge_sdk.log.record import items_of
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id
from tests.support.child_python import OWNER, python
from tests.support.engine_acts import names
from tests.support.scene import HOME, OFFERS, SettableClock, Small
from tests.support.state_traces import UNKNOWN, on_disk

BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6))
RECORDERS, EACH = 3, 240


class Crowd:
    """Threads that start together; what they raise is raised again in the end."""

    def __init__(self, jobs: list[Callable[[], None]]) -> None:
        self._start = threading.Barrier(len(jobs))
        self._raised: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(job,)) for job in jobs]

    def run(self) -> None:
        interval_s = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # Python's threads take turns every 5 ms: too seldom to meet
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()
        sys.setswitchinterval(interval_s)
        if self._raised:
            raise self._raised[0]

    def _run(self, job: Callable[[], None]) -> None:
        self._start.wait()
        try:
            job()
        except BaseException as problem:
            self._raised.append(problem)


def bystanders(engine: Engine) -> list[Callable[[], None]]:
    """Everything else that an app may do meanwhile."""

    def decide() -> None:
        for _ in range(60):
            decision = engine.rank(BASE, context=HOME)
            assert decision.error == 0
            assert sorted(names(decision)) == sorted(OFFERS)
            with suppress(ExplanationGoneError):  # erased in between
                engine.explain(decision)

    def look() -> None:
        for _ in range(200):
            assert engine.status().damaged == 0
            engine.storage.sync()

    def replace() -> None:
        for number in range(6):
            engine.storage.resize((1 << 17) + 4096 * number)
            engine.storage.rotate_key((None, bytes(16))[number % 2])

    return [decide, look, replace]


def test_numbers_are_unique_while_some_events_are_erased(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    acknowledged: list[list[int]] = [[] for _ in range(RECORDERS + 1)]
    erased: list[int] = []
    with small.open(tmp_path, clock, log_bytes=1 << 17) as engine:

        def record(thread: int) -> None:
            for number in range(EACH):
                acknowledged[thread].append(engine.record("note", item=f"item {thread}", value=number))

        def record_many() -> None:
            for _ in range(12):
                last = engine.record_many([clock.now_ms] * 20, [0] * 20, kind_names=["note"])
                acknowledged[-1].extend(range(last - 19, last + 1))

        def erase() -> None:
            for _ in range(12):
                erased.append(engine.erase(items=["item 0"]))

        jobs = [lambda thread=thread: record(thread) for thread in range(RECORDERS)]
        Crowd([*jobs, record_many, erase, *bystanders(engine)]).run()
        engine.erase(items=["item 0"])
        assert sorted(seq for seqs in acknowledged for seq in seqs) == list(range(1, RECORDERS * EACH + 240 + 1))
        records = internals(engine).state.log.read()
        at = {seq: place for place, seq in enumerate(records["seq"].tolist())}
        assert sorted(at) == sorted(seq for seqs in acknowledged[1:] for seq in seqs)
        for thread in range(1, RECORDERS):
            places = [at[seq] for seq in acknowledged[thread]]
            assert records["value"][places].tolist() == list(range(EACH))
            assert {*items_of(records)[places].tolist()} == {item_id(f"item {thread}")}
        before = internals(engine).state.log.read().tobytes(), internals(engine).state.memory.dump()
    with small.open(tmp_path, clock, storage_key=bytes(16)) as engine:
        assert internals(engine).state.memory.dump() == before[1]
        assert engine.status().damaged == 0
        assert engine.status().events == len(records)


def test_after_an_erase_returned_only_later_events_are_there(
    small: Small, clock: SettableClock, tmp_path: Path
) -> None:
    acknowledged: list[list[float]] = [[] for _ in range(RECORDERS)]
    gone: list[int] = []  # of each recorder, how many had been acknowledged when the last erase began
    to_come: list[int] = []  # … and when it had returned
    half = threading.Barrier(RECORDERS + 1, timeout=60)
    with small.open(tmp_path, clock, log_bytes=1 << 17) as engine:

        def record(thread: int) -> None:
            for number in range(EACH):
                if number == EACH // 2:
                    half.wait()
                engine.record("view", item=f"item {thread}", value=number)
                acknowledged[thread].append(number)

        def erase() -> None:
            for _ in range(5):
                engine.erase()
            half.wait()
            gone.extend(map(len, acknowledged))
            engine.erase()
            to_come.extend(len(numbers) + 1 for numbers in acknowledged)  # one may be under way

        jobs = [lambda thread=thread: record(thread) for thread in range(RECORDERS)]
        Crowd([*jobs, erase, *bystanders(engine)]).run()
        records = internals(engine).state.log.read()
        assert records["seq"].tolist() == list(range(1, len(records) + 1))
        for thread in range(RECORDERS):
            left = records["value"][items_of(records) == item_id(f"item {thread}")].tolist()
            assert left == list(range(EACH - len(left), EACH))
            assert EACH - to_come[thread] <= len(left) <= EACH - gone[thread]
        assert engine.erase() == len(records)
        assert engine.status().events == 0


def test_closing_while_others_are_at_work(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    """Each call succeeds or raises that the engine is closed; acknowledged events are there afterwards."""
    acknowledged: list[int] = []
    closing = small.open(tmp_path, clock)

    def record() -> None:
        until_closed(lambda: acknowledged.append(closing.record("note")))

    def sync() -> None:
        until_closed(closing.storage.sync)

    def close() -> None:
        for _ in range(50):
            closing.status()
        closing.close()

    Crowd([record, sync, close]).run()
    with small.open(tmp_path, clock) as engine:
        assert internals(engine).state.log.read()["seq"].tolist() == acknowledged[-2046:]  # the ring's room


def until_closed(act: Callable[[], None]) -> None:
    def act_on() -> None:
        for _ in range(1_000_000):
            act()

    with pytest.raises(RuntimeError, match="the engine is closed"):
        act_on()


# ---- who owns a folder ----


def test_a_folder_in_use_is_refused_and_its_owner_named(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    with small.open(tmp_path, clock) as engine:
        engine.record("click", item="fund_a")
        with pytest.raises(
            StateOwnedError, match=f"in use by this very process {os.getpid()}; close the engine"
        ) as refused:
            small.open(tmp_path, clock)
        assert refused.value.code == 200
        assert engine.record("click", item="fund_a") == 2
    with python(OWNER, tmp_path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owned\n"
        with pytest.raises(StateOwnedError, match=f"in use by process {owner.pid};"):
            small.open(tmp_path, clock)
        owner.kill()
        owner.wait()
        with small.open(tmp_path, clock) as engine:
            assert engine.record("click", item="fund_a") == 3


@pytest.mark.parametrize("at_once", [False, True])
def test_two_profiles_know_nothing_of_each_other(
    small: Small, clock: SettableClock, tmp_path: Path, at_once: bool
) -> None:
    one = small.open(tmp_path / "one", clock)
    for _ in range(3):
        one.record("impression", item=UNKNOWN, value=31415.53125)
        one.record("impression", item="fund_c", value=31415.53125, decision=0x0BADCAFE)
    assert [offer.id for offer in one.rank(BASE, context=HOME).dropped] == ["fund_c"]
    if not at_once:
        one.close()
    with small.open(tmp_path / "two", clock) as two:
        decision = two.rank(BASE, context=HOME)
        assert (decision.id, decision.dropped, two.status().events) == (1, (), 0)
        assert decision.order.tolist() == [0, 1, 2, 3, 4, 5]
        two.record("click", item="fund_a")
        assert two.record("click", item="fund_a") == 2
        if at_once:
            assert one.record("view", item="fund_b") == 7
            one.close()
        assert two.erase() == 2
    assert on_disk(tmp_path / "two") == set()
    with small.open(tmp_path / "one", clock) as one:
        assert one.status().events == 6 + at_once
