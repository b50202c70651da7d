"""The contribution: one summand of a score, with its label and source."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class ContributionSource(StrEnum):
    """Where a contribution to a score comes from."""

    BIAS = "bias"  # an operator's boost without conditions
    CONTEXT = "context"  # a boost whose conditions match
    EVENT = "event"  # an event in the model's window, with its share of the counters
    COUNTER = "counter"  # counted events that are no longer in the window
    POLICY = "policy"  # a change by a step of the policy


class Contribution(NamedTuple):
    """One summand of a score. A named tuple takes a third of a dataclass's time: an offer has 33 summands and more."""

    label: str  # in English with raw names; `Explanation.text` uses the scene's texts
    value: float  # logit
    source: ContributionSource
    event: int = -1  # index of the event in the window, 0 = newest; -1 = no single event
    kind: str = ""  # of the event, or of the counted events
    item: str = ""  # that the event is about; of a category's counter: the category, "" = the offer's counter
    age_s: float = 0.0  # of the event at the decision


def length_of_time(age_s: float) -> tuple[int, str]:
    """Returns a length of time as a number and the key of its unit: "s", "min", "h" or "days"."""
    if age_s < 120:
        return round(age_s), "s"
    if age_s < 7200:
        return round(age_s / 60), "min"
    if age_s < 172_800:
        return round(age_s / 3600), "h"
    return round(age_s / 86_400), "days"


def age_in_words(age_s: float) -> str:
    """Returns a length of time in English: ``12 s``, ``5 min``, ``3 h``, ``2 days``."""
    number, unit = length_of_time(age_s)
    return f"{number} {unit}"
