"""The whole decision against every way to run the model: `python -m benchmarks.speed [--json FILE] [--rounds N]`.

One process, one thread everywhere, the competitors in turn and in another order each round. Every competitor has the
same trained weights (`DeviceModel`, trained once on a small simulated log and kept under build/benchmarks/speed), the
same events, 50 candidates, counters and context; windows of 128 and of 32 events. Printed is the median of the rounds'
medians with their 10th and 90th percentile, the ratio to LiteRT and to `Engine.rank` (the median over rounds of the
ratio within a round), and the largest difference of the fused scores from torch in float64.

In processes of their own: from `Engine.open` to the first decision, the import, the memory; and what bundles weigh, and
the instructions of a `rank` on an emulated arm64 core where `device-sim setup` was run.

A competitor that is not installed is a row that says so. Exit code 1: one that claims the same maths differs by more
than 1e-4.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.output import make_folder, write
from benchmarks.peers import ALL
from benchmarks.peers.peer import TOLERANCE
from benchmarks.speed.bundles import CONTEXT, FOLDER, MANY_ITEMS, TrainedScene, trained_scene
from benchmarks.speed.processes import CORE, PROCESSES, arm64_instructions, process_figures
from benchmarks.speed.results import as_json, print_rows, print_targets, ratios, targets
from benchmarks.speed.rounds import timed_rows
from benchmarks.speed.training import OWN_ITEMS, WINDOWS
from benchmarks.work import Work, make_work
from cloud_export.json_types import JsonValue


def main() -> None:
    """Measure, print, and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=_positive, default=100)
    parser.add_argument("--calls", type=_positive, default=50, help="of each competitor in a round")
    parser.add_argument("--processes", type=_positive, default=PROCESSES, help="of each sort that are started")
    parser.add_argument(
        "--arm64", action=argparse.BooleanOptionalAction, default=True, help="count on an emulated core"
    )
    arguments = parser.parse_args()
    if arguments.json:
        make_folder(arguments.json)
    trained = trained_scene()
    works = [_work(trained, window) for window in sorted(WINDOWS, reverse=True)]
    rows = timed_rows(works, ALL, arguments.rounds, arguments.calls)
    print_rows(rows)
    found = ratios(rows) | _beside(trained, works[-1], arguments.processes, arm64=arguments.arm64)
    wanted = targets()
    print_targets(found, wanted)
    if arguments.json:
        result: dict[str, JsonValue] = {**found, "targets": wanted, **as_json(rows)}
        write(arguments.json, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    wrong = [f"{row.peer.label} at window {row.window}" for row in rows if row.is_wrong]
    if wrong:
        sys.exit(f"other scores than torch's, by more than {TOLERANCE:g}: {', '.join(wrong)}")


def _work(trained: TrainedScene, window: int) -> Work:
    return make_work(
        model=trained.model(window),
        bundle=trained.bundle(window),
        public_key=trained.public_key(),
        scene=trained.scene(),
        context=CONTEXT,
        folder=FOLDER,
        log=trained.folder / "log",
    )


def _beside(trained: TrainedScene, work: Work, processes: int, *, arm64: bool) -> dict[str, JsonValue]:
    """The figures that are no row, for the scene's own window of 32."""
    many = trained_scene(MANY_ITEMS)
    instructions, why = arm64_instructions(work) if arm64 else (None, "left out by --no-arm64")
    return {
        **asdict(process_figures(work, processes)),
        f"bundle_bytes_{OWN_ITEMS}": trained.bundle(work.window).stat().st_size,
        f"bundle_bytes_{MANY_ITEMS}": many.bundle(work.window).stat().st_size,
        "items": trained.items(),
        "items_of_many": many.items(),
        f"rank_instructions_{CORE}": instructions,
        **({"rank_instructions_missing": why} if why else {}),
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: give a number from 1")
    return number


if __name__ == "__main__":
    main()
