"""The program of a fresh process: opens an engine, uses it, prints its resident memory. Imported by nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.scale.resident import megabytes


def main() -> None:
    """Argument: a JSON object with bundle, key, state, offers, items, kind. Prints one JSON object of figures."""
    order = json.loads(sys.argv[1])
    from edge_sdk import BaseDecision, Engine

    imported_mb = megabytes("VmRSS")
    base = BaseDecision(order["offers"], [0.0] * len(order["offers"]))
    with Engine.open(
        Path(order["state"]), bundle=order["bundle"], trusted_keys=[bytes.fromhex(order["key"])]
    ) as engine:
        for number in range(2000):
            engine.record(order["kind"], item=order["items"][number % len(order["items"])])
            if number % 10 == 0 and engine.rank(base, limit=5).error:
                raise SystemExit("a decision failed")
        resident_mb = megabytes("VmRSS")
    peak_mb = max(resident_mb, megabytes("VmHWM"))  # the kernel notes the peak a few pages late
    print(json.dumps({"imported_mb": imported_mb, "resident_mb": resident_mb, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
