"""The base decision: the cloud's ranking of the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from edge_sdk.types import F32, as_names, whole_number


@dataclass(frozen=True, slots=True, eq=False)
class BaseDecision:
    """The cloud's ranking for one user: candidates with their base logits.

    A candidate is an offer, or one treatment of an offer: the offer in a channel, with a wording, at a cost.

    Args:
        offers: the candidates' names, best first.
        logits: shape (C,) if all objectives share one logit, or (C, K) with a column for each objective, in the
            scene's order. The array is copied. Unusable logits raise nothing here: `Engine.rank` answers them with the
            order given and an error code.
        channels: each candidate's channel, "" = in the app itself; None = all in the app.
        variants: each candidate's wording, "" = the offer's own; None = all have their own.
        categories: each candidate's category, by its name, "" = none; None = not known. An offer that the bundle does
            not know is ranked by this; others have the bundle's category.
        costs: (C,) the cost of showing each candidate once, in the budget's unit; None = the bundle's costs.
        refreshed_ms: the end of the cloud's data, in milliseconds since 1970; 0 = unknown, as is what is no number.

    Raises:
        TypeError: `offers`, `channels`, `variants` or `categories` is one string instead of a list of names.
    """

    offers: tuple[str, ...]
    logits: F32
    channels: tuple[str, ...] | None
    variants: tuple[str, ...] | None
    categories: tuple[str, ...] | None
    costs: F32 | None
    refreshed_ms: int

    def __init__(
        self,
        offers: Sequence[str],
        logits: npt.ArrayLike,
        *,
        channels: Sequence[str] | None = None,
        variants: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        costs: npt.ArrayLike | None = None,
        refreshed_ms: int = 0,
    ) -> None:
        object.__setattr__(self, "offers", as_names("offers", offers))
        object.__setattr__(self, "logits", _as_floats(logits, len(self.offers)))
        object.__setattr__(self, "channels", None if channels is None else as_names("channels", channels))
        object.__setattr__(self, "variants", None if variants is None else as_names("variants", variants))
        object.__setattr__(self, "categories", None if categories is None else as_names("categories", categories))
        object.__setattr__(self, "costs", None if costs is None else _as_floats(costs, len(self.offers)))
        object.__setattr__(self, "refreshed_ms", _as_time_ms(refreshed_ms))

    def channel(self, index: int) -> str:
        """Returns a candidate's channel; "" = in the app itself, also if the list of channels is too short."""
        return self.channels[index] if self.channels is not None and index < len(self.channels) else ""

    def variant(self, index: int) -> str:
        """Returns a candidate's wording; "" = the offer's own, also if the list of variants is too short."""
        return self.variants[index] if self.variants is not None and index < len(self.variants) else ""


def _as_time_ms(given: object) -> int:
    number = whole_number(given)
    if number is None and isinstance(given, float) and isfinite(given):
        number = int(given)
    return number or 0


def _as_floats(given: npt.ArrayLike, count: int) -> F32:
    """Returns a read-only copy; all NaN if the input is not an array of numbers."""
    try:
        with np.errstate(over="ignore"):  # 1e39 becomes infinite: an error code, not a warning on stderr
            array = np.array(given, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):  # words, ragged rows
        array = np.full(count, np.nan, np.float32)
    array.setflags(write=False)
    return array
