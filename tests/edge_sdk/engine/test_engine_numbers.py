"""Whole numbers of any type are taken; what is none gets a typed error, or an answer no longer than was meant."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine, ErrorCode
from edge_sdk.errors import InvalidValueError
from edge_sdk.types import whole_number
from tests.support.scene import OFFERS, SettableClock, Small

HOME = {"surface": "home"}


class Whole:
    """A number of the app's own type."""

    def __index__(self) -> int:
        return 2


class BrokenError(Exception):
    """Of an app's type."""


class Broken:
    """A number that fails whatever is asked of it."""

    def __index__(self) -> int:
        raise BrokenError

    def __float__(self) -> float:
        raise BrokenError

    def __repr__(self) -> str:
        raise BrokenError


TWO = [2, np.int64(2), np.uint8(2), np.array(2), Whole()]
NO_NUMBERS = [True, np.True_, 2.0, np.float64(2), "2", b"2", Decimal(2), [2]]


@pytest.mark.parametrize("number", TWO, ids=lambda number: type(number).__name__)
def test_whole_numbers_of_any_type(engine: Engine, base: BaseDecision, clock: SettableClock, number: Any) -> None:
    decision = engine.rank(base, context=HOME, limit=number)
    assert (decision.error, len(decision.offers)) == (ErrorCode.NONE, 2)
    engine.shown(decision, count=number)
    engine.record("click", item="a", decision=number)
    assert engine.status().events == 3
    assert engine.erase(before=number) == 0


@pytest.mark.parametrize("number", [*NO_NUMBERS, Broken()], ids=lambda number: type(number).__name__)
def test_what_is_no_whole_number(small: Small, engine: Engine, base: BaseDecision, number: Any) -> None:
    decision = engine.rank(base, context=HOME)

    assert whole_number(number) is None
    assert engine.rank(base, context=HOME, limit=number).error is ErrorCode.BAD_LIMIT
    for call in (
        lambda: engine.shown(decision, count=number),
        lambda: engine.record("click", decision=number),
        lambda: engine.erase(before=number),
        lambda: engine.storage.resize(number),
        lambda: small.open(small.folder / "none", SettableClock(), log_bytes=number),
        lambda: Engine.open(small.folder / "none", bundle=small.bundle, allow_unsigned=True, seed=number),
    ):
        with pytest.raises(InvalidValueError):
            call()
    assert engine.status().events == 0
    assert not (small.folder / "none").exists()


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(2.0, 2), (2.9, 2), (True, 1), (False, 0), ("3", 3), (Decimal("1.5"), 1), (-0.5, 0), (float("nan"), None),
     (float("inf"), None), ("many", None), (Broken(), None)],
)  # fmt: skip
def test_a_base_order_is_no_longer_than_what_is_understood(
    engine: Engine, base: BaseDecision, limit: Any, kept: int | None
) -> None:
    whole = engine.rank(base, context=HOME)

    decision = engine.rank(base, context=HOME, limit=limit)

    assert decision.error is ErrorCode.BAD_LIMIT
    assert len(decision.offers) == (len(whole.offers) if kept is None else kept)


@pytest.mark.parametrize("policy", ["policy.edgp", None, 3, ["a"]])
def test_a_policy_is_bytes(engine: Engine, policy: Any) -> None:
    with pytest.raises(InvalidValueError, match="cloud-export policy"):
        engine.install_policy(policy)


def test_a_decision_is_no_number(engine: Engine, base: BaseDecision) -> None:
    number: Any = engine.rank(base).id

    for call in (
        lambda: engine.shown(number),
        lambda: engine.feedback(number, OFFERS[0], "click"),
        lambda: engine.explain(number),
        lambda: engine.message(number, OFFERS[0]),
        lambda: engine.is_still_valid(number),
    ):
        with pytest.raises(InvalidValueError, match="pass a Decision"):
            call()


@pytest.mark.parametrize(
    ("given", "kept"),
    [(5, 5), (np.int64(5), 5), (5.5, 5), (None, 0), ("yesterday", 0), (float("nan"), 0), (True, 0), (Broken(), 0)],
)
def test_a_time_of_refresh_that_is_no_number_is_not_known(given: Any, kept: int) -> None:
    assert BaseDecision(OFFERS, np.zeros(6), refreshed_ms=given).refreshed_ms == kept
