"""Wording: renders names, numbers and explanations from the scene's texts, in the languages of the bundle.

A text is a short template. Each `{slot}` is replaced by its value once: a value is never read as a template, and a
template can use only the slots of its key. docs/texts.md lists the keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from edge_sdk.explain.contribution import Contribution, ContributionSource, length_of_time
from edge_sdk.reasons import REASON_TEXTS, Reason

if TYPE_CHECKING:
    from edge_sdk.explain.explanation import Explanation
    from edge_sdk.explain.rank_changes import RankChange
    from edge_sdk.policy.suppressions import Suppression

Texts = Callable[[str], Mapping[str, str]]  # language -> text by key

SLOT: Final = re.compile(r"\{([a-z_]+)(?::([^{}]*))?\}")
_SMALL: Final = 0.005  # a contribution that would read ±0.00 is left out

# The texts of a bundle without texts: equal to `cloud_export/texts/en.toml`, as a test checks.
ENGLISH: Final[Mapping[str, str]] = {
    **{f"reason.{bit.name}": text for bit, text in REASON_TEXTS.items()},
    "age.s": "{number} s",
    "age.min": "{number} min",
    "age.h": "{number} h",
    "age.days": "{number} days",
    "place.any": "{number}th",
    "place.x1": "{number}st",
    "place.x2": "{number}nd",
    "place.x3": "{number}rd",
    "event.any": "of {kind} of {item}",
    "event.any.plain": "of {kind}",
    "contribution.event": "{value} because {event} {age} ago",
    "contribution.others": "{value} from the other events",
    "contribution.earlier": "{value} from what happened earlier",
    "contribution.counter": "{value} from earlier {kind} of the offer",
    "contribution.counter_category": "{value} from earlier {kind} of {category}",
    "contribution.rule": "{value} by the rule {rule}",
    "contribution.score_bound": "{value} because the model's adjustment is limited",
    "contribution.cost": "{value} for its cost",
    "contribution.rank_bound": "{value} to stay near its place in the cloud's order",
    "contribution.diversity": "{value} to make way for other categories",
    "step.eligibility": "as others left",
    "step.events": "by recent events",
    "step.score_bound": "as the model's adjustment is limited",
    "step.boosts": "by rules of the operator",
    "step.cost": "for its cost",
    "step.rank_bound": "to stay near its place in the cloud's order",
    "step.diversity": "to make way for other categories",
    "step.exploration": "by exploration",
    "step.pins": "by a rule for its place",
    "rank_change.step": "{before} → {after} {step}",
    "suppression.rule": "{reason}: {rule}",
    "suppression.until": "{suppression}, for another {age}",
    "treatment.channel": "{offer} ({channel})",
    "explanation.stands": "{offer} stands {place} ({base_place} in the cloud's order).",
    "explanation.dropped": "{offer} is not shown ({base_place} in the cloud's order): {suppressions}.",
    "explanation.rank_changes": "Its way: {rank_changes}.",
    "explanation.contributions": "{contributions}.",
    "explanation.score": "Score {score} = {base} {change}.",
    "separator.list": "; ",
    "separator.sentence": " ",
    "sign.plus": "+ {number}",
    "sign.minus": "− {number}",
}


def fill(template: str, values: Mapping[str, str]) -> str:
    """Returns the template with its slots replaced; a slot without a value does not change."""
    return SLOT.sub(lambda found: values.get(found[1], found[0]) if found[2] is None else found[0], template)


def signed(value: float) -> str:
    """Returns a number with its sign and two decimals: ``+0.62``, ``−0.20``."""
    return f"{'−' if round(value, 2) < 0 else '+'}{abs(value):.2f}"


def plain(value: float) -> str:
    """Returns a number with two decimals, with a sign only if negative: ``1.43``, ``−0.20``."""
    return signed(value).removeprefix("+")


class Phrasebook:
    """The texts of one language. A key without a text is rendered in English, a name without a text as it is."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Takes the scene's texts of one language, by key."""
        self._texts = texts

    @classmethod
    def of(cls, texts: Texts, language: str) -> Phrasebook:
        """Returns the phrasebook of a language. Where the scene has no texts for ``zh-CN``, returns that of ``zh``."""
        return cls(texts(language) or texts(language.split("-")[0]) or ENGLISH)

    def text(self, key: str) -> str | None:
        """Returns the scene's text of a key; None = it has no text."""
        return self._texts.get(key)

    def filled(self, key: str, **values: str) -> str:
        """Returns the text of a key that every language has, with its slots filled."""
        return fill(self._texts.get(key, ENGLISH.get(key, key)), values)

    # ---- names ----

    def _name(self, name: str, *keys: str) -> str:
        return next((text for key in keys if (text := self._texts.get(key))), name)

    def item(self, name: str) -> str:
        """Returns the text of an item, which may be an offer."""
        return self._name(name, f"item.{name}", f"offer.{name}")

    def offer(self, name: str, channel: str = "") -> str:
        """Returns the text of an offer, with its channel where that is not the app."""
        text = self._name(name, f"offer.{name}", f"item.{name}")
        if not channel:
            return text
        return self.filled("treatment.channel", offer=text, channel=self._name(channel, f"channel.{channel}"))

    def category(self, name: str) -> str:
        """Returns the text of a category."""
        return self._name(name, f"category.{name}")

    def kind(self, name: str) -> str:
        """Returns the text of a kind of event."""
        return self._name(name, f"kind.{name}")

    def state(self, machine: str, name: str) -> str:
        """Returns the text of a state of a machine."""
        return self._name(name, f"state.{machine}.{name}")

    def rule(self, name: str) -> str:
        """Returns the text of a rule of the policy."""
        return self._name(name, f"rule.{name}")

    # ---- numbers and times ----

    def number(self, value: float) -> str:
        """Returns a number without trailing zeros: ``1200``, ``−0.5``, ``3.25``."""
        digits = f"{abs(value):.2f}".rstrip("0").rstrip(".")
        return digits if value >= 0 or digits == "0" else f"−{digits}"

    def age(self, age_s: float) -> str:
        """Returns a length of time: ``5 min``, ``5 分钟``."""
        number, unit = length_of_time(age_s)
        return self.filled(f"age.{unit}", number=str(number))

    def place(self, number: int) -> str:
        """Returns a place: ``1st``, ``第 1 位``."""
        texts = self._texts if "place.any" in self._texts else ENGLISH
        ending = "" if 10 < number % 100 < 14 else f"place.x{number % 10}"  # 11th, not 11st
        key = next((key for key in (f"place.{number}", ending) if key in texts), "place.any")
        return fill(texts[key], {"number": str(number)})

    # ---- parts of an explanation ----

    def event(self, kind: str, item: str) -> str:
        """Returns an event: ``you viewed fund_017``. `item` "" = about no item, or about an item not in the bundle."""
        tail = "" if item else ".plain"
        own = self._texts.get(f"event.{kind}{tail}")
        values = {"kind": self.kind(kind), "item": self.item(item)}
        return fill(own, values) if own else self.filled(f"event.any{tail}", **values)

    def contribution(self, found: Contribution) -> str:
        """Returns one summand: ``+0.62 because you viewed fund_017 5 min ago``."""
        value, source = signed(found.value), found.source
        if source is ContributionSource.EVENT:
            if found.event < 0:
                return self.filled("contribution.others", value=value)
            event = self.event(found.kind, found.item)
            return self.filled("contribution.event", value=value, event=event, age=self.age(found.age_s))
        if source is ContributionSource.COUNTER:
            counter = "counter_category" if found.item else "counter"
            key = f"contribution.{counter if found.kind else 'earlier'}"
            return self.filled(key, value=value, kind=self.kind(found.kind), category=self.category(found.item))
        if source in (ContributionSource.BIAS, ContributionSource.CONTEXT):
            return self.filled("contribution.rule", value=value, rule=self.rule(found.label))
        return self.filled(f"contribution.{found.label}", value=value)

    def rank_change(self, change: RankChange) -> str:
        """Returns one rank change: ``4th → 2nd by recent events``."""
        before, after = self.place(change.before), self.place(change.after)
        return self.filled("rank_change.step", before=before, after=after, step=self.filled(f"step.{change.step}"))

    def reason(self, reason: Reason) -> str:
        """Returns the texts of all bits of a reason."""
        names = [bit.name for bit in Reason if bit in reason]
        return self.filled("separator.list").join(self.filled(f"reason.{name}") for name in names)

    def suppression(self, suppression: Suppression, now_ms: int) -> str:
        """Returns why an offer is not shown: ``shown often enough: daily_cap, for another 3 h``."""
        text = self.reason(suppression.reason)
        if suppression.rule:
            text = self.filled("suppression.rule", reason=text, rule=self.rule(suppression.rule))
        if suppression.until_ms is None:
            return text
        age = self.age(max(0, suppression.until_ms - now_ms) / 1000)
        return self.filled("suppression.until", suppression=text, age=age)

    # ---- the whole explanation ----

    def explanation(self, explanation: Explanation) -> str:
        """Returns sentences: the offer's place or why it is dropped, its rank changes, its contributions, the sum."""
        between, stop = self.filled("separator.list"), self.filled("separator.sentence")
        base_place, offer = self.place(explanation.base_place), self.offer(explanation.offer, explanation.channel)
        if explanation.place:
            place = self.place(explanation.place)
            sentences = [self.filled("explanation.stands", offer=offer, place=place, base_place=base_place)]
        else:
            suppressions = between.join(self.suppression(one, explanation.time_ms) for one in explanation.suppressions)
            values = {"offer": offer, "base_place": base_place, "suppressions": suppressions}
            sentences = [self.filled("explanation.dropped", **values)]
        if explanation.rank_changes:
            rank_changes = between.join(map(self.rank_change, explanation.rank_changes))
            sentences.append(self.filled("explanation.rank_changes", rank_changes=rank_changes))
        contributions = [self.contribution(found) for found in _in_short(explanation) if abs(found.value) >= _SMALL]
        if contributions:
            sentences.append(self.filled("explanation.contributions", contributions=between.join(contributions)))
        sentences.append(self._sum(explanation))
        return stop.join(sentences)

    def _sum(self, explanation: Explanation) -> str:
        """Returns the sum. The printed numbers add up: the device's change is the difference of the rounded numbers."""
        score, base = round(explanation.score, 2), round(explanation.base, 2)
        change = self.filled("sign.minus" if score < base else "sign.plus", number=f"{abs(score - base):.2f}")
        return self.filled("explanation.score", score=plain(score), base=plain(base), change=change)


def _in_short(explanation: Explanation) -> list[Contribution]:
    """Returns the contributions for a sentence: the largest events, the sum of the others, the sum of the counters."""
    contributions = explanation.named()
    counted = [found.value for found in contributions if found.source is ContributionSource.COUNTER]
    short = [found for found in contributions if found.source is not ContributionSource.COUNTER]
    return [*short, Contribution("earlier events", sum(counted), ContributionSource.COUNTER)] if counted else short
