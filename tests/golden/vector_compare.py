"""How near two statements of a decision must be, and which places of a list may be compared at all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

Stated = dict[str, Any]  # `expect` of a request

GAP: Final = 1e-4  # scores nearer to each other than this may come in another order elsewhere
SCORE: Final = 1e-5
PROBABILITY: Final = 1e-4  # from one's own scores; from the scores in the file 1e-9
_PLACED: Final = ("eligible_order", "order", "reasons")  # one entry a place
_NEAR: Final = {"scores": SCORE, "keys": GAP, "propensity": PROBABILITY, "inclusion": PROBABILITY}


def differences(expected: Any, found: Any, path: str = "", within: float | None = None) -> list[str]:
    """Where two values differ: bits, unless a tolerance is given for them."""
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
    """Where a decision differs from what a file states, each stage by its tolerance."""
    lines = [f"{sorted(expected)} and {sorted(found)}"] if expected.keys() != found.keys() else []
    for field in expected.keys() & found.keys():
        if field in _PLACED:
            one, other, firm = expected[field], found[field], comparable(expected)
            lines += [] if len(one) == len(other) else [f"{field}: {one} and {other}"]
            places = range(min(len(one), len(other)))
            lines += [f"{field}[{at}]" for at in places if firm[at] and one[at] != other[at]]
        elif field == "explanation":
            lines += _term_differences(expected[field], found[field])
        else:
            lines += differences(expected[field], found[field], field, _NEAR.get(field))
    return lines


def comparable(expected: Stated) -> list[bool]:
    """Of each place in `eligible`, whether who stands there can be compared.

    It can where its score (its key, where softmax drew the order) is at least `GAP` from that of every other one that
    stands. Where the device said nothing, scores are the base's to the bit, and all places can.
    """
    eligible = expected["eligible_order"]
    if _is_of_base(expected):
        return [True] * len(eligible)
    values = expected["keys"] or expected["scores"]["final"]
    return [all(abs(values[one] - values[other]) >= GAP for other in eligible if other != one) for one in eligible]


def fragile(expected: Stated, minimum_score: float | None) -> list[str]:
    """The stages in which two candidates, or one and the null option, are so near each other that their order, and
    what follows from it, may differ."""
    if _is_of_base(expected):
        return []
    scores, eligible = expected["scores"], expected["eligible_order"]
    stages = {stage: [values[c] for c in eligible] for stage, values in scores.items() if stage != "base"}
    stages |= {"adjusted of all": scores["adjusted"], "priced of all": scores["priced"]}
    stages["keys"] = [expected["keys"][c] for c in eligible] if expected["keys"] else []
    found = [stage for stage, values in stages.items() if any(b - a < GAP for a, b in pairwise(sorted(values)))]
    if minimum_score is not None and any(abs(score - minimum_score) < GAP for score in scores["final"]):
        found.append("null")
    return found


def _is_of_base(expected: Stated) -> bool:
    """Whether bits decide: no event and no logarithm had a part in the order."""
    return expected["keys"] is None and expected["scores"]["adjusted"] == expected["scores"]["base"]


def _term_differences(expected: list[list[Any]] | None, found: list[list[Any]] | None) -> list[str]:
    """Where two explanations differ; a missing term counts as 0: what is left of counters may round to it."""
    if expected is None or found is None:
        return [] if expected is found else [f"explanation: {expected} and {found}"]
    ones, others = _by_subject(expected), _by_subject(found)
    subjects = sorted(ones.keys() | others.keys())
    pairs = [(about, ones.get(about, 0.0), others.get(about, 0.0)) for about in subjects]
    return [f"explanation: {about} {one} and {other}" for about, one, other in pairs if abs(one - other) > SCORE]


def _by_subject(contributions: list[list[Any]]) -> dict[str, float]:
    """What terms say by what they are about; two steps of the policy are about the same."""
    values: dict[str, float] = {}
    for *about, value in contributions:
        values[str(about)] = values.get(str(about), 0.0) + value
    return values
