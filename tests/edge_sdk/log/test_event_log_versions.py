"""A log of version 1 opens with its records as they are, and its header is upgraded; no kill leaves it unreadable.

`tests/golden/log_of_version_1.log` was written by the runtime before version 2: 112 events, 12 erased and 2 expired.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.limits import LOG_VERSION
from edge_sdk.log.event_log import EventLog
from edge_sdk.log.record import RECORD
from tests.support.event_log_rows import HEADER, SMALL, fill, row, rows
from tests.support.paths import GOLDEN
from tests.support.places import entry

OLD = GOLDEN / "log_of_version_1.log"
ERASED = [107, 117, 118, 134, 144, 145, 161, 171, 172, 188, 198, 199]
EXPIRED = [195, 196]


def of_version(content: bytes, version: int) -> bytes:
    shape = content[:8] + struct.pack("<I", version) + content[12:20]
    return shape + struct.pack("<I", zlib.crc32(shape)) + content[24:]


def version_of(content: bytes) -> int:
    return int.from_bytes(content[8:12], "little")


def old_records() -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """The events of the file, oldest first, read without the runtime."""
    records = np.frombuffer(OLD.read_bytes(), RECORD, offset=HEADER)
    return records[records["kind"] > 0][np.argsort(records["seq"][records["kind"] > 0])]


def test_a_log_of_version_1_opens_and_only_its_header_changes(tmp_path: Path) -> None:
    path, before = tmp_path / "events.log", OLD.read_bytes()
    assert (version_of(before), LOG_VERSION) == (1, 2)
    path.write_bytes(before)
    log = EventLog.open(entry(path), SMALL)
    assert log.read().tobytes() == old_records().tobytes()
    assert (log.count, log.last_seq, log.oldest_seq, log.damaged, log.is_whole) == (112, 230, 105, 0, False)
    records = log.ring.records(log.last_seq)
    blanks = records[records["kind"] == 0]
    assert blanks["seq"][blanks["local"] == 1].tolist() == ERASED
    assert blanks["seq"][blanks["local"] == 2].tolist() == EXPIRED
    assert not log.read()["item_high"].any()
    log.close()
    assert path.read_bytes() == of_version(before, 2)
    log = EventLog.open(entry(path), SMALL)
    assert log.append(1_768_100_000_000, 7, 9, 0.5, 3, 0xBEEF) == 231
    assert log.read()[-1].tolist()[:9] == (231, 1_768_100_000, 0, 7, 9, 0.5, 3, 0, 0xBEEF)
    assert log.read()[:-1].tobytes() == old_records()[old_records()["seq"] > 105].tobytes()
    log.close()


@pytest.mark.parametrize("written", range(HEADER + 1))
def test_an_upgrade_that_is_cut_short_leaves_a_log_that_opens(tmp_path: Path, written: int) -> None:
    path, before = tmp_path / "events.log", OLD.read_bytes()
    path.write_bytes(of_version(before, 2)[:written] + before[written:])
    log = EventLog.open(entry(path), SMALL)
    assert log.read().tobytes() == old_records().tobytes()
    assert (log.count, log.last_seq, log.damaged, log.id_lost) == (112, 230, 0, False)
    log.close()
    assert path.read_bytes() == of_version(before, 2)


@pytest.mark.parametrize("written", [0, 9, 20, 22, 24])
def test_an_encrypted_log_of_version_1_opens(tmp_path: Path, written: int) -> None:
    path, key = tmp_path / "events.log", bytes(range(16))
    log = EventLog.open(entry(path), SMALL, key=key)
    for seq in range(1, 100):
        log.append(*row(seq)[1:])
    log.close()
    now = path.read_bytes()
    path.write_bytes(now[:written] + of_version(now, 1)[written:])
    log = EventLog.open(entry(path), SMALL, key=key)
    assert rows(log) == [row(seq) for seq in range(100 - log.capacity, 100)]
    log.close()
    assert path.read_bytes() == now


def test_a_replacement_of_a_log_of_version_1_is_of_this_version(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(OLD.read_bytes())
    log = EventLog.open(entry(path), SMALL)
    other = log.replacement(size_bytes=8192, cipher=None)
    other.activate()
    log.discard()
    assert other.read()[["seq", "item", "item_high"]].tolist() == old_records()[["seq", "item", "item_high"]].tolist()
    other.close()
    assert version_of(path.read_bytes()) == 2


def test_a_new_log_is_of_this_version(tmp_path: Path) -> None:
    fill(tmp_path / "events.log", 3)
    assert version_of((tmp_path / "events.log").read_bytes()) == LOG_VERSION
