"""`Engine.open`, `storage.resize` and `storage.rotate_key` check their options, and `status` reports them."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine
from edge_sdk.errors import (
    ExplanationGoneError,
    InvalidValueError,
    StateFullError,
    StateUnusableError,
    UnknownKindError,
)
from edge_sdk.log import header as log_file
from edge_sdk.state import folder as state_folder
from edge_sdk.testing.white_box import internals
from tests.support.engine_acts import names, tape
from tests.support.scene import DERIVED_KINDS, HOME, OFFERS, SettableClock, Small


def opened(small: Small, state: Path, **options: Any) -> Engine:
    return Engine.open(state, bundle=small.bundle, trusted_keys=[small.public_key], **options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("durability", value) for value in ("", "disk", "POWER", None, True, ["power"])),
        *(("sync_interval_s", value) for value in (-1, -0.001, math.nan, math.inf, "1", None, 1j)),
    ],
)
def test_a_durability_that_there_is_not_is_refused(small: Small, tmp_path: Path, option: str, value: object) -> None:
    with pytest.raises(InvalidValueError, match=f"^{option}=.*; pass "):
        opened(small, tmp_path / "s", **{option: value})
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("log_bytes", [0, -1, 4095, (1 << 30) + 1, 4096.0, "4096", True, math.nan])
def test_a_size_out_of_range_is_refused(small: Small, clock: SettableClock, tmp_path: Path, log_bytes: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"log_bytes=.* is not usable; pass 4096 to 1073741824 bytes"):
        opened(small, tmp_path / "s", log_bytes=log_bytes)
    assert not (tmp_path / "s").exists()
    with small.open(tmp_path / "s", clock, log_bytes=5000) as engine:
        engine.record("view", item="fund_a")
        before = tape(engine)
        with pytest.raises(InvalidValueError, match="log_bytes="):
            engine.storage.resize(log_bytes)
        assert tape(engine) == before
        assert engine.status().capacity == 154
        assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["events.log", "memory.bin", "owner.lock"]


def test_the_status_tells_how_the_folder_is_kept(small: Small, tmp_path: Path) -> None:
    with opened(small, tmp_path / "a") as engine:
        status = engine.status()
    assert (status.log_bytes, status.capacity, status.encrypted) == (1 << 20, 32_766, False)
    assert (status.durability, status.disk_failures, status.damaged) == ("process", 0, 0)
    with opened(
        small, tmp_path / "b", log_bytes=5000, durability="power", sync_interval_s=0, storage_key=bytes(24)
    ) as engine:
        engine.record("view", item="fund_a")
        status = engine.status()
        assert (status.log_bytes, status.capacity, status.encrypted) == (4992, 77, True)
        assert (status.durability, status.disk_failures, status.events) == ("power", 0, 1)
        engine.storage.resize(8192)
        assert (engine.status().log_bytes, engine.status().capacity) == (8192, 127)
        engine.storage.rotate_key(None)
        status = engine.status()
        assert (status.log_bytes, status.capacity, status.encrypted) == (64 + 127 * 32, 127, False)
        status_before_close = engine.status()
    assert engine.status() == status_before_close  # a closed engine still answers


def test_a_disk_that_refuses_is_counted_and_costs_no_event(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(small, tmp_path / "s", durability="power", sync_interval_s=0)

    def refuse() -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(internals(engine).state.log, "sync", refuse)
        assert engine.record("view", item="fund_a") == 1
        assert engine.record("click", item="fund_a") == 2
        assert engine.status().disk_failures == 2
        with pytest.raises(StateUnusableError, match="the disk refused"):
            engine.storage.sync()
    engine.storage.sync()
    assert (engine.status().disk_failures, engine.status().events) == (3, 2)
    engine.close()


def test_an_app_records_no_derived_kind(derived: Small, clock: SettableClock, tmp_path: Path) -> None:
    with derived.open(tmp_path / "s", clock) as engine:
        engine.record("view", item="fund_a")
        before = tape(engine)
        for kind in DERIVED_KINDS:
            with pytest.raises(UnknownKindError, match="is not in the scene; use one of view, click, impression"):
                engine.record(kind, item="fund_a")
            with pytest.raises(UnknownKindError):
                engine.erase(kinds=[kind])
        assert tape(engine) == before


@pytest.mark.parametrize(("field", "value"), [("before", 1.5), ("before", True), ("before", "1"), ("before", np.nan)])
def test_an_erase_before_no_time_is_refused(engine: Engine, field: str, value: Any) -> None:
    engine.record("view", item="fund_a")
    with pytest.raises(InvalidValueError, match=f"^{field}="):
        engine.erase(**{field: value})
    for field, value in (("items", "fund_a"), ("kinds", "view"), ("items", b"fund_a")):
        with pytest.raises(InvalidValueError, match=f"^{field}=.*list of"):
            engine.erase(**{field: value})
    with pytest.raises(InvalidValueError, match=r"^item="):
        engine.erase(items=["fund_a", 5])  # type: ignore[list-item]
    with pytest.raises(UnknownKindError):
        engine.erase(kinds=["view", "nonsense"])
    assert engine.status().events == 1


def test_an_erase_that_the_disk_refused_half_way_can_be_called_again(
    engine: Engine, base: BaseDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in ("fund_a", "fund_b", "fund_a"):
        engine.record("click", item=item)
    decision = engine.rank(base, context=HOME)

    def refuse() -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(internals(engine).state.snapshots, "sync", refuse)
        with pytest.raises(StateUnusableError, match="Input/output error"):
            engine.erase(items=["fund_a"])
    with pytest.raises(ExplanationGoneError):  # memory has changed already
        engine.explain(decision)
    assert engine.erase(items=["fund_a"]) == 2
    assert internals(engine).state.log.read()["seq"].tolist() == [2]


def test_a_log_that_would_outgrow_the_largest_is_not_encrypted(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.record("click", item="fund_a")
    monkeypatch.setattr(log_file, "LOG_BYTES_MAX", 100_000)  # of 65,536 bytes in plain; encrypted twice that
    with pytest.raises(InvalidValueError, match="log_bytes=131008"):
        engine.storage.rotate_key(bytes(16))
    assert (engine.status().encrypted, engine.status().events, engine.record("view")) == (False, 1, 2)
    assert not (tmp_path / "state" / "events.new").exists()


# ---- sequence numbers ----


@pytest.mark.parametrize("storage_key", [None, bytes(16)])
def test_numbers_start_low_again_long_before_they_end(
    small: Small, clock: SettableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage_key: bytes | None
) -> None:
    base = BaseDecision(OFFERS, np.linspace(1, 0, 6))
    seen: list[tuple[object, ...]] = []
    numbers: list[int] = []
    for limit in (None, 400):
        now, folder = SettableClock(), tmp_path / str(limit)
        with monkeypatch.context() as patched:
            if limit:
                patched.setattr(state_folder, "RENUMBER_AT", limit)
            engine = small.open(folder, now, log_bytes=4096, storage_key=storage_key)
            for number in range(900):
                now.now_ms += 1_000
                seq = engine.record(("view", "click", "impression")[number % 3], item=OFFERS[number % 5], value=number)
                if number % 100 == 99:
                    numbers.append(seq)
                    engine.erase(items=["fund_b"], kinds=["view"]) if number == 99 else None
            decision = engine.rank(base, context=HOME)
            explained = engine.explain(decision)
            records = internals(engine).state.log.read()[["time_s", "time_ms", "kind", "item", "value", "decision"]]
            dump = internals(engine).state.memory.dump()
            engine.close()
            with small.open(folder, now, storage_key=storage_key) as again:
                assert internals(again).state.memory.dump() == dump
                assert internals(again).state.log.last_seq == internals(engine).state.log.last_seq
                assert again.status().damaged == 0
                assert again.rank(base, context=HOME).scores.tobytes() == decision.scores.tobytes()
        seen.append((records.tolist(), dump, decision.scores.tobytes(), names(decision), explained))
    assert seen[0] == seen[1]
    assert numbers[:9] == [100, 200, 300, 400, 500, 600, 700, 800, 900]
    assert max(numbers[9:]) <= 400 + 63  # within half a ring of the limit
    assert numbers[-1] < 400 + 63


def test_many_events_that_the_numbers_left_would_not_do_for_wait_for_low_ones(
    small: Small, clock: SettableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk had no room when numbers were to start low again, and does not have it yet."""
    many: dict[str, Any] = {"times_ms": [clock.now_ms] * 10, "kinds": [0] * 10, "kind_names": ["note"]}
    with small.open(tmp_path / "s", clock, log_bytes=4096) as engine:
        for _ in range(500):
            engine.record("note")
        monkeypatch.setattr(state_folder, "SEQ_MAX", 505)
        before = tape(engine)
        with monkeypatch.context() as full:
            full.setattr(os, "posix_fallocate", refused)
            with pytest.raises(StateFullError):
                engine.record_many(**many)
        assert tape(engine) == before
        last = engine.record_many(**many)
        assert 126 < last < 505
        assert engine.record("note") == last + 1
        assert engine.status().events == 126


def refused(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
