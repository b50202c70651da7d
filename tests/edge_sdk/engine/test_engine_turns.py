"""A call of an engine from within another call of the same thread is refused; another thread's call is waited for.

No interrupt leaves the lock taken.
"""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

import pytest

from edge_sdk import BaseDecision, Decision, Engine, ErrorCode
from edge_sdk.errors import InvalidValueError, NestedCallError
from tests.support.scene import NOW_MS, Small

CALLS: dict[str, Callable[[Engine, Decision], object]] = {
    "record": lambda engine, _: engine.record("click", item="a"),
    "record_many": lambda engine, _: engine.record_many([1], [0], kind_names=["click"]),
    "rank": lambda engine, decision: engine.rank(decision.base),
    "is_still_valid": lambda engine, decision: engine.is_still_valid(decision),
    "shown": lambda engine, decision: engine.shown(decision, count=1),
    "feedback": lambda engine, decision: engine.feedback(decision, decision.candidates[0], "click"),
    "explain": lambda engine, decision: engine.explain(decision),
    "message": lambda engine, decision: engine.message(decision, decision.candidates[0]),
    "install_policy": lambda engine, _: engine.install_policy(b""),
    "erase": lambda engine, _: engine.erase(),
    "erase(items)": lambda engine, _: engine.erase(items=["a"]),
    "status": lambda engine, _: engine.status(),
    "close": lambda engine, _: engine.close(),
    "resize": lambda engine, _: engine.storage.resize(8192),
    "rotate_key": lambda engine, _: engine.storage.rotate_key(b"k" * 16),
}
READ_THE_CLOCK = ["record", "record_many", "rank", "is_still_valid", "shown", "feedback", "message"]


class CallingClock:
    """A clock that makes one call of its engine when it is next read."""

    def __init__(self) -> None:
        self.call: Callable[[], object] | None = None
        self.refused: list[NestedCallError] = []

    def __call__(self) -> int:
        call, self.call = self.call, None
        if call is not None:
            try:
                call()
            except NestedCallError as error:
                self.refused.append(error)
        return NOW_MS


@pytest.fixture
def calling() -> CallingClock:
    return CallingClock()


@pytest.fixture
def engine(small: Small, calling: CallingClock, tmp_path: Path) -> Iterator[Engine]:
    opened = Engine.open(
        tmp_path / "state", bundle=small.bundle, trusted_keys=[small.public_key], clock=calling, log_bytes=1 << 16
    )
    with opened:
        yield opened


@pytest.fixture
def decision(engine: Engine, base: BaseDecision) -> Decision:
    engine.record("click", item="a")
    return engine.rank(base)


@pytest.mark.parametrize("inner", CALLS)
@pytest.mark.parametrize("outer", READ_THE_CLOCK)
def test_a_clock_that_calls_its_engine_is_refused(
    engine: Engine, decision: Decision, calling: CallingClock, outer: str, inner: str
) -> None:
    calling.call = lambda: CALLS[inner](engine, decision)

    CALLS[outer](engine, decision)

    assert [error.code for error in calling.refused] == [ErrorCode.NESTED_CALL]
    recorded = outer in ("record", "record_many", "shown", "feedback")
    assert engine.status().events == 1 + recorded  # the call within did nothing, and the lock is free
    assert engine.explain(decision)


class CallingMapping(Mapping[str, float]):
    """A mapping of the app that records when it is read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getitem__(self, name: str) -> float:
        self._engine.record("click")
        return 1.0

    def __iter__(self) -> Iterator[str]:
        self._engine.record("click")
        return iter(["click"])

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("field", ["context", "attributes", "weights"])
def test_a_mapping_that_calls_the_engine_gets_the_base_order(engine: Engine, base: BaseDecision, field: str) -> None:
    decision = engine.rank(base, **{field: CallingMapping(engine)})  # type: ignore[arg-type]

    assert decision.error
    assert decision.offers
    assert engine.status().events == 0


def test_a_finalizer_that_calls_the_engine_is_refused(
    engine: Engine, decision: Decision, calling: CallingClock
) -> None:
    outcomes: list[BaseException | None] = []

    class Finalized:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            try:
                engine.record("click")
            except NestedCallError as error:
                outcomes.append(error)

    Finalized()
    calling.call = gc.collect
    engine.record("click", item="a")

    assert len(outcomes) == 1
    assert engine.status().events == 2


def test_another_threads_call_is_waited_for(engine: Engine, calling: CallingClock) -> None:
    is_inside, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_inside.set()
        assert may_go_on.wait(60)

    calling.call = hold
    holder = threading.Thread(target=engine.record, args=("click",))
    holder.start()
    assert is_inside.wait(60)
    waiter = threading.Thread(target=engine.record, args=("click",))
    waiter.start()
    assert waiter.is_alive()
    may_go_on.set()
    for thread in (holder, waiter):
        thread.join(60)

    assert engine.status().events == 2


class InterruptError(BaseException):
    """Raised by a signal handler, as KeyboardInterrupt is.

    An `Exception` would count as a failure of the clock, if it came while that is read.
    """


def soon(random: Random) -> None:
    """Asks for one signal. At even intervals signals would meet the same few instructions."""
    signal.setitimer(signal.ITIMER_REAL, random.uniform(20e-6, 60e-6))


@pytest.fixture
def alarms() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Sets what a signal handler does; `soon` asks for a signal."""
    former = signal.getsignal(signal.SIGALRM)

    def begin(act: Callable[[], object]) -> None:
        signal.signal(signal.SIGALRM, lambda *_: act())

    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


def test_an_interrupt_never_leaves_the_lock_taken(
    engine: Engine, base: BaseDecision, alarms: Callable[[Callable[[], object]], None]
) -> None:
    interrupts, acknowledged, random = 0, 0, Random(1)
    is_wanted = False

    def interrupt() -> None:
        nonlocal is_wanted
        if is_wanted:
            is_wanted = False
            raise InterruptError

    alarms(interrupt)
    while interrupts < 3000:
        try:
            is_wanted = True
            soon(random)
            while True:
                engine.record("click", item="a")
                acknowledged += 1
        except InterruptError:
            interrupts += 1
    signal.setitimer(signal.ITIMER_REAL, 0)

    assert engine.record("click") > acknowledged
    assert not engine.rank(base).error


def test_a_signal_handler_records_or_is_refused(engine: Engine, alarms: Callable[[Callable[[], object]], None]) -> None:
    kept: list[int] = []
    refused = 0

    def record() -> None:
        nonlocal refused
        try:
            kept.append(engine.record("view", item="b"))
        except NestedCallError:
            refused += 1

    numbers, random = [], Random(1)
    alarms(record)
    while len(kept) < 20 or refused < 20:
        soon(random)
        numbers.append(engine.record("click", item="a"))
    signal.setitimer(signal.ITIMER_REAL, 0)

    assert len({*kept, *numbers}) == len(kept) + len(numbers)
    assert engine.record("click") == len(kept) + len(numbers) + 1


def test_what_was_shown_is_recorded_in_one_turn(small: Small, tmp_path: Path) -> None:
    """A nested call that finds its turn between two of its events would record the first and be refused the second."""
    readings = iter(range(NOW_MS, NOW_MS + 100))
    with Engine.open(
        tmp_path, bundle=small.bundle, trusted_keys=[small.public_key], clock=lambda: next(readings)
    ) as engine:
        decision = engine.rank(BaseDecision(["fund_a", "fund_b", "fund_c"], [0.0] * 3))
        before = next(readings)
        engine.shown(decision)
        assert next(readings) == before + 2
        assert engine.status().events == 3


def test_of_what_was_shown_all_is_recorded_or_nothing(small: Small, tmp_path: Path) -> None:
    with Engine.open(tmp_path, bundle=small.bundle, trusted_keys=[small.public_key], clock=lambda: NOW_MS) as engine:
        decision = engine.rank(BaseDecision(["fund_a", "\ud800"], [0.0] * 2))
        with pytest.raises(InvalidValueError):
            engine.shown(decision)
        assert engine.status().events == 0
