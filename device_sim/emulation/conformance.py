"""Whether the runtime decides on the emulated core as it does here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from device_sim.emulation.errors import EmulationError
from device_sim.files import Frozen, first_error

SCORE_TOLERANCE: Final = 1e-5  # docs/golden.md, for scores of a size near 1
RELATIVE_TOLERANCE: Final = 2.0**-21  # four units in the last place of a float32: larger scores cannot be nearer


class GuestAnswerError(EmulationError):
    """What a guest's script wrote is not readable."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name} of the guest: {reason}; run it again, and look whether the disk is full")


_A = TypeVar("_A", bound=Frozen)


class PlayedDecision(Frozen):
    """The candidates that stand, in their order, and every candidate's score."""

    order: tuple[int, ...]
    scores: tuple[float, ...]


class PlayedWorkload(Frozen):
    """What `guest/decisions_run.py` wrote."""

    decisions: tuple[PlayedDecision, ...]
    golden_vectors: int
    versions: Mapping[str, str]


class PlayedGolden(Frozen):
    """What `guest/golden_run.py` wrote."""

    scenarios: int
    decisions: int
    differences: tuple[str, ...]
    largest: float


class Conformance(Frozen):
    """How the emulated core's decisions compare with what they should be.

    Attributes:
        self_test_vectors: Golden vectors in the bundle; all passed, or the engine would not have opened on the core.
        golden_decisions: How many of docs/golden.md were played; 0 = none, there were no files.
        golden_differences: Where one came out otherwise than docs/golden.md allows.
        golden_largest: The largest difference of a score from the files.
        decisions: Of the counted workload, made on this machine and on the core.
        same_order: How many of them have the same order to the last place.
        largest: The largest difference of a score between both.
        beyond: How many scores differ by more than SCORE_TOLERANCE and RELATIVE_TOLERANCE allow.
    """

    self_test_vectors: int
    golden_decisions: int
    golden_differences: tuple[str, ...]
    golden_largest: float
    decisions: int
    same_order: int
    largest: float
    beyond: int

    @property
    def holds(self) -> bool:
        """Whether the core decides as it should."""
        return not self.golden_differences and self.same_order == self.decisions and not self.beyond

    def figures(self) -> dict[str, float | int | str]:
        """As `BundleCounts.conformance` holds it."""
        golden: dict[str, float | int | str] = {"golden": "not played: no folder of golden decisions"}
        if self.golden_decisions:
            golden = {
                "golden_decisions": self.golden_decisions,
                "golden_differences": len(self.golden_differences),
                "golden_largest_score_difference": self.golden_largest,
            }
        return {
            "self_test_vectors_passed": self.self_test_vectors,
            **golden,
            "workload_decisions": self.decisions,
            "workload_same_order": self.same_order,
            "workload_largest_score_difference": self.largest,
            "workload_scores_beyond_tolerance": self.beyond,
        }


def compare(here: PlayedWorkload, there: PlayedWorkload, golden: PlayedGolden | None) -> Conformance:
    """What this machine and the emulated core made of the same workload, and the core of the golden decisions."""
    pairs = list(zip(here.decisions, there.decisions, strict=True))
    scores = [pair for one, other in pairs for pair in zip(one.scores, other.scores, strict=True)]
    return Conformance(
        self_test_vectors=there.golden_vectors,
        golden_decisions=golden.decisions if golden else 0,
        golden_differences=golden.differences if golden else (),
        golden_largest=golden.largest if golden else 0.0,
        decisions=len(pairs),
        same_order=sum(one.order == other.order for one, other in pairs),
        largest=max((abs(a - b) for a, b in scores), default=0.0),
        beyond=sum(abs(a - b) > SCORE_TOLERANCE + RELATIVE_TOLERANCE * abs(a) for a, b in scores),
    )


def read_workload(path: Path) -> PlayedWorkload:
    """Read what `guest/decisions_run.py` wrote.

    Raises:
        GuestAnswerError: It is cut off or something else.
    """
    return read_answer(path, PlayedWorkload)


def read_golden(path: Path) -> PlayedGolden:
    """Read what `guest/golden_run.py` wrote.

    Raises:
        GuestAnswerError: It is cut off or something else.
    """
    return read_answer(path, PlayedGolden)


def read_answer(path: Path, kind: type[_A]) -> _A:
    """Read a guest's answer.

    Raises:
        GuestAnswerError: It is not there, cut off or something else.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise GuestAnswerError(path, error.strerror or str(error)) from error
    except ValidationError as error:
        raise GuestAnswerError(path, first_error(error, "the file")) from error
