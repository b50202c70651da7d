"""The targets of all benchmarks, read from targets.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FILE = Path(__file__).with_name("targets.toml")
Area = Literal["speed", "runtime", "event_log", "decision", "startup", "scale"]


@dataclass(frozen=True, slots=True)
class Target:
    """The bound that a figure has to keep."""

    bound: float
    at_least: bool = False

    def met(self, figure: float) -> bool:
        """Returns whether the figure keeps the bound; a figure equal to the bound does."""
        return figure >= self.bound if self.at_least else figure <= self.bound

    def verdict(self, figure: float | None) -> str:
        """Returns the words beside a figure: "target ≤ 2  met: yes"; None = the figure is not known."""
        answer = "not known" if figure is None else "yes" if self.met(figure) else "no"
        return f"target {self}  met: {answer}"

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,.10g}"


def targets(area: Area) -> dict[str, Target]:
    """Returns the targets of a benchmark by the names of its figures.

    Raises:
        ValueError: a target of the file is neither `at_most` nor `at_least`.
    """
    return {name: _target(name, bound) for name, bound in tomllib.loads(FILE.read_text())[area].items()}


def _target(name: str, bound: dict[str, float]) -> Target:
    match bound:
        case {"at_most": value, **others} if not others:
            return Target(value)
        case {"at_least": value, **others} if not others:
            return Target(value, at_least=True)
    raise ValueError(f"{FILE.name}: {name} = {bound}: write {{ at_most = ... }} or {{ at_least = ... }}")
