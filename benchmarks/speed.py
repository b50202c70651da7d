"""The whole decision against every way to run the model: `python -m benchmarks.speed [--json FILE] [--rounds N]`.

One process, one thread everywhere, the competitors in turn and in another order each round. Every competitor has the
same trained weights (`EdgeModel`, trained once on a small simulated log and kept under build/benchmarks/speed), the
same events, 50 candidates, counters and context; windows of 128 and of 32 events. Printed is the median of the rounds'
medians with their 10th and 90th percentile, the ratio to LiteRT and to `Engine.rank` (the median over rounds of the
ratio within a round), and the largest difference of the fused scores from torch in float64.

A competitor that is not installed is a row that says so. Exit code 1: one that claims the same maths differs by more
than 1e-4.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.peers import ALL
from benchmarks.peers.peer import TOLERANCE
from benchmarks.speed_bundles import CONTEXT, FOLDER, trained_scene
from benchmarks.speed_results import as_json, print_rows, print_targets, ratios, targets
from benchmarks.speed_rounds import timed_rows
from benchmarks.speed_training import WINDOWS
from benchmarks.speed_work import make_work
from cloud_export.report_words import JsonValue
from cloud_export.whole_files import write_whole


def main() -> None:
    """Measure, print, and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=_positive, default=100)
    parser.add_argument("--calls", type=_positive, default=50, help="of each competitor in a round")
    arguments = parser.parse_args()
    trained = trained_scene()
    works = [
        make_work(
            model=trained.model(window),
            bundle=trained.bundle(window),
            public_key=trained.public_key(),
            scene=trained.scene(),
            context=CONTEXT,
            folder=FOLDER,
            log=trained.folder / "log",
        )
        for window in sorted(WINDOWS, reverse=True)
    ]
    rows = timed_rows(works, ALL, arguments.rounds, arguments.calls)
    found, wanted = ratios(rows), targets()
    print_rows(rows)
    print_targets(found, wanted)
    if arguments.json:
        result: dict[str, JsonValue] = {**found, "targets": wanted, **as_json(rows)}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_whole(arguments.json, (json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode())
    wrong = [f"{row.peer.label} at window {row.window}" for row in rows if row.is_wrong]
    if wrong:
        sys.exit(f"other scores than torch's, by more than {TOLERANCE:g}: {', '.join(wrong)}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: give a number from 1")
    return number


if __name__ == "__main__":
    main()
