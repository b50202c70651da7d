"""One summand of a score, and its label."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class ContributionSource(StrEnum):
    """Where a term of a score comes from."""

    BIAS = "bias"  # an operator's boost without conditions
    CONTEXT = "context"  # a boost whose conditions hold
    EVENT = "event"  # an event in the model's window, with its share of the counters
    COUNTER = "counter"  # counted events that the window no longer holds
    POLICY = "policy"  # what a step of the policy added or took


class Contribution(NamedTuple):
    """One summand of a score. A named tuple, made in a third of a dataclass's time: an offer has 33 and more."""

    label: str  # in plain English with raw names; `Explanation.text` has the scene's own words
    value: float  # logit
    source: ContributionSource
    event: int = -1  # the event's place in the window, 0 = newest; -1 = no single event
    kind: str = ""  # of the event, or of the counted events
    item: str = ""  # that the event is about; of a counter: the category that it is of, "" = the offer itself
    age_s: float = 0.0  # of the event at the decision


def length_of_time(age_s: float) -> tuple[int, str]:
    """A length of time as a person counts it: a number and the key of its unit, "s", "min", "h" or "days"."""
    if age_s < 120:
        return round(age_s), "s"
    if age_s < 7200:
        return round(age_s / 60), "min"
    if age_s < 172_800:
        return round(age_s / 3600), "h"
    return round(age_s / 86_400), "days"


def age_in_words(age_s: float) -> str:
    """In English: ``12 s``, ``5 min``, ``3 h``, ``2 days``."""
    number, unit = length_of_time(age_s)
    return f"{number} {unit}"
