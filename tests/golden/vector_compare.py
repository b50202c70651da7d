"""Comparison of two records of a decision: the tolerances, and the places of a list that can be compared."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

Stated = dict[str, Any]  # `expect` of a request

GAP: Final = 1e-4  # scores closer than this may be ordered differently by a port
SCORE: Final = 1e-5
PROBABILITY: Final = 1e-4  # from the port's own scores; from the scores in the file 1e-9
_PLACED: Final = ("eligible_order", "order", "reasons")  # one entry for each place
_NEAR: Final = {"scores": SCORE, "keys": GAP, "propensity": PROBABILITY, "inclusion": PROBABILITY}


def differences(expected: Any, found: Any, path: str = "", within: float | None = None) -> list[str]:
    """Returns the differences of two values: to the bit, unless a tolerance is given."""
    if isinstance(expected, dict) and isinstance(found, dict):
        lines = [] if expected.keys() == found.keys() else [f"{path}: {sorted(expected)} and {sorted(found)}"]
        for key in expected.keys() & found.keys():
            lines += differences(expected[key], found[key], f"{path}.{key}", within)
        return lines
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return [f"{path}: {len(expected)} and {len(found)} entries"]
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for at, (one, other) in pairs for line in differences(one, other, f"{path}[{at}]", within)]
    if within is not None and isinstance(expected, float | int) and isinstance(found, float | int):
        return [] if abs(expected - found) <= within else [f"{path}: {expected} and {found}"]
    return [] if expected == found and (expected is None) == (found is None) else [f"{path}: {expected} and {found}"]


def decision_differences(expected: Stated, found: Stated) -> list[str]:
    """Returns the differences of a decision from the file, each field by its tolerance."""
    lines = [f"{sorted(expected)} and {sorted(found)}"] if expected.keys() != found.keys() else []
    for field in expected.keys() & found.keys():
        if field in _PLACED:
            one, other, firm = expected[field], found[field], comparable(expected)
            lines += [] if len(one) == len(other) else [f"{field}: {one} and {other}"]
            places = range(min(len(one), len(other)))
            lines += [f"{field}[{at}]" for at in places if firm[at] and one[at] != other[at]]
        elif field == "explanation":
            lines += _contribution_differences(expected[field], found[field])
        else:
            lines += differences(expected[field], found[field], field, _NEAR.get(field))
    return lines


def comparable(expected: Stated) -> list[bool]:
    """Returns for each place in `eligible_order` whether its candidate can be compared.

    It can where its score (its key, where softmax drew the order) differs by at least `GAP` from that of every other
    eligible candidate. Where the model changed no score, scores equal the base's to the bit, and all places can.
    """
    eligible = expected["eligible_order"]
    if _is_of_base(expected):
        return [True] * len(eligible)
    values = expected["keys"] or expected["scores"]["final"]
    return [all(abs(values[one] - values[other]) >= GAP for other in eligible if other != one) for one in eligible]


def fragile(expected: Stated, minimum_score: float | None) -> list[str]:
    """Returns the stages in which two candidates, or one and the minimum score, are too close to be ordered surely."""
    if _is_of_base(expected):
        return []
    scores, eligible = expected["scores"], expected["eligible_order"]
    stages = {stage: [values[c] for c in eligible] for stage, values in scores.items() if stage != "base"}
    stages |= {"adjusted of all": scores["adjusted"], "priced of all": scores["priced"]}
    stages["keys"] = [expected["keys"][c] for c in eligible] if expected["keys"] else []
    found = [stage for stage, values in stages.items() if any(b - a < GAP for a, b in pairwise(sorted(values)))]
    if minimum_score is not None and any(abs(score - minimum_score) < GAP for score in scores["final"]):
        found.append("minimum")
    return found


def _is_of_base(expected: Stated) -> bool:
    """Returns whether the order is exact: no event and no logarithm changed it."""
    return expected["keys"] is None and expected["scores"]["adjusted"] == expected["scores"]["base"]


def _contribution_differences(expected: list[list[Any]] | None, found: list[list[Any]] | None) -> list[str]:
    """Returns the differences of two explanations; a missing contribution is 0, as a small rest may round to 0."""
    if expected is None or found is None:
        return [] if expected is found else [f"explanation: {expected} and {found}"]
    ones, others = _by_subject(expected), _by_subject(found)
    subjects = sorted(ones.keys() | others.keys())
    pairs = [(about, ones.get(about, 0.0), others.get(about, 0.0)) for about in subjects]
    return [f"explanation: {about} {one} and {other}" for about, one, other in pairs if abs(one - other) > SCORE]


def _by_subject(contributions: list[list[Any]]) -> dict[str, float]:
    """Returns the sum of the contributions by subject; steps of the policy may have the same subject."""
    values: dict[str, float] = {}
    for *about, value in contributions:
        values[str(about)] = values.get(str(about), 0.0) + value
    return values
