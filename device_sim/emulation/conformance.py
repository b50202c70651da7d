"""Compares the runtime's decisions on the emulated core with those on this machine and with the golden decisions."""

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
    """The output of a guest's script is not readable."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name} of the guest: {reason}; run it again, and look whether the disk is full")


_A = TypeVar("_A", bound=Frozen)


class PlayedDecision(Frozen):
    """The eligible candidates in their order, and every candidate's score."""

    order: tuple[int, ...]
    scores: tuple[float, ...]


class PlayedWorkload(Frozen):
    """The output of `guest/decisions_run.py`."""

    decisions: tuple[PlayedDecision, ...]
    golden_vectors: int
    versions: Mapping[str, str]


class PlayedGolden(Frozen):
    """The output of `guest/golden_run.py`."""

    scenarios: int
    decisions: int
    differences: tuple[str, ...]
    largest: float


class Conformance(Frozen):
    """How the emulated core's decisions compare with the expected ones.

    Attributes:
        self_test_vectors: Golden vectors in the bundle; all passed, or the engine would not have opened on the core.
        golden_decisions: How many decisions of docs/golden.md were played; 0 = there were no files.
        golden_differences: The differences beyond those that docs/golden.md allows.
        golden_largest: The largest difference of a score from the files.
        decisions: How many decisions of the workload both machines made.
        same_order: How many of them have the same order to the last place.
        largest: The largest difference of a score between the two machines.
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
        """Whether the core makes the expected decisions."""
        return not self.golden_differences and self.same_order == self.decisions and not self.beyond

    def figures(self) -> dict[str, float | int | str]:
        """Returns the figures for `BundleCounts.conformance`."""
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
    """Compares the two machines' decisions in the same workload; adds the core's golden decisions."""
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
    """Reads the output of `guest/decisions_run.py`.

    Raises:
        GuestAnswerError: The file is cut off or not in the format.
    """
    return read_answer(path, PlayedWorkload)


def read_golden(path: Path) -> PlayedGolden:
    """Reads the output of `guest/golden_run.py`.

    Raises:
        GuestAnswerError: The file is cut off or not in the format.
    """
    return read_answer(path, PlayedGolden)


def read_answer(path: Path, kind: type[_A]) -> _A:
    """Reads the output of a guest's script.

    Raises:
        GuestAnswerError: The file is missing, cut off or not in the format.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise GuestAnswerError(path, error.strerror or str(error)) from error
    except ValidationError as error:
        raise GuestAnswerError(path, first_error(error, "the file")) from error
