"""Whatever an app passes where a name, a number, a path or a list belongs, a call works or raises a typed error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from edge_sdk import BaseDecision, Client, Decision, Engine
from edge_sdk.errors import EdgeError, InvalidValueError
from tests.support.scene import HOME, NOW_MS, OFFERS, SettableClock, Small


class Contrary(str):
    """A str that does not let itself be compared."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> NoReturn:
        raise KeyError("no comparison")


class Unhashable:
    def __hash__(self) -> NoReturn:
        raise KeyError("no hash")


STRANGE: list[Any] = [
    3, 1.5, True, float("nan"), None, b"x", [], ["a"], [1], {}, {1: 2}, (), object(), Unhashable(), Contrary("view"),
    1j, np.array([1, 2]), np.array(["a", "b"]), np.array(["a"], object), np.array(5), [np.array([1, 2])], [None],
    [["a"]], np.timedelta64(3), Decimal("NaN"), Decimal("sNaN"), 10**400, -(2**63), "\ud800", "\0", range(3), len,
]  # fmt: skip
BASE = BaseDecision(OFFERS, [0.0] * 6)


@pytest.fixture(params=["engine", "ready", "caching", "waiting"])
def device(request: pytest.FixtureRequest, small: Small, tmp_path: Path) -> Iterator[Any]:
    clock = SettableClock()
    if request.param == "engine":
        with small.open(tmp_path, clock) as engine:
            yield engine
        return
    cache_s = 60.0 * (request.param == "caching")
    with Client(lambda: small.open(tmp_path, clock), cache_s=cache_s, clock=clock) as client:
        if request.param != "waiting":
            assert client.wait(60)
            yield client
    if request.param == "waiting":
        yield Client(lambda: small.open(tmp_path, clock), clock=clock)


def raised(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def verbs(device: Any, decision: Decision, x: Any) -> dict[str, Callable[[], object]]:
    """Every call with one strange argument; what an int or None means there is not strange."""
    found: dict[str, Callable[[], object]] = {
        "record, kind": lambda: device.record(x),
        "record, item": lambda: device.record("view", item=x),
        "record, value": lambda: device.record("view", value=x),
        "record, decision": lambda: device.record("view", decision=x),
        "rank, context": lambda: device.rank(BASE, context=x).offers,
        "rank, a value of the context": lambda: device.rank(BASE, context={"surface": x}).offers,
        "rank, attributes": lambda: device.rank(BASE, attributes=x).offers,
        "rank, an attribute": lambda: device.rank(BASE, attributes={"risk_score": x}).offers,
        "rank, limit": lambda: device.rank(BASE, limit=x).offers,
        "rank, weights": lambda: device.rank(BASE, weights=x).offers,
        "rank, a weight": lambda: device.rank(BASE, weights={"click": x}).offers,
        "shown": lambda: device.shown(x),
        "shown, count": lambda: device.shown(decision, count=x),
        "feedback": lambda: device.feedback(x, "fund_a", "click"),
        "feedback, offer": lambda: device.feedback(decision, x, "click"),
        "feedback, outcome": lambda: device.feedback(decision, "fund_a", x),
        "feedback, value": lambda: device.feedback(decision, "fund_a", "click", value=x),
        "erase, items": lambda: device.erase(items=x, before=0),
        "erase, kinds": lambda: device.erase(kinds=x, before=0),
        "install_policy": lambda: device.install_policy(x),
    }
    if isinstance(device, Engine):
        found |= {
            "is_still_valid": lambda: device.is_still_valid(x),
            "explain": lambda: device.explain(x),
            "message": lambda: device.message(x, "fund_a"),
            "message, offer": lambda: device.message(decision, x),
            "message, language": lambda: device.message(decision, "fund_a", language=x),
            "text": lambda: device.explain(device.rank(BASE, context=HOME))[0].text(x),
        }
        columns: dict[str, Any] = {"times_ms": [NOW_MS], "kinds": [0], "kind_names": ["view"]}
        for field in ("times_ms", "kinds", "items", "values", "decisions", "kind_names", "item_names", "utc_offsets_s"):
            found[f"record_many, {field}"] = partial(device.record_many, **columns | {field: x})
    return found


def test_a_strange_argument_works_or_raises_a_typed_error(device: Any) -> None:
    decision = device.rank(BASE, context=HOME)
    for x in STRANGE:
        for name, call in verbs(device, decision, x).items():
            error = raised(call)
            assert error is None or isinstance(error, EdgeError), f"{name} with {x!r:.80}: {error!r}"
            assert error is None or "; " in str(error), f"{name} with {x!r:.80} names no fix"


@pytest.mark.parametrize("field", ["offers", "logits", "channels", "variants", "categories", "costs", "refreshed_ms"])
def test_a_strange_base_decision_is_ranked_and_shown(device: Any, field: str) -> None:
    for x in STRANGE:
        given: dict[str, Any] = {"offers": ["fund_a"], "logits": [0.0], field: x}
        if isinstance(refused := raised(partial(BaseDecision, **given)), TypeError):
            assert "pass a list of names" in str(refused)
            continue
        decision = device.rank(BaseDecision(**given), context=HOME)
        assert (len(decision.offers), repr(decision) != "") == (len(decision.order), True)
        error = raised(partial(device.shown, decision))
        assert error is None or isinstance(error, EdgeError), f"{x!r:.80}: {error!r}"


OPTIONS = ["bundle", "allow_unsigned", "log_bytes", "durability", "sync_interval_s", "storage_key", "clock",
           "utc_offset_s", "seed", "log_access"]  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_a_strange_option_opens_or_raises_a_typed_error(small: Small, tmp_path: Path, option: str) -> None:
    for place, x in enumerate(STRANGE):
        given: dict[str, Any] = {"bundle": small.bundle, "trusted_keys": [small.public_key], "clock": lambda: NOW_MS}
        given[option] = x
        try:
            Engine.open(tmp_path / str(place), **given).close()
        except EdgeError:
            assert not (tmp_path / str(place)).exists()


@pytest.mark.parametrize(
    ("option", "given"),
    [("sync_interval_s", True), ("allow_unsigned", "no"), ("allow_unsigned", np.array([1, 2])), ("bundle", 3),
     ("bundle", "\0"), ("state", 3), ("state", "\ud800"), ("trusted_keys", 3), ("trusted_keys", ["ab" * 32])],
)  # fmt: skip
def test_these_options_are_refused(small: Small, tmp_path: Path, option: str, given: object) -> None:
    options: dict[str, Any] = {"bundle": small.bundle, "trusted_keys": [small.public_key], option: given}
    state = options.pop("state", tmp_path / "state")
    with pytest.raises(InvalidValueError, match=f"{option}=.*; pass"):
        Engine.open(state, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hooks", [3, [3], [object()], ["on_state"]])
def test_what_is_no_hook_is_refused(hooks: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"hooks=.*; pass a list of objects"):
        Client(lambda: pytest.fail("is not opened"), hooks=hooks)
