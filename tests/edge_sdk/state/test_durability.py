"""The log is synced by nobody, by a thread at intervals, or at each event before `record` returns.

What that saves is shown in test_power_loss.py.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_sdk import Engine
from edge_sdk.errors import StateUnusableError
from edge_sdk.log.event_log import EventLog
from edge_sdk.state.durability import Durability
from tests.support.scene import SettableClock, Small

LONGEST_S = 60.0  # only a test that fails waits so long


def opened(
    small: Small,
    state: Path,
    durability: Durability = "process",
    sync_interval_s: float = 3600.0,
    log_bytes: int = 4096,
) -> Engine:
    return Engine.open(
        state,
        bundle=small.bundle,
        trusted_keys=[small.public_key],
        clock=SettableClock(),
        durability=durability,
        sync_interval_s=sync_interval_s,
        log_bytes=log_bytes,
    )


def flushers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "edge-sdk flusher"]


class Syncs:
    """Replaces `EventLog.sync`, and notes the newest event at each call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.newest: list[int] = []
        self.wanted, self.met = 0, threading.Event()
        monkeypatch.setattr(EventLog, "sync", lambda log: self._take(log.last_seq))

    def _take(self, last_seq: int) -> None:
        self.newest.append(last_seq)
        if last_seq >= self.wanted:
            self.met.set()


def test_with_power_a_thread_writes_out_what_was_recorded(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch)
    before = flushers()
    with opened(small, tmp_path / "state", "power", 0.001) as engine:
        assert len(flushers()) == len(before) + 1
        for seq in (1, 2, 3):
            syncs.wanted = seq
            syncs.met.clear()
            assert engine.record("view") == seq
            assert syncs.met.wait(LONGEST_S)
    assert flushers() == before
    assert sorted(set(syncs.newest)) == [1, 2, 3]


def test_what_is_on_disk_is_not_written_again(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    with opened(small, tmp_path / "state") as engine:
        engine.storage.sync()
        engine.record("view")
        engine.record("view")
        engine.storage.sync()
        engine.storage.sync()
        assert syncs.newest == [2]


def test_with_an_interval_of_0_each_event_is_written_out_before_record_returns(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch)
    before = flushers()
    with opened(small, tmp_path / "state", "power", 0.0) as engine:
        for seq in range(1, 200):  # the ring goes round, memory is kept
            engine.record("view")
            assert syncs.newest[-1] == seq
        engine.record_many([5, 6, 7], [0, 0, 0], kind_names=["view"])
        assert syncs.newest[-1] == 202
        assert flushers() == before


def test_with_process_nobody_does(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    before = flushers()
    with opened(small, tmp_path / "state") as engine:
        for _ in range(200):
            engine.record("view")
        assert flushers() == before
        assert engine.status().durability == "process"
    assert syncs.newest == []


def test_a_disk_that_refuses_is_counted_and_recording_goes_on(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: EventLog) -> None:
        raise OSError(5, "Input/output error")

    with opened(small, tmp_path / "state", "power", 0.0) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(EventLog, "sync", refuse)
            assert engine.record("view") == 1
            assert engine.status().disk_failures == 1
            with pytest.raises(StateUnusableError, match="refused"):
                engine.storage.sync()
        engine.storage.sync()
        assert engine.record("view") == 2
        assert engine.status().disk_failures == 2
