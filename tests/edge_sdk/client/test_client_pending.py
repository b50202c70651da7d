"""Events recorded before the engine is open are all written, in order, with their own times."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.client import Client
from edge_sdk.client.states import ClientState
from edge_sdk.errors import (
    ErrorCode,
    InvalidValueError,
    StateFullError,
    StateUnusableError,
    UnknownKindError,
    UnknownOutcomeError,
)
from edge_sdk.limits import CLIENT_PENDING_MAX
from edge_sdk.testing import NOON_MS, FakeEngine, FakeEvent, SettableClock, make_decision
from tests.support.client_openers import PATIENCE_S, GatedOpener, HookLedger

BASE = BaseDecision(["fund_a", "fund_b", "fund_c"], [0.3, 0.2, 0.1])


class RefusingEngine(FakeEngine):
    """Its disk refuses the next `refusals` writes of many events."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals
        self.on_write: Callable[[], None] = lambda: None

    def record_many(self, *columns: Any, **named: Any) -> int:
        self.on_write()
        if self.refusals:
            self.refusals -= 1
            raise StateUnusableError(Path("state"), "no space left")
        return super().record_many(*columns, **named)


def counted(client: Client[FakeEngine], what: str) -> object:
    counts = client.diagnostics()["client"]
    assert isinstance(counts, dict)
    return counts[what]


def open_now(client: Client[FakeEngine]) -> None:
    client.start()
    assert client.wait(PATIENCE_S)


def test_what_was_recorded_before_is_written_before_what_comes_after() -> None:
    clock, engine = SettableClock(), FakeEngine()
    client = Client(lambda: engine, clock=clock)

    client.record("view", item="fund_a", value=1200.0)
    clock.advance(1.5)
    client.record("view")
    decision = client.rank(BASE)
    client.shown(decision, count=2)
    clock.advance(-2.0)  # a clock set back: the order is that of the calls
    client.feedback(decision, "fund_b", "click", value=2.0)
    open_now(client)
    client.record("click", item="fund_c", decision=7)

    assert engine.events == [
        FakeEvent(NOON_MS, "view", "fund_a", 1200.0, 0),
        FakeEvent(NOON_MS + 1500, "view", "", 0.0, 0),
        FakeEvent(NOON_MS + 1500, "impression", "fund_a", 0.0, 0),
        FakeEvent(NOON_MS + 1500, "impression", "fund_b", 0.0, 0),
        FakeEvent(NOON_MS - 500, "click", "fund_b", 2.0, 0),
        FakeEvent(NOON_MS, "click", "fund_c", 0.0, 7),  # the engine's own clock
    ]


def test_each_channel_is_shown_by_its_own_kind() -> None:
    engine = FakeEngine(kinds=["impression", "sms_sent"], shown_kinds={"": "impression", "sms": "sms_sent"})
    hook = HookLedger()
    client = Client(lambda: engine, hooks=[hook])
    base = BaseDecision(
        ["fund_a", "fund_b", "fund_c"], [3.0, 2.0, 1.0], channels=["sms", "", "push"], costs=[0.5, 0.0, 0.1]
    )

    client.shown(client.rank(base))
    open_now(client)

    assert [(event.kind, event.item, event.value) for event in engine.events] == [
        ("sms_sent", "fund_a", 0.5), ("impression", "fund_b", 0.0)
    ]  # fmt: skip
    assert [code for code, _ in hook.problems] == [ErrorCode.NOT_READY, ErrorCode.UNKNOWN_OUTCOME]
    assert counted(client, "lost_events") == 1


def test_asking_records_nothing() -> None:
    engine = FakeEngine()
    client = Client(lambda: engine)
    client.rank(BASE)
    open_now(client)
    client.offers(BASE)

    assert engine.events == []


def test_a_word_that_the_scene_does_not_know_costs_no_other_event() -> None:
    engine, hook = FakeEngine(), HookLedger()
    client = Client(lambda: engine, hooks=[hook])

    client.record("view", item="fund_a")
    client.record("vieuw", item="secret_page")
    client.feedback(make_decision(["fund_b"]), "fund_b", "clack")
    client.record("click", item="fund_c")
    open_now(client)

    assert [event.item for event in engine.events] == ["fund_a", "fund_c"]
    assert hook.problems == [
        (
            ErrorCode.UNKNOWN_KIND,
            "kind 'vieuw' is not in the scene; use one of view, click, impression, dismiss, convert, "
            "or add it to scene.toml",
        ),
        (
            ErrorCode.UNKNOWN_OUTCOME,
            "outcome 'clack' is not in the scene; use one of click, dismiss, convert, "
            "or map it under [events] in scene.toml",
        ),
    ]


def test_mistakes_that_need_no_bundle_are_raised_at_once_in_either_state() -> None:
    engine = FakeEngine()
    client = Client(lambda: engine)
    for _ in range(2):
        with pytest.raises(InvalidValueError, match="value="):
            client.record("view", value=float("nan"))
        with pytest.raises(InvalidValueError, match="item="):
            client.record("view", item=3)  # type: ignore[arg-type]
        with pytest.raises(UnknownKindError):
            client.record(None)  # type: ignore[arg-type]
        with pytest.raises(UnknownOutcomeError):
            client.feedback(make_decision(["fund_a"]), "fund_a", None)  # type: ignore[arg-type]
        with pytest.raises(InvalidValueError, match="offer='fund_z'"):
            client.feedback(make_decision(["fund_a"]), "fund_z", "click")
        with pytest.raises(InvalidValueError, match="items='fund_a'"):
            client.erase(items="fund_a")
        open_now(client)
    with pytest.raises(UnknownKindError):
        client.record("vieuw")  # once it is open, this one too
    assert engine.events == []


def test_what_does_not_fit_is_counted_and_told() -> None:
    engine, hook = FakeEngine(), HookLedger()
    client = Client(lambda: engine, hooks=[hook], clock=SettableClock())

    for number in range(CLIENT_PENDING_MAX + 3):
        client.record("view", value=float(number))
    told = list(hook.problems)
    open_now(client)

    assert CLIENT_PENDING_MAX == 4096
    assert told == [  # once a minute, not once an event
        (ErrorCode.NOT_READY, "too many events wait for the engine; call start(), or fix what client.error says")
    ]
    assert [event.value for event in engine.events] == [float(number) for number in range(4096)]
    assert counted(client, "lost_events") == 3
    assert counted(client, "pending_events") == 0


def test_a_disk_that_refuses_leaves_them_waiting_for_the_next_start() -> None:
    engine = RefusingEngine(refusals=1)
    client: Client[FakeEngine] = Client(lambda: engine)
    client.record("view", item="fund_a")
    client.erase(kinds=["dismiss"])
    client.record("view", item="fund_b")

    client.start()
    assert not client.wait(PATIENCE_S)
    assert client.state is ClientState.ERROR
    assert counted(client, "pending_events") == 2
    assert engine.closed
    engine.closed = False  # as another opening would
    open_now(client)

    assert [event.item for event in engine.events] == ["fund_a", "fund_b"]
    assert counted(client, "lost_events") == 0


def test_what_was_written_before_the_disk_refused_is_not_written_twice() -> None:
    engine = RefusingEngine(refusals=0)
    client: Client[FakeEngine] = Client(lambda: engine)
    client.record("view", item="fund_a")
    client.erase(kinds=["dismiss"])
    client.record("view", item="fund_b")
    writes: list[int] = []

    def refuse_the_second() -> None:
        writes.append(1)
        engine.refusals = int(len(writes) == 2)

    engine.on_write = refuse_the_second
    client.start()
    assert not client.wait(PATIENCE_S)
    engine.closed = False
    open_now(client)

    assert [event.item for event in engine.events] == ["fund_a", "fund_b"]


def test_events_left_at_closing_are_told() -> None:
    hook = HookLedger()
    client = Client(FakeEngine, hooks=[hook])
    client.record("view")
    client.erase(items=["fund_a"])

    client.close()
    client.record("view")

    assert counted(client, "lost_events") == 2
    assert hook.problems[0] == (ErrorCode.NOT_READY, "the client is closed and records nothing; make a new one")
    assert hook.problems[1] == (
        ErrorCode.NOT_READY, "a pending erasure was not carried out; erase again when an engine is open"
    )  # fmt: skip


def test_an_engine_that_cannot_write_any_more_is_told_not_raised() -> None:
    class Full(FakeEngine):
        def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> int:
            raise StateFullError(Path("events.log"), 4096)

    hook = HookLedger()
    client: Client[FakeEngine] = Client(Full, hooks=[hook])
    open_now(client)

    client.record("view")
    client.shown(client.rank(BASE), count=1)
    client.feedback(client.rank(BASE), "fund_a", "click")

    assert hook.problems == [
        (ErrorCode.STATE_FULL, "events.log: no room for 4096 bytes; free space, or open with a smaller log_bytes")
    ]
    assert counted(client, "lost_events") == 3


# ---- erasing what waits ----


def test_erasing_everything_forgets_what_waits_at_once_and_what_is_stored_when_it_opens() -> None:
    engine = FakeEngine()
    engine.record("click", item="stored")
    client = Client(lambda: engine)
    client.record("view", item="fund_a")

    assert client.erase() is None
    assert counted(client, "pending_events") == 0
    client.record("view", item="fund_b")
    open_now(client)

    assert [event.item for event in engine.events] == ["fund_b"]


def test_an_erasure_takes_its_turn() -> None:
    engine = FakeEngine()
    engine.record("click", item="fund_a")
    client = Client(lambda: engine)
    client.record("view", item="fund_a")
    client.record("view", item="fund_b")
    client.erase(items=iter(["fund_a"]))
    client.erase(kinds=["no_such_kind"])  # told, and passed over
    client.record("view", item="fund_a", value=9.0)
    open_now(client)

    assert [(event.item, event.value) for event in engine.events] == [("fund_b", 0.0), ("fund_a", 9.0)]
    assert client.erase(before=NOON_MS) == 0
    assert client.erase() == 2


def test_what_is_erased_while_it_is_written_does_not_come_back() -> None:
    engine = RefusingEngine(refusals=1)
    client: Client[FakeEngine] = Client(lambda: engine)
    client.record("view", item="fund_a")

    def erase() -> None:
        engine.on_write = lambda: None
        client.erase()
        client.record("view", item="fund_b")

    engine.on_write = erase  # then this write fails
    client.start()
    assert not client.wait(PATIENCE_S)
    engine.closed = False
    open_now(client)

    assert [event.item for event in engine.events] == ["fund_b"]


def test_a_closed_client_refuses_to_erase() -> None:
    client = Client(FakeEngine)
    client.close()

    with pytest.raises(RuntimeError, match="the client is closed and erases nothing"):
        client.erase()


# ---- threads, and every order ----


def test_nothing_is_lost_and_each_threads_order_is_kept_while_it_opens() -> None:
    engine = FakeEngine()
    opener = GatedOpener(engine)
    client = Client(opener)
    begun = threading.Barrier(5)

    def record(item: str) -> None:
        begun.wait(PATIENCE_S)
        for number in range(500):
            client.record("view", item=item, value=float(number))

    threads = [threading.Thread(target=record, args=(f"thread_{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    client.start()
    begun.wait(PATIENCE_S)
    opener.gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert client.wait(PATIENCE_S)

    for index in range(4):
        values = [event.value for event in engine.events if event.item == f"thread_{index}"]
        assert values == [float(number) for number in range(500)]


ACTS = st.one_of(
    st.tuples(st.just("record"), st.sampled_from(["view", "click", "no_such_kind"]), st.sampled_from("abc")),
    st.tuples(st.just("shown"), st.integers(0, 3), st.just("")),
    st.tuples(st.just("erase"), st.sampled_from(["all", "a", "b"]), st.just("")),
    st.tuples(st.just("feedback"), st.sampled_from(["click", "clack"]), st.sampled_from("abc")),
)


@given(acts=st.lists(ACTS, max_size=20))
def test_opening_late_leaves_what_opening_early_does(acts: list[tuple[str, str | int, str]]) -> None:
    clock = SettableClock()
    early, late = FakeEngine(clock=clock), FakeEngine(clock=clock)
    early_client, late_client = Client(lambda: early, clock=clock), Client(lambda: late, clock=clock)
    open_now(early_client)

    for act in acts:
        for client in (early_client, late_client):
            perform(client, *act)
        clock.advance(1.0)
    open_now(late_client)

    assert late.events == early.events


def perform(client: Client[FakeEngine], act: str, word: str | int, item: str) -> None:
    decision = make_decision(["a", "b", "c"], number=5)
    try:
        if act == "record":
            client.record(str(word), item=item)
        elif act == "shown":
            client.shown(decision, count=int(word))
        elif act == "feedback":
            client.feedback(decision, item, str(word))
        else:
            client.erase(items=None if word == "all" else [str(word)])
    except (UnknownKindError, UnknownOutcomeError):
        pass  # raised by the one that is open, told by the other


def test_every_event_is_written_or_counted_while_the_client_closes() -> None:
    engine = FakeEngine()
    client = Client(lambda: engine)
    open_now(client)
    begun = threading.Barrier(5)
    raised: list[BaseException] = []

    def record() -> None:
        begun.wait(PATIENCE_S)
        try:
            for _ in range(500):
                client.record("view")
                client.rank(BASE)
        except BaseException as problem:
            raised.append(problem)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(PATIENCE_S)
    client.close()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert raised == []
    lost = counted(client, "lost_events")
    assert isinstance(lost, int)
    assert len(engine.events) + lost == 2000
