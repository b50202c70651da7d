"""The program of a fresh process: reads one log and replays it into training examples. Imported by nothing else."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.scale.resident import megabytes


def main() -> None:
    """Argument: the folder that `device-sim population` wrote. Prints one JSON object of figures."""
    folder = Path(sys.argv[1])
    from cloud_export.data.read_log import read_log
    from cloud_export.features.examples import decision_points, make_examples
    from cloud_export.features.layout import build_layout
    from cloud_export.scene.load import load_scene

    bare_mb = megabytes("VmHWM")
    scene = load_scene("wealth")
    start = time.perf_counter()
    log, _ = read_log(
        scene,
        events=folder / "events.parquet",
        decisions=folder / "decisions.parquet",
        offers=folder / "offers.parquet",
        users=folder / "users.parquet",
    )
    layout = build_layout(scene, log, training_events=np.ones(len(log.events.user), np.bool_))
    read, read_mb = time.perf_counter(), megabytes("VmHWM")
    every_decision = np.arange(len(log.decisions.user))
    points = decision_points(log, every_decision)
    examples = make_examples(log, layout, every_decision, points, progress=lambda done, of: None)
    replayed = time.perf_counter()
    figures = {
        "events": len(log.events.user),
        "decisions": len(examples.candidate),
        "read_s": read - start,
        "replay_s": replayed - read,
        "imported_mb": bare_mb,
        "read_peak_mb": read_mb,
        "peak_mb": megabytes("VmHWM"),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
