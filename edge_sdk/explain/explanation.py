"""Why an offer has its score and its place, or none: exactly, and in words.

    score = base logit + what each event in the window added + the counters beyond it + what the policy added or took

The model has neither a constant term nor one of the context alone, by design: a silent device keeps the base order, so
without events there is nothing but the base and the policy. Biases and context terms are the operator's boosts.

The graph for this is a second one, loaded when first asked: onnxruntime computes a whole graph whatever outputs are
wanted, and `rank` must not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from edge_sdk.explain.contribution import Contribution, ContributionSource
from edge_sdk.explain.rank_changes import RankChange
from edge_sdk.policy.suppressions import Suppression


class Renderer(Protocol):
    """Renders an explanation in one language."""

    def explanation(self, explanation: Explanation) -> str:
        """Returns sentences for a person."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One offer of a decision taken apart: `base` and the values of `terms` sum to `score`, to 1e-5."""

    offer: str
    channel: str
    variant: str
    place: int  # 1 = first; 0 = it does not stand
    base_place: int  # among all candidates
    base: float  # base logits, fused with the weights
    score: float  # after all steps
    contributions: tuple[Contribution, ...]  # largest first
    rank_changes: tuple[RankChange, ...]  # from `base_place` to `place`; () when it never moved or does not stand
    suppressions: tuple[Suppression, ...]  # why it does not stand
    time_ms: int  # of the decision
    words: Callable[[str], Renderer] = field(repr=False, compare=False)  # of a language

    def named(self, top: int = 5) -> tuple[Contribution, ...]:
        """The terms with all events but the `top` largest summed in one; the sum stays what it is."""
        events = [term for term in self.contributions if term.source is ContributionSource.EVENT]
        others = events[max(0, top) :]
        if not others:
            return self.contributions
        rest = Contribution(f"{len(others)} other events", sum(term.value for term in others), ContributionSource.EVENT)
        kept = set(others)
        return (*(term for term in self.contributions if term not in kept), rest)

    def text(self, language: str = "en") -> str:
        """Sentences for a person, in the scene's words; in English where the bundle has no texts of that language."""
        return self.words(language).explanation(self)
