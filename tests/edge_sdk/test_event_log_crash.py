"""Every event that was acknowledged is there after `kill -9` at any instruction, once and in order."""

from __future__ import annotations

import random
from pathlib import Path

from child_python import python
from event_log_rows import HEADER, RECORD, row, rows

from edge_sdk.event_log import EventLog

RECORDER = """
import os, sys
from pathlib import Path
from edge_sdk.event_log import EventLog
log = EventLog(Path(sys.argv[1]) / "events.log", 1 << 14)
seq = log.last_seq
while True:
    seq += 1
    assert log.append(1_700_000_000_000 + seq * 1001, seq % 7 + 1, 0xDEAD0000 + seq, seq / 4, seq % 3) == seq
    os.write(1, b"%08d" % seq)
"""
# Imports once, then forks a recorder for each kill: the parent of the recorder reads what it acknowledged.
# The package's __init__ is passed over: onnxruntime's threads would not outlive the fork, their locks would.
SPAWNER = f"""
import importlib.util, os, signal, sys, types
os.environ["OPENBLAS_NUM_THREADS"] = "1"
package = types.ModuleType("edge_sdk")
package.__path__ = importlib.util.find_spec("edge_sdk").submodule_search_locations
sys.modules["edge_sdk"] = package
import edge_sdk.event_log
recorder = compile({RECORDER!r}, "recorder", "exec")
while wanted := os.read(0, 8):
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(theirs, 1)
        exec(recorder)
    os.close(theirs)
    newest = b""
    for _ in range(int(wanted)):
        newest = os.read(ours, 8)
        assert newest, "the recorder died by itself"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    rest = b"".join(iter(lambda: os.read(ours, 65536), b""))
    os.close(ours)
    newest = (newest + rest)[-8:]
    os.write(1, newest)
"""


def test_every_acknowledged_event_survives_kill_9(tmp_path: Path) -> None:
    """Thirty recorders in turn on one log, each killed after a random number of acknowledgements."""
    generator = random.Random(1)
    capacity = ((1 << 14) - HEADER) // RECORD
    acknowledged = 0
    with python(SPAWNER, tmp_path) as spawner:
        assert spawner.stdout is not None
        assert spawner.stdin is not None
        for _ in range(30):
            spawner.stdin.write(b"%08d" % generator.randrange(1, 900))
            spawner.stdin.flush()
            answer = spawner.stdout.read(8)
            newest = int(answer)
            assert newest > acknowledged
            acknowledged = newest
            log = EventLog(tmp_path / "events.log", 1 << 14)
            found = rows(log)
            log.close()
            # Acknowledged events are all there, once and in order; at most one more had been written, not yet said.
            # The ring keeps the newest `capacity`; a record torn by the kill stands over the oldest one.
            assert found[-1][0] in (acknowledged, acknowledged + 1)
            assert found == [row(seq) for seq in range(found[0][0], found[-1][0] + 1)]
            assert found[0][0] <= max(1, acknowledged - capacity + 2)
            acknowledged = found[-1][0]
