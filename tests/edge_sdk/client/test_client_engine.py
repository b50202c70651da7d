"""A client works with a real engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edge_sdk import BaseDecision, Client, Engine, ErrorCode
from edge_sdk.client.states import ClientState
from edge_sdk.errors import UnknownKindError
from edge_sdk.log.record import Records, items_of
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id, kind_id
from tests.support.client_openers import PATIENCE_S, HookLedger
from tests.support.scene import HOME, NOW_MS, OFFERS, SettableClock, Small

BASE = BaseDecision(["fund_a", "fund_b", "fund_c"], [3.0, 2.0, 1.0])


def opened(client: Client[Engine]) -> Engine:
    client.start()
    assert client.wait(PATIENCE_S), client.error
    engine = client.engine
    assert engine is not None
    return engine


def rows(records: Records) -> list[tuple[int, int, int, float, int]]:
    times = records["time_s"].astype(int) * 1000 + records["time_ms"]
    columns = (times, records["kind"], items_of(records), records["value"], records["decision"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_what_waited_is_in_the_log_with_its_own_times(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with Client(lambda: small.open(tmp_path, clock), clock=clock) as client:
        assert client.wait(PATIENCE_S)
    hook = HookLedger()
    client = Client(lambda: small.open(tmp_path, clock), clock=clock, hooks=[hook])

    client.record("view", item="fund_a", value=12.5)
    clock.now_ms += 1500
    client.record("no_such_kind", item="fund_a")
    decision = client.rank(BASE, limit=1)
    client.shown(decision)
    client.feedback(decision, "fund_b", "click")
    clock.now_ms += 1500
    engine = opened(client)
    client.record("convert", item="fund_c")

    assert rows(internals(engine).state.log.read()) == [
        (NOW_MS, kind_id("view"), item_id("fund_a"), 12.5, 0),
        (NOW_MS + 1500, kind_id("impression"), item_id("fund_a"), 0.0, 0),
        (NOW_MS + 1500, kind_id("click"), item_id("fund_b"), 0.0, 0),
        (NOW_MS + 3000, kind_id("convert"), item_id("fund_c"), 0.0, 0),
    ]
    assert [code for code, _ in hook.problems] == [ErrorCode.NOT_READY, ErrorCode.UNKNOWN_KIND]
    with pytest.raises(UnknownKindError):
        client.record("no_such_kind")
    client.close()


def test_the_answer_is_that_of_the_engine(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with Client(lambda: small.open(tmp_path, clock)) as client:
        assert client.wait(PATIENCE_S)
        client.record("click", item="fund_c")
        client.record("click", item="fund_c")
        by_client = client.rank(BASE, context=HOME, limit=2, weights={"click": 1.0})
        engine = opened(client)
        by_engine = engine.rank(BASE, context=HOME, limit=2, weights={"click": 1.0})

        assert by_client.error is ErrorCode.NONE
        assert by_client.offers == by_engine.offers
        assert client.offers(BASE, context=HOME, limit=2) == client.rank(BASE, context=HOME, limit=2).offers
        assert len(engine.explain(by_client)) >= 2


def test_a_kept_answer_ends_when_a_cap_is_reached(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with Client(lambda: small.open(tmp_path, clock), cache_s=60.0, clock=clock) as client:
        assert client.wait(PATIENCE_S)
        first = client.rank(BASE, context=HOME)
        client.record("click", item="fund_c")  # the scores change, the rules do not
        again = client.rank(BASE, context=HOME)
        for _ in range(2):  # the scene shows an offer twice an hour
            client.record("impression", item="fund_b")
        capped = client.rank(BASE, context=HOME)

        assert again is first
        assert {offer.id for offer in first.offers} == {"fund_a", "fund_b", "fund_c"}
        assert {offer.id for offer in capped.offers} == {"fund_a", "fund_c"}
        assert client.erase() == 3
        assert {offer.id for offer in client.rank(BASE, context=HOME).offers} == {"fund_a", "fund_b", "fund_c"}


def test_an_erasure_that_waits_reaches_the_folder(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with small.open(tmp_path, clock) as engine:
        engine.record("view", item="fund_a")
        engine.record("view", item="fund_b")
    client = Client(lambda: small.open(tmp_path, clock), clock=clock)
    client.record("click", item="fund_a")
    client.erase(items=["fund_a"])
    client.record("click", item="fund_c")

    log = internals(opened(client)).state.log.read()
    items = [item for _, _, item, _, _ in rows(log) if item]
    client.close()

    assert items == [item_id("fund_b"), item_id("fund_c")]


def test_a_folder_that_another_engine_has(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    client = Client(lambda: small.open(tmp_path, clock))
    with small.open(tmp_path, clock):
        client.record("view")
        client.start()
        assert not client.wait(PATIENCE_S)
        assert client.state is ClientState.ERROR
        assert client.rank(BASE).detail.startswith("opening failed with 200 STATE_OWNED: ")

    assert opened(client).status().events == 1
    client.close()


def test_unusable_treatments_raise_in_no_state(small: Small, tmp_path: Path) -> None:
    with Client(lambda: small.open(tmp_path, SettableClock())) as client:
        broken = [
            BaseDecision(["fund_a", "fund_b"], [2.0, 1.0], channels=[""]),
            BaseDecision(["fund_a", "fund_b"], [2.0, 1.0], variants=["long"]),
            BaseDecision(["fund_a", "fund_b"], [2.0, 1.0], costs=[1.0]),
        ]
        fresh: Client[Engine] = Client(lambda: small.open(tmp_path, SettableClock()))
        assert [[offer.id for offer in fresh.rank(base).offers] for base in broken] == [["fund_a", "fund_b"]] * 3
        assert client.wait(PATIENCE_S)
        answers = [client.rank(base, context=HOME) for base in broken]
        assert [answer.error for answer in answers] == [
            ErrorCode.UNKNOWN_TREATMENT, ErrorCode.UNKNOWN_TREATMENT, ErrorCode.BAD_COSTS
        ]  # fmt: skip
        assert [[offer.id for offer in answer.offers] for answer in answers] == [["fund_a", "fund_b"]] * 3
        client.shown(answers[0])


def test_diagnostics_contain_nothing_of_the_user(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with Client(lambda: small.open(tmp_path, clock), clock=clock, cache_s=1.0) as client:
        assert client.wait(PATIENCE_S)
        for item in (*OFFERS, "secret_page"):
            client.record("view", item=item, value=777.25)
        decision = client.rank(BASE, context=HOME)
        client.shown(decision)
        client.feedback(decision, "fund_a", "dismiss")
        client.rank(BASE, context={"surface": "bedroom"})
        found = client.diagnostics()
    dumped = json.dumps(found)

    words = set(re.findall(r"\w+", dumped))
    assert not words & {*OFFERS, "secret_page", "777", "home", "new", "surface", "stage", "bedroom", "view", "dismiss"}
    assert str(NOW_MS)[:7] not in dumped
    engine = found["engine"]
    assert isinstance(engine, dict)
    assert (engine["scene"], engine["events"], engine["unknown_items"]) == ("small", 11, 1)
    assert (engine["decisions"], engine["errors"]) == (2, {"UNKNOWN_CONTEXT": 1})


def test_hooks_and_client_are_at_the_front_door() -> None:
    import edge_sdk

    assert {"Client", "ClientState", "Hook", "RankRequest", "Problem"} <= set(edge_sdk.__all__)
