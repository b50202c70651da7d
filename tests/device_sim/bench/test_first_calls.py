"""First calls come directly after other work, and the log's peers keep what `record` keeps; no test depends on time."""

from __future__ import annotations

import gc
import signal
import sqlite3
import struct
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from device_sim.bench import log_peers
from device_sim.bench import other_work as module
from device_sim.bench.event_workload import Workload
from device_sim.bench.first_calls import COLD_CALLS, Contestant, measure_first_calls
from device_sim.bench.latencies import HISTORY
from device_sim.bench.log_peers import LOG_PEERS, PeerMissingError, lmdb_log, log_contestants
from device_sim.bench.other_work import WALK_BYTES, OtherWork, unrelated_python
from edge_sdk.limits import LOG_BYTES
from tests.support.paths import ROOT
from tests.support.scene import Small

EVENTS = 100
NO_LMDB = "lmdb is not installed; run: pip install 'edge-sdk[bench]'"
# Each write is acknowledged before the process kills itself.
_DIES = """
import os, signal, sys
from pathlib import Path
from device_sim.bench.log_peers import LOG_PEERS
(peer,) = (peer for peer in LOG_PEERS if peer.key == sys.argv[1])
with peer.open(Path(sys.argv[2])) as write:
    for number in range(int(sys.argv[3])):
        write(1, number, 0.5, 7)
    os.kill(os.getpid(), signal.SIGKILL)
"""


class NotedWork(OtherWork):
    """Other work that notes when it is done."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(walk_bytes=1)
        self._notes = notes

    def do(self) -> None:
        self._notes.append("other work")


def test_the_walk_reads_more_than_the_caches_and_each_page_of_it_is_its_own() -> None:
    """In a fresh process: in a long-lived one the system may take back other pages meanwhile."""
    assert WALK_BYTES >= 64 << 20
    code = (
        "from device_sim.bench.other_work import OtherWork, WALK_BYTES\n"
        "from device_sim.bench.programs.report import resident\n"
        "before = resident()['rss']\n"
        "other_work = OtherWork()\n"
        "assert other_work.walk() == WALK_BYTES\n"
        "print(resident()['rss'] - before)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert int(found.stdout) > 0.9 * WALK_BYTES


def test_a_walk_that_ends_early_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other_work = OtherWork(walk_bytes=100)
    monkeypatch.setattr(module, "_ABSENT", 1)
    with pytest.raises(RuntimeError, match="ended early"):
        other_work.walk()


def test_the_unrelated_python_does_the_same_each_time() -> None:
    assert unrelated_python() == unrelated_python()
    assert "record 0" in unrelated_python()


def test_other_work_comes_directly_before_each_first_call_and_never_between_repeated_ones() -> None:
    notes: list[str] = []
    one = Contestant("task", "a", "A", lambda: notes.append("call"), lambda: notes.append("before"))
    (found,) = measure_first_calls([one], {"task": "a"}, 1, NotedWork(notes))
    first = ["other work", "before", "call"] * COLD_CALLS
    repeated = len(notes) // 2 - len(first)
    assert repeated > 2 * COLD_CALLS
    assert notes == (first + ["before", "call"] * (repeated // 2)) * 2
    assert found.cold_ratio is not None
    assert found.cold_ratio.median == 1


def test_contestants_take_turns_call_by_call() -> None:
    notes: list[str] = []
    contestants = [Contestant("task", key, key, partial(notes.append, key)) for key in ("a", "b", "c")]
    measure_first_calls(contestants, {}, 1, NotedWork(notes))
    first = [name for name in notes if name != "other work"][: 3 * COLD_CALLS]
    assert all(set(first[at : at + 3]) == {"a", "b", "c"} for at in range(0, len(first), 3))


def test_the_garbage_collector_is_on_again_after_a_contestant_failed() -> None:
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure_first_calls([Contestant("task", "a", "A", fails)], {}, 1, NotedWork([]))
    assert gc.isenabled()


def test_a_missing_reference_leaves_the_ratios_out() -> None:
    contestants = [Contestant("task", "a", "A"), Contestant("task", "b", "B", missing="gone; install it")]
    measured, missing = measure_first_calls(contestants, {"task": "b"}, 1, NotedWork([]))
    assert measured.cold_us is not None
    assert (measured.reference, measured.cold_ratio, measured.warm_ratio) == ("", None, None)
    assert (missing.missing, missing.cold_us) == ("gone; install it", None)


def test_every_contestant_of_the_log_writes_one_event_a_call(small: Small, tmp_path: Path) -> None:
    work = Workload.of(small.bundle, small.public_key)
    with work.open(tmp_path / "state", LOG_BYTES) as engine, ExitStack() as stack:
        contestants = log_contestants(work, engine, tmp_path, stack)
        before = engine.status().events
        for one in contestants:
            for _ in range(3):
                one.before()
                one.call()
        assert engine.status().events == before + 3
        database = sqlite3.connect(tmp_path / "events.db")
        assert database.execute("SELECT count(*) FROM events").fetchone() == (HISTORY + 3,)
        newest = database.execute("SELECT kind, item, value, decision FROM events ORDER BY rowid DESC").fetchone()
        database.close()
    assert newest == work.rows[HISTORY + 3]


@pytest.mark.parametrize("key", [peer.key for peer in LOG_PEERS])
def test_what_a_peer_acknowledged_survives_kill_9_as_with_record(key: str, tmp_path: Path) -> None:
    if key == "lmdb":
        pytest.importorskip("lmdb", reason=NO_LMDB)
    call = [sys.executable, "-c", _DIES, key, str(tmp_path), str(EVENTS)]
    assert subprocess.run(call, check=False).returncode == -signal.SIGKILL
    assert items_of(key, tmp_path) == list(range(EVENTS))


def test_lmdb_goes_on_behind_its_newest_entry(tmp_path: Path) -> None:
    pytest.importorskip("lmdb", reason=NO_LMDB)
    for item in (4, 5):
        with lmdb_log(tmp_path) as write:
            write(1, item, 0.5, 7)
    assert items_of("lmdb", tmp_path) == [4, 5]


def test_without_lmdb_the_reason_and_the_fix_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(log_peers, "import_module", absent)
    with (
        pytest.raises(PeerMissingError, match=r"No module named 'lmdb'.*pip install 'edge-sdk\[bench\]'"),
        lmdb_log(tmp_path),
    ):
        pytest.fail("it was opened")


def items_of(key: str, folder: Path) -> list[int]:
    """The item ids in the peer's file, oldest first."""
    if key == "sqlite":
        database = sqlite3.connect(folder / "events.db")
        rows = database.execute("SELECT item FROM events ORDER BY rowid").fetchall()
        database.close()
        return [item for (item,) in rows]
    lmdb = pytest.importorskip("lmdb", reason=NO_LMDB)
    environment = lmdb.open(str(folder / "events.lmdb"))
    with environment.begin() as transaction:
        values = [value for _, value in transaction.cursor()]
    environment.close()
    return [struct.unpack("<QIQfI", value)[2] for value in values]
