"""What the phone's memory costs: `python -m benchmarks.event_log [--bundle DIR] [--json FILE] [--rounds N]`.

One process; every round measures every contestant, in turns; printed are medians over the rounds, with the lowest and
the highest round beside them. A ratio is taken within each round.
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import statistics
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench_bundle import bench_bundle
from benchmarks.event_log.parts import Sizes, catching_up, ingesting, opening, ranking, recording
from device_sim.bench.event_workload import WORKLOAD, Workload


@dataclass(frozen=True, slots=True)
class Target:
    """What issue 3 asks of a figure."""

    bound: float
    at_least: bool = False

    def met(self, figure: float) -> bool:
        """Whether the figure keeps it."""
        return figure >= self.bound if self.at_least else figure <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,.10g}"


TARGETS = {
    "record_us": Target(2),
    "ratio_sqlite": Target(5, at_least=True),
    "ratio_pack_into": Target(10),
    "record_many_per_s": Target(20e6, at_least=True),
    "day_bulk_s": Target(60),
    "rank_history_ratio": Target(1.1),
    "open_full_log_ms": Target(10),
    "memory_growth_mb": Target(1.05),  # "flat": no more than the pages of a 1 MiB log becoming resident
}


def measure(bundle: Path, public_key: bytes, sizes: Sizes) -> dict[str, list[float]]:
    """All figures, one value a round; of memory one value in all.

    Args:
        bundle: the `.edge` file.
        public_key: that signed it.
        sizes: how much to measure.
    """
    work = Workload.of(bundle, public_key)
    figures: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory(prefix="edge-event-log-") as name, ExitStack() as stack:
        parts = [
            stack.enter_context(part(work, sizes, Path(name)))
            for part in (ranking, opening, catching_up, ingesting, recording)
        ]
        for _ in range(sizes.rounds):
            for part in reversed(parts):
                for figure, value in part().items():
                    figures[figure].append(value)
    return dict(figures)


def main() -> None:
    """Measure, print, and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", type=Path, help="folder of scene.edge and scene.pub; default: the demo's, or a small one"
    )
    parser.add_argument("--rounds", type=int, default=Sizes().rounds)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    path, key = bench_bundle(arguments.bundle)
    sizes = Sizes(rounds=arguments.rounds)
    figures = measure(path, key, sizes)
    print("\n".join(table(figures)))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(as_json(figures), indent=2) + "\n")


def table(figures: dict[str, list[float]]) -> list[str]:
    """Lines to print: median, lowest to highest round, target, met or missed."""
    lines = [f"{'figure':26}{'median':>12}   {'lowest..highest round':24}{'target':>14}"]
    for name, values in figures.items():
        middle, target = statistics.median(values), TARGETS.get(name)
        spread = f"{min(values):,.2f}..{max(values):,.2f}"
        verdict = f"{target!s:>14}  {'met' if target.met(middle) else 'missed'}" if target else ""
        lines.append(f"{name:26}{middle:12,.2f}   {spread:24}{verdict}".rstrip())
    return lines


def as_json(figures: dict[str, list[float]]) -> dict[str, object]:
    """Medians by name; lowest and highest rounds; targets."""
    medians = {name: statistics.median(values) for name, values in figures.items()}
    return {
        "workload": WORKLOAD,
        "machine": f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        **medians,
        "spread": {name: [min(values), max(values)] for name, values in figures.items()},
        "targets": {
            name: {"target": str(target), "met": target.met(medians[name])}
            for name, target in TARGETS.items()
            if name in medians
        },
    }


if __name__ == "__main__":
    main()
