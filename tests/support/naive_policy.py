"""A second implementation of [policy] tables: by names, from plain lists of events, without the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.support.random_policies import CATEGORIES, MACHINES, SHOWN, Table
from tests.support.scene import VALID_FROM_MS, VALID_UNTIL_MS

DAY_MS = 86_400_000
SPANS_S = {"hour": 3600, "day": 86_400, "week": 604_800, "total": 0}


@dataclass(frozen=True)
class Candidate:
    """An offer in a channel."""

    offer: str
    channel: str
    cost: float

    @property
    def category(self) -> str:
        return CATEGORIES[self.offer]


@dataclass(frozen=True)
class Moment:
    """When a decision is made, and the context and attributes that the app passes."""

    now_ms: int
    utc_offset_s: int
    context: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, float] = field(default_factory=dict)


class Machine:
    """The states of one machine, by target."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.at: dict[str, tuple[str, int, dict[int, int]]] = {}  # state, since, counts by step

    def step(self, time_ms: int, kind: str, target: str) -> None:
        if kind not in {step.get("on") for step in self.table["steps"]}:
            return
        state, since_ms, counts = self._by_time(target, time_ms)
        since_ms = since_ms or time_ms
        for index, step in enumerate(self.table["steps"]):
            if step.get("on") != kind or state not in step.get("from", self.table["states"]):
                continue
            counts[index] = counts.get(index, 0) + 1
            if counts[index] >= step.get("count", 1):
                counts[index] = 0
                if step["to"] != state:
                    counts = {}
                state, since_ms = step["to"], time_ms
                break
        self.at[target] = state, since_ms, counts

    def state(self, target: str, now_ms: int) -> str:
        return self._by_time(target, now_ms)[0]

    def _by_time(self, target: str, now_ms: int) -> tuple[str, int, dict[int, int]]:
        state, since_ms, counts = self.at.get(target, (self.table["states"][0], 0, {}))
        counts = dict(counts)
        while since_ms:
            due = [
                (since_ms + step["after_s"] * 1000, step["to"])
                for step in self.table["steps"]
                if "after_s" in step and step["to"] != state and state in step.get("from", self.table["states"])
            ]
            if not due or min(due)[0] > now_ms:
                break
            (since_ms, state), counts = min(due), {}
        return state, since_ms, counts


class Ledger:
    """All events, and the states that follow from them."""

    def __init__(self) -> None:
        self.events: dict[str, list[tuple[int, str, float]]] = {}  # by kind: time, item, value
        self.machines = {table["name"]: Machine(table) for table in MACHINES}

    def add(self, time_ms: int, kind: str, item: str, value: float = 0.0) -> None:
        self.events.setdefault(kind, []).append((time_ms, item, value))
        for machine in self.machines.values():
            target = target_of(machine.table["per"], item)
            if target is not None:
                machine.step(time_ms, kind, target)

    def count(self, kinds: Sequence[str], per: str, item: str, span_s: int, now_ms: int) -> int:
        """Number of events within the time whose target is that of an event about this item."""
        wanted, found = target_of(per, item), 0
        for kind in kinds:
            for time_ms, other, _ in reversed(self.events.get(kind, [])):
                if span_s and time_ms + span_s * 1000 <= now_ms:
                    break
                found += target_of(per, other) == wanted
        return found

    def spent(self, period_s: int, now_ms: int, offset_s: int) -> int:
        """Millionths spent in the running period: an hour of UTC, a day of local time, or a week from Monday on."""
        shift_s = (offset_s if period_s % 86_400 == 0 else 0) - (345_600 if period_s == 604_800 else 0)
        total, period = 0, (now_ms + shift_s * 1000) // (period_s * 1000)
        for kind in SHOWN.values():
            for time_ms, _, value in reversed(self.events.get(kind, [])):
                if (time_ms + shift_s * 1000) // (period_s * 1000) < period:
                    break
                total += millionths(value)
        return total

    def match(self, when: Table, moment: Moment, offer: str) -> bool:
        """Whether all conditions of a rule match for an offer."""
        for name, wanted in when.items():
            if name == "balance":
                number = moment.attributes.get(name)
                if number is None or not wanted.get("at_least", number) <= number < wanted.get("below", number + 1):
                    return False
            elif self.value(name, moment, offer) not in wanted:
                return False
        return True

    def value(self, name: str, moment: Moment, offer: str) -> str | None:
        """The value of a context field, or the state of a machine."""
        if name in moment.context or name not in self.machines:
            return moment.context.get(name)
        machine = self.machines[name]
        target = target_of(machine.table["per"], offer)
        assert target is not None
        return machine.state(target, moment.now_ms)


def target_of(per: str, item: str) -> str | None:
    """The target that an event about an item counts for; None = no target."""
    if per == "user":
        return "the user"
    if per == "category":
        return CATEGORIES.get(item)
    return item if item in CATEGORIES and not item.startswith("page") else None


def is_about(rule: Table, one: Candidate) -> bool:
    """Whether a rule selects a candidate."""
    offers, categories = rule.get("offers", []), rule.get("category", [])
    is_named = (not offers and not categories) or one.offer in offers or one.category in categories
    return is_named and one.channel in rule.get("channel", [one.channel])


@dataclass(frozen=True)
class Count:
    """A cap or a cooldown with everything that its count needs."""

    kinds: tuple[str, ...]
    per: str
    channels: tuple[str, ...]  # of the candidates that it suppresses
    limit: int
    span_s: int
    word: str


def counts(policy: Table) -> Iterator[Count]:
    """Every cap and cooldown; a rule per channel becomes one rule for each channel."""
    for word in ("caps", "cooldowns"):
        for rule in policy.get(word, []):
            limit = rule["limit"] if word == "caps" else 1
            span = rule["rest_s"] if word == "cooldowns" else rule.get("within_s") or SPANS_S[rule["within"]]
            if rule["per"] == "channel":
                for channel in rule.get("channel", ["push", "sms"]):
                    yield Count((SHOWN[channel],), "user", (channel,), limit, span, word)
            else:
                channels = tuple(rule.get("channel", SHOWN))
                yield Count(tuple(rule["kind"]), rule["per"], channels, limit, span, word)


def early_reasons(policy: Table, ledger: Ledger, moment: Moment, one: Candidate) -> set[str]:
    """The reasons by which rules suppress a candidate before any score is read."""
    now_ms, found = moment.now_ms, set()
    if one.offer == "fund_d" and now_ms < VALID_FROM_MS:
        found.add("NOT_YET_VALID")
    if one.offer == "fund_d" and now_ms >= VALID_UNTIL_MS:
        found.add("EXPIRED")
    for rule in policy.get("eligibility", []):
        if is_about(rule, one) and not ledger.match(rule["when"], moment, one.offer):
            found.add("NOT_ELIGIBLE")
    for rule in policy.get("blocks", []):
        if is_about(rule, one) and ledger.match(rule["when"], moment, one.offer):
            found.add("HIDDEN" if rule["by"] == "user" else "BLOCKED")
    for rule in counts(policy):
        if one.channel in rule.channels:
            so_far = ledger.count(rule.kinds, rule.per, one.offer, rule.span_s, now_ms)
            if so_far >= rule.limit:
                found.add("CAPPED" if rule.word == "caps" else "COOLING_DOWN")
    minute = (now_ms // 1000 + moment.utc_offset_s) % 86_400 // 60
    for rule in policy.get("quiet_hours", []):
        start, end = minute_of(rule["from"]), minute_of(rule["until"])
        is_quiet = start <= minute < end if start < end else minute >= start or minute < end
        if is_quiet and one.channel in rule.get("channel", SHOWN):
            found.add("QUIET")
    return found | budget_reasons(policy, ledger, moment, one)


def budget_reasons(policy: Table, ledger: Ledger, moment: Moment, one: Candidate) -> set[str]:
    """The reason OVER_BUDGET, if a candidate alone costs more than the rest of the budget."""
    budget = policy.get("budget")
    if budget is None:
        return set()
    spent = ledger.spent(SPANS_S[budget["period"]], moment.now_ms, moment.utc_offset_s)
    left = max(0, millionths(budget["amount"]) - spent)
    return {"OVER_BUDGET"} if millionths(one.cost) > left else set()


def millionths(cost: float) -> int:
    """A cost, rounded to a float32 first, in whole millionths."""
    return max(0, round(float(np.float32(cost)) * 1_000_000))


def minute_of(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def boosted(policy: Table, ledger: Ledger, moment: Moment, one: Candidate) -> list[float]:
    """The boosts that apply to a candidate, in their order."""
    return [
        rule["add"]
        for rule in policy.get("boosts", [])
        if is_about(rule, one) and ledger.match(rule["when"], moment, one.offer)
    ]


def pinned(policy: Table, ledger: Ledger, moment: Moment, order: list[Candidate]) -> dict[Candidate, int]:
    """The pinned candidates of an order, and their places (0 = first)."""
    wanted: dict[Candidate, int] = {}
    for rule in policy.get("pins", []):
        about = [one for one in order if is_about(rule, one) and ledger.match(rule["when"], moment, one.offer)]
        for number, one in enumerate(about[: rule["count"]]):
            wanted.setdefault(one, rule["place"] - 1 + number)
    places: dict[Candidate, int] = {}
    for one in sorted(wanted, key=lambda one: wanted[one]):
        places[one] = max(wanted[one], max(places.values(), default=-1) + 1)
    return places
