"""A user's months under a policy: every decision is checked by a ledger that is independent of the library."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edge_sdk import BaseDecision, Decision, Engine, Reason
from edge_sdk.types import by_score, places
from tests.support.naive_policy import (
    DAY_MS,
    Candidate,
    Ledger,
    Moment,
    boosted,
    budget_reasons,
    counts,
    early_reasons,
    pinned,
    target_of,
)
from tests.support.random_policies import CHANNEL_COSTS, SHOWN, Table
from tests.support.rich_engine import treatments
from tests.support.scene import NOW_MS, OFFERS, VALID_FROM_MS, SettableClock

START_MS = VALID_FROM_MS - 5 * DAY_MS
EARLY = (
    Reason.NOT_YET_VALID | Reason.EXPIRED | Reason.NOT_ELIGIBLE | Reason.COOLING_DOWN | Reason.BLOCKED | Reason.HIDDEN
    | Reason.QUIET
)  # fmt: skip
FITTING = (
    Reason.CAPPED | Reason.COOLING_DOWN | Reason.OVER_BUDGET | Reason.OTHER_TREATMENT
)  # all but the last may also be early
LATE = Reason.BELOW_MINIMUM | Reason.CATEGORY_FULL
DROPS = EARLY | FITTING | LATE


@dataclass
class Month:
    """One user, one engine, one ledger."""

    engine: Engine
    clock: SettableClock
    random: np.random.Generator
    policy: Table
    offset_s: int
    ledger: Ledger = field(default_factory=Ledger)
    shown: int = 0  # number of offers

    def live(self, days: int) -> None:
        """Some sessions a day."""
        for _ in range(days):
            morning_ms = self.clock.now_ms // DAY_MS * DAY_MS + DAY_MS
            for hour in sorted(self.random.integers(0, 24, self.random.integers(1, 5)).tolist()):
                at_ms = morning_ms + hour * 3_600_000 + int(self.random.integers(0, 3_600_000))
                self.clock.now_ms = max(self.clock.now_ms, at_ms)
                self.session()

    def session(self) -> None:
        """Some events, decisions, shown offers and the user's responses."""
        for _ in range(int(self.random.integers(0, 4))):
            self.record(
                str(self.random.choice(["view", "view", "click", "dismiss", "convert", "note"])),
                str(self.random.choice([*OFFERS, "page_home", "page_coupons", ""])),
            )
        for _ in range(int(self.random.integers(1, 3))):
            decision, by_index = self.decide()
            self.show(decision, by_index)

    def record(self, kind: str, item: str) -> None:
        self.clock.now_ms += int(self.random.integers(0, 40_000))
        self.engine.record(kind, item=item)
        self.ledger.add(self.clock.now_ms, kind, item)

    def decide(self) -> tuple[Decision, list[Candidate]]:
        """Makes one decision and checks it."""
        random, base = self.random, treatments(self.random)
        context = {"surface": str(random.choice(["home", "wealth"]))} if random.random() < 0.8 else {}
        if random.random() < 0.2:
            context["stage"] = str(random.choice(["new", "active"]))
        attributes = {"balance": float(random.normal(100, 100))} if random.random() < 0.7 else {}
        limit = int(random.integers(0, 5)) if random.random() < 0.6 else None
        decision = self.engine.rank(base, context=context, attributes=attributes, limit=limit)
        assert not decision.error, decision.detail
        by_index = candidates(base)
        moment = Moment(self.clock.now_ms, self.offset_s, context, attributes)
        self.check(decision, by_index, moment)
        return decision, by_index

    def show(self, decision: Decision, by_index: list[Candidate]) -> None:
        """Shows a part of the list; the user responds."""
        order = decision.order.tolist()
        count = int(self.random.integers(0, len(order) + 1))
        self.engine.shown(decision, count=count)
        self.shown += count
        for index in order[:count]:
            one = by_index[index]
            self.ledger.add(self.clock.now_ms, SHOWN[one.channel], one.offer, one.cost)
            if self.random.random() < 0.3:
                outcome = str(self.random.choice(["click", "convert", "dismiss"]))
                self.engine.feedback(decision, one.offer, outcome)
                self.ledger.add(self.clock.now_ms, outcome, one.offer)

    # ---- checks of every decision ----

    def check(self, decision: Decision, by_index: list[Candidate], moment: Moment) -> None:
        bits = (
            np.zeros(len(by_index), np.int64)
            if decision.trace.result.dropped_bits is None
            else decision.trace.result.dropped_bits
        )
        early = [early_reasons(self.policy, self.ledger, moment, one) for one in by_index]
        self.check_eligibility(decision, bits, early)
        self.check_slate_caps(decision, by_index, moment.now_ms)
        eligible = np.flatnonzero(bits & int(DROPS ^ LATE) == 0)
        self.check_rank_bound(decision, by_index, moment, eligible)
        self.check_list(decision, by_index, moment, eligible)

    def check_eligibility(self, decision: Decision, bits: np.ndarray, early: list[set[str]]) -> None:
        """Which candidates are eligible, and the reasons of the others."""
        assert sorted(decision.trace.result.eligible_order.tolist()) == np.flatnonzero(bits == 0).tolist()
        for index, expected in enumerate(early):
            given = {reason.name for reason in Reason if reason & DROPS & int(bits[index])}
            assert expected <= given, (index, expected, given)
            if expected:
                assert given == expected
            else:
                assert len(given) <= 1
                assert given <= {
                    "CAPPED",
                    "COOLING_DOWN",
                    "OVER_BUDGET",
                    "BELOW_MINIMUM",
                    "CATEGORY_FULL",
                    "OTHER_TREATMENT",
                }
        names = [offer.id for offer in decision.offers]
        assert len(set(names)) == len(names)
        assert decision.trace.limit is None or len(names) <= decision.trace.limit

    def check_slate_caps(self, decision: Decision, by_index: list[Candidate], now_ms: int) -> None:
        """Showing the whole list at once exceeds no cap and no budget."""
        shown: list[Candidate] = [by_index[index] for index in decision.order.tolist()]
        for rule in counts(self.policy):
            mine = [one for one in shown if one.channel in rule.channels and SHOWN[one.channel] in rule.kinds]
            seen: list[Candidate] = []
            for one in mine:
                more = sum(target_of(rule.per, one.offer) == target_of(rule.per, other.offer) for other in seen)
                so_far = self.ledger.count(rule.kinds, rule.per, one.offer, rule.span_s, now_ms)
                assert so_far + more < rule.limit, (rule, one)
                seen.append(one)
        budget = self.policy.get("budget")
        if budget is not None and any(one.cost for one in shown):
            total = sum(one.cost for one in shown)
            moment = Moment(now_ms, self.offset_s)
            assert not budget_reasons(self.policy, self.ledger, moment, Candidate("fund_a", "", total))

    def check_rank_bound(
        self, decision: Decision, by_index: list[Candidate], moment: Moment, eligible: np.ndarray
    ) -> None:
        """No eligible offer is further from its rank without the model than the bound."""
        most = self.policy.get("model_bounds", {}).get("max_rank_change")
        if most is None:
            return
        anchor = decision.trace.result.stages.base.copy()
        boosts = [np.float32(sum(boosted(self.policy, self.ledger, moment, one))) for one in by_index]
        anchor += np.array(boosts, np.float32)
        assert decision.trace.evidence is not None
        anchor -= np.float32(decision.trace.evidence.inputs.spend.cost_weight) * np.array(
            [one.cost for one in by_index], np.float32
        )
        bounded = decision.trace.result.stages.bounded[eligible]
        if len(set(bounded.tolist())) == len(bounded):
            moved = np.abs(places(by_score(bounded)) - places(by_score(anchor[eligible])))
            assert moved.max(initial=0) <= most

    def check_list(self, decision: Decision, by_index: list[Candidate], moment: Moment, eligible: np.ndarray) -> None:
        """The minimum score, pins and category limits."""
        final = decision.trace.result.stages.final
        order = eligible[by_score(decision.trace.result.stages.priced[eligible])]
        pins = pinned(self.policy, self.ledger, moment, [by_index[index] for index in order.tolist()])
        listed = [by_index[index] for index in decision.trace.result.eligible_order.tolist()]
        others = [one for one in listed if one not in pins]
        expected = others.copy()
        for one, place in sorted(pins.items(), key=lambda entry: entry[1]):
            expected.insert(place, one)
        assert listed == expected
        minimum = self.policy.get("minimum")
        if minimum is not None:
            scores = {by_index[index]: float(final[index]) for index in range(len(by_index))}
            assert all(scores[one] >= minimum["score"] for one in others)
        limits = self.policy.get("category_limits", {})
        for category in ("coupon", "fund"):
            limit = limits.get(category, limits.get("*", len(listed)))
            of_pins = sum(one.category == category for one in pins)
            assert sum(one.category == category for one in listed) <= max(limit, of_pins)


def candidates(base: BaseDecision) -> list[Candidate]:
    """The candidates of a base decision, by names."""
    channels = base.channels or ("",) * len(base.offers)
    costs = [CHANNEL_COSTS[channel] for channel in channels] if base.costs is None else base.costs.tolist()
    return [Candidate(*parts) for parts in zip(base.offers, channels, costs, strict=True)]


__all__ = ["NOW_MS", "START_MS", "Month", "candidates"]
