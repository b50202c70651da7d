"""The cache answers an equal request within `cache_s` with the same decision while it is valid."""

from __future__ import annotations

import pytest

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.client import Client
from edge_sdk.decision.decision import Decision
from edge_sdk.errors import ErrorCode
from edge_sdk.limits import RESULTS_KEPT
from edge_sdk.reasons import Reason
from edge_sdk.testing import FakeEngine, SettableClock, make_decision
from tests.support.client_openers import PATIENCE_S

BASE = BaseDecision(["fund_a", "fund_b"], [0.2, 0.1])


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def engine(clock: SettableClock) -> FakeEngine:
    return FakeEngine(clock=clock)


@pytest.fixture
def client(engine: FakeEngine, clock: SettableClock) -> Client[FakeEngine]:
    made = Client(lambda: engine, cache_s=2.0, clock=clock)
    made.start()
    assert made.wait(PATIENCE_S)
    return made


def test_it_is_the_same_object_for_two_seconds(client: Client[FakeEngine], clock: SettableClock) -> None:
    first = client.rank(BASE, context={"surface": "home"}, limit=2)
    clock.advance(1.999)
    again = client.rank(BASE, context={"surface": "home"}, limit=2)
    clock.advance(0.001)
    later = client.rank(BASE, context={"surface": "home"}, limit=2)

    assert again is first
    assert later is not first
    assert client.diagnostics()["client"]["cache_hits"] == 1  # type: ignore[index,call-overload]


def test_without_cache_s_each_request_is_ranked(engine: FakeEngine) -> None:
    client = Client(lambda: engine)
    client.start()
    assert client.wait(PATIENCE_S)

    assert client.rank(BASE) is not client.rank(BASE)


def test_a_clock_set_back_ends_it(client: Client[FakeEngine], clock: SettableClock) -> None:
    first = client.rank(BASE)
    clock.advance(-0.001)

    assert client.rank(BASE) is not first


def test_another_request_is_another_answer(client: Client[FakeEngine], engine: FakeEngine) -> None:
    same = BaseDecision(["fund_a", "fund_b"], [0.2, 0.1])  # equal, but the cloud sent it anew
    client.rank(BASE)
    client.rank(same)
    client.rank(BASE, context={"surface": "home"})
    client.rank(BASE, context={"surface": "wealth"})
    client.rank(BASE, limit=1)
    client.rank(BASE, limit=True)
    client.rank(BASE, weights={"click": 1.0})
    client.rank(BASE, weights={})
    client.rank(BASE, attributes={"age": 33.0})

    assert len(engine.requests) == 9


def test_a_context_changed_in_place_is_another_request(client: Client[FakeEngine]) -> None:
    context = {"surface": "home"}
    first = client.rank(BASE, context=context)
    context["surface"] = "wealth"

    assert client.rank(BASE, context=context) is not first


def test_what_rank_refuses_is_asked_each_time(client: Client[FakeEngine], engine: FakeEngine) -> None:
    for _ in range(2):
        client.rank(BASE, context={"surface": ["home"]})  # type: ignore[dict-item]
        client.rank(BASE, context="home")  # type: ignore[arg-type]
    engine.error = ErrorCode.MODEL_FAILED
    assert client.rank(BASE) is not client.rank(BASE)  # an error may be fixed by now
    assert len(engine.requests) == 6


def test_it_ends_when_a_rule_drops_one_of_its_offers(client: Client[FakeEngine], engine: FakeEngine) -> None:
    first = client.rank(BASE)
    engine.dropped = {"fund_a": Reason.CAPPED}
    second = client.rank(BASE)
    third = client.rank(BASE)

    assert [offer.id for offer in first.offers] == ["fund_a", "fund_b"]
    assert [offer.id for offer in second.offers] == ["fund_b"]
    assert third is second


def test_erasing_and_a_new_policy_empty_it(client: Client[FakeEngine], engine: FakeEngine) -> None:
    first = client.rank(BASE)
    client.erase()
    second = client.rank(BASE)
    assert client.install_policy(b"policy")
    third = client.rank(BASE)

    assert second is not first
    assert third is not second
    assert engine.policies == [b"policy"]


def test_an_answer_under_way_while_all_is_erased_is_not_kept(clock: SettableClock) -> None:
    class Erasing(FakeEngine):
        """The user erases while the first answer is being made."""

        def rank(self, base: BaseDecision, **asked: object) -> Decision:
            decision = super().rank(base)
            if len(self.requests) == 1:
                erasing.erase()
            return decision

    erasing = Client(Erasing, cache_s=2.0, clock=clock)
    erasing.start()
    assert erasing.wait(PATIENCE_S)

    assert erasing.rank(BASE) is not erasing.rank(BASE)


def test_a_few_answers_are_kept(client: Client[FakeEngine], engine: FakeEngine) -> None:
    for limit in range(RESULTS_KEPT + 1):
        client.rank(BASE, limit=limit)
    for limit in reversed(range(RESULTS_KEPT + 1)):
        client.rank(BASE, limit=limit)

    assert RESULTS_KEPT == 16
    assert len(engine.requests) == 18  # the oldest of the 17 had to go


def test_a_fake_decision_is_valid_while_the_same_offers_are_dropped(engine: FakeEngine) -> None:
    decision = make_decision(["fund_a", "fund_b"], dropped={"fund_a": Reason.CAPPED})

    assert not engine.is_still_valid(decision)
    engine.dropped = {"fund_a": Reason.CAPPED}
    assert engine.is_still_valid(decision)
    engine.dropped = {"fund_a": Reason.QUIET}
    assert not engine.is_still_valid(decision)
