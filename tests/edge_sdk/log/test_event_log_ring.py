"""The ring keeps the newest events in order, where nothing is damaged.

A record reads back as it was written, the file has the documented bytes, the newest records are in order after a
reopening, and a size out of range is refused. The errors of the log are all `EdgeError`s of the 200s.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from edge_sdk import EdgeError
from edge_sdk.errors import InvalidValueError, LogVersionError, StateFullError, StateOwnedError, StateUnusableError
from edge_sdk.limits import PENDING_MAX
from edge_sdk.log.event_log import EventLog
from edge_sdk.log.record import BODY
from tests.support.event_log_rows import SMALL, fill, reopened, row, rows
from tests.support.places import entry


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    log = EventLog.open(entry(tmp_path / "events.log"), SMALL)
    assert (log.capacity, log.count, log.last_seq, log.damaged) == (126, 0, 0, 0)
    assert log.append(4_294_967_295_999, 0xFFFF, 0xFFFFFFFF, -0.5, 0xFFFFFFFF) == 1
    assert log.append(0, 1, 0, 3.4028234663852886e38, 0) == 2
    assert rows(log) == [
        (1, 4_294_967_295_999, 0xFFFF, 0xFFFFFFFF, -0.5, 0xFFFFFFFF),
        (2, 0, 1, 0, 3.4028234663852886e38, 0),
    ]
    log.close()


def test_the_file_is_the_documented_bytes(tmp_path: Path) -> None:
    log = EventLog.open(entry(tmp_path / "events.log"), SMALL)
    log.append(1_700_000_000_123, 7, 0xDEADBEEF, 2.5, 9, 0xCAFE)
    log.close()
    content = (tmp_path / "events.log").read_bytes()
    header = b"EDGELOG\x00" + struct.pack("<III", 2, 32, 126)
    body = struct.pack("<IIHHIfIHH", 1, 1_700_000_000, 123, 7, 0xDEADBEEF, 2.5, 9, 0, 0xCAFE)
    assert content[:24] == header + struct.pack("<I", zlib.crc32(header))
    identity = struct.pack("<I8s", 1, log.log_id) + bytes(20)
    assert content[24:64] == bytes(4) + identity + struct.pack("<I", zlib.crc32(identity))
    assert log.log_id != bytes(8)
    assert content[64:96] == body + struct.pack("<I", zlib.crc32(body))
    assert content[96:] == bytes(SMALL - 96)


@pytest.mark.parametrize("records", [0, 1, 125, 126, 127, 252, 253, 1000])
def test_the_newest_records_are_kept_in_order_over_a_reopening(tmp_path: Path, records: int) -> None:
    path = tmp_path / "events.log"
    fill(path, records)
    assert path.stat().st_size == SMALL
    expected = [row(seq) for seq in range(max(1, records - 125), records + 1)]
    assert reopened(path) == (expected, 0)
    log = EventLog.open(entry(path), SMALL * 4)  # an existing log keeps its size
    assert log.capacity == 126
    assert log.append(*row(records + 1)[1:]) == records + 1
    assert rows(log)[-1] == row(records + 1)
    log.close()


@pytest.mark.parametrize("size", [-1, 0, 4095, (1 << 30) + 1])
def test_a_size_out_of_range_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidValueError, match=r"log_bytes=.* is not usable; pass 4096 to 1073741824 bytes"):
        EventLog.open(entry(tmp_path / "events.log"), size)
    assert list(tmp_path.iterdir()) == []


def test_every_error_of_this_file_is_an_edge_error() -> None:
    for kind in (LogVersionError, StateFullError, StateOwnedError, StateUnusableError):
        assert issubclass(kind, EdgeError)
        assert 200 <= kind.code < 300


def test_append_calls_what_is_due_after_the_event_is_written(tmp_path: Path) -> None:
    log = EventLog.open(entry(tmp_path / "events.log"), SMALL)
    calls: list[tuple[int, int, int]] = []
    log.on_due = lambda time_ms: calls.append((time_ms, log.last_seq, len(log.read())))
    log.due_seq = 3
    for seq in range(1, 5):
        assert log.append(*row(seq)[1:]) == seq
    assert calls == [(row(3)[1], 3, 3), (row(4)[1], 4, 4)]
    log.close()


def test_only_the_newest_events_are_pending(tmp_path: Path) -> None:
    log = EventLog.open(entry(tmp_path / "events.log"), SMALL)
    for seq in range(1, PENDING_MAX + 4):
        log.append(*row(seq)[1:])
    numbers = [BODY.unpack(body)[0] for body in log.pending]
    assert numbers == list(range(4, PENDING_MAX + 4))
    log.close()
