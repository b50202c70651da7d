"""Training and the engine build the same arrays, bit for bit, live and after a restart."""

from __future__ import annotations

from hypothesis import given, settings

from tests.support.scene import Small
from tests.support.stories import (
    ANY_WAY,
    FORWARD,
    Step,
    same_bits,
    steps,
)


@given(story=steps(FORWARD))
@settings(max_examples=60, deadline=None)
def test_replay_and_engine_build_the_same_bits(small: Small, story: list[Step]) -> None:
    same_bits(small, story)


@given(story=steps(ANY_WAY))
@settings(max_examples=60, deadline=None)
def test_the_same_bits_even_where_the_clock_steps_back(small: Small, story: list[Step]) -> None:
    same_bits(small, story)
