"""Measures the event log and memory: `python -m benchmarks.event_log [--bundle DIR] [--json FILE] [--rounds N]`.

All contestants run in one process and take turns in every round. Printed are medians over the rounds with the lowest
and the highest round. A ratio is taken within each round. The first call with cold caches is in `benchmarks.startup`.
"""

from __future__ import annotations

import platform
import sqlite3
import statistics
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench_bundle import bench_bundle
from benchmarks.event_log.parts import Sizes, catching_up, ingesting, opening, ranking, recording
from benchmarks.output import make_folder, parser, positive, write_json
from benchmarks.targets import targets
from device_sim.bench.event_workload import WORKLOAD, Workload

TARGETS = targets("event_log")


def measure(bundle: Path, public_key: bytes, sizes: Sizes) -> dict[str, list[float]]:
    """Returns all figures, one value a round; the growth of memory has one value in all.

    Args:
        bundle: the `.edge` file.
        public_key: the key that signed it.
        sizes: the length of the measurement.
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
    """Measures, prints, and writes the JSON file if one is named."""
    options = parser(__doc__, bundle=True)
    options.add_argument("--rounds", type=positive, default=Sizes().rounds)
    arguments = options.parse_args()
    make_folder(arguments.json)
    path, key = bench_bundle(arguments.bundle)
    sizes = Sizes(rounds=arguments.rounds)
    figures = measure(path, key, sizes)
    print("\n".join(table(figures)))
    write_json(arguments.json, as_json(figures))


def table(figures: dict[str, list[float]]) -> list[str]:
    """Returns the lines to print: median, lowest to highest round, target, and whether the target is met."""
    lines = [f"{'figure':26}{'median':>12}   {'lowest..highest round':30}"]
    for name, values in figures.items():
        middle, target = statistics.median(values), TARGETS.get(name)
        spread = f"{min(values):,.2f}..{max(values):,.2f}"
        verdict = target.verdict(middle) if target else ""
        lines.append(f"{name:26}{middle:12,.2f}   {spread:30} {verdict}".rstrip())
    return lines


def as_json(figures: dict[str, list[float]]) -> dict[str, object]:
    """Returns medians by name, the lowest and highest rounds, and the targets."""
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
