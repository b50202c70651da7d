"""From memory and a base decision to a `Decision`: the model's scores, then the policy's rules."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_sdk.bundle import Bundle
from edge_sdk.candidates import PreparedBase, prepare
from edge_sdk.config import CONTEXTS_KEPT, PREPARED_BASES
from edge_sdk.errors import ErrorCode
from edge_sdk.memory import Memory
from edge_sdk.policy import by_score, fused
from edge_sdk.ranker import ModelInputs, Ranker
from edge_sdk.types import F32, I64, BaseDecision, Decision, Trace

_NO_CONTEXT: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """What `Engine.rank` was asked, and when."""

    number: int  # the decision's id
    now_ms: int
    last_seq: int  # newest event that the memory holds
    era: object  # of the trace
    context: Mapping[str, str] | None
    limit: int | None
    weights: Mapping[str, float] | None


class RequestError(Exception):
    """A request that cannot be scored; it becomes the decision's error code and detail."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class DecisionMaker:
    """Scores and orders for one bundle. Not thread-safe: the ranker's buffers are shared; the engine serialises."""

    def __init__(self, bundle: Bundle, ranker: Ranker) -> None:
        self._bundle = bundle
        self._policy = bundle.policy
        self._ranker = ranker
        self._prepared: dict[int, PreparedBase] = {}
        self._row_of: dict[str, int] = {}  # offers met so far: a new base need not hash their names again
        self._contexts: dict[tuple[tuple[str, str], ...], tuple[F32, tuple[int, ...]]] = {}

    def decide(self, memory: Memory, base: BaseDecision, request: Request) -> Decision:
        """The decision; on any trouble the base order with an error code. Never raises for data."""
        prepared = self._prepare(base)
        chosen: tuple[int, ...] = (-1,) * len(self._policy.context)
        try:
            context, chosen = self._context(request.context)
            if not _is_limit(request.limit):
                raise RequestError(ErrorCode.BAD_LIMIT, f"limit {request.limit!r}; pass a whole number or None")
            if prepared.error:
                raise RequestError(prepared.error, prepared.detail)
            return self._adjusted(memory, prepared, request, context, chosen)
        except RequestError as trouble:
            return self._base_order(memory, prepared, request, chosen, trouble.code, str(trouble))
        except Exception as problem:  # the promise: ranking answers, whatever happens
            detail = f"{type(problem).__name__}: {problem}; report it with the model version"
            return self._base_order(memory, prepared, request, chosen, ErrorCode.MODEL_FAILED, detail)

    def fill(self, inputs: ModelInputs, memory: Memory, trace: Trace, now_ms: int) -> None:
        """Write everything that the graph reads into `inputs`, as `decide` did for this trace."""
        prepared = self._prepare(trace.base)
        self._fill(inputs, memory, prepared, now_ms, trace.context, trace.weights)

    def forget(self) -> None:
        """Drop what is kept of earlier decisions."""
        self._prepared.clear()
        self._contexts.clear()
        self._ranker.forget()

    def _prepare(self, base: BaseDecision) -> PreparedBase:
        prepared = self._prepared.get(id(base))
        if prepared is None:  # `prepared.base` keeps the object alive, so its id cannot come to mean another
            if len(self._prepared) >= PREPARED_BASES:
                del self._prepared[next(iter(self._prepared))]
            prepared = prepare(base, self._bundle.layout, self._policy.weights, self._row_of)
            self._prepared[id(base)] = prepared
        return prepared

    def _context(self, context: Mapping[str, str] | None) -> tuple[F32, tuple[int, ...]]:
        try:
            key = tuple(context.items()) if context else ()
            found = self._contexts.get(key)
            if found is None:
                if len(self._contexts) >= CONTEXTS_KEPT:
                    self._contexts.clear()
                found = self._contexts[key] = self._policy.encode(context or _NO_CONTEXT)
            return found
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            known = {field.name: list(field.values) for field in self._policy.context}
            detail = f"context {context!r} is not in the scene ({problem}); it declares {known}"
            raise RequestError(ErrorCode.UNKNOWN_CONTEXT, detail) from problem

    def _weights(self, given: Mapping[str, float] | None) -> F32:
        if given is None:
            return self._policy.weights
        known = self._policy.objectives
        try:
            with np.errstate(over="ignore"):
                weights = np.array([given.get(name, 0.0) for name in known], np.float32)
            usable = weights.shape == (len(known),) and bool(np.isfinite(weights).all()) and set(given) <= set(known)
        except (TypeError, ValueError, AttributeError):
            usable = False
        if not usable:
            raise RequestError(ErrorCode.BAD_WEIGHTS, f"weights {given!r}; pass finite numbers for {', '.join(known)}")
        return weights

    def _adjusted(
        self, memory: Memory, prepared: PreparedBase, request: Request, context: F32, chosen: tuple[int, ...]
    ) -> Decision:
        weights = self._weights(request.weights)
        call = self._ranker.bound(len(prepared.rows))
        self._fill(call.inputs, memory, prepared, request.now_ms, context, weights)
        call.run()
        own_weights = weights is self._policy.weights
        with nullcontext() if own_weights else np.errstate(over="ignore", invalid="ignore"):
            scores = fused(call.logits, weights)
        if not np.isfinite(scores).all():
            if not own_weights and np.isfinite(call.logits).all():
                raise RequestError(ErrorCode.BAD_WEIGHTS, f"weights {request.weights!r} overflow; pass smaller ones")
            raise RequestError(ErrorCode.MODEL_FAILED, "the model gave NaN or infinity; export it again")
        return Decision(
            id=request.number,
            time_ms=request.now_ms,
            scene=self._bundle.scene,
            model_version=self._bundle.model_version,
            error=ErrorCode.NONE,
            detail="",
            candidates=prepared.base.offers,
            scores=scores,
            ranking=by_score(scores),
            base_ranking=prepared.order if own_weights else by_score(fused(prepared.logits, weights)),
            dropped_bits=self._drop_reasons(memory, prepared, request.now_ms, chosen),
            known=None,
            limit=request.limit,
            trace=Trace(prepared.base, context, weights, request.last_seq, request.era),
        )

    def _base_order(
        self, memory: Memory, prepared: PreparedBase, request: Request, chosen: tuple[int, ...],
        code: ErrorCode, detail: str,
    ) -> Decision:  # fmt: skip
        return Decision(
            id=request.number,
            time_ms=request.now_ms,
            scene=self._bundle.scene,
            model_version=self._bundle.model_version,
            error=code,
            detail=detail,
            candidates=prepared.base.offers,
            scores=prepared.scores,
            ranking=prepared.order,
            base_ranking=prepared.order,
            dropped_bits=self._drop_reasons(memory, prepared, request.now_ms, chosen),
            known=prepared.rows > 0,
            limit=request.limit if _is_limit(request.limit) else None,
            trace=None,
        )

    def _drop_reasons(
        self, memory: Memory, prepared: PreparedBase, now_ms: int, chosen: tuple[int, ...]
    ) -> I64 | None:
        by_policy = prepared.standing_at(self._policy, chosen, now_ms)
        by_caps = memory.caps.reasons(prepared.rows, now_ms)
        if by_policy is None or by_caps is None:
            return by_caps if by_policy is None else by_policy
        return by_policy | by_caps

    def _fill(
        self, inputs: ModelInputs, memory: Memory, prepared: PreparedBase, now_ms: int, context: F32, weights: F32
    ) -> None:
        memory.fill_window(now_ms, inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)
        memory.fill_counters(now_ms, prepared.slots, inputs.counters)
        inputs.context[:] = context
        inputs.candidate[:] = prepared.rows
        inputs.base_logits[:] = prepared.logits
        inputs.weights[:] = weights


def _is_limit(limit: object) -> bool:
    return limit is None or (isinstance(limit, int) and not isinstance(limit, bool))
