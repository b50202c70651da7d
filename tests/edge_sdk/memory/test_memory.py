"""Window, decayed counters and caps equal their definitions."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.clock import NEVER_MS
from edge_sdk.log.local_field import local_field
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import PERIOD_TICKS
from edge_sdk.memory.memory import Memory, replay
from edge_sdk.memory.targets import NO_TARGET, Scope
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64
from tests.support.cap_answers import cap_bits, capped_until
from tests.support.memory_examples import (
    BOTH,
    COUNTED,
    GAPS_MS,
    ITEMS,
    KINDS,
    LAYOUT,
    NEITHER,
    OFFER_ROWS,
    RULES,
    SEEN,
    START,
    STEPS_MS,
    Event,
    counters,
    histories,
    ingested,
    window,
)

# ---- the window ----


def test_an_empty_window_is_all_zeros() -> None:
    assert window(Memory(LAYOUT), START) == ([0] * 4, [0] * 4, [0.0] * 4, [0.0] * 4)


def test_the_window_is_newest_first_and_padded_with_zeros() -> None:
    memory = replay(LAYOUT, [START, START + 500], [SEEN, BOTH], [10, 30], [1.5, -2.0])
    assert window(memory, START + 2000) == ([3, 1, 0, 0], [3, 1, 0, 0], [1.5, 2.0, 0.0, 0.0], [-2.0, 1.5, 0.0, 0.0])


def test_only_kinds_of_the_window_enter_it_and_the_oldest_leave_it() -> None:
    kinds = [SEEN, COUNTED, BOTH, NEITHER, SEEN, SEEN, SEEN]
    memory = replay(LAYOUT, [START + n * 1000 for n in range(7)], kinds, [10, 20, 20, 30, 30, 40, 10], list(range(7)))
    assert window(memory, START + 6000) == ([1, 4, 3, 2], [1, 1, 1, 3], [0.0, 1.0, 2.0, 4.0], [6.0, 5.0, 4.0, 2.0])


def test_an_unknown_item_keeps_kind_time_and_value() -> None:
    memory = replay(LAYOUT, [START], [BOTH], [99], [7.0])
    assert window(memory, START + 3000) == ([0] * 4, [3, 0, 0, 0], [3.0, 0.0, 0.0, 0.0], [7.0, 0.0, 0.0, 0.0])
    assert not counters(memory, START).any()
    assert memory.targets_of(99) == (0, NO_TARGET)
    assert memory.targets_of(40) == memory.targets_of(0) == (NO_TARGET, NO_TARGET)


def test_an_unknown_kind_is_ignored() -> None:
    memory = replay(LAYOUT, [START, START], [77, 0], [10, 10], [1.0, 1.0])
    assert window(memory, START) == window(Memory(LAYOUT), START)
    assert not counters(memory, START).any()


def test_an_age_is_never_negative() -> None:
    memory = replay(LAYOUT, [START + 5000, START], [SEEN, SEEN], [10, 20], [0.0, 0.0])
    assert window(memory, START - 1)[2] == [0.0, 0.0, 0.0, 0.0]
    assert window(memory, START + 1000)[2] == [1.0, 0.0, 0.0, 0.0]


@given(events=histories(STEPS_MS), later_ms=STEPS_MS)
def test_the_window_is_the_last_events_of_its_kinds(events: list[Event], later_ms: int) -> None:
    now_ms = max(0, (events[-1][0] if events else START) + later_ms)
    last = [event for event in events if event[1] in (SEEN, BOTH)][::-1][:4]
    padding = [0] * (4 - len(last))
    rows = {10: 1, 20: 2, 30: 3, 40: 4}
    assert window(ingested(events), now_ms) == (
        [rows.get(item, 0) for _, _, item, _ in last] + padding,
        [kind for _, kind, _, _ in last] + padding,  # row = id in LAYOUT
        [float(np.float32(max(0, now_ms - at) / 1000)) for at, _, _, _ in last] + padding,
        [value for _, _, _, value in last] + padding,
    )


# ---- the counters ----


def test_a_counter_halves_with_each_half_life() -> None:
    memory = replay(LAYOUT, [START], [BOTH], [10], [0.0])
    tick_ms = [decay.tick_ms for decay in LAYOUT.decays]
    assert tick_ms == [58, 3515, 590_625]  # whole milliseconds: a half-life is up to 2% off the declared one
    for h, tick in enumerate(tick_ms):
        start = START // tick * tick
        own = [float(counters(memory, start + halves * 1024 * tick)[1, 3 + h]) for halves in (0, 1, 2, 20, 2000)]
        assert own == [1.0, 0.5, 0.25, 2.0**-20, 0.0]


def test_a_counter_counts_the_offer_and_its_category() -> None:
    memory = replay(LAYOUT, [START] * 3, [COUNTED, BOTH, BOTH], [10, 20, 30], [0.0] * 3)
    assert counters(memory, START).tolist() == [
        [0] * 12,
        # own: COUNTED × 3 half-lives, BOTH × 3; then of category 1: COUNTED of item 10, BOTH of item 30
        [1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1],
    ]
    assert memory.category_counters(START).tolist() == [1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1]


@given(events=histories(GAPS_MS), later_ms=GAPS_MS)
@settings(max_examples=200)
def test_counters_are_the_sum_of_decayed_events(events: list[Event], later_ms: int) -> None:
    now_ms = (events[-1][0] if events else START) + later_ms
    assert counters(ingested(events), now_ms) == pytest.approx(exact(events, now_ms), rel=1e-6, abs=1e-30)


@given(events=histories(STEPS_MS), later_ms=STEPS_MS)
@settings(max_examples=200)
def test_counters_where_the_clock_steps_back(events: list[Event], later_ms: int) -> None:
    now_ms = max(0, (events[-1][0] if events else START) + later_ms)
    found = counters(ingested(events), now_ms)
    assert found == pytest.approx(exact(events, now_ms), rel=1e-6, abs=1e-30)
    assert found.max() <= len(events)  # no event ever counts for more than one


def exact(events: list[Event], now_ms: int) -> F32:
    """Counters by definition: the sum of 2^(−age in ticks / 1024), with the device's rule for a clock set back.

    Less than 16 half-lives back, events count at the newest tick until the clock has caught up; further back, what was
    counted keeps its age.
    """
    out = np.zeros((3, 12))
    for h, decay in enumerate(LAYOUT.decays):
        latest = 0
        ages: list[tuple[int, int, int]] = []  # in ticks as of the newest event, kind, item
        for at, kind, item, _ in events:
            if kind not in (COUNTED, BOTH) or item not in (10, 20, 30):
                continue
            tick = at // decay.tick_ms
            if latest - PERIOD_TICKS < tick < latest:
                tick = latest
            passed = max(0, tick - latest)
            latest = tick
            ages = [(age + passed, of, about) for age, of, about in ages] + [(0, kind, item)]
        rest = max(0, now_ms // decay.tick_ms - latest)
        for age, kind, item in ages:
            worth = 2.0 ** (-min(age + rest, 1_000_000) / 1024)
            column = (kind == BOTH) * 3 + h
            if item in (10, 20):
                out[item // 10, column] += worth
            out[2 if item == 20 else 1, 6 + column] += worth
    return out.astype(np.float32)


@given(events=histories(STEPS_MS))
def test_replay_is_the_same_as_one_event_after_another(events: list[Event]) -> None:
    columns = list(zip(*events, strict=True)) if events else [(), (), (), ()]
    replayed, added = replay(LAYOUT, *columns), ingested(events)
    for later_ms in (0, 12_345, 10**9):
        assert window(replayed, START + later_ms) == window(added, START + later_ms)
        assert counters(replayed, START + later_ms).tobytes() == counters(added, START + later_ms).tobytes()


# ---- caps and cooldowns ----


def capped_bits(
    memory: Memory, now_ms: int, channels: I64 | None = None, of: dict[int, frozenset[int]] | None = None
) -> list[int]:
    bits = cap_bits(memory, OFFER_ROWS, channels, now_ms, of)
    return [0, 0, 0] if bits is None else [int(bit) for bit in bits]


def test_a_cap_is_in_force_until_the_oldest_event_is_out_of_its_time() -> None:
    memory = Memory(LAYOUT._replace(caps=RULES))
    memory.add(START, COUNTED, 10, 0.0)
    assert capped_bits(memory, START) == [0, 0, 0]
    memory.add(START + 1000, COUNTED, 10, 0.0)
    assert capped_bits(memory, START + 1000) == [0, Reason.CAPPED, 0]
    assert capped_bits(memory, START + 599_999) == [0, Reason.CAPPED, 0]
    assert capped_bits(memory, START + 600_000) == [0, 0, 0]


def test_a_cooldown_rests_the_offer_after_one_event() -> None:
    memory = Memory(LAYOUT._replace(caps=RULES))
    memory.add(START, NEITHER, 20, 0.0)
    assert capped_bits(memory, START + 1_799_999) == [0, 0, Reason.COOLING_DOWN]
    assert capped_bits(memory, START + 1_800_000) == [0, 0, 0]


def test_an_event_stamped_by_a_clock_far_ahead_keeps_nothing_out_for_long() -> None:
    memory = Memory(LAYOUT._replace(caps=RULES))
    live = local_field(3600)
    memory.add(START + 365 * 86_400_000, NEITHER, 20, 0.0, live)
    assert capped_bits(memory, START) == [0, 0, 0]
    memory.add(START, NEITHER, 20, 0.0, live)
    assert capped_bits(memory, START) == [0, 0, Reason.COOLING_DOWN]
    assert capped_bits(memory, START + 1_800_000) == [0, 0, 0]
    memory.add(START + 1_800_000, NEITHER, 20, 0.0, live)  # half an hour ahead, within the rule's own time
    assert capped_bits(memory, START) == [0, 0, Reason.COOLING_DOWN]
    assert capped_bits(memory, START + 3_600_000) == [0, 0, 0]


def test_a_total_is_in_force_for_ever_whatever_the_clock() -> None:
    memory = Memory(LAYOUT._replace(caps=(CapRule((SEEN,), Scope.OFFER, limit=2, within_s=0, cooldown=False),)))
    for _ in range(2):
        memory.add(START, SEEN, 10, 0.0)
    for now_ms in (START, 0, START + 10**12):
        assert capped_bits(memory, now_ms) == [0, Reason.CAPPED, 0]
        assert capped_until(memory, OFFER_ROWS, None, now_ms)[0].tolist() == [0, NEVER_MS, 0]


def test_a_cap_of_the_user_counts_events_of_all_its_kinds_about_anything_or_nothing() -> None:
    rule = CapRule((SEEN, BOTH), Scope.USER, limit=3, within_s=600, cooldown=False)
    memory = Memory(LAYOUT._replace(caps=(rule,)))
    for kind, item in ((SEEN, 0), (COUNTED, 10), (BOTH, 99)):
        memory.add(START, kind, item, 0.0)
    assert cap_bits(memory, OFFER_ROWS, None, START) is None
    memory.add(START + 1000, SEEN, 20, 0.0)
    assert capped_bits(memory, START + 599_999) == [Reason.CAPPED] * 3
    assert cap_bits(memory, OFFER_ROWS, None, START + 600_000) is None
    assert memory.caps.rules == (rule,)


def test_a_cap_of_a_channel_keeps_out_its_candidates_alone() -> None:
    rule = CapRule((SEEN,), Scope.USER, limit=1, within_s=600, cooldown=False)
    of = {0: frozenset({1, 2})}
    memory = Memory(LAYOUT._replace(caps=(rule,)))
    memory.add(START, SEEN, 0, 0.0)
    assert capped_bits(memory, START, np.array([0, 2, 3]), of) == [0, Reason.CAPPED, 0]
    assert cap_bits(memory, OFFER_ROWS, None, START, of) is None  # all in the app, which is channel 0
    assert capped_until(memory, OFFER_ROWS, np.array([1, 0, 9]), START, of)[0].tolist() == [START + 600_000, 0, 0]


@given(
    events=st.lists(st.tuples(st.integers(0, 900_000), KINDS, ITEMS), max_size=40),
    later_ms=st.integers(0, 4_000_000),
    channels=st.one_of(st.none(), st.tuples(*[st.integers(0, 3)] * 3)),
    rules=st.lists(
        st.tuples(
            st.builds(
                CapRule,
                kinds=st.sets(st.sampled_from([SEEN, COUNTED, BOTH, NEITHER]), min_size=1).map(tuple),
                per=st.sampled_from(Scope),
                limit=st.integers(1, 5),
                within_s=st.integers(0, 3600),
                cooldown=st.booleans(),
            ),
            st.frozensets(st.integers(0, 2)),
        ),
        max_size=4,
    ),
)
@settings(max_examples=300)
def test_caps_are_a_count_of_the_events_within_their_time(
    events: list[tuple[int, int, int]],
    later_ms: int,
    channels: tuple[int, ...] | None,
    rules: list[tuple[CapRule, frozenset[int]]],
) -> None:
    memory = Memory(LAYOUT._replace(caps=tuple(rule for rule, _ in rules)))
    of = {index: only for index, (_, only) in enumerate(rules)}
    times = list(accumulate((gap for gap, _, _ in events), initial=START))[1:]
    for at, (_, kind, item) in zip(times, events, strict=True):
        memory.add(at, kind, item, 0.0)
    now_ms = (times[-1] if times else START) + later_ms
    category = {10: 1, 20: 2, 30: 1}
    expected = [0, 0, 0]
    given_channels = None if channels is None else np.array(channels)
    for index, (rule, only) in enumerate(rules):
        recent = [
            (at, item)
            for at, (_, kind, item) in zip(times, events, strict=True)
            if kind in rule.kinds and (not rule.within_s or at > now_ms - rule.within_s * 1000)
        ]
        until = capped_until(memory, OFFER_ROWS, given_channels, now_ms, of)[index].tolist()
        for row in (0, 1, 2):
            items = {
                Scope.OFFER: {row * 10 or 99},  # row 0: an item that the bundle does not know
                Scope.CATEGORY: {item for item in category if category[item] == row},
                Scope.USER: {item for _, item in recent},
            }[rule.per]
            about = [at for at, item in recent if item in items][-rule.limit :]
            channel = 0 if channels is None else channels[row]
            if len(about) == rule.limit and (not only or channel in only):
                expected[row] |= int(Reason.COOLING_DOWN if rule.cooldown else Reason.CAPPED)
                assert until[row] == (about[0] + rule.within_s * 1000 if rule.within_s else NEVER_MS)
            else:
                assert until[row] == 0
    assert capped_bits(memory, now_ms, given_channels, of) == expected
