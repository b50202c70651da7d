"""The program of a fresh process: a timed cold start, then some work. No other module imports it.

Only the modules for timing are imported at the top: the other imports are measured.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import count, cycle, islice
from pathlib import Path


def main() -> object:
    """Arguments: the order (JSON; `fresh_process.order` writes it) and the state folder.

    Prints seconds of the import, of the opening and of the first decision.

    Returns:
        The engine, still open: while the caller holds it, what is resident can be asked of the process.
    """
    order, state = json.loads(sys.argv[1]), Path(sys.argv[2])
    start = time.perf_counter()
    from edge_sdk import BaseDecision, Engine

    imported = time.perf_counter()
    base = BaseDecision(order["offers"], order["logits"])
    built = time.perf_counter()
    engine = Engine.open(
        state,
        bundle=order["bundle"],
        trusted_keys=[bytes.fromhex(order["key"])],
        clock=count(order["start_ms"], order["step_ms"]).__next__,
    )
    opened = time.perf_counter()
    engine.rank(base, limit=5)
    ranked = time.perf_counter()
    print(imported - start, opened - built, ranked - opened)  # noqa: T201 - read by the parent
    for kind, item, value, decision in islice(cycle(order["calls"]), order["events"]):
        engine.record(kind, item=item, value=value, decision=decision)
    for _ in range(order["ranks"]):
        engine.rank(base, limit=5)
    return engine
