"""Months under random policies: a ledger of plain events confirms that no rule is ever broken."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.policy_month import START_MS, Month
from tests.support.random_policies import Table, policies
from tests.support.rich_engine import rich as rich
from tests.support.rich_engine import signed, under
from tests.support.scene import SettableClock, Small

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # a smaller policy is not worth minutes of shrinking
few = settings(max_examples=20, deadline=None, phases=QUICK, print_blob=True)
seeds = st.integers(0, 2**32 - 1)
offsets_s = st.sampled_from([0, 3600, -18_000, 20_700])


@given(policies(), seeds, offsets_s)
@few
def test_every_rule_of_a_random_policy_is_kept_for_months(rich: Small, policy: Table, seed: int, offset_s: int) -> None:
    """The log keeps only the last 1,024 events; counted events stay counted."""
    clock = SettableClock(START_MS)
    with under(rich, policy, clock, offset_s=offset_s, log_bytes=1 << 15) as engine:
        month = Month(engine, clock, np.random.default_rng(seed), policy, offset_s)
        month.live(75)
        assert engine.status().decisions >= 75


@given(st.lists(policies(), min_size=2, max_size=3), seeds)
@few
def test_a_new_policy_is_kept_from_its_first_decision_on(rich: Small, given_policies: list[Table], seed: int) -> None:
    """Offers shown under a former policy count for the caps of a later one."""
    clock = SettableClock(START_MS)
    with under(rich, {}, clock) as engine:
        month = Month(engine, clock, np.random.default_rng(seed), {}, 0)
        for version, policy in enumerate(given_policies, 2):
            month.live(10)
            engine.install_policy(signed(policy, version))
            month.policy = policy
            assert engine.status().policy_version == version
        month.live(10)
