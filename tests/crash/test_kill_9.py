"""After `kill -9` at any instant, every acknowledged event is there: once, in order, and nothing else.

Three threads record through the engine and report what was acknowledged, on a ring that goes round many times. The
process is killed a random time after a random number of reports. The log must then contain the newest part of what was
recorded, and memory must be equal, to the bit, to a memory that adds these events one by one. Meanwhile one thread
records many events at once (more than the ring has slots), resizes the log, rotates the key or erases, or numbers start
low again.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.support import kill_plan as plan
from tests.support.child_python import python
from tests.support.kill_ledger import Ledger
from tests.support.paths import ROOT
from tests.support.scene import KINDS, Small

SPAWNER = f"""
import os, sys, types
os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.modules["onnxruntime"] = types.ModuleType("onnxruntime")
sys.path.insert(0, {str(ROOT)!r})
from tests.support import kill_child
kill_child.serve()
"""


@pytest.mark.parametrize(
    ("mode", "kills", "longest"),
    [
        ("record", 80, 600),
        ("many", 50, 80),
        ("renumber", 40, 400),
        ("resize", 40, 100),
        ("rotate", 40, 100),
        ("erase", 30, 100),
        ("erase some", 30, 100),
    ],
)
def test_killed_at_any_instant(small: Small, tmp_path: Path, mode: str, kills: int, longest: int) -> None:
    generator = random.Random(mode)
    ledger = Ledger(tmp_path / "state", small.layout.memory, mode, 1 << 20 if mode == "erase some" else 4096)
    with python(SPAWNER, tmp_path) as spawner:
        assert spawner.stdin is not None
        assert spawner.stdout is not None
        for number in range(20 * kills):
            if number >= kills and ledger.has_met_all:  # most certainly long before
                break
            task = {
                "state": str(ledger.state),
                "bundle": str(small.bundle),
                "public_key": small.public_key.hex(),
                "mode": mode,
                "kill_after": generator.randrange(1, longest),
                "later_s": generator.choice((0.0, 0.001, 0.01)) * generator.random(),
                "counts": ledger.counts,
                "place": ledger.place,
                "key": ledger.key,
                "log_bytes": ledger.log_bytes,
            }
            spawner.stdin.write(json.dumps(task).encode() + b"\n")
            spawner.stdin.flush()
            size = int.from_bytes(spawner.stdout.read(8), "little")
            ledger.check(spawner.stdout.read(size))
    assert min(ledger.counts) > 0
    assert ledger.has_met_all


def test_the_plan_is_of_this_bundle() -> None:
    assert plan.KINDS == KINDS
