"""Erasing overwrites every record, and cannot be left half done.

The file is marked before its slots are zeroed, so the next opening completes an erase that was cut short at any point.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.log.event_log import EventLog
from tests.support.event_log_rows import HEADER, RECORD, SMALL, fill, reopened, row, rows
from tests.support.places import entry


def test_erase_overwrites_every_record(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    log = EventLog.open(entry(path), SMALL)
    for seq in range(1, 200):
        log.append(*row(seq)[1:])
    assert struct.pack("<I", 0xDEAD0000 + 150) in path.read_bytes()
    log.erase()
    content = path.read_bytes()
    assert content[HEADER:] == bytes(SMALL - HEADER)
    assert (log.count, log.last_seq, log.damaged, len(log.read())) == (0, 0, 0, 0)
    assert log.append(*row(1)[1:]) == 1
    log.close()
    assert reopened(path) == ([row(1)], 0)


@pytest.mark.parametrize("zeroed", [0, 1, 31, 1000, SMALL - HEADER])
def test_an_erase_cut_short_is_finished_when_the_log_is_opened(tmp_path: Path, zeroed: int) -> None:
    path = tmp_path / "events.log"
    fill(path, 126)
    content = bytearray(path.read_bytes())
    content[24:28] = b"WIPE"
    content[HEADER : HEADER + zeroed] = bytes(zeroed)
    path.write_bytes(content)
    assert reopened(path) == ([], 0)
    erased = path.read_bytes()
    assert erased[24:28] == bytes(4)
    assert erased[HEADER:] == bytes(SMALL - HEADER)


def test_erase_marks_the_file_before_it_zeroes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill at either flush, the next opening completes the erase."""
    path = tmp_path / "events.log"
    fill(path, 126)
    log = EventLog.open(entry(path), SMALL)
    seen: list[bytes] = []

    monkeypatch.setattr(log.ring.file, "flush", lambda: seen.append(path.read_bytes()))
    log.erase()
    monkeypatch.undo()
    log.close()
    assert [content[24:28] for content in seen] == [b"WIPE", b"WIPE", bytes(4)]
    assert any(seen[0][HEADER:])
    assert not any(seen[1][HEADER:])


def test_blanking_records_overwrites_damaged_ones_too(tmp_path: Path) -> None:
    """A record that cannot be read may be one of those to be blanked."""
    path = tmp_path / "events.log"
    fill(path, 100)
    content = bytearray(path.read_bytes())
    content[HEADER + 9 * RECORD + 20] ^= 1  # record 10
    content[HEADER + 120 * RECORD : HEADER + 121 * RECORD] = content[HEADER + 9 * RECORD : HEADER + 10 * RECORD]
    path.write_bytes(content)
    log = EventLog.open(entry(path), SMALL)
    assert (log.count, log.damaged) == (99, 2)
    log.append(*row(101)[1:])
    log.blank(np.array([50]), expired=False)
    assert struct.pack("<I", 0xDEAD0000 + 10) not in path.read_bytes()
    assert struct.pack("<I", 0xDEAD0000 + 50) not in path.read_bytes()
    assert [entry[0] for entry in rows(log)] == [seq for seq in range(1, 102) if seq not in (10, 50)]
    log.close()
    assert reopened(path)[1] == 1
