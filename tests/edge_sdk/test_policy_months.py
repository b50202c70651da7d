"""Months under random policies: no rule is ever broken, by the account of a ledger of names."""

from __future__ import annotations

import numpy as np
from conftest import SettableClock, Small
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from policy_month import START_MS, Month
from random_policies import LIST_RULES, STANDING_RULES, Table, policies
from rich_engine import rich as rich
from rich_engine import signed, under

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # a smaller policy is not worth minutes of shrinking
seeds = st.integers(0, 2**32 - 1)
offsets = st.sampled_from([0, 3600, -18_000, 20_700])


@given(policies(), seeds, offsets)
@settings(max_examples=25, deadline=None, phases=QUICK, print_blob=True)
def test_every_rule_of_a_random_policy_holds_for_months(rich: Small, policy: Table, seed: int, offset_s: int) -> None:
    clock = SettableClock(START_MS)
    with under(rich, policy, clock, offset_s=offset_s) as engine:
        month = Month(engine, clock, np.random.default_rng(seed), policy, offset_s)
        month.live(75)
