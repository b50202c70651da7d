"""Reads a bundle's payload: unpacks it, checks each field against the others, and makes a `Bundle` of it.

The writer is cloud_export/export/bundle_writer.py; both follow edge_sdk/bundle/format/edge.fbs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np

from edge_sdk.bundle.bounds import at_most, check_counts
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.checked_tables import MalformedFileError, unpacked
from edge_sdk.bundle.container import PARSE_ERRORS
from edge_sdk.bundle.golden import read_golden
from edge_sdk.bundle.memory_rules_reader import read_derived_rules, read_machine_fields, read_machines
from edge_sdk.bundle.policy_reader import read_policy
from edge_sdk.bundle.policy_symbols import PolicySymbols, decoded, numbers
from edge_sdk.bundle.tables_reader import read_model_tables
from edge_sdk.bundle.texts import read_texts
from edge_sdk.errors import BundleDamagedError, BundleInvalidError, BundleTooNewError
from edge_sdk.limits import (
    DERIVED_MAX,
    FEATURES_MAX,
    FORMAT_VERSION,
    GOLDEN_MAX,
    KINDS_MAX,
    MACHINES_MAX,
    NAMES_MAX,
)
from edge_sdk.log.record import RECORD
from edge_sdk.memory.decay import TABLE_SIZE, DecayTables
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.model.projection import stand_in_rows
from edge_sdk.policy.conditions import ContextField
from edge_sdk.policy.rules import Channel
from edge_sdk.types import F32, I64, U16, U32
from edge_sdk.vocabulary import Vocabulary, category_id

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import BundleT, DecayT, OffersT, VocabularyT

HIGH_WORDS_FROM: Final = 5  # format; before, an id had the low word alone
_PERIOD: Final = 2.0**16  # by how much a sum fades in a period of 16 half-lives
_FACTORS: Final = ((1.0, _PERIOD), (1.0, 2.0), (1 / _PERIOD, 1.0), (0.5, 1.0))  # of grow and fade, coarse and fine


def read_bundle(path: Path, payload: memoryview) -> Bundle:
    """Parses and checks the payload of a `.edge` file.

    Raises:
        BundleDamagedError: the payload is no Bundle.
        BundleTooNewError: the bundle's format is later than this runtime's.
        BundleInvalidError: a field contradicts another.
    """
    try:
        raw = unpack_payload(payload)
    except MalformedFileError as problem:
        raise BundleDamagedError(path, "payload", f"not readable ({problem})") from problem
    if raw.formatVersion > FORMAT_VERSION:
        raise BundleTooNewError(path, raw.formatVersion, FORMAT_VERSION)
    try:
        return _BundleReader(path, raw).bundle()
    except (*PARSE_ERRORS, KeyError) as problem:
        raise BundleInvalidError(path, "payload", f"{type(problem).__name__}: {problem}") from problem


# ---- payload -> the generated object tree ----


def unpack_payload(payload: memoryview) -> BundleT:
    """Returns the object tree of a payload, every offset and text of it checked.

    Two things differ from flatc's own tree. `events` of a golden vector are records, and the texts are checked and stay
    in the file until a language is read.

    Raises:
        MalformedFileError: the payload is no Bundle.
    """
    tree: BundleT = unpacked(payload, "Bundle", {"Event": RECORD})
    return tree


# ---- the object tree -> a bundle ----


class _BundleReader:
    """Checks the object tree field by field and names the first field that is wrong."""

    def __init__(self, path: Path, raw: BundleT) -> None:
        self.path = path
        self.raw = raw

    def fail(self, field: str, found: str) -> NoReturn:
        raise BundleInvalidError(self.path, field, found)

    def bundle(self) -> Bundle:
        raw = self.raw
        self._check_lengths()
        layout = self._layout()
        check_counts(layout, self.fail)
        if raw.policy is None or not raw.policy.objectives:
            self.fail("policy.objectives", "none")
        if raw.model is None or not len(raw.model):
            self.fail("model", "absent")
        kind_names = tuple(decoded(kind.name) for kind in raw.kinds)
        recorded = {name: kind.id for name, kind in zip(kind_names, raw.kinds, strict=True) if not kind.derived}
        feedback = self._feedback(frozenset(layout.kinds), frozenset(recorded.values()))
        symbols = self._symbols(layout, frozenset(recorded.values()))
        policy = read_policy(raw.policy, symbols, self.fail)
        layout = policy.counted_in(layout)
        tables = read_model_tables(raw, layout, policy, self.fail)
        return Bundle(
            path=self.path,
            scene=decoded(raw.scene),
            model_version=decoded(raw.modelVersion),
            created_by=decoded(raw.createdBy),
            known_until_ms=raw.knownUntilS * 1000,
            layout=layout,
            kind_names=kind_names,
            kind_ids=recorded,
            categories=_texts(raw.categories),
            policy=policy,
            symbols=symbols,
            machine_fields=read_machine_fields(layout.machines, symbols.context, self.fail),
            shown_kind=raw.shownKind,
            feedback=feedback,
            model=raw.model,
            explainer=raw.explainer or memoryview(b""),
            tables=tables,
            stand_ins=None
            if tables is None
            else stand_in_rows(tables, layout.offers.row_category, layout.category_rows),
            golden=tuple(read_golden(vector, layout, policy, self.fail) for vector in raw.golden or []),
            text_tables=read_texts(raw, self.fail),
        )

    def _check_lengths(self) -> None:
        """Refuses lists that are longer than any scene needs: what follows looks at their entries many times."""
        raw = self.raw
        at_most(len(raw.kinds or ()), KINDS_MAX, "kinds", self.fail)
        at_most(len(raw.machines or ()), MACHINES_MAX, "machines", self.fail)
        at_most(len(raw.dwell or ()) + len(raw.ignored or ()), DERIVED_MAX, "dwell and ignored", self.fail)
        at_most(len(raw.channels or ()), NAMES_MAX, "channels", self.fail)
        at_most(len(raw.golden or ()), GOLDEN_MAX, "golden", self.fail)
        fields = raw.context or ()
        at_most(sum(len(field.values or ()) for field in fields), FEATURES_MAX, "context, values", self.fail)
        objectives = raw.policy.objectives if raw.policy is not None else ()
        for field, names in (
            ("policy.objectives", [objective.name for objective in objectives or ()]),
            ("context", [field.name for field in fields]),
            ("attributes", raw.attributes or ()),
            ("variants", raw.variants or ()),
            ("feedback", [entry.outcome for entry in raw.feedback or ()]),
            ("kinds", [kind.name for kind in raw.kinds or ()]),
            *((f"context[{index}].values", field.values or ()) for index, field in enumerate(fields)),
        ):
            at_most(len(names), NAMES_MAX, field, self.fail)
            if len(set(names)) < len(names):
                self.fail(field, "a name that is listed twice")

    def _feedback(self, declared: frozenset[int], recorded: frozenset[int]) -> dict[str, int]:
        """Kind id by outcome; the kind of `shown` is checked with them."""
        feedback = {decoded(entry.outcome): entry.kind for entry in self.raw.feedback or []}
        answers = {*feedback.values()} | ({self.raw.shownKind} - {0})  # only `shown` may have no kind
        if not answers <= declared:
            self.fail("shown_kind or feedback", f"kinds {sorted(answers - declared)} are not declared")
        if not answers <= recorded:
            self.fail("shown_kind or feedback", "a derived kind, which is never recorded")
        return feedback

    def _layout(self) -> MemoryLayout:
        """The layout without caps and budget, which belong to the policy."""
        raw = self.raw
        if not 1 <= raw.window <= 4096:
            self.fail("window", str(raw.window))
        kinds = {
            kind.id: KindRule(row=row, in_window=kind.inWindow, counter=kind.counter - 1, keep_s=kind.keepS)
            for row, kind in enumerate(raw.kinds or [], 1)
        }
        if not kinds or len(kinds) != len(raw.kinds) or 0 in kinds:
            self.fail("kinds", "none, or two with one id")
        if max(rule.counter for rule in kinds.values()) >= raw.counterKinds or not raw.counterKinds:
            self.fail("counter_kinds", str(raw.counterKinds))
        offers, items = self._vocabulary("offers", raw.offers.names), self._vocabulary("items", raw.items)
        if not len(offers):
            self.fail("offers", "none")
        return MemoryLayout(
            window=raw.window,
            kinds=kinds,
            items=items,
            offers=offers,
            category_rows=len(raw.categories or []) + 1,
            counter_kinds=raw.counterKinds,
            decays=tuple(self._decay(decay) for decay in raw.decays or []),
            caps=(),
            derived=read_derived_rules(raw, self.fail),
            category_ids=tuple(category_id(name) for name in _texts(raw.categories)),
            machines=read_machines(raw.machines or [], frozenset(kinds), self.fail),
        )

    def _symbols(self, layout: MemoryLayout, recorded: frozenset[int]) -> PolicySymbols:
        raw = self.raw
        starts, ends, costs = self._offer_columns(raw.offers, len(layout.offers))
        return PolicySymbols(
            objectives=tuple(decoded(objective.name) for objective in raw.policy.objectives),
            window=layout.window,
            kinds=frozenset(layout.kinds),
            offers=layout.offers,
            candidate_categories=layout.candidate_categories,
            category_ids=layout.category_ids,
            valid_from_ms=starts,
            valid_until_ms=ends,
            offer_costs=costs,
            context=tuple(ContextField(decoded(field.name), _texts(field.values)) for field in raw.context or []),
            machines=layout.machines,
            attributes=_texts(raw.attributes),
            channels=(Channel("", raw.shownKind, 0.0), *self._channels(recorded)),
            variants=_texts(raw.variants),
        )

    def _offer_columns(self, raw: OffersT, offers: int) -> tuple[I64, I64, F32]:
        times = [numbers(seconds, np.uint32) for seconds in (raw.validFromS, raw.validUntilS)]
        if any(len(seconds) != offers for seconds in times):
            self.fail("offers.valid_from_s", "not as many as offers")
        starts, ends = (np.concatenate([[0], seconds.astype(np.int64) * 1000]) for seconds in times)
        costs = np.zeros(offers + 1, np.float32)
        if raw.costs is not None:
            given = numbers(raw.costs, np.float32)
            if len(given) != offers or not (np.isfinite(given) & (given >= 0)).all():
                self.fail("offers.costs", "not as many as offers, or one below 0, NaN or infinite")
            costs[1:] = given
        return starts, ends, costs

    def _channels(self, recorded: frozenset[int]) -> list[Channel]:
        found: list[Channel] = []
        for index, channel in enumerate(self.raw.channels or []):
            name, field = decoded(channel.name), f"channels[{index}]"
            if not name or name in [other.name for other in found]:
                self.fail(f"{field}.name", f"{name!r}: none, or one that is listed twice")
            if channel.shownKind and channel.shownKind not in recorded:
                self.fail(f"{field}.shown_kind", f"{channel.shownKind} is not the id of a recorded kind")
            if not 0 <= channel.cost < math.inf:
                self.fail(f"{field}.cost", f"{channel.cost:g}")
            found.append(Channel(name, channel.shownKind, channel.cost))
        return found

    def _vocabulary(self, field: str, raw: VocabularyT) -> Vocabulary:
        ids, highs = numbers(raw.ids, np.uint32), self._high_words(field, raw)
        categories = numbers(raw.categories, np.uint16)
        if len(ids) != len(categories) or not _ascend(ids, highs):
            self.fail(f"{field}.ids", "not ascending, or not as many as categories")
        if len(categories) and categories.max() > len(self.raw.categories or []):
            self.fail(f"{field}.categories", "a row beyond the categories")
        names = raw.names or b""
        if len(ids) != (names.count(b"\n") + 1 if names else 0):
            self.fail(f"{field}.names", f"not as many as the {len(ids)} ids")
        return Vocabulary(ids, names, categories, highs)

    def _high_words(self, field: str, raw: VocabularyT) -> U16 | None:
        """Returns the high word of each id; None up to format 4, which had none."""
        if self.raw.formatVersion < HIGH_WORDS_FROM:
            return None
        highs = numbers(raw.highs, np.uint16)
        if len(highs) != len(numbers(raw.ids, np.uint32)) or not highs.all():
            self.fail(f"{field}.highs", "not as many as ids, or one is 0")
        return highs

    def _decay(self, raw: DecayT) -> DecayTables:
        tables = [numbers(t, np.float64) for t in (raw.growCoarse, raw.growFine, raw.fadeCoarse, raw.fadeFine)]
        if any(len(table) != TABLE_SIZE for table in tables) or not raw.tickMs:
            self.fail("decays", f"half_life_s {raw.halfLifeS} has tables of another size")
        for table, (least, most) in zip(tables, _FACTORS, strict=True):
            if not ((table >= least) & (table <= most)).all():  # NaN too
                self.fail("decays", f"half_life_s {raw.halfLifeS} has a factor that is not from {least:g} to {most:g}")
        return DecayTables(raw.halfLifeS, raw.tickMs, *tables)


def _ascend(ids: U32, highs: U16 | None) -> bool:
    """Returns whether each id is above the one before, by its low word and then by its high word."""
    is_above = ids[1:] > ids[:-1]
    if highs is not None:
        is_above |= (ids[1:] == ids[:-1]) & (highs[1:] > highs[:-1])
    return bool(is_above.all())


def _texts(raw: Sequence[bytes] | None) -> tuple[str, ...]:
    return tuple(decoded(text) for text in raw or ())
