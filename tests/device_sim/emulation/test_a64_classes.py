"""The decoder puts every kind of instruction in the class that the manual's encoding defines."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_sim.counts.counts import INSTRUCTION_CLASSES
from tests.support.simulator import emulator_fixtures
from tests.support.simulator.a64_words import WORDS

driver = emulator_fixtures.driver

Driver = Callable[[str, str], str]


def test_each_word_has_its_class(driver: Driver) -> None:
    printed = driver("classify", "\n".join(word for word, _, _ in WORDS)).split()
    found = [INSTRUCTION_CLASSES[int(number)] for number in printed]
    wrong = [(text, got, wanted) for (_, text, wanted), got in zip(WORDS, found, strict=True) if got != wanted]
    assert wrong == []


def test_every_class_has_a_word() -> None:
    assert {wanted for _, _, wanted in WORDS} == set(INSTRUCTION_CLASSES)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=500))
def test_any_word_has_one_class(driver: Driver, words: list[int]) -> None:
    numbers = [int(number) for number in driver("classify", "\n".join(f"{word:08x}" for word in words)).split()]
    assert len(numbers) == len(words)
    assert all(0 <= number < len(INSTRUCTION_CLASSES) for number in numbers)


@pytest.mark.parametrize("register", range(0, 32, 7))
def test_registers_do_not_change_the_class(driver: Driver, register: int) -> None:
    # In all words but B, BL, literals and hints, bits 4:0 and 9:5 are registers or parts of immediates.
    with_registers = [
        (f"{int(word, 16) & ~0x3FF | register << 5 | register:08x}", text, wanted)
        for word, text, wanted in WORDS
        if wanted not in ("branch", "system", "indirect")
    ]
    printed = driver("classify", "\n".join(word for word, _, _ in with_registers)).split()
    found = [INSTRUCTION_CLASSES[int(number)] for number in printed]
    assert found == [wanted for _, _, wanted in with_registers]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ways=st.sampled_from([1, 2, 3, 4]),
    lines=st.lists(st.integers(0, 100), min_size=1, max_size=300),
)
def test_the_cache_forgets_the_least_recently_used(driver: Driver, ways: int, lines: list[int]) -> None:
    sets = 16  # of 64 bytes: one KiB a way
    printed = driver("cache_trace", f"{ways} {ways}\n" + "\n".join(map(str, lines))).split()
    cached: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(sets)]
    expected = []
    for line in lines:
        one_set = cached[line % sets]
        expected.append("1" if line in one_set else "0")
        one_set[line] = None
        one_set.move_to_end(line)
        if len(one_set) > ways:
            one_set.popitem(last=False)
    assert printed == expected
