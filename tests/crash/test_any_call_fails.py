"""Whatever single call to the system fails, reads among them, each public change raises a typed error or has happened.

Nothing that was acknowledged is lost: neither in this process nor after the next opening.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.log.file_access import LogAccess
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.lock import HeldFolder
from edge_sdk.testing.white_box import abandon
from tests.support.failing_calls import Failing
from tests.support.ram_folder import ram_folder
from tests.support.small_state import KEY, LAYOUT, LOG_BYTES, copied, event, memory_of, record, recorded

EVENTS = 150  # the ring has gone round
ITEM = frozenset({103})


def _record_some(folder: StateFolder) -> None:
    record(folder, range(EVENTS + 1, EVENTS + 80))
    folder.write_snapshot()


CHANGES: dict[str, tuple[Callable[[StateFolder], object], bytes | None]] = {
    "record": (_record_some, None),
    "resize": (lambda folder: folder.resize(2 * LOG_BYTES), None),
    "rotate": (lambda folder: folder.change_key(KEY), KEY),
    "sync": (lambda folder: folder.sync(), None),
    "erase some": (lambda folder: folder.erase_chosen(None, ITEM, None), None),
    "erase": (lambda folder: folder.erase(), None),
}


def opened(path: Path, access: LogAccess, key: bytes | None = None) -> StateFolder:
    return StateFolder(HeldFolder(path), LAYOUT, LOG_BYTES, now_ms=event(0)[0], storage_key=key, log_access=access)


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE], ids=["EIO", "EMFILE"])
@pytest.mark.parametrize("access", ["map", "calls"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_call_that_fails_is_a_typed_error_and_costs_nothing(name: str, access: LogAccess, number: int) -> None:
    change, new_key = CHANGES[name]
    with ram_folder() as ram:
        begun = Path(ram) / "begun"
        folder = opened(begun, access)
        record(folder, range(1, EVENTS + 1))
        abandon(folder)
        at, is_over, outcomes = 0, False, set[bool]()
        while not is_over:
            at += 1
            path = copied(begun, Path(ram) / f"{at}")
            folder = opened(path, access)
            acknowledged = recorded(folder)
            with pytest.MonkeyPatch.context() as patch:
                failing = Failing(patch, at, lambda: OSError(number, os.strerror(number)))
                try:
                    change(folder)
                    has_failed = False
                except EdgeError:
                    has_failed = True
                is_over = failing.calls < at
            outcomes.add(has_failed)
            assert not (is_over and has_failed)
            if not name.startswith("erase"):
                assert set(acknowledged[-40:]) <= set(recorded(folder)), at
                assert folder.memory.dump() == memory_of(range(1, recorded(folder)[-1] + 1)), at
            before = (recorded(folder), folder.memory.dump())
            abandon(folder)
            again = opened(path, access, None if has_failed else new_key)
            if name.startswith("erase") and has_failed:
                assert set(recorded(again)) <= set(acknowledged), at
            else:
                assert (recorded(again), again.memory.dump()) == before, at
            again.close()
            shutil.rmtree(path)
        assert False in outcomes
        assert at > 2
