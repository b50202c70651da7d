"""Makes records for the tests of the event log: a row for each number, a file of rows, and the rows of a file."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.log.event_log import EventLog
from tests.support.places import entry

SMALL = 4096  # 126 records
HEADER = 64
RECORD = 32
Row = tuple[int, int, int, int, float, int]


def row(seq: int) -> Row:
    """Returns sequence number, time, kind, item, value and decision of the `seq`-th record of these tests."""
    return (seq, 1_700_000_000_000 + seq * 1001, seq % 7 + 1, 0xDEAD0000 + seq, seq / 4, seq % 3)


def fill(path: Path, records: int, size_bytes: int = SMALL) -> None:
    log = EventLog.open(entry(path), size_bytes)
    for seq in range(1, records + 1):
        assert log.append(*row(seq)[1:]) == seq
    log.close()


def rows(log: EventLog) -> list[Row]:
    return [
        (seq, time_s * 1000 + time_ms, kind, item, value, decision)
        for seq, time_s, time_ms, kind, item, value, decision, _, _, _ in log.read().tolist()
    ]


def reopened(path: Path) -> tuple[list[Row], int]:
    """Returns the intact records of a file, and how many count as damaged."""
    log = EventLog.open(entry(path), SMALL)
    found, damaged = rows(log), log.damaged
    assert log.count == len(found)
    assert log.last_seq == max((entry[0] for entry in found), default=0)
    log.close()
    return found, damaged
