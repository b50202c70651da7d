"""What a bundle says, checked field by field; its model stays in the mapped file until the session takes it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from edge_sdk.caps import CapRule
from edge_sdk.config import FORMAT_VERSION
from edge_sdk.decay import TABLE_SIZE, DecayTables
from edge_sdk.derived import DerivedRules, DwellRule, PassedOverRule, SessionRule
from edge_sdk.errors import BundleDamagedError, BundleInvalidError, BundleTooNewError
from edge_sdk.format.generated.edge_generated import BundleT, DecayT, GoldenT, PolicyT, VocabularyT
from edge_sdk.memory_layout import KindRule, MemoryLayout
from edge_sdk.policy import ContextField, EligibilityRule, Policy
from edge_sdk.release import PARSE_ERRORS
from edge_sdk.types import F32, I32
from edge_sdk.vocabulary import Vocabulary, category_id

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """One self-test: these events, then this decision, give these arrays."""

    times_ms: tuple[int, ...]
    kinds: tuple[int, ...]
    items: tuple[int, ...]
    values: tuple[float, ...]
    now_ms: int
    context: F32  # (X,)
    candidates: I32  # (C,) offer rows
    base_logits: F32  # (C, K)
    event_item: I32  # (N,)
    event_kind: I32  # (N,)
    event_age_s: F32  # (N,)
    event_value: F32  # (N,)
    counters: F32  # (C, F)
    logits: F32  # (C, K)


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Everything a scene's devices share."""

    path: Path
    scene: str
    model_version: str
    created_by: str
    layout: MemoryLayout
    kind_names: tuple[str, ...]  # all kinds in row order, row 1 first
    kind_ids: dict[str, int]  # what an app may record: without the derived kinds
    categories: tuple[str, ...]  # row order, row 1 first
    policy: Policy
    shown_kind: int  # 0 = the scene declares none
    feedback: dict[str, int]  # outcome -> kind id
    model: memoryview
    explainer: memoryview
    golden: tuple[Golden, ...]

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the K objectives, in the order of every (…, K) array."""
        return self.policy.objectives


def read_bundle(path: Path, payload: memoryview) -> Bundle:
    """Parse and check a release's payload.

    Raises:
        BundleDamagedError: it is no Bundle.
        BundleTooNewError: its format is later than this runtime's.
        BundleInvalidError: a field contradicts another.
    """
    try:
        raw = BundleT.InitFromPackedBuf(payload)
    except PARSE_ERRORS as problem:
        raise BundleDamagedError(path, "payload", f"not readable ({problem})") from problem
    if raw.formatVersion > FORMAT_VERSION:
        raise BundleTooNewError(path, raw.formatVersion, FORMAT_VERSION)
    try:
        return _Reader(path, raw).bundle()
    except (*PARSE_ERRORS, KeyError) as problem:
        raise BundleInvalidError(path, "payload", f"{type(problem).__name__}: {problem}") from problem


class _Reader:
    """Walks the object tree that the generated code unpacked, and names the first field that is wrong."""

    def __init__(self, path: Path, raw: BundleT) -> None:
        self.path = path
        self.raw = raw

    def fail(self, field: str, found: str) -> NoReturn:
        raise BundleInvalidError(self.path, field, found)

    def bundle(self) -> Bundle:
        raw = self.raw
        layout = self._layout()
        objectives = tuple(_text(o.name) for o in raw.policy.objectives or [])
        if not objectives or not all(math.isfinite(o.weight) for o in raw.policy.objectives):
            self.fail("policy.objectives", "none, or a weight that is NaN or infinite")
        if raw.model is None or not len(raw.model):
            self.fail("model", "absent")
        kind_names = tuple(_text(kind.name) for kind in raw.kinds)
        used = {raw.shownKind, *(entry.kind for entry in raw.feedback or []), *(cap.kind for cap in layout.caps)}
        if not used <= {0, *layout.kinds}:
            missing = sorted(used - {0, *layout.kinds})
            self.fail("shown_kind, feedback or policy.caps", f"kinds {missing} are not declared")
        recorded = {name: kind.id for name, kind in zip(kind_names, raw.kinds, strict=True) if not kind.derived}
        if not {raw.shownKind, *(entry.kind for entry in raw.feedback or [])} <= {0, *recorded.values()}:
            self.fail("shown_kind or feedback", "a derived kind, which is never recorded")
        policy = self._policy(raw.policy, layout, objectives)
        return Bundle(
            path=self.path,
            scene=_text(raw.scene),
            model_version=_text(raw.modelVersion),
            created_by=_text(raw.createdBy),
            layout=layout,
            kind_names=kind_names,
            kind_ids=recorded,
            categories=tuple(_text(name) for name in raw.categories or []),
            policy=policy,
            shown_kind=raw.shownKind,
            feedback={_text(entry.outcome): entry.kind for entry in raw.feedback or []},
            model=memoryview(raw.model),
            explainer=memoryview(raw.explainer) if raw.explainer is not None else memoryview(b""),
            golden=tuple(self._golden(vector, layout, policy) for vector in raw.golden or []),
        )

    def _layout(self) -> MemoryLayout:
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
        caps = tuple(
            CapRule(cap.kind, bool(cap.per), max(1, cap.limit), cap.withinS, cap.cooldown)
            for cap in raw.policy.caps or []
        )
        return MemoryLayout(
            window=raw.window,
            kinds=kinds,
            items=items,
            offers=offers,
            category_rows=len(raw.categories or []) + 1,
            counter_kinds=raw.counterKinds,
            decays=tuple(self._decay(decay) for decay in raw.decays or []),
            caps=caps,
            derived=self._derived(),
            category_ids=tuple(category_id(_text(name)) for name in raw.categories or []),
        )

    def _derived(self) -> DerivedRules:
        raw = self.raw
        session = None
        if raw.session is not None:
            activity = self._recorded("session.activity", raw.session.activity)
            session = SessionRule(raw.session.startKind, raw.session.endKind, activity, raw.session.gapS)
        dwell, passed_over = [], []
        for index, stay in enumerate(raw.dwell or []):
            of = self._recorded(f"dwell[{index}].of", stay.of)
            activity = self._recorded(f"dwell[{index}].activity", stay.activity)
            dwell.append(DwellRule(stay.kind, of, activity, stay.longestS))
        for index, passed in enumerate(raw.passedOver or []):
            if not passed.count:
                self.fail(f"passed_over[{index}].count", "0")
            seen = self._recorded(f"passed_over[{index}].seen", passed.seen)
            touched = self._recorded(f"passed_over[{index}].touched", passed.touched)
            passed_over.append(PassedOverRule(passed.kind, seen, touched, passed.count))
        rules = DerivedRules(session, tuple(dwell), tuple(passed_over))
        declared = [kind.id for kind in raw.kinds if kind.derived]
        if len(set(rules.kinds)) < len(rules.kinds) or not {*rules.kinds} <= {*declared}:
            found = f"make kinds {[*rules.kinds]}: one twice, or one that is not declared as derived"
            self.fail("session, dwell or passed_over", found)
        if session and not (session.start_kind or session.end_kind):
            self.fail("session.start_kind", "0, and end_kind too")
        return rules

    def _recorded(self, field: str, raw: object) -> frozenset[int]:
        """The kinds that a rule looks at."""
        kinds = frozenset(_array(raw, np.uint16).tolist())
        if not kinds or not kinds <= {kind.id for kind in self.raw.kinds if not kind.derived}:
            self.fail(field, f"{sorted(kinds)}: none, or one that is not declared or itself derived")
        return kinds

    def _vocabulary(self, field: str, raw: VocabularyT) -> Vocabulary:
        ids = _array(raw.ids, np.uint32)
        categories = _array(raw.categories, np.uint16)
        if len(ids) != len(categories) or (len(ids) > 1 and not (ids[1:] > ids[:-1]).all()):
            self.fail(f"{field}.ids", "not ascending, or not as many as categories")
        if len(categories) and categories.max() > len(self.raw.categories or []):
            self.fail(f"{field}.categories", "a row beyond the categories")
        names = raw.names or b""
        if len(ids) != (names.count(b"\n") + 1 if names else 0):
            self.fail(f"{field}.names", f"not as many as the {len(ids)} ids")
        return Vocabulary(ids, names, categories)

    def _decay(self, raw: DecayT) -> DecayTables:
        tables = [_array(t, np.float64) for t in (raw.growCoarse, raw.growFine, raw.fadeCoarse, raw.fadeFine)]
        if any(len(table) != TABLE_SIZE for table in tables) or not raw.tickMs:
            self.fail("decays", f"half_life_s {raw.halfLifeS} has tables of another size")
        return DecayTables(raw.halfLifeS, raw.tickMs, *tables)

    def _policy(self, raw: PolicyT, layout: MemoryLayout, objectives: tuple[str, ...]) -> Policy:
        fields = tuple(
            ContextField(_text(field.name), tuple(_text(value) for value in field.values or []))
            for field in self.raw.context or []
        )
        rows = len(layout.offers) + 1
        times = [_array(t, np.uint32) for t in (self.raw.offers.validFromS, self.raw.offers.validUntilS)]
        if any(len(seconds) != rows - 1 for seconds in times):
            self.fail("offers.valid_from_s", "not as many as offers")
        rules = []
        for rule in raw.eligibility or []:
            mask = np.zeros(rows, np.bool_)
            mask[_array(rule.offers, np.uint16)] = True
            if rule.field >= len(fields):
                self.fail("policy.eligibility.field", str(rule.field))
            rules.append(EligibilityRule(mask, rule.field, frozenset(_array(rule.allowed, np.uint16).tolist())))
        return Policy(
            objectives=objectives,
            weights=np.array([objective.weight for objective in raw.objectives], np.float32),
            context=fields,
            valid_from_ms=np.concatenate([[0], times[0].astype(np.int64) * 1000]),
            valid_until_ms=np.concatenate([[0], times[1].astype(np.int64) * 1000]),
            eligibility=tuple(rules),
        )

    def _golden(self, raw: GoldenT, layout: MemoryLayout, policy: Policy) -> Golden:
        events = raw.events or []
        candidates = _array(raw.candidates, np.int32)
        if len(candidates) and not 0 <= candidates.min() <= candidates.max() <= len(layout.offers):
            self.fail("golden.candidates", "a row beyond the offers")
        c, k = len(candidates), len(policy.objectives)
        return Golden(
            times_ms=tuple(e.timeS * 1000 + e.timeMs for e in events),
            kinds=tuple(e.kind for e in events),
            items=tuple(e.item for e in events),
            values=tuple(e.value for e in events),
            now_ms=raw.nowS * 1000 + raw.nowMs,
            context=self._table("golden.context", raw.context, policy.context_features),
            candidates=candidates,
            base_logits=self._table("golden.base_logits", raw.baseLogits, c, k),
            event_item=_array(raw.eventItem, np.int32),
            event_kind=_array(raw.eventKind, np.int32),
            event_age_s=_array(raw.eventAgeS, np.float32),
            event_value=_array(raw.eventValue, np.float32),
            counters=self._table("golden.counters", raw.counters, c, layout.counter_features),
            logits=self._table("golden.logits", raw.logits, c, k),
        )

    def _table(self, field: str, raw: object, *shape: int) -> F32:
        numbers = _array(raw, np.float32)
        if len(numbers) != math.prod(shape):
            self.fail(field, f"{len(numbers)} numbers, not {math.prod(shape)}")
        return numbers.reshape(shape)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode()


def _array(raw: object, kind: type[T]) -> np.ndarray[tuple[int, ...], np.dtype[T]]:
    """A vector of the file as an array (a view where its type is right); absent = empty."""
    return np.zeros(0, kind) if raw is None else np.asarray(raw, kind)
