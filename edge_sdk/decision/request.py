"""The request: the arguments of `Engine.rank`, and how a policy reads them."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, isfinite
from typing import Final

import numpy as np

from edge_sdk.errors import ErrorCode, quoted
from edge_sdk.limits import CONTEXTS_KEPT
from edge_sdk.policy.rules import Policy
from edge_sdk.types import F32, whole_number

_NO_CONTEXT: Final[Mapping[str, str]] = {}
_NOT_GIVEN: Final = float("inf")


class RequestError(Exception):
    """A request that cannot be scored; it becomes the decision's error code and detail."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class RequestReader:
    """Reads requests under one policy. Contexts that an app passes repeatedly are cached."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.no_context = (-1,) * len(policy.context)
        self.no_numbers = (_NOT_GIVEN,) * len(policy.attributes)
        self._chosen: dict[tuple[tuple[str, str], ...], tuple[int, ...]] = {}
        self._one_hot: dict[tuple[int, ...], F32] = {}

    def chosen(self, context: Mapping[str, str] | None) -> tuple[int, ...]:
        """Returns the value index of each context field that the app passed; -1 = not passed.

        Raises:
            RequestError: the scene does not declare a field or a value.
        """
        try:
            key = tuple(context.items()) if context else ()
            found = self._chosen.get(key)
            if found is None:
                if len(self._chosen) >= CONTEXTS_KEPT:
                    self._chosen.clear()
                found = self._chosen[key] = self._policy.chosen(context or _NO_CONTEXT)
            return found
        except (KeyError, ValueError, TypeError, AttributeError) as problem:
            known = {field.name: list(field.values) for field in self._policy.context}
            detail = f"context {context!r} is not in the scene ({problem}); it declares {known}"
            raise RequestError(ErrorCode.UNKNOWN_CONTEXT, detail) from problem

    def numbers(self, attributes: Mapping[str, float] | None) -> tuple[float, ...]:
        """Returns the number of each attribute of the scene; infinity = not passed.

        Raises:
            RequestError: the scene does not declare an attribute, or a value is not a finite number.
        """
        if not attributes:
            return self.no_numbers
        known = self._policy.attributes
        try:
            numbers = tuple(float(attributes[name]) if name in attributes else _NOT_GIVEN for name in known)
            usable = set(attributes) <= set(known) and all(map(isfinite, map(float, attributes.values())))
        except (TypeError, ValueError, AttributeError, OverflowError):
            usable = False
        if not usable:
            detail = f"attributes {quoted(attributes)}; pass finite numbers for {', '.join(known) or '(none declared)'}"
            raise RequestError(ErrorCode.BAD_ATTRIBUTES, detail)
        return numbers

    def weights(self, given: Mapping[str, float]) -> F32:
        """Returns the caller's objective weights, (K,); 0 for an objective without a weight.

        Raises:
            RequestError: the scene does not have an objective, or a weight is not a finite number.
        """
        known = self._policy.objectives
        try:
            with np.errstate(over="ignore"):
                weights = np.array([given.get(name, 0.0) for name in known], np.float32)
            usable = weights.shape == (len(known),) and bool(np.isfinite(weights).all()) and set(given) <= set(known)
        except (TypeError, ValueError, AttributeError):
            usable = False
        if not usable:
            raise RequestError(
                ErrorCode.BAD_WEIGHTS, f"weights {quoted(given)}; pass finite numbers for {', '.join(known)}"
            )
        return weights

    def one_hot(self, chosen: tuple[int, ...]) -> F32:
        """Returns the one-hot vector (X,) of the context; the same array for the same context."""
        vector = self._one_hot.get(chosen)
        if vector is None:
            if len(self._one_hot) >= CONTEXTS_KEPT:
                self._one_hot.clear()
            vector = self._one_hot[chosen] = self._policy.one_hot(chosen)
        return vector

    def forget(self) -> None:
        """Drops everything that is cached of earlier requests."""
        self._chosen.clear()
        self._one_hot.clear()


def whole_limit(limit: object) -> int:
    """Returns a limit of any type of whole number.

    Raises:
        RequestError: it is none.
    """
    number = whole_number(limit)
    if number is None:
        raise RequestError(ErrorCode.BAD_LIMIT, f"limit {quoted(limit)}; pass a whole number or None")
    return number


def understood_limit(limit: object) -> int | None:
    """Returns the largest whole number that is not above the limit; None = the limit is None, or no number.

    So an answer in base order is no longer than what can be understood of a limit such as 2.5 or "3".
    """
    if limit is None:
        return None
    number = whole_number(limit)
    if number is not None:
        return number
    try:
        return floor(float(limit))  # type: ignore[arg-type]
    except Exception:  # the type is the app's; infinity and NaN have no floor
        return None
