"""Counts what the harness did, keeps each distinct fault once, and prints the table at the end."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

COLUMNS: Final = ("cases", "calls", "kills", "forks", "signals", "injected", "files", "acknowledged", "lost")


@dataclass(slots=True)
class Fault:
    """A promise that did not hold: the first time, and how often."""

    part: str
    promise: str
    found: str
    seed: int
    times: int = 1


class Teller:
    """The child's end of the pipe: counts, faults, and what the child is doing."""

    def __init__(self, pipe: int) -> None:
        """Takes an open pipe."""
        self._pipe, self._counts = pipe, Counter[str]()

    def count(self, name: str, number: int = 1) -> None:
        """Adds to a column of the table; sent with the next message."""
        self._counts[name] += number

    def doing(self, what: str) -> None:
        """Says what comes next, so that a hang or a crash names it."""
        self._send({"doing": what})

    def fault(self, promise: str, found: str) -> None:
        """Reports a promise that does not hold."""
        self._send({"fault": [promise, found[:1500]]})

    def _send(self, message: dict[str, Any]) -> None:
        message["counts"] = dict(self._counts)
        self._counts.clear()
        content = json.dumps(message).encode() + b"\n"
        while content:
            content = content[os.write(self._pipe, content) :]


@dataclass(slots=True)
class Tally:
    """All counts and faults of a run."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    hangs: int = 0
    deaths: int = 0

    def add_counts(self, part: str, counts: dict[str, int]) -> None:
        """Adds to the row of a part."""
        self.counts.setdefault(part, Counter()).update(counts)

    def add_fault(self, fault: Fault) -> bool:
        """Keeps a fault; returns whether its kind is new."""
        known = self.faults.setdefault((fault.part, fault.promise), fault)
        if known is not fault:
            known.times += 1
        return known is fault

    def write(self, folder: Path) -> None:
        """Writes each distinct fault to a file of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, fault in enumerate(self.faults.values(), 1):
            path = folder / f"{number:03d}_{fault.part}_{fault.seed}.txt"
            path.write_text(f"{repeat(fault)}\n\n{fault.promise}\n\n{fault.found}\n", encoding="utf-8")

    def table(self) -> str:
        """Returns the table, then a line for each distinct fault."""
        rows: list[tuple[str, ...]] = [("part", *COLUMNS)]
        total = Counter[str]()
        for part, counts in sorted(self.counts.items()):
            rows.append((part, *(str(counts[name]) for name in COLUMNS)))
            total.update(counts)
        rows.append(("all", *(str(total[name]) for name in COLUMNS)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        untyped = sum(fault.times for fault in self.faults.values() if "untyped" in fault.promise)
        lines.append(f"hangs {self.hangs}, crashes {self.deaths}, untyped errors {untyped}")
        lines += [f"skipped: {why}" for why in sorted(self.skipped)]
        lines += [
            f"FAULT ×{fault.times} {fault.part}: {fault.promise} | {repeat(fault)}" for fault in self.faults.values()
        ]
        return "\n".join(lines)


def repeat(fault: Fault) -> str:
    """Returns the command that repeats a fault."""
    return f"python -m tests.deep.stress --part {fault.part} --seed {fault.seed}"
