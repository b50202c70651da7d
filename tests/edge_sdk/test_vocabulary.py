"""Ids of names, and the rows that a vocabulary finds for ids with and without a high word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_sdk.vocabulary import (
    Vocabulary,
    category_id,
    item_id,
    item_words,
    joined_words,
    kind_id,
    name_id,
    sort_keys,
    words_of,
)

Words = tuple[int, int]
LOWS = st.sampled_from([1, 2, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])  # few, so that many names share one
HIGHS = st.sampled_from([1, 2, 3, 0xFFFF])
WORDS = st.tuples(LOWS, HIGHS)


def vocabulary(words: set[Words], *, knows_high: bool = True) -> Vocabulary:
    ordered = sorted(words)
    lows, highs = np.array([low for low, _ in ordered], np.uint32), np.array([high for _, high in ordered], np.uint16)
    return Vocabulary(lows, b"", np.zeros(len(ordered), np.uint16), highs if knows_high else None)


def number(words: Words) -> int:
    return words[0] | words[1] << 32


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("123456789", 0xCBF4_3926, 0xE215),  # the check value of CRC-32; SHA-256 begins 15 e2
        ("fund_001", 2_854_746_835, 13_046),
        ("cash_001", 200_192_046, 55_405),
        ("基金", 2_200_663_004, 49_878),
        ("", 1, 45_283),  # a low word of 0 would mean "about no item"
    ],
)
def test_an_item_id_is_the_documented_checksums(name: str, low: int, high: int) -> None:
    assert item_words(name) == (low, high)
    assert item_id(name) == high * 2**32 + low
    assert float(item_id(name)) == item_id(name)  # what JavaScript computes with


def test_the_high_word_is_never_not_known() -> None:
    (name,) = [name for name in map(str, range(200_000)) if item_words(name)[1] == 1][:1]
    assert item_words(name)[1] == 1
    assert all(item_words(str(number))[1] for number in range(200_000))


def test_other_ids_are_the_documented_checksums() -> None:
    assert kind_id("123456789") == 0x3926
    assert category_id("123456789") == name_id("123456789") == 0xCBF4_3926
    assert category_id("") == 1  # 0 would mean "every other category"


@given(st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(0, 2**16 - 1)), max_size=20))
def test_words_and_keys_of_many_ids(words: list[Words]) -> None:
    lows = np.array([low for low, _ in words], np.uint32)
    highs = np.array([high for _, high in words], np.uint16)
    ids = joined_words(lows, highs)
    assert ids.tolist() == [number(one) for one in words]
    assert [part.tolist() for part in words_of(ids)] == [lows.tolist(), highs.tolist()]
    assert np.argsort(sort_keys(ids), kind="stable").tolist() == sorted(range(len(words)), key=words.__getitem__)


@given(st.sets(WORDS, max_size=12), st.lists(st.tuples(LOWS, st.integers(0, 4)), max_size=12))
@example({(2, 1), (2, 3)}, [(2, 0), (2, 1), (2, 2), (2, 3), (1, 0), (1, 1)])
def test_all_48_bits_decide_where_both_know_them(words: set[Words], others: list[Words]) -> None:
    ordered, found = sorted(words), vocabulary(words)
    assert [found.row(number(one)) for one in ordered] == list(range(1, len(words) + 1))
    firsts = {low: place for place, (low, _) in reversed([*enumerate(ordered, 1)])}
    expected = [
        (ordered.index(one) + 1 if one in words else 0) if one[1] else firsts.get(one[0], 0)  # an old event: the first
        for one in others
    ]
    assert [found.row(number(one)) for one in others] == expected
    assert found.rows(np.array([number(one) for one in others], np.int64)).tolist() == expected


@given(st.sets(LOWS), st.lists(st.tuples(LOWS, st.integers(0, 4)), max_size=12))
def test_the_low_word_decides_in_a_bundle_without_high_words(lows: set[int], others: list[Words]) -> None:
    ordered = sorted(lows)
    found = vocabulary({(low, 0) for low in lows}, knows_high=False)
    expected = [ordered.index(low) + 1 if low in lows else 0 for low, _ in others]
    assert [found.row(number(one)) for one in others] == expected
    assert found.rows(np.array([number(one) for one in others], np.int64)).tolist() == expected


def test_vocabularies_have_the_same_ids_as_far_as_they_know() -> None:
    one, other = vocabulary({(5, 1), (6, 2)}), vocabulary({(5, 1), (6, 3)})
    former = vocabulary({(5, 0), (6, 0)}, knows_high=False)
    assert one.has_ids_of(one)
    assert not one.has_ids_of(other)
    assert one.has_ids_of(former)
    assert former.has_ids_of(other)
    assert not former.has_ids_of(vocabulary({(5, 0)}, knows_high=False))
