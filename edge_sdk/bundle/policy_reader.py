"""Reads a policy: checks each field against the scene's symbols and compiles the rules.

The writer is cloud_export/scene/policy_table.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np

from edge_sdk.bundle.bounds import at_most, check_caps
from edge_sdk.bundle.checked_tables import MalformedFileError, unpacked
from edge_sdk.bundle.container import PARSE_ERRORS, POLICY, check_container
from edge_sdk.bundle.policy_symbols import Fail, PolicySymbols, RuleReader, decoded, numbers, single
from edge_sdk.errors import BundleDamagedError, BundleTooNewError, PolicyInvalidError
from edge_sdk.limits import (
    KINDS_MAX,
    NUMBER_MAX,
    POLICY_BYTES_MAX,
    POLICY_VERSION,
    RULES_MAX,
    TEMPERATURE_MIN,
)
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.spending import UNITS_PER_ONE, WEEK_S, Periods
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.conditions import Conditions, ContextCondition, OfferSelector
from edge_sdk.policy.frequency_caps import FrequencyCap
from edge_sdk.policy.rules import (
    NO_LIMIT,
    Boost,
    Budget,
    DropRule,
    Exploration,
    Explore,
    Pin,
    Policy,
    QuietHours,
    WeightRule,
)
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import CapT, CategoryLimitT, ExplorationT, PolicyT


MINUTES: Final = 1440  # of a day
_BY_OPERATOR, _BY_USER = 0, 1


def read_policy(raw: PolicyT, symbols: PolicySymbols, fail: Fail) -> Policy:
    """Checks and compiles a policy.

    Offers and categories that the scene does not know match nothing; any other unknown name, and any number without a
    meaning, is refused.

    Args:
        raw: the table.
        symbols: the names and ids that the policy may refer to.
        fail: raises the error for a field's path and the value found there.
    """
    return _PolicyReader(raw, symbols, fail).policy()


def read_policy_file(
    source: str, data: bytes, scene: str, symbols: PolicySymbols, *, trusted_keys: Sequence[bytes], allow_unsigned: bool
) -> Policy:
    """Checks and compiles a policy file, as `cloud-export policy` makes it.

    Args:
        source: the file's name, for messages.
        data: the file's bytes.
        scene: name of the installed bundle's scene.
        symbols: the names and ids that a policy of that scene may refer to.
        trusted_keys: raw Ed25519 public keys, 32 bytes each; one of them must have signed.
        allow_unsigned: accept the file without checking its signatures.

    Raises:
        BundleDamagedError: the file is truncated, altered or no policy.
        BundleUntrustedError: no trusted key signed the file.
        BundleTooNewError: the file's format is later than this runtime's.
        PolicyInvalidError: the policy is of another scene, or a field of it does not fit the bundle.
    """

    def fail(field: str, found: str) -> NoReturn:
        raise PolicyInvalidError(source, field, found)

    if len(data) > POLICY_BYTES_MAX:
        raise BundleDamagedError(source, "size", f"{len(data)} bytes, at most {POLICY_BYTES_MAX}", is_policy=True)
    view = memoryview(data)
    payload = check_container(source, view, identifier=POLICY, trusted_keys=trusted_keys, allow_unsigned=allow_unsigned)
    try:
        raw = unpacked(payload, "PolicyFile", {})
    except MalformedFileError as problem:
        raise BundleDamagedError(source, "payload", f"not readable ({problem})", is_policy=True) from problem
    if raw.formatVersion > POLICY_VERSION:
        raise BundleTooNewError(source, raw.formatVersion, POLICY_VERSION)
    try:
        if decoded(raw.scene) != scene:
            fail("scene", f"{decoded(raw.scene)!r}, and the bundle is of {scene!r}")
        if raw.policy is None:
            fail("policy", "absent")
        return read_policy(raw.policy, symbols, fail)
    except PARSE_ERRORS as problem:
        raise PolicyInvalidError(source, "policy", f"{type(problem).__name__}: {problem}") from problem


class _PolicyReader:
    def __init__(self, raw: PolicyT, symbols: PolicySymbols, fail: Fail) -> None:
        self.raw = raw
        self.symbols = symbols
        self.fail = fail
        self.rules = RuleReader(symbols, fail)

    def policy(self) -> Policy:
        raw, symbols = self.raw, self.symbols
        self._check_rules()
        budget = self._budget()
        if raw.minEvents > raw.fullEvents or raw.fullEvents > symbols.window:
            found = f"{raw.minEvents}, full_events {raw.fullEvents}, in a window of {symbols.window}"
            self.fail("policy.min_events", found)
        return Policy(
            objectives=symbols.objectives,
            weights=self._weights(),
            context=symbols.context,
            valid_from_ms=symbols.valid_from_ms,
            valid_until_ms=symbols.valid_until_ms,
            offer_costs=symbols.offer_costs,
            version=raw.version,
            channels=symbols.channels,
            variants=symbols.variants,
            attributes=symbols.attributes,
            drops=(*self._former_eligibility(), *self._eligibility(), *self._blocks()),
            caps=self._caps(),
            quiet_hours=tuple(self._quiet_hours()),
            weight_rules=tuple(self._weight_rules()),
            boosts=tuple(self._boosts()),
            min_events=raw.minEvents,
            full_events=raw.fullEvents,
            max_score_change=None
            if raw.maxScoreChange is None
            else self._amount("max_score_change", raw.maxScoreChange),
            max_rank_change=raw.maxRankChange,
            cost_weight=self._amount("cost_weight", raw.costWeight),
            budget=budget,
            diversity=self._amount("diversity", raw.diversity),
            minimum_score=None if raw.minimumScore is None else self._finite("minimum_score", raw.minimumScore),
            retry_after_s=raw.retryAfterS,
            exploration=self._exploration(raw.exploration),
            category_limits=self._category_limits(raw.categoryLimits),
            pins=tuple(self._pins()),
            time_zone=decoded(raw.timeZone or b""),
        )

    def _check_rules(self) -> None:
        raw = self.raw
        lists = (
            raw.eligibility,
            raw.rules,
            raw.blocks,
            raw.quietHours,
            raw.weightRules,
            raw.boosts,
            raw.pins,
            raw.caps,
        )
        at_most(sum(len(rules or ()) for rules in lists), RULES_MAX, "policy, rules of all kinds", self.fail)

    # ---- numbers ----

    def _finite(self, field: str, value: float) -> float:
        rounded = single(value)
        if not math.isfinite(rounded):
            self.fail(f"policy.{field}", f"{rounded:g}, not a finite number")
        if abs(rounded) > NUMBER_MAX:
            self.fail(f"policy.{field}", f"{rounded:g}, beyond {NUMBER_MAX:g}")
        return rounded

    def _amount(self, field: str, value: float) -> float:
        rounded = self._finite(field, value)
        if rounded < 0:
            self.fail(f"policy.{field}", f"{rounded:g}, below 0")
        return rounded

    def _weights(self) -> F32:
        given = tuple(decoded(objective.name) for objective in self.raw.objectives or ())
        if given != self.symbols.objectives:
            found = f"{', '.join(given) or 'none'}; the bundle has {', '.join(self.symbols.objectives)}"
            self.fail("policy.objectives", found)
        return self._all_finite("objectives", [objective.weight for objective in self.raw.objectives])

    def _all_finite(self, field: str, values: Sequence[float]) -> F32:
        return np.array([self._finite(f"{field}[{index}]", value) for index, value in enumerate(values)], np.float32)

    # ---- rules about candidates ----

    def _former_eligibility(self) -> Iterator[DropRule]:
        """Eligibility by rows and indices, as in bundles of edge-sdk 0.1."""
        for index, rule in enumerate(self.raw.eligibility or ()):
            name = f"eligibility[{index}]"
            mask = np.zeros(len(self.symbols.candidate_categories), np.bool_)
            rows, allowed = numbers(rule.offers, np.uint16), numbers(rule.allowed, np.uint16)
            if len(rows) and int(rows.max()) > len(self.symbols.offers):
                self.fail(f"policy.{name}.offers", f"row {rows.max()} of {len(self.symbols.offers)}")
            mask[rows.tolist()] = True
            if rule.field >= len(self.symbols.context):
                self.fail(f"policy.{name}.field", str(rule.field))
            when = Conditions((ContextCondition(rule.field, frozenset(allowed.tolist())),))
            yield DropRule(name, OfferSelector(offers=mask), when, drops_when=False, reason=Reason.NOT_ELIGIBLE)

    def _eligibility(self) -> Iterator[DropRule]:
        for index, rule in enumerate(self.raw.rules or ()):
            field = f"policy.eligibility[{index}]"
            about, when = self.rules.selection(field, rule.selection), self.rules.when(field, rule.when)
            yield DropRule(decoded(rule.name), about, when, drops_when=False, reason=Reason.NOT_ELIGIBLE)

    def _blocks(self) -> Iterator[DropRule]:
        for index, rule in enumerate(self.raw.blocks or ()):
            field = f"policy.blocks[{index}]"
            about, when = self.rules.selection(field, rule.selection), self.rules.when(field, rule.when)
            reason = Reason.HIDDEN if self._by_user(field, rule.by) else Reason.BLOCKED
            yield DropRule(decoded(rule.name), about, when, drops_when=True, reason=reason)

    def _boosts(self) -> Iterator[Boost]:
        for index, rule in enumerate(self.raw.boosts or ()):
            field = f"policy.boosts[{index}]"
            about, when = self.rules.selection(field, rule.selection), self.rules.when(field, rule.when)
            add = np.float32(self._finite(f"boosts[{index}].add", rule.add))
            yield Boost(decoded(rule.name), about, when, add)

    def _pins(self) -> Iterator[Pin]:
        for index, rule in enumerate(self.raw.pins or ()):
            field = f"policy.pins[{index}]"
            for name, number in (("place", rule.place), ("count", rule.count)):
                if number < 1:
                    self.fail(f"{field}.{name}", str(number))
            about, when = self.rules.selection(field, rule.selection), self.rules.when(field, rule.when)
            by_user = self._by_user(field, rule.by)
            yield Pin(decoded(rule.name), about, when, rule.place - 1, rule.count, by_user)

    def _by_user(self, field: str, party: int) -> bool:
        if party not in (_BY_OPERATOR, _BY_USER):
            self.fail(f"{field}.by", str(party))
        return party == _BY_USER

    # ---- other rules ----

    def _weight_rules(self) -> Iterator[WeightRule]:
        for index, rule in enumerate(self.raw.weightRules or ()):
            field = f"weight_rules[{index}]"
            given = numbers(rule.weights, np.float32).tolist()
            if len(given) != len(self.symbols.objectives):
                self.fail(f"policy.{field}.weights", f"{len(given)} numbers, not {len(self.symbols.objectives)}")
            when = self.rules.when(f"policy.{field}", rule.when, of_user_only=True)
            yield WeightRule(decoded(rule.name), when, self._all_finite(f"{field}.weights", given))

    def _quiet_hours(self) -> Iterator[QuietHours]:
        for index, rule in enumerate(self.raw.quietHours or ()):
            field, start, end = f"policy.quiet_hours[{index}]", rule.fromMinute, rule.untilMinute
            if max(start, end) >= MINUTES or start == end:
                self.fail(f"{field}.from_minute", f"{start}, until_minute {end}: two different minutes of a day")
            channels = self.rules.channels(f"{field}.channels", rule.channels)
            yield QuietHours(decoded(rule.name), channels, start, end)

    def _caps(self) -> tuple[FrequencyCap, ...]:
        caps = tuple(self._cap(f"policy.caps[{index}]", cap) for index, cap in enumerate(self.raw.caps or ()))
        check_caps(caps, len(self.symbols.offers) + 1, len(self.symbols.category_ids) + 1, self.fail)
        return caps

    def _cap(self, field: str, raw: CapT) -> FrequencyCap:
        at_most(len(numbers(raw.moreKinds, np.uint16)), KINDS_MAX, f"{field}.more_kinds", self.fail)
        kinds = (raw.kind, *numbers(raw.moreKinds, np.uint16).tolist())
        for kind in kinds:
            if kind not in self.symbols.kinds:
                self.fail(f"{field}.kind", f"{kind} is not the id of a declared kind")
        if raw.per not in tuple(Scope):
            self.fail(f"{field}.per", str(raw.per))
        channels = self.rules.channels(f"{field}.channels", raw.channels) or frozenset()
        name = decoded(raw.name) or field.removeprefix("policy.")
        limit = max(1, raw.limit)  # as docs/format.md has always said
        counted = CapRule(tuple(sorted(kinds)), Scope(raw.per), limit, raw.withinS, raw.cooldown)
        return FrequencyCap(counted, name, channels)

    def _budget(self) -> Budget | None:
        raw = self.raw.budget
        if raw is None:
            return None
        if raw.periodS < 1:
            self.fail("policy.budget.period_s", str(raw.periodS))
        if not self.symbols.shown_kinds:
            self.fail("policy.budget", "given, and no kind of event says that an offer was shown")
        amount = self._amount("budget.amount", raw.amount)
        gain = self._amount("budget.pacing_gain", raw.pacingGain)
        if raw.isLocal and raw.periodS > WEEK_S:
            self.fail("policy.budget.is_local", f"in periods of {raw.periodS} s; at most a week is local")
        periods = Periods(raw.periodS, raw.firstS, raw.isLocal)
        return Budget(amount, periods, gain, self.symbols.shown_kinds, raw.unitsPerOne or UNITS_PER_ONE)

    def _exploration(self, raw: ExplorationT | None) -> Exploration:
        mode = Explore.OFF if raw is None else raw.mode
        if raw is None or mode == Explore.OFF:
            return Exploration()
        if mode == Explore.EPSILON_GREEDY:
            epsilon = self._amount("exploration.epsilon", raw.epsilon)
            if epsilon > 1:
                self.fail("policy.exploration.epsilon", f"{epsilon:g}, above 1")
            return Exploration(Explore.EPSILON_GREEDY, epsilon=epsilon)
        if mode != Explore.SOFTMAX:
            self.fail("policy.exploration.mode", str(mode))
        temperature = self._amount("exploration.temperature", raw.temperature)
        if temperature < TEMPERATURE_MIN:
            self.fail("policy.exploration.temperature", f"{temperature:g}, below {TEMPERATURE_MIN:g}")
        return Exploration(Explore.SOFTMAX, temperature=temperature)

    def _category_limits(self, raw: Sequence[CategoryLimitT] | None) -> I64 | None:
        """Limits by category row; that of category 0 is for each category without its own."""
        if not raw:
            return None
        given = {entry.category: entry.limit for entry in raw}
        if min(given.values()) < 1:
            self.fail("policy.category_limits", "a limit of 0")
        others = given.get(0, NO_LIMIT)
        limits = [given.get(identifier, others) for identifier in self.symbols.category_ids]
        return np.array([NO_LIMIT, *limits], np.int64)
