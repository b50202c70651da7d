"""Measures the runtime with a packed bundle: `python -m benchmarks.runtime [--bundle DIR] [--json FILE]`.

The figures are those of the report's speed block, made by the same code in several rounds. Medians are printed with the
lowest and the highest round, because machines are shared.
"""

from __future__ import annotations

import statistics

from benchmarks.bench_bundle import bench_bundle
from benchmarks.output import make_folder, parser, positive, spread_words, write_json
from benchmarks.targets import targets
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
    "bundle_bytes",
)


def main() -> None:
    """Measures, prints, and writes the JSON file if one is named."""
    options = parser(__doc__, bundle=True)
    options.add_argument("--rounds", type=positive, default=5)
    arguments = options.parse_args()
    make_folder(arguments.json)
    path, key = bench_bundle(arguments.bundle)
    content = read_bundle(path, open_container(path, trusted_keys=[key], allow_unsigned=False))
    layout = content.layout
    kinds = [name for name, number in content.kind_ids.items() if layout.kinds[number].in_window]
    events = [(kind, item) for kind, item, _, _ in Workload.of(path, key).calls]
    rounds = [measure_speed(path, None, key, events, kinds, layout.offers.names()) for _ in range(arguments.rounds)]
    wanted, medians = targets("runtime"), {}
    for name in FIGURES:
        values = [float(value) for value in (one[name] for one in rounds) if isinstance(value, int | float)]
        medians[name] = statistics.median(values)
        verdict = wanted[name].verdict(medians[name]) if name in wanted else ""
        print(f"{name:20} {spread_words(values):40} {verdict}".rstrip())
    write_json(arguments.json, {"machine": rounds[0]["machine"], **medians})


if __name__ == "__main__":
    main()
