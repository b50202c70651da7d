"""A new bundle continues some counts and starts others again, each by its rule."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.migration import inherit
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.state.snapshot_tables import fingerprint
from tests.support.cap_answers import cap_bits
from tests.support.memory_reads import all_counters
from tests.support.migration_examples import (
    DERIVED,
    SESSION,
    SHOWN,
    START_MS,
    STAY,
    VIEW,
    Event,
    further,
    ingested,
    times,
    vocabulary,
)

DAY_MS = 86_400_000
ONE = MemoryLayout(
    window=2,
    kinds={VIEW: KindRule(1, True, 0), SHOWN: KindRule(2, False, 1)},
    items=vocabulary([], []),
    offers=vocabulary([10, 20], [1, 2]),
    category_rows=3,
    counter_kinds=2,
    decays=(DecayTables.of(604_800),),
    caps=(CapRule((SHOWN,), Scope.OFFER, limit=2, within_s=30 * 86_400, cooldown=False),),
    category_ids=(101, 102),
)
GROWN = ONE._replace(offers=vocabulary([5, 10, 20], [1, 1, 2]))  # a new offer, before all others


def migrated(new: MemoryLayout, story: list[Event], *, old: MemoryLayout = ONE) -> Memory:
    """Returns the memory after a log without events."""
    memory = Memory(new)
    inherit(memory, ingested(old, story))
    return memory


def capped(memory: Memory, now_ms: int) -> list[bool]:
    """By offer."""
    offers = np.arange(1, len(memory.layout.offers) + 1)
    bits = cap_bits(memory, offers, None, now_ms)
    return [False] * len(offers) if bits is None else (bits > 0).tolist()


def test_a_cap_of_thirty_days_stays_in_force_under_a_bundle_with_a_new_offer() -> None:
    story = [(START_MS, SHOWN, 10, 0.0), (START_MS + DAY_MS, SHOWN, 10, 0.0), (START_MS, SHOWN, 20, 0.0)]
    memory = migrated(GROWN, story)
    assert capped(memory, START_MS + 30 * DAY_MS - 1) == [False, True, False]
    assert capped(memory, START_MS + 30 * DAY_MS) == [False, False, False]
    memory.add(START_MS + 2 * DAY_MS, SHOWN, 20, 0.0)
    assert capped(memory, START_MS + 3 * DAY_MS) == [False, True, True]


@pytest.mark.parametrize(
    ("limit", "days", "is_capped"),
    [(2, 30, True), (2, 60, True), (2, 3, False), (1, 3, True), (1, 1, False), (3, 30, False)],
)
def test_a_cap_with_another_time_or_limit_is_in_force_by_its_own(limit: int, days: int, is_capped: bool) -> None:
    rule = CapRule((SHOWN,), Scope.OFFER, limit=limit, within_s=days * 86_400, cooldown=limit == 1)
    memory = migrated(ONE._replace(caps=(rule,)), [(START_MS + n * DAY_MS, SHOWN, 10, 0.0) for n in range(3)])
    assert capped(memory, START_MS + 4 * DAY_MS + 1) == [is_capped, False]
    memory.add(START_MS + 4 * DAY_MS + 1, SHOWN, 10, 0.0)  # with it, even the limit of three is known
    assert capped(memory, START_MS + 4 * DAY_MS + 2) == [True, False]


def test_of_a_larger_limit_the_log_may_know_more() -> None:
    rule = CapRule((SHOWN,), Scope.OFFER, limit=3, within_s=600, cooldown=False)
    story = [(START_MS + n, SHOWN, 10, 0.0) for n in range(3)]
    memory = ingested(ONE._replace(caps=(rule,)), story)
    inherit(memory, ingested(ONE, story))
    assert times(memory, 0, 1) == [START_MS, START_MS + 1, START_MS + 2]


def test_of_two_caps_on_the_same_events_the_one_that_kept_more_is_asked() -> None:
    long, rest = (CapRule((SHOWN,), Scope.OFFER, limit, 3600, cooldown=limit == 1) for limit in (3, 1))
    old, new = ONE._replace(caps=(long, rest)), ONE._replace(caps=(rest, long._replace(limit=2)))
    memory = migrated(new, [(START_MS + n, SHOWN, 10, 0.0) for n in range(3)], old=old)
    assert [times(memory, index, 1) for index in (0, 1)] == [[START_MS + 2], [START_MS + 1, START_MS + 2]]


@pytest.mark.parametrize(
    "rule",
    [
        CapRule((VIEW,), Scope.OFFER, 2, 3600, cooldown=False),
        CapRule((SHOWN,), Scope.CATEGORY, 2, 3600, cooldown=False),
    ],
)
def test_a_cap_on_other_events_starts_anew(rule: CapRule) -> None:
    memory = migrated(ONE._replace(caps=(rule,)), [(START_MS + n, SHOWN, 10, 0.0) for n in range(3)])
    assert times(memory, 0, 1) == []


def test_an_offer_takes_its_own_along_and_leaves_its_category_what_it_had() -> None:
    moved = ONE._replace(offers=vocabulary([10, 20], [2, 2]))
    memory = migrated(moved, [(START_MS, VIEW, 10, 0.0), (START_MS, VIEW, 20, 0.0)])
    memory.add(START_MS, VIEW, 10, 0.0)
    of_one = all_counters(ingested(ONE, [(START_MS, VIEW, 10, 0.0)]), START_MS)[1, 0, 0]
    assert (all_counters(memory, START_MS)[:, 0, 0] / of_one).tolist() == [0, 2, 1, 0, 1, 2]


def test_categories_go_by_name_not_by_row() -> None:
    swapped = ONE._replace(offers=vocabulary([10, 20], [2, 1]), category_ids=(102, 101))
    renamed = ONE._replace(category_ids=(103, 102))
    story = [(START_MS, VIEW, 10, 0.0)]
    read = all_counters(ingested(ONE, story), START_MS)[1, 0, 0]
    assert all_counters(migrated(swapped, story), START_MS)[3:, 0, 0].tolist() == [0, 0, read]
    assert all_counters(migrated(renamed, story), START_MS)[3:, 0, 0].tolist() == [0, 0, 0]
    assert len({fingerprint(layout) for layout in (ONE, swapped, renamed)}) == 3


def test_categories_of_one_id_are_the_same_as_none() -> None:
    story = [(START_MS, VIEW, 10, 0.0), (START_MS, VIEW, 20, 0.0)]
    for new, old in ((ONE._replace(category_ids=(101, 101)), ONE), (ONE, ONE._replace(category_ids=(101, 101)))):
        assert not all_counters(migrated(new, story, old=old), START_MS)[3:].any()


def test_without_ids_categories_are_their_rows() -> None:
    assert ONE._replace(category_ids=()).categories.tolist() == [1, 2]


def test_a_kind_that_is_derived_now_is_another_one() -> None:
    kinds = ONE.kinds | {STAY: KindRule(3, False, 2)}
    recorded = ONE._replace(kinds=kinds, counter_kinds=3, caps=(CapRule((STAY,), Scope.OFFER, 1, 3600, cooldown=True),))
    deriving = recorded._replace(derived=DerivedRules(dwell=DERIVED.dwell))
    story = [(START_MS, STAY, 10, 0.0), (START_MS, VIEW, 10, 0.0)]
    for new, old in ((deriving, recorded), (recorded, deriving)):
        memory = migrated(new, [*story, (START_MS + 1000, SHOWN, 10, 0.0)], old=old)
        assert all_counters(memory, START_MS)[1, :, 0].astype(bool).tolist() == [True, True, False]
        assert times(memory, 0, 1) == []


def test_rules_of_two_types_with_the_same_numbers_are_two() -> None:
    fields = (STAY, frozenset({VIEW}), frozenset({VIEW, SHOWN}), 3)
    kinds = ONE.kinds | {STAY: KindRule(3, False, -1)}
    dwelling = ONE._replace(kinds=kinds, derived=DerivedRules(dwell=(DwellRule(*fields),)))
    passing = ONE._replace(kinds=kinds, derived=DerivedRules(ignored=(IgnoredRule(*fields),)))
    for new, old in ((passing, dwelling), (dwelling, passing)):
        memory = migrated(new, [(START_MS, VIEW, 10, 0.0)], old=old)
        assert memory.deriver.dump() == Memory(new).deriver.dump()


def test_a_machine_goes_on_but_not_a_count_of_a_kind_that_is_derived_now() -> None:
    kinds = ONE.kinds | {STAY: KindRule(3, False, -1)}
    steps = (MachineStep(frozenset({0}), VIEW, 1, 0, 1), MachineStep(frozenset({1}), STAY, 2, 0, 2))
    rule = MachineRule("phase", Scope.OFFER, ("before", "during", "after"), steps)
    recorded = ONE._replace(kinds=kinds, machines=(rule,))
    deriving = recorded._replace(derived=DerivedRules(dwell=DERIVED.dwell))
    story = [(START_MS, VIEW, 10, 0.0), (START_MS, STAY, 10, 0.0)]
    for new, counted in ((recorded, 1), (deriving, 0)):
        found = migrated(new, story, old=recorded).machines.target_states(0, np.array([1]))
        assert (found.states.tolist(), found.counts.tolist()) == ([1], [[counted]])


def test_states_go_by_name_and_one_that_is_no_more_starts_anew() -> None:
    steps = (MachineStep(frozenset(), VIEW, 1, 0, 1),)
    rule = MachineRule("phase", Scope.OFFER, ("before", "during"), steps)
    turned = rule._replace(states=("during", "before"), steps=())
    renamed = rule._replace(states=("before", "since"))
    old, story = ONE._replace(machines=(rule,)), [(START_MS, VIEW, 10, 0.0)]
    for new, state, since_ms in ((turned, 0, START_MS), (renamed, 0, 0), (rule._replace(name="other"), 0, 0),
                                 (rule._replace(per=Scope.CATEGORY), 0, 0), (rule, 1, START_MS)):  # fmt: skip
        found = migrated(ONE._replace(machines=(new,)), story, old=old).machines.target_states(0, np.array([1]))
        assert (found.states.tolist(), found.since_ms.tolist()) == ([state], [since_ms])


@pytest.mark.parametrize(("period_s", "spent"), [(86_400, 2_500_000), (3600, 0)])
def test_a_budget_goes_on_if_its_period_is_the_same(period_s: int, spent: int) -> None:
    old, new = (ONE._replace(spending=SpendingRule(frozenset({SHOWN}), Periods(each))) for each in (86_400, period_s))
    assert migrated(new, [(START_MS, SHOWN, 10, 2.5)], old=old).spent(START_MS) == spent


def test_derived_events_go_on_counting_under_another_rule_but_not_half_way() -> None:
    kinds = ONE.kinds | {STAY: KindRule(3, False, 2)}
    old = ONE._replace(kinds=kinds, counter_kinds=3, derived=DerivedRules(dwell=DERIVED.dwell))
    longer = old._replace(derived=DerivedRules(dwell=(DERIVED.dwell[0]._replace(longest_s=900),)))
    story = [(START_MS, VIEW, 10, 0.0), (START_MS, VIEW, 10, 0.0)]  # a stay, and another one that is still open
    for new, stays in ((old, 2), (longer, 1)):
        memory = further(migrated(new, story, old=old), [(START_MS, SHOWN, 20, 0.0)])
        found = all_counters(memory, START_MS)[1, :, 0]
        assert (found[2] * 2 / found[0]).tolist() == stays


def test_a_clock_that_was_far_ahead_fades_what_is_taken_over_as_it_did_before() -> None:
    ahead_ms = START_MS + 32 * 604_800_000
    memory = migrated(GROWN, [(START_MS, VIEW, 10, 0.0), (ahead_ms, VIEW, 20, 0.0)])
    directly = ingested(GROWN, [(START_MS, VIEW, 10, 0.0), (ahead_ms, VIEW, 20, 0.0)])
    for both in (memory, directly):
        both.add(START_MS + 1000, VIEW, 10, 0.0)
    assert all_counters(memory, START_MS + 2000).tobytes() == all_counters(directly, START_MS + 2000).tobytes()


def test_sessions_go_on() -> None:
    kinds = ONE.kinds | {SESSION: KindRule(3, True, -1)}
    layout = ONE._replace(kinds=kinds, derived=DerivedRules(DERIVED.session))
    new = layout._replace(offers=GROWN.offers)
    memory = migrated(new, [(START_MS, VIEW, 10, 0.0)], old=layout)
    memory.add(START_MS + 30_000, VIEW, 10, 0.0)  # within the gap: no new session
    assert 3 not in memory.window.rows[1]
    memory.add(START_MS + 60_001, VIEW, 10, 0.0)
    assert 3 in memory.window.rows[1]
