"""The ring: what was acknowledged is there, what is damaged is counted, and nothing is invented."""

from __future__ import annotations

import errno
import os
import random
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import EdgeError
from edge_sdk.errors import ErrorCode, LogVersionError, StateFullError, StateOwnedError, StateUnusableError
from edge_sdk.event_log import EventLog, FolderLock

SMALL = 4096  # 126 records
HEADER = 64
RECORD = 32
Row = tuple[int, int, int, int, float, int]


def row(seq: int) -> Row:
    """Sequence number, time, kind, item, value, decision of the `seq`-th record of these tests."""
    return (seq, 1_700_000_000_000 + seq * 1001, seq % 7 + 1, 0xDEAD0000 + seq, seq / 4, seq % 3)


def fill(path: Path, records: int, size_bytes: int = SMALL) -> None:
    log = EventLog(path, size_bytes)
    for seq in range(1, records + 1):
        assert log.append(*row(seq)[1:]) == seq
    log.close()


def rows(log: EventLog) -> list[Row]:
    return [
        (seq, time_s * 1000 + time_ms, kind, item, value, decision)
        for seq, time_s, time_ms, kind, item, value, decision, _, _, _ in log.read().tolist()
    ]


def slot(content: bytes, place: int) -> bytes:
    """The bytes of one record's place."""
    return content[HEADER + place * RECORD : HEADER + (place + 1) * RECORD]


def reopened(path: Path) -> tuple[list[Row], int]:
    """The intact records of a file, and how many are said to be damaged."""
    log = EventLog(path, SMALL)
    found, damaged = rows(log), log.damaged
    assert log.count == len(found)
    assert log.last_seq == max((entry[0] for entry in found), default=0)
    log.close()
    return found, damaged


# ---- the ring ----


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.log", SMALL)
    assert (log.capacity, log.count, log.last_seq, log.damaged) == (126, 0, 0, 0)
    assert log.append(4_294_967_295_999, 0xFFFF, 0xFFFFFFFF, -0.5, 0xFFFFFFFF) == 1
    assert log.append(0, 1, 0, 3.4028234663852886e38, 0) == 2
    assert rows(log) == [
        (1, 4_294_967_295_999, 0xFFFF, 0xFFFFFFFF, -0.5, 0xFFFFFFFF),
        (2, 0, 1, 0, 3.4028234663852886e38, 0),
    ]
    log.close()


def test_the_file_is_the_documented_bytes(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.log", SMALL)
    log.append(1_700_000_000_123, 7, 0xDEADBEEF, 2.5, 9)
    log.close()
    content = (tmp_path / "events.log").read_bytes()
    header = b"EDGELOG\x00" + struct.pack("<III", 1, 32, 126)
    body = struct.pack("<IIHHIfIHH", 1, 1_700_000_000, 123, 7, 0xDEADBEEF, 2.5, 9, 0, 0)
    assert content[:24] == header + struct.pack("<I", zlib.crc32(header))
    assert content[24:64] == bytes(40)
    assert content[64:96] == body + struct.pack("<I", zlib.crc32(body))
    assert content[96:] == bytes(SMALL - 96)


@pytest.mark.parametrize("records", [0, 1, 125, 126, 127, 252, 253, 1000])
def test_the_newest_records_are_kept_in_order_over_a_reopening(tmp_path: Path, records: int) -> None:
    path = tmp_path / "events.log"
    fill(path, records)
    assert path.stat().st_size == SMALL
    expected = [row(seq) for seq in range(max(1, records - 125), records + 1)]
    assert reopened(path) == (expected, 0)
    log = EventLog(path, SMALL * 4)  # an existing log keeps its size
    assert log.capacity == 126
    assert log.append(*row(records + 1)[1:]) == records + 1
    assert rows(log)[-1] == row(records + 1)
    log.close()


@pytest.mark.parametrize("size", [-1, 0, 4095, (1 << 30) + 1])
def test_a_size_out_of_range_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(StateUnusableError, match=r"log_bytes=.* is not within 4096\.\.1073741824"):
        EventLog(tmp_path / "events.log", size)
    assert list(tmp_path.iterdir()) == []


# ---- damage ----


@pytest.mark.parametrize("records", [100, 126, 200])
def test_a_file_cut_at_any_length_keeps_the_records_before_the_cut(tmp_path: Path, records: int) -> None:
    path = tmp_path / "events.log"
    fill(path, records)
    whole = path.read_bytes()
    written = {(seq - 1) % 126: row(seq) for seq in range(max(1, records - 125), records + 1)}
    for length in range(24, SMALL, 3):
        path.write_bytes(whole[:length])
        cut = whole[:length].ljust(SMALL, b"\x00")  # what is missing reads as never written
        kept = sorted(entry for place, entry in written.items() if slot(cut, place) == slot(whole, place))
        found, damaged = reopened(path)
        assert found == kept, f"cut at {length}"
        newest = kept[-1][0] if kept else 0
        torn = sum(any(slot(cut, place)) and slot(cut, place) != slot(whole, place) for place in written)
        if records > 126 and newest >= 126:  # holes of a ring that had gone round are all known
            assert damaged == 126 - len(kept)
        else:  # of a cut end, only a record begun before the cut can still be seen
            assert damaged == torn, f"cut at {length}"
        assert path.stat().st_size == SMALL


@pytest.mark.parametrize("length", range(24))
def test_a_file_cut_within_its_header_is_refused_and_left_alone(tmp_path: Path, length: int) -> None:
    path = tmp_path / "events.log"
    fill(path, 3)
    path.write_bytes(path.read_bytes()[:length])
    before = path.read_bytes()
    with pytest.raises(LogVersionError, match="move the file away"):
        EventLog(path, SMALL)
    assert path.read_bytes() == before


@pytest.mark.parametrize("pattern", [0x01, 0x80, 0xFF])
@pytest.mark.parametrize("records", [40, 200])
def test_any_one_damaged_byte_costs_at_most_its_own_record(tmp_path: Path, records: int, pattern: int) -> None:
    path = tmp_path / "events.log"
    fill(path, records)
    whole = path.read_bytes()
    written = {(seq - 1) % 126: row(seq) for seq in range(max(1, records - 125), records + 1)}
    for at in range(SMALL):
        content = bytearray(whole)
        content[at] ^= pattern
        path.write_bytes(content)
        hit = (at - HEADER) // RECORD if at >= HEADER else -1
        found, damaged = reopened(path)
        assert found == sorted(entry for place, entry in written.items() if place != hit), f"byte {at}"
        assert damaged == (at >= HEADER), f"byte {at}"


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
    touched = range((at - HEADER) // RECORD, (at + len(garbage) - 1 - HEADER) // RECORD + 1)
    assert set(found) <= {row(seq) for seq in range(1, 91)}
    assert {row(seq) for seq in range(1, 91) if seq - 1 not in touched} <= set(found)


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
    log = EventLog(path, SMALL)
    assert log.damaged == 1
    assert log.append(*row(5)[1:]) == 5
    log.close()
    assert reopened(path) == ([row(seq) for seq in range(1, 6)], 0)


def test_a_damaged_header_is_mended(tmp_path: Path) -> None:
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
        (with_header(b"EDGELOG\x00", 2, 32, 126), "version 2"),
        (with_header(b"EDGELOG\x00", 1, 40, 126), "version 1"),
        (with_header(b"OTHERLOG", 1, 32, 126), "OTHERLOG"),
        (with_header(b"EDGELOG\x00", 1, 32, 0), "0 records"),
        (with_header(b"EDGELOG\x00", 1, 32, 0xFFFFFFFF), "4294967295 records"),
        (b"SQLite format 3\x00" + bytes(SMALL - 16), "no event log"),
        (b"", "no event log"),
        (b"EDGELOG\x00 a note by somebody", "no event log"),
        (os.urandom(SMALL), "no event log"),
    ],
)
def test_another_version_or_a_foreign_file_is_left_untouched(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(content)
    with pytest.raises(LogVersionError, match=found) as caught:
        EventLog(path, SMALL)
    assert caught.value.code is ErrorCode.LOG_VERSION
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_log_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "events.log").mkdir()
    with pytest.raises(StateUnusableError, match="directory"):
        EventLog(tmp_path / "events.log", SMALL)


def test_a_file_in_place_of_the_state_folder_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("mine")
    with pytest.raises(StateUnusableError, match="a folder that this process may write"):
        FolderLock(tmp_path / "state")
    assert (tmp_path / "state").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; runs as an ordinary user")
def test_a_folder_without_write_permission_is_unusable(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o500)
    with pytest.raises(StateUnusableError, match="Permission denied"):
        FolderLock(folder)


# ---- one owner ----


def test_a_second_owner_in_the_same_process_is_refused(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(StateOwnedError, match=f"in use by process {os.getpid()};"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


OWNER = """
import sys, time
from pathlib import Path
from edge_sdk.event_log import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("owned", flush=True)
sys.stdin.read()
"""


def test_another_process_is_refused_until_the_owner_is_killed(tmp_path: Path) -> None:
    with python(OWNER, tmp_path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owned\n"
        with pytest.raises(StateOwnedError, match=f"in use by process {owner.pid};"):
            FolderLock(tmp_path)
        owner.kill()
        owner.wait()
        FolderLock(tmp_path).release()


# ---- a full disk ----


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_for_the_log_is_said_at_once_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StateFullError, match="no room for 4096 bytes; free space, or open with a smaller log_bytes"):
        EventLog(tmp_path / "events.log", SMALL)
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
from edge_sdk.errors import StateFullError
from edge_sdk.event_log import EventLog
folder = Path(sys.argv[1])
try:
    EventLog(folder / "large.log", 1 << 20)
except StateFullError as problem:
    print(problem)
log = EventLog(folder / "events.log", 1 << 20)
print(log.last_seq, log.append(5, 6, 7, 8.0, 9))
log.close()
"""


def test_a_real_file_limit_spares_the_existing_log(tmp_path: Path) -> None:
    fill(tmp_path / "events.log", 3, 8192)
    with python(LIMITED, tmp_path) as limited:
        said = limited.communicate()[0].decode().splitlines()
    assert said == [
        f"{tmp_path}/large.log: no room for 1048576 bytes; free space, or open with a smaller log_bytes",
        "3 4",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.log"]
    assert reopened(tmp_path / "events.log")[0] == [row(1), row(2), row(3), (4, 5, 6, 7, 8.0, 9)]


def test_no_room_to_mend_a_cut_log_leaves_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.log"
    fill(path, 3)
    os.truncate(path, 1000)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StateFullError):
            EventLog(path, SMALL)
    assert path.read_bytes() == before
    assert reopened(path)[0] == [row(1), row(2), row(3)]


# ---- erasing ----


def test_erase_overwrites_every_record(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    log = EventLog(path, SMALL)
    for seq in range(1, 200):
        log.append(*row(seq)[1:])
    assert struct.pack("<I", 0xDEAD0000 + 150) in path.read_bytes()
    log.erase()
    content = path.read_bytes()
    assert content[24:] == bytes(SMALL - 24)
    assert (log.count, log.last_seq, log.damaged, len(log.read())) == (0, 0, 0, 0)
    assert log.append(*row(1)[1:]) == 1
    log.close()
    assert reopened(path) == ([row(1)], 0)


@pytest.mark.parametrize("wiped", [0, 1, 31, 1000, SMALL - HEADER])
def test_an_erase_cut_short_is_finished_when_the_log_is_opened(tmp_path: Path, wiped: int) -> None:
    path = tmp_path / "events.log"
    fill(path, 126)
    content = bytearray(path.read_bytes())
    content[24:28] = b"WIPE"
    content[HEADER : HEADER + wiped] = bytes(wiped)
    path.write_bytes(content)
    assert reopened(path) == ([], 0)
    assert path.read_bytes()[24:] == bytes(SMALL - 24)


def test_erase_marks_the_file_before_it_wipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at either flush, the next opening finishes the job."""
    path = tmp_path / "events.log"
    fill(path, 126)
    log = EventLog(path, SMALL)
    seen: list[bytes] = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(mapped, name)

        def __len__(self) -> int:
            return len(mapped)

        def __setitem__(self, at: slice, content: bytes) -> None:
            mapped[at] = content

        def flush(self) -> None:
            seen.append(path.read_bytes())

    mapped = log._map
    monkeypatch.setattr(log, "_map", Watched())
    log.erase()
    monkeypatch.undo()
    log.close()
    assert [content[24:28] for content in seen] == [b"WIPE", b"WIPE", bytes(4)]
    assert any(seen[0][HEADER:])
    assert not any(seen[1][HEADER:])


# ---- killed at any instruction ----

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


def python(program: str, folder: Path) -> subprocess.Popen[bytes]:
    """A Python of its own running `program`; it is killed at the end of the `with` if it still lives."""
    return _Process([sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class _Process(subprocess.Popen[bytes]):
    def __exit__(self, *problem: object) -> None:
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)
        super().__exit__(None, None, None)


def test_every_error_of_this_file_is_an_edge_error() -> None:
    for kind in (LogVersionError, StateFullError, StateOwnedError, StateUnusableError):
        assert issubclass(kind, EdgeError)
        assert 200 <= kind.code < 300
