"""How fast the runtime is with a packed bundle: `python -m benchmarks.runtime [--bundle DIR] [--json FILE]`.

The figures are those of the report's speed block, made by the same code, several rounds of it: medians are printed
with the lowest and the highest round, because machines are shared.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from benchmarks.bench_bundle import bench_bundle
from cloud_export.evaluate.speed import measure_speed
from device_sim.bench.event_workload import Workload
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle

FIGURES = (
    "record_us_p50",
    "record_us_p99",
    "rank_us_p50",
    "rank_us_p99",
    "rank_new_base_us_p50",
    "open_ms",
    "extra_memory_mb",
)


def main() -> None:
    """Measure, print, and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", type=Path, help="folder of scene.edge and scene.pub; default: the demo's, or a small one"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    path, key = bench_bundle(arguments.bundle)
    content = read_bundle(path, open_container(path, trusted_keys=[key], allow_unsigned=False))
    layout = content.layout
    kinds = [name for name, number in content.kind_ids.items() if layout.kinds[number].in_window]
    events = [(kind, item) for kind, item, _, _ in Workload.of(path, key).calls]
    rounds = [measure_speed(path, None, key, events, kinds, layout.offers.names()) for _ in range(arguments.rounds)]
    result: dict[str, object] = {"machine": rounds[0]["machine"], "bundle_bytes": rounds[0]["bundle_bytes"]}
    for name in FIGURES:
        values = [value for value in (one[name] for one in rounds) if isinstance(value, float)]
        result[name] = statistics.median(values)
        print(f"{name:20} {statistics.median(values):9.2f}   ({min(values):.2f} to {max(values):.2f})")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
