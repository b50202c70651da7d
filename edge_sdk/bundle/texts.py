"""A bundle's texts: checked at opening, decoded when a language is read, so that opening does not pay for them.

Texts of former formats are given the keys and slots of the newest one here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_sdk.bundle.checked_tables import NO_TEXTS, CheckedTexts
from edge_sdk.bundle.policy_symbols import Fail, decoded

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import BundleT


CURRENT_KEYS_FROM: Final = 4  # format; before, texts had the keys and slots below

# Key of formats 1 to 3 -> key since format 4. Every other key is the same in all formats; `term.learner` had no use.
FORMER_KEYS: Final[Mapping[str, str]] = {
    "reason.NOT_WORTH": "reason.BELOW_MINIMUM",
    "reason.OTHER_TOUCH": "reason.OTHER_TREATMENT",
    "term.event": "contribution.event",
    "term.others": "contribution.others",
    "term.earlier": "contribution.earlier",
    "term.counter": "contribution.counter",
    "term.counter_category": "contribution.counter_category",
    "term.rule": "contribution.rule",
    "term.gate": "contribution.score_bound",
    "term.cost": "contribution.cost",
    "term.influence": "contribution.rank_bound",
    "term.diversity": "contribution.diversity",
    "step.standing": "step.eligibility",
    "step.gate": "step.score_bound",
    "step.influence": "step.rank_bound",
    "move.step": "rank_change.step",
    "obstacle.rule": "suppression.rule",
    "obstacle.until": "suppression.until",
    "touch.channel": "treatment.channel",
    "explanation.moves": "explanation.rank_changes",
    "explanation.terms": "explanation.contributions",
}

# Key since format 4 -> its slot in formats 1 to 3 and since format 4.
FORMER_SLOTS: Final[Mapping[str, tuple[str, str]]] = {
    "suppression.until": ("{obstacle}", "{suppression}"),
    "explanation.dropped": ("{obstacles}", "{suppressions}"),
    "explanation.rank_changes": ("{moves}", "{rank_changes}"),
    "explanation.contributions": ("{terms}", "{contributions}"),
}


class BundleTexts(NamedTuple):
    """The texts of a bundle by language, checked when the bundle was opened."""

    tables: Mapping[str, tuple[CheckedTexts, CheckedTexts]]  # BCP 47 tag, in the file's order -> keys, texts
    format_version: int

    @property
    def languages(self) -> tuple[str, ...]:
        """BCP 47 tags, in the file's order."""
        return tuple(self.tables)

    def read(self, language: str) -> dict[str, str]:
        """Returns the texts of a language by key, under the keys of the newest format; empty where there is none."""
        if language not in self.tables:
            return {}
        keys, texts = self.tables[language]
        read = dict(zip(keys.read(), texts.read(), strict=True))
        return read if self.format_version >= CURRENT_KEYS_FROM else translated(read)


def read_texts(raw: BundleT, fail: Fail) -> BundleTexts:
    """Returns the texts of a bundle; as many texts as keys in each language, and each language once."""
    tables: dict[str, tuple[CheckedTexts, CheckedTexts]] = {}
    for index, table in enumerate(raw.texts or ()):
        language, keys, texts = decoded(table.language), table.keys or NO_TEXTS, table.texts or NO_TEXTS
        if language in tables:
            fail(f"texts[{index}].language", f"{language!r} is listed twice")
        if keys.count != texts.count:
            fail(f"texts.{language}", f"{keys.count} keys, {texts.count} texts")
        tables[language] = keys, texts
    return BundleTexts(tables, raw.formatVersion)


def translated(former: Mapping[str, str]) -> dict[str, str]:
    """Returns texts of formats 1 to 3 under the keys, and with the slots, of format 4."""
    renamed = {FORMER_KEYS.get(key, key): text for key, text in former.items()}
    for key, (old, new) in FORMER_SLOTS.items():
        if key in renamed:
            renamed[key] = renamed[key].replace(old, new)
    return renamed
