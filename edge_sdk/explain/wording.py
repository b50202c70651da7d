"""Words for what the device knows, from the scene's texts: short templates with slots, in any language it brings.

A template's `{slot}` is replaced by its value, once; nothing in a value is read as a template, and a template can name
nothing but the slots of its key. docs/texts.md lists the keys.
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
_SMALL: Final = 0.005  # a term that would read ±0.00 is not named

# What a bundle without texts says, in the words of `cloud_export/texts/en.toml` (a test holds the two together).
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
    """The template with its slots replaced; a slot without a value stays as it is written."""
    return SLOT.sub(lambda found: values.get(found[1], found[0]) if found[2] is None else found[0], template)


def signed(value: float) -> str:
    """A number with its sign and two decimals: ``+0.62``, ``−0.20``."""
    return f"{'−' if round(value, 2) < 0 else '+'}{abs(value):.2f}"


def plain(value: float) -> str:
    """A number with two decimals, its sign only when it is negative: ``1.43``, ``−0.20``."""
    return signed(value).removeprefix("+")


class Phrasebook:
    """The words of one language. A key that it has no text for is said in English, a name as it is."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Over the scene's texts of one language, by key."""
        self._texts = texts

    @classmethod
    def of(cls, texts: Texts, language: str) -> Phrasebook:
        """The words of a language, e.g. ``zh``; of ``zh-CN`` those of ``zh`` where the scene has no others."""
        return cls(texts(language) or texts(language.split("-")[0]) or ENGLISH)

    def text(self, key: str) -> str | None:
        """The scene's text; None = it has none."""
        return self._texts.get(key)

    def said(self, key: str, **values: str) -> str:
        """The text of a key that every language has, its slots filled."""
        return fill(self._texts.get(key, ENGLISH.get(key, key)), values)

    # ---- names ----

    def _name(self, name: str, *keys: str) -> str:
        return next((text for key in keys if (text := self._texts.get(key))), name)

    def item(self, name: str) -> str:
        """An item, which may be an offer."""
        return self._name(name, f"item.{name}", f"offer.{name}")

    def offer(self, name: str, channel: str = "") -> str:
        """An offer, with the way to the user where it is another than the app."""
        said = self._name(name, f"offer.{name}", f"item.{name}")
        if not channel:
            return said
        return self.said("treatment.channel", offer=said, channel=self._name(channel, f"channel.{channel}"))

    def category(self, name: str) -> str:
        """A category."""
        return self._name(name, f"category.{name}")

    def kind(self, name: str) -> str:
        """A kind of event."""
        return self._name(name, f"kind.{name}")

    def state(self, machine: str, name: str) -> str:
        """A state of a machine."""
        return self._name(name, f"state.{machine}.{name}")

    def rule(self, name: str) -> str:
        """A rule of the policy."""
        return self._name(name, f"rule.{name}")

    # ---- numbers and times ----

    def number(self, value: float) -> str:
        """A number as a person writes it: ``1200``, ``−0.5``, ``3.25``."""
        digits = f"{abs(value):.2f}".rstrip("0").rstrip(".")
        return digits if value >= 0 or digits == "0" else f"−{digits}"

    def age(self, age_s: float) -> str:
        """A length of time: ``5 min``, ``5 分钟``."""
        number, unit = length_of_time(age_s)
        return self.said(f"age.{unit}", number=str(number))

    def place(self, number: int) -> str:
        """A place: ``1st``, ``第 1 位``."""
        texts = self._texts if "place.any" in self._texts else ENGLISH
        ending = "" if 10 < number % 100 < 14 else f"place.x{number % 10}"  # 11th, not 11st
        key = next((key for key in (f"place.{number}", ending) if key in texts), "place.any")
        return fill(texts[key], {"number": str(number)})

    # ---- parts of an explanation ----

    def event(self, kind: str, item: str) -> str:
        """What happened: ``you viewed fund_017``. `item` "" = it is about nothing, or nothing that the bundle knows."""
        tail = "" if item else ".plain"
        own = self._texts.get(f"event.{kind}{tail}")
        said = {"kind": self.kind(kind), "item": self.item(item)}
        return fill(own, said) if own else self.said(f"event.any{tail}", **said)

    def term(self, term: Contribution) -> str:
        """One summand: ``+0.62 because you viewed fund_017 5 min ago``."""
        value, source = signed(term.value), term.source
        if source is ContributionSource.EVENT:
            if term.event < 0:
                return self.said("contribution.others", value=value)
            what = self.event(term.kind, term.item)
            return self.said("contribution.event", value=value, event=what, age=self.age(term.age_s))
        if source is ContributionSource.COUNTER:
            whose = "counter_category" if term.item else "counter"
            key = f"contribution.{whose if term.kind else 'earlier'}"
            return self.said(key, value=value, kind=self.kind(term.kind), category=self.category(term.item))
        if source in (ContributionSource.BIAS, ContributionSource.CONTEXT):
            return self.said("contribution.rule", value=value, rule=self.rule(term.label))
        return self.said(f"contribution.{term.label}", value=value)

    def move(self, move: RankChange) -> str:
        """A step that moved the offer: ``4th → 2nd by recent events``."""
        step = self.said(f"step.{move.step}")
        return self.said("rank_change.step", before=self.place(move.before), after=self.place(move.after), step=step)

    def reason(self, reason: Reason) -> str:
        """All its bits."""
        names = [bit.name for bit in Reason if bit in reason]
        return self.said("separator.list").join(self.said(f"reason.{name}") for name in names)

    def suppression(self, suppression: Suppression, now_ms: int) -> str:
        """Why an offer is not shown: ``shown often enough: daily_cap, for another 3 h``."""
        said = self.reason(suppression.reason)
        if suppression.rule:
            said = self.said("suppression.rule", reason=said, rule=self.rule(suppression.rule))
        if suppression.until_ms is None:
            return said
        age = self.age(max(0, suppression.until_ms - now_ms) / 1000)
        return self.said("suppression.until", suppression=said, age=age)

    # ---- the whole ----

    def explanation(self, explanation: Explanation) -> str:
        """Sentences: where the offer stands or why it does not, what its score is made of, the sum."""
        between, stop = self.said("separator.list"), self.said("separator.sentence")
        base_place, offer = self.place(explanation.base_place), self.offer(explanation.offer, explanation.channel)
        if explanation.place:
            place = self.place(explanation.place)
            sentences = [self.said("explanation.stands", offer=offer, place=place, base_place=base_place)]
        else:
            said = between.join(
                self.suppression(suppression, explanation.time_ms) for suppression in explanation.suppressions
            )
            sentences = [self.said("explanation.dropped", offer=offer, base_place=base_place, suppressions=said)]
        if explanation.rank_changes:
            rank_changes = between.join(self.move(move) for move in explanation.rank_changes)
            sentences.append(self.said("explanation.rank_changes", rank_changes=rank_changes))
        contributions = [self.term(term) for term in _in_short(explanation) if abs(term.value) >= _SMALL]
        if contributions:
            sentences.append(self.said("explanation.contributions", contributions=between.join(contributions)))
        sentences.append(self._sum(explanation))
        return stop.join(sentences)

    def _sum(self, explanation: Explanation) -> str:
        """The printed numbers add up: what the device changed is the difference of the rounded ones."""
        score, base = round(explanation.score, 2), round(explanation.base, 2)
        change = self.said("sign.minus" if score < base else "sign.plus", number=f"{abs(score - base):.2f}")
        return self.said("explanation.score", score=plain(score), base=plain(base), change=change)


def _in_short(explanation: Explanation) -> list[Contribution]:
    """The terms that a sentence can hold: the largest events, the other ones together, the counters together."""
    contributions = explanation.named()
    counted = [term.value for term in contributions if term.source is ContributionSource.COUNTER]
    short = [term for term in contributions if term.source is not ContributionSource.COUNTER]
    return [*short, Contribution("earlier events", sum(counted), ContributionSource.COUNTER)] if counted else short
