"""Compares the whole decision with every way to run the model: `python -m benchmarks.speed [--json FILE] [--rounds N]`.

All competitors run in one process on one thread, in turn and in another order each round. Every competitor has the same
trained weights (`DeviceModel`, trained once on a small simulated log and in build/benchmarks/speed) and the same
events, 50 candidates, counters and context, for windows of 128 and of 32 events. Printed are the median of the rounds'
medians with their 10th and 90th percentile, the ratios to LiteRT and to `Engine.rank` (medians over rounds of the ratio
within a round), and the largest difference of the fused scores from torch in float64. All of it is with warm caches:
`benchmarks.startup` has the first call after other work.

Fresh processes measure opening to the first decision, the import and the memory. Also printed are the sizes of bundles
and, where `device-sim setup` was run, the instructions of a `rank` on an emulated arm64 core.

A competitor that is not installed is a row with the reason. Exit code 1 means that a competitor which claims the same
maths differs by more than 1e-4.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from benchmarks.output import make_folder, parser, positive, write_json
from benchmarks.peers.all_peers import ALL
from benchmarks.peers.peer import TOLERANCE
from benchmarks.speed.bundles import MANY_ITEMS, TrainedScene, trained_scene
from benchmarks.speed.processes import CORE, PROCESSES, arm64_instructions, process_figures
from benchmarks.speed.results import as_json, print_rows, print_targets, ratios
from benchmarks.speed.rounds import timed_rows
from benchmarks.speed.training import OWN_ITEMS, WINDOWS
from benchmarks.targets import targets
from benchmarks.work import Work
from cloud_export.json_types import JsonValue


def main() -> None:
    """Measures, prints, and writes the JSON file if one is named."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=positive, default=100)
    options.add_argument("--calls", type=positive, default=50, help="of each competitor in a round")
    options.add_argument("--processes", type=positive, default=PROCESSES, help="of each sort that are started")
    options.add_argument(
        "--arm64", action=argparse.BooleanOptionalAction, default=True, help="count on an emulated core"
    )
    arguments = options.parse_args()
    make_folder(arguments.json)
    trained = trained_scene()
    works = [trained.work(window) for window in sorted(WINDOWS, reverse=True)]
    rows = timed_rows(works, ALL, arguments.rounds, arguments.calls)
    print_rows(rows)
    found = ratios(rows) | _beside(trained, works[-1], arguments.processes, arm64=arguments.arm64)
    wanted = targets("speed")
    print_targets(found, wanted)
    bounds: dict[str, JsonValue] = {name: target.bound for name, target in wanted.items()}
    write_json(arguments.json, {**found, "targets": bounds, **as_json(rows)})
    wrong = [f"{row.peer.label} at window {row.window}" for row in rows if row.is_wrong]
    if wrong:
        sys.exit(f"other scores than torch's, by more than {TOLERANCE:g}: {', '.join(wrong)}")


def _beside(trained: TrainedScene, work: Work, processes: int, *, arm64: bool) -> dict[str, JsonValue]:
    """Returns the figures that are not of a competitor, for the scene's own window of 32."""
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


if __name__ == "__main__":
    main()
