"""The plugin's lines are read correctly, and cut off or damaged output is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.counts.counts import INSTRUCTION_CLASSES
from device_sim.emulation.errors import PluginOutputError
from device_sim.emulation.images import read_maps
from device_sim.emulation.plugin_output import read_dumps

MIX = [10, 0, 0, 2, 1, 4, 3, 0, 0, 5, 0, 0, 0, 0, 0, 1]
GOOD = "\n".join(
    [
        json.dumps({"region": 0, "page": 256, "mix": MIX, "misses": [1, 2, 3, 4]}),
        json.dumps({"region": 0, "page": 512, "mix": MIX, "misses": [0, 1, 0, 0]}),
        '{"region":0,"visits":2}',
        json.dumps({"region": 7, "page": 512, "mix": MIX, "misses": [0, 0, 0, 0]}),
        '{"region":7,"visits":9}',
        '{"dump":0}',
        '{"region":0,"visits":1}',
        '{"dump":1}',
        '{"end":true,"vcpus":1}',
    ]
)
MAPS = """\
00100000-00101000 r-xp 00000000 fe:00 12 /root/usr/bin/python3.11
00200000-00201000 r-xp 00000000 fe:00 13 /site/numpy/_core/_multiarray_umath.so
"""


def test_regions_add_up_over_pages() -> None:
    first, second = read_dumps(GOOD)
    total = first.region(0).total()
    assert total.instructions == 52
    assert total.mix["integer"] == 20
    assert total.mix["fma"] == 10
    assert (total.l1i_misses, total.l1d_misses, total.l2_misses, total.l3_misses) == (1, 3, 3, 4)
    assert first.region(7).visits == 9
    assert second.region(0).visits == 1
    assert second.region(0).total().instructions == 0
    assert second.region(7).visits == 0


def test_regions_split_by_image() -> None:
    split = read_dumps(GOOD)[0].region(0).by_image(read_maps(MAPS))
    assert {image: counts.instructions for image, counts in split.items()} == {"python": 26, "numpy": 26}
    assert split["python"].l1i_misses == 1
    assert split["numpy"].l1i_misses == 0


def test_counts_without_caches_have_no_misses() -> None:
    lines = [json.dumps({"region": 0, "page": 1, "mix": MIX}), '{"region":0,"visits":1}', '{"dump":0}']
    total = read_dumps("\n".join([*lines, '{"end":true,"vcpus":1}']))[0].region(0).total()
    assert total.instructions == 26
    assert (total.l1i_misses, total.l1d_misses, total.l2_misses, total.l3_misses) == (None, None, None, None)


def test_three_levels_leave_the_last_unknown() -> None:
    lines = [json.dumps({"region": 0, "page": 1, "mix": MIX, "misses": [1, 2, 3]}), '{"region":0,"visits":1}']
    total = read_dumps("\n".join([*lines, '{"dump":0}', '{"end":true,"vcpus":1}']))[0].region(0).total()
    assert (total.l2_misses, total.l3_misses) == (3, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the end is missing"),
        (GOOD.rsplit("\n", 1)[0], "the end is missing"),
        (GOOD[:60], "line 1 is not in the format"),
        (GOOD + '\n{"dump":2}', "line 10 is not in the format"),
        (GOOD.replace('"dump":1', '"dump":3'), "line 8 is not in the format"),
        (GOOD.replace("[1, 2, 3, 4]", "[1, 2]"), "line 1 is not in the format"),
        (GOOD.replace("[1, 2, 3, 4]", "[1, 2, -3, 4]"), "line 1 is not in the format"),
        (GOOD.replace("[1, 2, 3, 4]", "[1, 2, true, 4]"), "line 1 is not in the format"),
        (GOOD.replace('{"region":7,"visits":9}\n', ""), "line 5 is not in the format"),
        (GOOD.replace('"visits":2', '"visits":2,"more":1'), "line 3 is not in the format"),
        ("[" * 100_000, "line 1 is not in the format"),
    ],
)
def test_damage_is_named(text: str, reason: str) -> None:
    with pytest.raises(PluginOutputError, match=reason):
        read_dumps(text, "counts.jsonl")


@given(st.integers(0, len(GOOD) - 1))
def test_no_cut_goes_unnoticed(length: int) -> None:
    with pytest.raises(PluginOutputError):
        read_dumps(GOOD[:length])


@given(st.text())
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(PluginOutputError):
        read_dumps(text)


@given(
    st.lists(
        st.tuples(st.integers(0, 63), st.integers(0, 2**52), st.lists(st.integers(0, 2**40), min_size=16, max_size=16)),
        max_size=20,
    )
)
def test_what_is_written_is_read(rows: list[tuple[int, int, list[int]]]) -> None:
    lines = [json.dumps({"region": region, "page": page, "mix": mix}) for region, page, mix in rows]
    lines += [json.dumps({"region": region, "visits": 1}) for region in sorted({row[0] for row in rows})]
    (dump,) = read_dumps("\n".join([*lines, '{"dump":0}', '{"end":true,"vcpus":1}']))
    for region in {row[0] for row in rows}:
        of_region = [mix for number, _, mix in rows if number == region]
        expected = [float(sum(column)) for column in zip(*of_region, strict=True)]
        assert list(dump.region(region).total().mix.values()) == expected
        assert tuple(dump.region(region).total().mix) == INSTRUCTION_CLASSES
