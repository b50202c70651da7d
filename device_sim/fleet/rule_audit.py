"""Audits a scene's rules from plain lists of events, by names, independently of the runtime.

Each device has an audit, which tells the offers that may be shown. An offer that the device shows against the audit is
a violation; an offer that the device suppresses against the audit is withheld without a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cloud_export.errors import CloudError
from cloud_export.scene.load import Scene
from cloud_export.scene.policy_sections import Cap, Cooldown, Policy

DATES: Final = "validity dates"
_KNOWN_SECTIONS: Final = frozenset({"version", "eligibility", "caps", "cooldowns"})


class UncheckableRuleError(CloudError):
    """The scene has a rule that the audit cannot check."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(f"{rule}: {why}; the fleet's rule audit cannot check it, so take it out of the fleet's scene")


@dataclass(frozen=True, slots=True)
class Offer:
    """The properties of an offer that rules refer to. Times in milliseconds since 1970; None = no bound."""

    name: str
    category: str
    valid_from_ms: int | None
    valid_until_ms: int | None


@dataclass(frozen=True, slots=True)
class EligibilityRule:
    """A rule of [[policy.eligibility]]: its offers are eligible only while the context matches every condition."""

    name: str
    categories: frozenset[str]
    offers: frozenset[str]
    when: Mapping[str, frozenset[str]]

    def excludes(self, offer: Offer, context: Mapping[str, str]) -> bool:
        """Returns whether the rule makes the offer ineligible."""
        is_about = offer.category in self.categories or offer.name in self.offers
        if not self.categories and not self.offers:
            is_about = True
        return is_about and any(context.get(word) not in values for word, values in self.when.items())


@dataclass(frozen=True, slots=True)
class CountRule:
    """A rule of [[policy.caps]] or [[policy.cooldowns]]: `limit` events within a time suppress an offer."""

    name: str
    kinds: frozenset[str]
    per: str  # "offer", "category" or "user"
    limit: int
    span_ms: int  # 0 = without an end


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules that suppress offers."""

    offers: Mapping[str, Offer]
    eligibility: tuple[EligibilityRule, ...]
    counts: tuple[CountRule, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all rules."""
        return (DATES, *(rule.name for rule in self.eligibility), *(rule.name for rule in self.counts))


@dataclass(slots=True)
class RuleAudit:
    """The events of one device, and the rules that they break.

    Attributes:
        rules: The rules of the scene.
        events: Times (milliseconds since 1970, ascending) of each kind and item that some rule counts.
    """

    rules: Rules
    events: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, time_ms: int, kind: str, item: str) -> None:
        """Adds an event; times never decrease."""
        if any(kind in rule.kinds for rule in self.rules.counts):
            self.events.setdefault((kind, item), []).append(time_ms)

    def broken(self, offer: str, time_ms: int, context: Mapping[str, str], *, counted: bool = True) -> tuple[str, ...]:
        """Returns the names of the rules that suppress an offer at a moment; empty = it may be shown.

        Args:
            offer: The offer's name.
            time_ms: The moment.
            context: The context that the app passes.
            counted: Whether caps and cooldowns are checked too; False = only dates and eligibility.
        """
        one = self.rules.offers[offer]
        found = [DATES] if _is_out_of_date(one, time_ms) else []
        found += [rule.name for rule in self.rules.eligibility if rule.excludes(one, context)]
        if counted and self.events:
            found += [rule.name for rule in self.rules.counts if self._counted(rule, one, time_ms) >= rule.limit]
        return tuple(found)

    def _counted(self, rule: CountRule, offer: Offer, now_ms: int) -> int:
        """Returns how many events within the rule's time count for the offer."""
        if rule.per == "offer":
            lists = [self.events.get((kind, offer.name), []) for kind in rule.kinds]
        else:
            lists = [
                times_ms
                for (kind, item), times_ms in self.events.items()
                if kind in rule.kinds and (rule.per == "user" or self._category(item) == offer.category)
            ]
        return sum(
            1 for times_ms in lists for time_ms in times_ms if not rule.span_ms or time_ms + rule.span_ms > now_ms
        )

    def _category(self, item: str) -> str | None:
        offer = self.rules.offers.get(item)
        return None if offer is None else offer.category


def rules_of(scene: Scene, offers: pl.DataFrame) -> Rules:
    """Returns a scene's rules over the `offers` table of a population.

    Raises:
        UncheckableRuleError: The scene has a kind of rule that the audit does not know.
    """
    policy = scene.policy
    for section in Policy.model_fields:
        if section not in _KNOWN_SECTIONS and getattr(policy, section) != Policy.model_fields[section].get_default():
            raise UncheckableRuleError(f"policy.{section}", "a sort of rule that changes or holds back lists")
    eligibility = []
    for number, rule in enumerate(policy.eligibility):
        name = rule.name or f"eligibility {number + 1}"
        if rule.channel or any(not condition.one_of for condition in rule.when.values()):
            raise UncheckableRuleError(name, "it asks for a channel or a number")
        when = {word: frozenset(condition.one_of) for word, condition in rule.when.items()}
        if set(when) - set(scene.context):
            raise UncheckableRuleError(name, "it asks for a machine's state that no context gives")
        eligibility.append(EligibilityRule(name, frozenset(rule.category), frozenset(rule.offers), when))
    counts = [_count(rule, f"caps {number + 1}") for number, rule in enumerate(policy.caps)]
    counts += [_count(rule, f"cooldowns {number + 1}") for number, rule in enumerate(policy.cooldowns)]
    return Rules(_offers(offers), tuple(eligibility), tuple(counts))


def _count(rule: Cap | Cooldown, number: str) -> CountRule:
    name = rule.name or number
    if rule.channel or rule.per == "channel":
        raise UncheckableRuleError(name, "it counts by channel")
    limit, span_s = (rule.limit, rule.span_s) if isinstance(rule, Cap) else (1, rule.rest_s)
    return CountRule(name, frozenset(rule.kind), rule.per, limit, span_s * 1000)


def _offers(table: pl.DataFrame) -> dict[str, Offer]:
    rows: Sequence[tuple[str, str, int | None, int | None]] = (
        table.filter(pl.col("rankable"))
        .select("offer", "category", pl.col("valid_from").dt.epoch("ms"), pl.col("valid_until").dt.epoch("ms"))
        .rows()
    )
    return {row[0]: Offer(*row) for row in rows}


def _is_out_of_date(offer: Offer, time_ms: int) -> bool:
    too_early = offer.valid_from_ms is not None and time_ms < offer.valid_from_ms
    return too_early or (offer.valid_until_ms is not None and time_ms >= offer.valid_until_ms)
