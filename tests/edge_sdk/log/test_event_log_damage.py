"""The log counts damaged records, and invents none.

With garbage over it, the log returns every intact record and no other, and repairs its header. (Cuts and single bytes:
test_event_log_bytes.py.) A file of another version or of another program is refused and left unchanged.
"""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import ErrorCode, LogVersionError, StateUnusableError
from edge_sdk.log.event_log import EventLog
from tests.support.event_log_rows import HEADER, RECORD, SMALL, fill, reopened, row
from tests.support.places import entry

# ---- records ----


@given(st.binary(min_size=1, max_size=200), st.integers(HEADER, SMALL - 1))
@settings(max_examples=150, deadline=None)
def test_garbage_over_records_invents_nothing(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, at: int
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "events.log"
    fill(path, 90)
    content = bytearray(path.read_bytes())
    garbage = garbage[: SMALL - at]
    content[at : at + len(garbage)] = garbage
    path.write_bytes(content)
    found, _ = reopened(path)
    overwritten = range((at - HEADER) // RECORD, (at + len(garbage) - 1 - HEADER) // RECORD + 1)
    assert set(found) <= {row(seq) for seq in range(1, 91)}
    assert {row(seq) for seq in range(1, 91) if seq - 1 not in overwritten} <= set(found)


def test_a_record_copied_to_another_place_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    fill(path, 5)
    content = bytearray(path.read_bytes())
    content[HEADER + 6 * RECORD : HEADER + 7 * RECORD] = content[HEADER : HEADER + RECORD]
    path.write_bytes(content)
    assert reopened(path) == ([row(seq) for seq in range(1, 6)], 1)


def test_the_number_of_a_damaged_newest_record_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    fill(path, 5)
    content = bytearray(path.read_bytes())
    content[HEADER + 4 * RECORD + 12] ^= 1
    path.write_bytes(content)
    log = EventLog.open(entry(path), SMALL)
    assert log.damaged == 1
    assert log.append(*row(5)[1:]) == 5
    log.close()
    assert reopened(path) == ([row(seq) for seq in range(1, 6)], 0)


# ---- the header and foreign files ----


def test_a_damaged_header_is_repaired(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    fill(path, 5)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(20) + whole[24:])
    assert reopened(path) == ([row(seq) for seq in range(1, 6)], 0)
    assert path.read_bytes() == whole


def with_header(magic: bytes, version: int, record_bytes: int, capacity: int) -> bytes:
    fields = struct.pack("<8sIII", magic, version, record_bytes, capacity)
    return (fields + struct.pack("<I", zlib.crc32(fields))).ljust(SMALL, b"\x11")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (with_header(b"EDGELOG\x00", 3, 32, 126), "version 3"),
        (with_header(b"EDGELOG\x00", 0, 32, 126), "version 0"),
        (with_header(b"EDGELOG\x00", 1, 40, 126), "version 1"),
        (with_header(b"OTHERLOG", 1, 32, 126), "OTHERLOG"),
        (with_header(b"EDGELOG\x00", 1, 32, 0), "0 records"),
        (with_header(b"EDGELOG\x00", 1, 32, 0xFFFFFFFF), "4294967295 records"),
        (b"SQLite format 3\x00" + bytes(SMALL - 16), "no event log"),
        (b"EDGELOG\x01", "no event log"),
        (b"note", "no event log"),
        (b"EDGELOG\x00 a note by somebody", "no event log"),
        (random.Random(1).randbytes(SMALL), "no event log"),
    ],
)
def test_another_version_or_a_foreign_file_stays_unchanged(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(content)
    with pytest.raises(LogVersionError, match=found) as caught:
        EventLog.open(entry(path), SMALL)
    assert caught.value.code is ErrorCode.LOG_VERSION
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_log_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "events.log").mkdir()
    with pytest.raises(StateUnusableError, match="no ordinary file but a link, a folder"):
        EventLog.open(entry(tmp_path / "events.log"), SMALL)
