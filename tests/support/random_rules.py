"""Draws random caps, machines and budgets, for properties of any of them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep, time_cycle
from edge_sdk.memory.targets import Scope


def caps(kinds: Sequence[int], *, within_s: int = 3600) -> st.SearchStrategy[CapRule]:
    """Caps of up to three of the kinds, with limits up to four."""
    return st.builds(
        CapRule,
        kinds=st.sets(st.sampled_from(kinds), min_size=1, max_size=3).map(tuple),
        per=st.sampled_from(Scope),
        limit=st.integers(1, 4),
        within_s=st.integers(0, within_s),
        cooldown=st.booleans(),
    )


def machines(kinds: Sequence[int], *, after_s: int = 600, name: str = "m") -> st.SearchStrategy[MachineRule]:
    """Machines of up to four states, `a` to `d` in any order, and up to six steps."""
    return _machines(kinds, after_s, name).filter(lambda rule: not time_cycle(rule))


@st.composite
def _machines(draw: st.DrawFn, kinds: Sequence[int], after_s: int, name: str) -> MachineRule:
    states = draw(st.permutations("abcd"))[: draw(st.integers(1, 4))]
    state = st.integers(0, len(states) - 1)
    step = st.builds(
        MachineStep,
        sources=st.frozensets(state, max_size=2),
        kind=st.sampled_from([0, *kinds]),
        count=st.integers(1, 3),
        after_s=st.integers(0, after_s),
        target=state,
    )
    steps = draw(st.lists(step, max_size=6))
    return MachineRule(name, draw(st.sampled_from(Scope)), tuple(states), tuple(steps))


def budgets(kinds: Sequence[int], periods_s: Sequence[int]) -> st.SearchStrategy[SpendingRule | None]:
    """A budget of one of these periods, or none."""
    of_kinds = st.frozensets(st.sampled_from(kinds), min_size=1)
    periods = st.builds(Periods, st.sampled_from(periods_s), st.sampled_from([0, 345_600]), st.booleans())
    return st.one_of(st.none(), st.builds(SpendingRule, of_kinds, periods, st.sampled_from([1, 100, 1_000_000])))
