"""The decision maker: makes a `Decision` from memory and a base decision, by the model and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Final

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.clock import NEVER_MS, LocalTime
from edge_sdk.decision.candidate_cache import CachedCandidates, CandidateCache
from edge_sdk.decision.decision import Decision, Trace
from edge_sdk.decision.evidence import Evidence, EvidenceStore
from edge_sdk.decision.request import RequestError, RequestReader, understood_limit, whole_limit
from edge_sdk.errors import ErrorCode
from edge_sdk.limits import MOMENTS_LOOKED_AT
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.state_machines import UserStates
from edge_sdk.model.inputs import ModelInputs
from edge_sdk.model.session import BoundInputs, ModelSession
from edge_sdk.policy.candidates import CandidateSet
from edge_sdk.policy.compiled import CompiledPolicy
from edge_sdk.policy.conditions import TargetingContext
from edge_sdk.policy.pipeline import (
    PolicyInputs,
    PolicyResult,
    Request,
    Spend,
    apply_policy,
    apply_without_model,
    is_still_allowed,
    suppressed,
)
from edge_sdk.policy.rules import Budget
from edge_sdk.policy.scoring import current_cost_weight, fused, warm_up_weight
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, by_score

_NO_BUDGET: Final = float("inf")
_NO_STATES: Final[UserStates] = ()
_COUNTED: Final = int(Reason.CAPPED | Reason.COOLING_DOWN)


class DecisionMaker:
    """Makes the decisions of one bundle. Not thread-safe: the engine serialises, as session buffers are shared."""

    def __init__(self, bundle: Bundle, session: ModelSession, evidence: EvidenceStore) -> None:
        """Compiles the bundle's policy.

        Args:
            bundle: has the policy in force.
            session: of the bundle's model.
            evidence: the engine's evidence, which outlives a change of policy.
        """
        self._bundle, self._session, self._evidence = bundle, session, evidence
        self.policy = CompiledPolicy(bundle.policy, bundle.layout)
        self._reader = RequestReader(bundle.policy)
        self._cache = CandidateCache(bundle.layout, self.policy)
        self._has_machines = bool(bundle.layout.machines)
        self._unbudgeted = Spend(bundle.policy.cost_weight, _NO_BUDGET)
        self.reads_local_time = self.policy.reads_local_time

    def decide(
        self,
        memory: Memory,
        base: BaseDecision,
        request: Request,
        given: Mapping[str, str] | None = None,
        attributes: Mapping[str, float] | None = None,
        weights: Mapping[str, float] | None = None,
        problem: RequestError | None = None,
    ) -> Decision:
        """Returns the decision; on any problem the base order with an error code. No data makes it raise.

        Args:
            memory: of the user.
            base: the cloud's ranking.
            request: when and for which list; its limit is as the app gave it.
            given: the context that the app passed.
            attributes: the scene's attributes that the app passed.
            weights: objective weights in the place of the policy's.
            problem: with the time of the request; None = none. The answer is then the base order.
        """
        cached, reader, context = self._cache.of(base), self._reader, None
        chosen, user_states = reader.no_context, _NO_STATES
        try:
            asked, numbers = reader.chosen(given), reader.numbers(attributes)
            context, user_states = self._context(memory, request.now_ms, asked, numbers)
            chosen = asked
            if problem is not None:
                raise problem
            if request.limit is not None and request.limit.__class__ is not int:
                request = request._replace(limit=whole_limit(request.limit))
            if cached.candidates.error:
                raise RequestError(cached.candidates.error, cached.candidates.detail)
            inputs = self.policy_inputs(memory, cached, context, request)
            return self._adjusted(inputs, cached, chosen, user_states, weights)
        except RequestError as found:
            code, detail = found.code, str(found)
        except Exception as found:  # `rank` always returns a decision
            code = ErrorCode.MODEL_FAILED
            detail = f"{type(found).__name__}: {found}; report it with the model version"
        if context is None:  # context or attributes are unusable: rules are evaluated without them
            context, _ = self._context(memory, request.now_ms, chosen, reader.no_numbers)
        request = request._replace(limit=understood_limit(request.limit))
        return self._base_order(self.policy_inputs(memory, cached, context, request), chosen, code, detail)

    def is_still_valid(self, memory: Memory, decision: Decision, now_ms: int, local: LocalTime) -> bool:
        """Returns whether a decision's list may be shown again.

        It may if no rule would suppress one of its offers now and the user's context is the same.
        """
        evidence = decision.trace.evidence
        if evidence is None or evidence.inputs.policy is not self.policy:
            return False
        former = evidence.inputs.evaluated.context
        context, _ = self._context(memory, now_ms, evidence.given, former.numbers)
        if context != former:
            return False
        request = evidence.inputs.request._replace(now_ms=now_ms, local=local)
        inputs = self.policy_inputs(memory, self._cache.of(decision.base), context, request)
        return is_still_allowed(inputs, decision.trace.result.eligible_order)

    def policy_inputs(
        self, memory: Memory, cached: CachedCandidates, context: TargetingContext, request: Request
    ) -> PolicyInputs:
        """Returns everything that the steps of the policy read at this moment."""
        budget = self.policy.rules.budget
        spend = self._unbudgeted
        if budget is not None:
            spend = current_spend(spend.cost_weight, budget, memory, request)
        return PolicyInputs(
            policy=self.policy,
            candidates=cached.candidates,
            evaluated=cached.evaluated(memory, context, request.now_ms),
            memory=memory,
            request=request,
            spend=spend,
        )

    def cached(self, base: BaseDecision) -> CachedCandidates:
        """Returns the candidate set of a base decision: for benchmarks and explanations."""
        return self._cache.of(base)

    def forget(self) -> None:
        """Overwrites and drops everything kept of earlier decisions, including their evidence."""
        self._evidence.erase()
        self._cache.clear()
        self._reader.forget()
        self._session.forget()

    # ---- helpers ----

    def _context(
        self, memory: Memory, now_ms: int, given: tuple[int, ...], numbers: tuple[float, ...]
    ) -> tuple[TargetingContext, UserStates]:
        """Returns what conditions read, and the states behind it before time steps them.

        A machine sets its context field where the app passes none.
        """
        if not self._has_machines:
            return TargetingContext(given, (), numbers), _NO_STATES
        states, entered = memory.machines.user_states(now_ms)
        context = given
        for machine, field, values in self._bundle.machine_fields:
            if given[field] < 0:
                context = (*context[:field], values[states[machine]], *context[field + 1 :])
        return TargetingContext(context, states, numbers), entered

    def _adjusted(
        self,
        inputs: PolicyInputs,
        cached: CachedCandidates,
        given: tuple[int, ...],
        user_states: UserStates,
        own: Mapping[str, float] | None,
    ) -> Decision:
        """Returns the decision by the model and the whole policy."""
        evaluated, memory = inputs.evaluated, inputs.memory
        weights = evaluated.weights if own is None else self._reader.weights(own)
        one_hot = self._reader.one_hot(evaluated.context.context)
        call = self._session.bound_inputs(len(inputs.candidates.order))
        self.fill_inputs(call, inputs, one_hot, weights)
        call.run()
        base, base_order, model = _scores(call.logits, cached, weights, own)
        policy = self.policy.rules
        model_weight = warm_up_weight(policy, call.event_count()) if policy.full_events else 1.0
        result = apply_policy(inputs, base, model, model_weight)
        final = result.stages.final
        if final is not model and not _are_finite(final):
            raise RequestError(ErrorCode.MODEL_FAILED, "boosts, price or costs overflow; make them smaller")
        evidence = Evidence(
            inputs,
            given,
            self._evidence.window(memory.window),
            bytearray(call.counter_bytes),
            one_hot,
            weights,
            user_states=user_states,
            free_at_ms=inputs.evaluated.free_at_ms,
        )
        self._evidence.add(evidence)
        trace = Trace(
            result,
            base_order,
            inputs.candidates.costs,
            inputs.candidates.known,
            inputs.request.limit,
            evaluated.weight_rule if own is None else "",
            model_weight,
            evidence=evidence,
        )
        return self.build_decision(inputs, given, trace)

    def _base_order(self, inputs: PolicyInputs, given: tuple[int, ...], code: ErrorCode, detail: str) -> Decision:
        """Returns the base order under every rule that suppresses, and the slate's rules."""
        candidates = inputs.candidates
        trace = Trace(
            result=apply_without_model(inputs),
            base_order=candidates.order,
            costs=candidates.costs,
            known=candidates.known,
            limit=inputs.request.limit,
        )
        return self.build_decision(inputs, given, trace, code, detail)

    def build_decision(
        self,
        inputs: PolicyInputs,
        given: tuple[int, ...],
        trace: Trace,
        error: ErrorCode = ErrorCode.NONE,
        detail: str = "",
    ) -> Decision:
        """Returns the record that `rank` answers with."""
        bundle, result, request = self._bundle, trace.result, inputs.request
        return Decision(
            id=request.number,
            time_ms=request.now_ms,
            scene=bundle.scene,
            model_version=bundle.model_version,
            policy_version=self.policy.rules.version,
            error=error,
            detail=detail,
            base=inputs.candidates.base,
            retry_at_ms=None if len(result.eligible_order) else self._retry_at_ms(inputs, result, given),
            trace=trace,
        )

    def _retry_at_ms(self, inputs: PolicyInputs, result: PolicyResult, given: tuple[int, ...]) -> int | None:
        """Returns the first moment at which time alone makes a candidate eligible, where none is now.

        When one rule frees a candidate, another may suppress it by then, so the rules are evaluated at each moment.
        """
        memory, bits = inputs.memory, result.dropped_bits
        cached, numbers = self._cache.of(inputs.candidates.base), inputs.evaluated.context.numbers
        for _ in range(MOMENTS_LOOKED_AT):
            at_ms = None if bits is None else self._first_free_ms(inputs, bits, given)
            if at_ms is None:
                return None
            context, _states = self._context(memory, at_ms, given, numbers)
            inputs = self.policy_inputs(memory, cached, context, inputs.request._replace(now_ms=at_ms))
            bits = suppressed(inputs).bits
            if bits is None or not bits.all():
                return at_ms
        return None  # such as quiet hours all around the clock

    def _first_free_ms(self, inputs: PolicyInputs, bits: I64, given: tuple[int, ...]) -> int | None:
        """Returns when time alone makes the first candidate eligible; all are suppressed now. None = never."""
        candidates, now_ms = inputs.candidates, inputs.request.now_ms
        free_at_ms = inputs.memory.caps.free_times(candidates.cap_cells)
        ends = self.policy.caps.capped_until(free_at_ms, now_ms).max(axis=0, initial=0)
        # Most candidates are suppressed by caps and cooldowns alone; the other rules are evaluated only for the rest.
        is_counted = ((bits & ~_COUNTED) == 0) & (ends > 0)
        first = int(ends[is_counted].min(initial=NEVER_MS))
        if not is_counted.all():
            # Rarely needed, and the import takes 2 ms.
            from edge_sdk.policy.suppressions import SuppressionInputs, Suppressions

            suppression_inputs = SuppressionInputs(
                policy=self.policy,
                candidates=candidates.candidates,
                context=inputs.evaluated.context,
                given=given,
                machine_fields=self._bundle.machine_fields,
                states=inputs.memory.machines,
                free_at_ms=free_at_ms,
                request=inputs.request,
                costs=candidates.costs,
            )
            other = Suppressions.found(suppression_inputs, np.where(is_counted, 0, bits)).first_free_ms()
            first = first if other is None else min(first, other)
        return None if first >= NEVER_MS else first

    def fill_inputs(self, call: BoundInputs, inputs: PolicyInputs, one_hot: F32, weights: F32) -> None:
        """Writes the graph's inputs into its bound arrays."""
        candidates, memory, now_ms = inputs.candidates, inputs.memory, inputs.request.now_ms
        if call.reads_rows:
            raw = call.inputs
            memory.fill_window(now_ms, raw.event_item, raw.event_kind, raw.event_age_s, raw.event_value)
            memory.counters.fill(now_ms, candidates.slots, raw.counters)
            fill_candidates(raw, candidates, one_hot, weights)
            return
        call.set_events(memory.window, now_ms)
        memory.counters.fill(now_ms, candidates.slots, call.counters)
        call.set_candidates(candidates.rows, candidates.logits, one_hot)


def current_spend(cost_weight: float, budget: Budget, memory: Memory, request: Request) -> Spend:
    """Returns λ at the moment of a request, and what the budget has left."""
    offset_s = request.local.offset_at(request.now_ms)
    spent = memory.spent(request.now_ms, offset_s)
    if budget.pacing_gain:
        cost_weight = current_cost_weight(cost_weight, budget, spent, budget.periods.elapsed(request.now_ms, offset_s))
    return Spend(cost_weight, float(max(0, budget.amount_units - spent)))


def fill_candidates(inputs: ModelInputs, candidates: CandidateSet, one_hot: F32, weights: F32) -> None:
    """Writes candidates, context and weights into a graph's inputs."""
    inputs.context[:] = one_hot
    inputs.candidate[:] = candidates.candidates.offers  # graphs up to format 2 have no row for a category
    inputs.base_logits[:] = candidates.logits
    inputs.weights[:] = weights


def _scores(logits: F32, cached: CachedCandidates, weights: F32, own: object) -> tuple[F32, I64, F32]:
    """Returns base scores (C,), base order (C,) and model scores (C,).

    Args:
        logits: (C, K) the model's logits.
        cached: the candidate set.
        weights: (K,) in force.
        own: the weights that the caller passed; None = the policy's.

    Raises:
        RequestError: the scores are not finite.
    """
    if own is None:
        model = fused(logits, weights)
        base, base_order = cached.weighted_by(weights)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            base, model = fused(cached.candidates.logits, weights), fused(logits, weights)
        base_order = by_score(base)
    if not _are_finite(model):
        if own is not None and np.isfinite(logits).all():
            raise RequestError(ErrorCode.BAD_WEIGHTS, f"weights {own!r} overflow; pass smaller ones")
        raise RequestError(ErrorCode.MODEL_FAILED, "the model gave NaN or infinity; export it again")
    return base, base_order, model


def _are_finite(scores: F32) -> bool:
    """Returns whether all scores are finite.

    The sum of their squares is finite if they are, unless they are huge. To check each score takes 5% of a decision.
    """
    return isfinite(scores.dot(scores)) or bool(np.isfinite(scores).all())
