"""The cloud's ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.types import F32


@dataclass(frozen=True, slots=True, eq=False)
class BaseDecision:
    """The cloud's ranking for this user: candidates with their base logits.

    A candidate is an offer, or one way to bring an offer to the user: (offer, channel, variant), with its cost.

    Args:
        offers: names of the candidates, best first.
        logits: shape (C,) when all objectives share one logit, or (C, K), one column an objective
            in the scene's order. Copied. Not checked here: `Engine.rank` answers bad ones with the
            order given and an error code.
        channels: each candidate's channel, "" = in the app itself; None = all in the app.
        variants: each candidate's wording, "" = the offer's own; None = all.
        costs: (C,) of showing each once, in the budget's unit; None = the bundle's (the offer's and its channel's).
        refreshed_ms: what the cloud knew, up to when: milliseconds since 1970; 0 = not known.
    """

    offers: tuple[str, ...]
    logits: F32
    channels: tuple[str, ...] | None
    variants: tuple[str, ...] | None
    costs: F32 | None
    refreshed_ms: int

    def __init__(
        self,
        offers: Sequence[str],
        logits: npt.ArrayLike,
        *,
        channels: Sequence[str] | None = None,
        variants: Sequence[str] | None = None,
        costs: npt.ArrayLike | None = None,
        refreshed_ms: int = 0,
    ) -> None:
        object.__setattr__(self, "offers", tuple(offers))
        object.__setattr__(self, "logits", _as_floats(logits, len(self.offers)))
        object.__setattr__(self, "channels", None if channels is None else tuple(channels))
        object.__setattr__(self, "variants", None if variants is None else tuple(variants))
        object.__setattr__(self, "costs", None if costs is None else _as_floats(costs, len(self.offers)))
        object.__setattr__(self, "refreshed_ms", refreshed_ms)

    def channel(self, index: int) -> str:
        """Of a candidate; "" = in the app, and where the list of channels is too short."""
        return self.channels[index] if self.channels is not None and index < len(self.channels) else ""

    def variant(self, index: int) -> str:
        """Wording of a candidate; "" = the offer's own, and where the list of variants is too short."""
        return self.variants[index] if self.variants is not None and index < len(self.variants) else ""


def _as_floats(given: npt.ArrayLike, count: int) -> F32:
    """A read-only copy; NaN where it is no array of numbers."""
    try:
        with np.errstate(over="ignore"):  # 1e39 becomes infinite: an error code, not a warning on stderr
            array = np.array(given, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):  # words, ragged rows: as good as no number
        array = np.full(count, np.nan, np.float32)
    array.setflags(write=False)
    return array
