"""The base decision copies its inputs, and refuses one string where a list of names is meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_sdk.base_decision import BaseDecision


@pytest.mark.parametrize("names", ["abc", "", b"abc"])
@pytest.mark.parametrize("field", ["offers", "channels", "variants"])
def test_one_string_is_no_list_of_names(field: str, names: Any) -> None:
    arguments: dict[str, Any] = {"offers": ["a", "b", "c"], "logits": [3.0, 2.0, 1.0], field: names}

    with pytest.raises(TypeError) as refused:
        BaseDecision(**arguments)
    assert str(refused.value) == f"{field} is one string; pass a list of names: {field}=[{names!r}]"


def test_any_other_iterable_of_names_is_taken() -> None:
    base = BaseDecision(
        (name for name in "abc"),  # type: ignore[arg-type]
        [3.0, 2.0, 1.0],
        channels=np.array(["", "sms", ""]),  # type: ignore[arg-type]
        variants=dict.fromkeys(["short", "long"]),  # type: ignore[arg-type]
    )

    assert base.offers == ("a", "b", "c")
    assert [base.channel(index) for index in range(3)] == ["", "sms", ""]
    assert [base.variant(index) for index in range(3)] == ["short", "long", ""]


def test_logits_and_costs_are_read_only_copies() -> None:
    logits, costs = np.array([2.0, 1.0], np.float32), np.array([0.5, 0.0], np.float32)
    base = BaseDecision(["a", "b"], logits, costs=costs)
    logits[:], costs[:] = 9.0, 9.0

    assert base.logits.tolist() == [2.0, 1.0]
    assert base.costs is not None
    assert base.costs.tolist() == [0.5, 0.0]
    assert not base.logits.flags.writeable
    assert np.isnan(BaseDecision(["a", "b"], "words").logits).all()


@pytest.mark.parametrize("names", [bytearray(b"ab"), memoryview(b"ab")])
def test_bytes_of_any_sort_are_no_offers(names: Any) -> None:
    with pytest.raises(TypeError, match="offers is one string; pass a list of names"):
        BaseDecision(names, [1.0, 0.0])


@pytest.mark.parametrize("names", [None, 3, np.array("abc")])
def test_what_is_no_list_is_named(names: Any) -> None:
    with pytest.raises(TypeError, match=r"offers is .*; pass a list of names"):
        BaseDecision(names, [1.0])
