"""The explanation: why an offer has its score and its place, or why it is dropped, as numbers and as text.

    score = base logit + contribution of each event in the window + rest of the counters + changes by the policy

The model has no bias and no contribution of the context alone, by design: without events the base order does not
change, and only the policy changes the base scores. Biases and contributions of the context are the operator's boosts.

Contributions come from a second graph, which is loaded at the first explanation: onnxruntime always computes a whole
graph, and `rank` must not take that time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from edge_sdk.explain.contribution import Contribution, ContributionSource
from edge_sdk.explain.rank_changes import RankChange
from edge_sdk.log.event_input import as_name
from edge_sdk.policy.suppressions import Suppression


class Renderer(Protocol):
    """Renders an explanation in one language."""

    def explanation(self, explanation: Explanation) -> str:
        """Returns the explanation as sentences."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one offer: `base` and the values of `contributions` sum to `score`, to 1e-5."""

    offer: str
    channel: str
    variant: str
    place: int  # 1 = first; 0 = dropped
    base_place: int  # among all candidates
    base: float  # base logits, fused with the weights
    score: float  # after all steps
    contributions: tuple[Contribution, ...]  # largest first
    rank_changes: tuple[
        RankChange, ...
    ]  # from `base_place` to `place`; () where the place never changes or the offer is dropped
    suppressions: tuple[Suppression, ...]  # why the offer is dropped; () = it is not
    time_ms: int  # of the decision, milliseconds since 1970
    phrasebook: Callable[[str], Renderer] = field(repr=False, compare=False)  # by language

    def named(self, top: int = 5) -> tuple[Contribution, ...]:
        """Returns the contributions with all events but the `top` largest summed in one; the total does not change."""
        events = [found for found in self.contributions if found.source is ContributionSource.EVENT]
        others = events[max(0, top) :]
        if not others:
            return self.contributions
        rest = Contribution(
            f"{len(others)} other events", sum(found.value for found in others), ContributionSource.EVENT
        )
        summed = set(others)
        return (*(found for found in self.contributions if found not in summed), rest)

    def text(self, language: str = "en") -> str:
        """Returns sentences in the scene's texts; in English where the bundle has no texts of the language.

        Raises:
            InvalidValueError: the language is no str.
        """
        return self.phrasebook(as_name("language", language)).explanation(self)
