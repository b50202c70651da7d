"""From memory and a base decision to a `Decision`: situation, logits, policy (`policy/pipeline.py`)."""

from __future__ import annotations

from math import isfinite
from typing import Final

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.clock import NEVER_MS
from edge_sdk.decision.decision import Decision, Trace
from edge_sdk.decision.request import Request, RequestError, RequestReader
from edge_sdk.errors import ErrorCode
from edge_sdk.limits import MOMENTS_LOOKED_AT, PREPARED_BASES
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.model.inputs import ModelInputs
from edge_sdk.model.session import BoundInputs, ModelSession
from edge_sdk.policy.candidates import CandidateSet, prepare
from edge_sdk.policy.conditions import TargetingContext
from edge_sdk.policy.eligibility import EvaluatedRules
from edge_sdk.policy.pipeline import Arranged, Setting, arrange, base_arranged, dropped, is_plain, still_allowed
from edge_sdk.policy.scoring import fused, price_in_force, warm_up_weight
from edge_sdk.policy.slate_caps import rations
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, Mask, by_score

_COUNTED: Final = int(Reason.CAPPED | Reason.COOLING_DOWN)


class DecisionMaker:
    """Scores and orders for one bundle. Not thread-safe: the ranker's buffers are shared; the engine serialises."""

    def __init__(self, bundle: Bundle, ranker: ModelSession) -> None:
        self._bundle = bundle
        self._policy = bundle.policy
        self._reader = RequestReader(bundle.policy)
        self._ranker = ranker
        self._rations = rations(bundle.policy, bundle.layout.caps)
        self._is_plain = is_plain(bundle.policy, self._rations)
        self._user_machines = [rule.per is Scope.USER for rule in bundle.layout.machines]
        self._prepared: dict[int, CandidateSet] = {}
        self._row_of: dict[str, int] = {}  # offers met so far: a new base need not hash their names again
        self.looks_at_local_time = bool(bundle.policy.quiet_hours)  # any rule does

    def decide(self, memory: Memory, base: BaseDecision, request: Request) -> Decision:
        """The decision; on any trouble the base order with an error code. Never raises for data."""
        prepared, situation, given = self._prepare(base), None, self._reader.no_context
        try:
            chosen, numbers = self._reader.chosen(request.context), self._reader.numbers(request.attributes)
            situation, given = self._situation(memory, request.now_ms, chosen, numbers), chosen
            if not _is_limit(request.limit):
                raise RequestError(ErrorCode.BAD_LIMIT, f"limit {request.limit!r}; pass a whole number or None")
            if prepared.error:
                raise RequestError(prepared.error, prepared.detail)
            return self._adjusted(memory, prepared, request, situation, given)
        except RequestError as trouble:
            code, detail = trouble.code, str(trouble)
        except Exception as problem:  # the promise: ranking answers, whatever happens
            code = ErrorCode.MODEL_FAILED
            detail = f"{type(problem).__name__}: {problem}; report it with the model version"
        if situation is None:  # the context or the attributes are unusable: the rules hold as if none was given
            situation = self._situation(memory, request.now_ms, given, self._reader.no_numbers)
        return self._base_order(memory, prepared, request, situation, given, code, detail)

    def is_still_valid(self, memory: Memory, decision: Decision, now_ms: int, utc_offset_s: int) -> bool:
        """Whether its list may be shown again: no rule would take an offer out now, and the user's situation is the
        same."""
        trace = decision.trace
        if trace is None or trace.policy is not self._policy:
            return False
        situation = self._situation(memory, now_ms, trace.given, trace.situation.numbers)
        if situation != trace.situation:
            return False
        prepared = self._prepare(decision.base)
        evaluated = prepared.evaluated(self._policy, memory, situation, now_ms)
        setting = self._setting(memory, prepared, evaluated, now_ms, utc_offset_s, decision.limit)
        return still_allowed(setting, decision.standing)

    def prepared(self, base: BaseDecision) -> CandidateSet:
        """A base decision made ready: to explain a decision."""
        return self._prepare(base)

    def fill(self, inputs: ModelInputs, memory: Memory, decision: Decision) -> None:
        """Write everything that the decision was made from into `inputs`."""
        trace = decision.trace
        assert trace is not None
        one_hot = self._reader.one_hot(trace.situation.context)
        _fill_rows(inputs, memory, self._prepare(decision.base), decision.time_ms, one_hot, trace.weights)

    def forget(self) -> None:
        """Drop what is kept of earlier decisions."""
        self._prepared.clear()
        self._reader.forget()
        self._ranker.forget()

    # ---- below: helpers ----

    def _prepare(self, base: BaseDecision) -> CandidateSet:
        prepared = self._prepared.get(id(base))
        if prepared is None:  # `prepared.base` keeps the object alive, so its id cannot come to mean another
            if len(self._prepared) >= PREPARED_BASES:
                del self._prepared[next(iter(self._prepared))]
            prepared = prepare(base, self._bundle.layout, self._policy, self._row_of)
            self._prepared[id(base)] = prepared
        return prepared

    def _situation(
        self, memory: Memory, now_ms: int, given: tuple[int, ...], numbers: tuple[float, ...]
    ) -> TargetingContext:
        """What conditions look at; a machine gives its context field where the app does not."""
        if not self._user_machines:
            return TargetingContext(given, (), numbers)
        state = memory.machines.state
        states = tuple([state(index, now_ms) if is_user else -1 for index, is_user in enumerate(self._user_machines)])
        context = given
        for machine, field, values in self._bundle.machine_fields:
            if given[field] < 0:
                context = (*context[:field], values[states[machine]], *context[field + 1 :])
        return TargetingContext(context, states, numbers)

    def _setting(
        self,
        memory: Memory,
        prepared: CandidateSet,
        evaluated: EvaluatedRules,
        now_ms: int,
        utc_offset_s: int,
        limit: int | None,
        seed: int = 0,
        number: int = 0,
    ) -> Setting:
        policy = self._policy
        price, left = policy.cost_weight, float("inf")
        if policy.budget is not None:
            spent = memory.spent(now_ms)
            price, left = price_in_force(price, policy.budget, spent, now_ms), max(0.0, policy.budget.amount - spent)
        is_plain = self._is_plain and evaluated.boost is None and not evaluated.pins and not prepared.has_repeats
        return Setting(
            policy,
            self._rations,
            is_plain,
            prepared,
            memory,
            evaluated,
            now_ms,
            utc_offset_s,
            price,
            left,
            limit,
            seed,
            number,
        )

    def _adjusted(
        self,
        memory: Memory,
        prepared: CandidateSet,
        request: Request,
        situation: TargetingContext,
        given: tuple[int, ...],
    ) -> Decision:
        policy, now_ms, own = self._policy, request.now_ms, request.weights
        evaluated = prepared.evaluated(policy, memory, situation, now_ms)
        weights = evaluated.weights if own is None else self._reader.weights(own)
        call = self._ranker.bound_inputs(len(prepared.rows))
        self._fill(call, memory, prepared, now_ms, self._reader.one_hot(situation.context), weights)
        call.run()
        if own is None:
            scores = fused(call.logits, weights)
            base, base_ranking = prepared.weighted_by(weights)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                base, scores = fused(prepared.logits, weights), fused(call.logits, weights)
            base_ranking = by_score(base)
        if not _are_finite(scores):
            if own is not None and np.isfinite(call.logits).all():
                raise RequestError(ErrorCode.BAD_WEIGHTS, f"weights {own!r} overflow; pass smaller ones")
            raise RequestError(ErrorCode.MODEL_FAILED, "the model gave NaN or infinity; export it again")
        setting = self._setting(
            memory, prepared, evaluated, now_ms, request.utc_offset_s, request.limit, request.seed, request.number
        )
        model_weight = warm_up_weight(policy, call.event_count()) if policy.full_events else 1.0
        arranged = arrange(setting, base, scores, model_weight)
        if arranged.stages.final is not scores and not _are_finite(arranged.stages.final):
            raise RequestError(ErrorCode.MODEL_FAILED, "boosts, price or costs overflow; make them smaller")
        rule = evaluated.weight_rule if own is None else ""
        trace = Trace(
            request.last_seq,
            request.generation,
            policy,
            situation,
            given,
            weights,
            rule,
            model_weight,
            setting.cost_weight,
            setting.budget_left,
            request.utc_offset_s,
        )
        return self._decision(setting, arranged, base_ranking, given, trace=trace)

    def _base_order(
        self,
        memory: Memory,
        prepared: CandidateSet,
        request: Request,
        situation: TargetingContext,
        given: tuple[int, ...],
        code: ErrorCode,
        detail: str,
    ) -> Decision:
        limit = request.limit if _is_limit(request.limit) else None
        now_ms = request.now_ms
        evaluated = prepared.evaluated(self._policy, memory, situation, now_ms)
        setting = self._setting(
            memory, prepared, evaluated, now_ms, request.utc_offset_s, limit, request.seed, request.number
        )
        arranged = base_arranged(setting)
        return self._decision(
            setting, arranged, prepared.order, given, error=code, detail=detail, known=prepared.rows > 0
        )

    def _decision(
        self,
        setting: Setting,
        arranged: Arranged,
        base_ranking: I64,
        given: tuple[int, ...],
        *,
        error: ErrorCode = ErrorCode.NONE,
        detail: str = "",
        known: Mask | None = None,
        trace: Trace | None = None,
    ) -> Decision:
        bundle, prepared = self._bundle, setting.prepared
        return Decision(
            id=setting.number,
            time_ms=setting.now_ms,
            scene=bundle.scene,
            model_version=bundle.model_version,
            policy_version=self._policy.version,
            error=error,
            detail=detail,
            base=prepared.base,
            stages=arranged.stages,
            base_ranking=base_ranking,
            dropped_bits=arranged.dropped_bits,
            standing=arranged.standing,
            pinned=arranged.pinned,
            draw=arranged.draw,
            costs=prepared.costs,
            known=known,
            limit=setting.limit,
            retry_at_ms=None if len(arranged.standing) else self._retry_at_ms(setting, arranged, given),
            trace=trace,
        )

    def _retry_at_ms(self, setting: Setting, arranged: Arranged, given: tuple[int, ...]) -> int | None:
        """Where nobody stands, the first moment at which time alone lets one stand.

        When one rule lets go another may hold by then, so each moment is looked at anew.
        """
        memory, prepared, bits = setting.memory, setting.prepared, arranged.dropped_bits
        for _ in range(MOMENTS_LOOKED_AT):
            at_ms = None if bits is None else self._first_free_ms(setting, bits, given)
            if at_ms is None:
                return None
            situation = self._situation(memory, at_ms, given, setting.evaluated.situation.numbers)
            evaluated = prepared.evaluated(self._policy, memory, situation, at_ms)
            setting = self._setting(memory, prepared, evaluated, at_ms, setting.utc_offset_s, setting.limit)
            bits, _ = dropped(setting)
            if bits is None or not bits.all():
                return at_ms
        return None  # such as quiet hours all around the clock

    def _first_free_ms(self, setting: Setting, bits: I64, given: tuple[int, ...]) -> int | None:
        """When the rules that hold one of the candidates now have let it go, if only time passes; all are dropped."""
        prepared, now_ms = setting.prepared, setting.now_ms
        ends = setting.memory.caps.free_at(prepared.cap_cells, now_ms)
        # Of most candidates caps and cooldowns are all there is to say; rules are named only for the others.
        is_counted = ((bits & ~_COUNTED) == 0) & (ends > 0)
        first = int(ends[is_counted].min(initial=NEVER_MS))
        if not is_counted.all():
            from edge_sdk.policy.suppressions import Held, Suppressions  # seldom needed: 2 ms of an import

            held = Held(
                setting.policy,
                setting.memory,
                prepared.candidates,
                setting.evaluated.situation,
                given,
                self._bundle.machine_fields,
                now_ms,
                setting.utc_offset_s,
                prepared.costs,
            )
            found = Suppressions.found(held, np.where(is_counted, 0, bits)).first_free_ms()
            first = first if found is None else min(first, found)
        return None if first >= NEVER_MS else first

    def _fill(
        self, call: BoundInputs, memory: Memory, prepared: CandidateSet, now_ms: int, one_hot: F32, weights: F32
    ) -> None:
        if call.reads_rows:
            _fill_rows(call.inputs, memory, prepared, now_ms, one_hot, weights)
            return
        call.set_events(memory.window, now_ms)
        memory.counters.fill(now_ms, prepared.slots, call.counters)
        call.set_candidates(prepared.rows, prepared.logits, one_hot)


def _fill_rows(
    inputs: ModelInputs, memory: Memory, prepared: CandidateSet, now_ms: int, one_hot: F32, weights: F32
) -> None:
    memory.fill_window(now_ms, inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)
    memory.fill_counters(now_ms, prepared.slots, inputs.counters)
    inputs.context[:] = one_hot
    inputs.candidate[:] = prepared.rows
    inputs.base_logits[:] = prepared.logits
    inputs.weights[:] = weights


def _are_finite(scores: F32) -> bool:
    """Their squares' sum is finite if they are, unless they are absurd; looking at each takes 5% of a decision more."""
    return isfinite(scores.dot(scores)) or bool(np.isfinite(scores).all())


def _is_limit(limit: object) -> bool:
    return limit is None or (isinstance(limit, int) and not isinstance(limit, bool))
