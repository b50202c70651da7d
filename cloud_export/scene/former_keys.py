"""The table of former scene keys: a scene file that has one of them is refused with the name of the current key.

docs/renames.md lists the same keys for readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from cloud_export.errors import SceneProblem
from cloud_export.scene.types import flat


class FormerKey(NamedTuple):
    """A key, or a value of a key, that scene files had before it was renamed.

    Attributes:
        path: dotted path of the key; `texts.*.` begins the path of a text key, in any language.
        current: the current name; empty = the key was removed.
        value: the former value of a key, or the former slot of a text; empty = the key itself is former.
    """

    path: str
    current: str
    value: str = ""

    @property
    def reason(self) -> str:
        """What has happened to the key."""
        return "removed" if self in _REMOVED else "renamed"

    @property
    def fix(self) -> str:
        """What to write instead."""
        return f"write {self.current}" if self.current else "delete it"


_REMOVED: Final = (
    FormerKey("policy.exploration.mode", '"off", "epsilon_greedy" or "softmax"', "thompson"),
    FormerKey("texts.*.term.learner", ""),
)

FORMER_KEYS: Final = (
    FormerKey("events.passed_over", "[[events.ignored]]"),
    FormerKey("events.passed_over.touched", "reset_by"),
    FormerKey("events.ignored.touched", "reset_by"),
    FormerKey("policy.gate", "[policy.warm_up]"),
    FormerKey("policy.influence", "[policy.model_bounds]"),
    FormerKey("policy.influence.largest_move", "max_rank_change"),
    FormerKey("policy.influence.largest_shift", "max_score_change"),
    FormerKey("policy.model_bounds.largest_move", "max_rank_change"),
    FormerKey("policy.model_bounds.largest_shift", "max_score_change"),
    FormerKey("policy.cost.price", "weight"),
    FormerKey("policy.budget.gain", "pacing_gain"),
    FormerKey("policy.null", "[policy.minimum]"),
    FormerKey("policy.null.again_after_s", "retry_after_s"),
    FormerKey("policy.minimum.again_after_s", "retry_after_s"),
    FormerKey("texts.*.reason.NOT_WORTH", "reason.BELOW_MINIMUM"),
    FormerKey("texts.*.reason.OTHER_TOUCH", "reason.OTHER_TREATMENT"),
    FormerKey("texts.*.term.event", "contribution.event"),
    FormerKey("texts.*.term.others", "contribution.others"),
    FormerKey("texts.*.term.earlier", "contribution.earlier"),
    FormerKey("texts.*.term.counter", "contribution.counter"),
    FormerKey("texts.*.term.counter_category", "contribution.counter_category"),
    FormerKey("texts.*.term.rule", "contribution.rule"),
    FormerKey("texts.*.term.gate", "contribution.score_bound"),
    FormerKey("texts.*.term.cost", "contribution.cost"),
    FormerKey("texts.*.term.influence", "contribution.rank_bound"),
    FormerKey("texts.*.term.diversity", "contribution.diversity"),
    FormerKey("texts.*.step.standing", "step.eligibility"),
    FormerKey("texts.*.step.gate", "step.score_bound"),
    FormerKey("texts.*.step.influence", "step.rank_bound"),
    FormerKey("texts.*.move.step", "rank_change.step"),
    FormerKey("texts.*.obstacle.rule", "suppression.rule"),
    FormerKey("texts.*.obstacle.until", "suppression.until"),
    FormerKey("texts.*.touch.channel", "treatment.channel"),
    FormerKey("texts.*.explanation.moves", "explanation.rank_changes"),
    FormerKey("texts.*.explanation.terms", "explanation.contributions"),
    FormerKey("texts.*.obstacle.until", "{suppression}", "{obstacle}"),
    FormerKey("texts.*.suppression.until", "{suppression}", "{obstacle}"),
    FormerKey("texts.*.explanation.dropped", "{suppressions}", "{obstacles}"),
    FormerKey("texts.*.explanation.moves", "{rank_changes}", "{moves}"),
    FormerKey("texts.*.explanation.rank_changes", "{rank_changes}", "{moves}"),
    FormerKey("texts.*.explanation.terms", "{contributions}", "{terms}"),
    FormerKey("texts.*.explanation.contributions", "{contributions}", "{terms}"),
    *_REMOVED,
)


def former_problems(table: Mapping[str, object]) -> Iterator[SceneProblem]:
    """Yields a problem for each former key and value of a parsed scene file."""
    for former in FORMER_KEYS:
        for field, found in _found(table, former.path):
            if not former.value:
                yield SceneProblem(field, None, former.reason, former.fix)
            elif isinstance(found, str) and (
                found == former.value or (former.value[0] == "{" and former.value in found)
            ):
                yield SceneProblem(field, former.value, former.reason, former.fix)


def is_within(field: str, problems: Sequence[SceneProblem]) -> bool:
    """Returns whether a dotted path is that of a problem, or below it."""
    return any(field == one.field or field.startswith((f"{one.field}.", f"{one.field}[")) for one in problems)


def _found(table: Mapping[str, object], path: str) -> Iterator[tuple[str, object]]:
    """Yields the fields at a path and their values; a text key has one in each language that has the text."""
    if not path.startswith("texts.*."):
        yield from _values(table, path.split("."), "")
        return
    key, languages = path.removeprefix("texts.*."), table.get("texts")
    for language, texts in languages.items() if isinstance(languages, Mapping) else ():
        if isinstance(texts, Mapping) and key in (written := flat(texts)):
            yield f"texts.{language}.{key}", written[key]


def _values(value: object, parts: Sequence[str], field: str) -> Iterator[tuple[str, object]]:
    """Yields the fields below a value and their values; a path passes through every table of an array."""
    if not parts:
        yield field, value
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _values(one, parts, f"{field}[{index}]")
    elif isinstance(value, Mapping) and parts[0] in value:
        yield from _values(value[parts[0]], parts[1:], f"{field}.{parts[0]}" if field else parts[0])
