"""A full disk is an error when the log is opened, and never later.

Without room for a new log nothing is left behind; without room to lengthen a cut log the log stays as it was. An
existing log needs no more room to record.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_sdk.errors import StateFullError
from edge_sdk.log.event_log import EventLog
from tests.support.child_python import python
from tests.support.event_log_rows import SMALL, fill, reopened, row
from tests.support.places import entry


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_for_the_log_is_an_error_at_once_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StateFullError, match="no room for 4096 bytes; free space, or open with a smaller log_bytes"):
        EventLog.open(entry(tmp_path / "events.log"), SMALL)
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
from edge_sdk.errors import StateFullError
from edge_sdk.log.directory import Directory
from edge_sdk.log.event_log import EventLog
folder = Directory(Path(sys.argv[1]))
try:
    EventLog.open(folder.entry("large.log"), 1 << 20)
except StateFullError as problem:
    print(problem)
log = EventLog.open(folder.entry("events.log"), 1 << 20)
print(log.last_seq, log.append(5, 6, 7, 8.0, 9))
log.close()
"""


def test_a_real_file_limit_spares_the_existing_log(tmp_path: Path) -> None:
    fill(tmp_path / "events.log", 3, 8192)
    with python(LIMITED, tmp_path) as limited:
        printed = limited.communicate()[0].decode().splitlines()
    assert printed == [
        f"{tmp_path}/large.log: no room for 1048576 bytes; free space, or open with a smaller log_bytes",
        "3 4",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.log"]
    assert reopened(tmp_path / "events.log")[0] == [row(1), row(2), row(3), (4, 5, 6, 7, 8.0, 9)]


def test_no_room_to_lengthen_a_cut_log_leaves_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.log"
    fill(path, 3)
    os.truncate(path, 1000)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StateFullError):
            EventLog.open(entry(path), SMALL)
    assert path.read_bytes() == before
    assert reopened(path)[0] == [row(1), row(2), row(3)]
