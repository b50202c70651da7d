"""A state folder has one owner.

A second owner, in the same process or in another, is refused with the number of the owning process until that owner
releases the folder or dies. A folder that cannot be owned at all is refused and left as it was.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_sdk.errors import StateOwnedError, StateUnusableError
from edge_sdk.state.lock import HeldFolder
from tests.support.child_python import OWNER, python


def test_a_second_owner_in_the_same_process_is_refused(tmp_path: Path) -> None:
    lock = HeldFolder(tmp_path)
    with pytest.raises(StateOwnedError, match=f"in use by this very process {os.getpid()};"):
        HeldFolder(tmp_path)
    lock.release()
    HeldFolder(tmp_path).release()


def test_another_process_is_refused_until_the_owner_is_killed(tmp_path: Path) -> None:
    with python(OWNER, tmp_path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"owned\n"
        with pytest.raises(StateOwnedError, match=f"in use by process {owner.pid};"):
            HeldFolder(tmp_path)
        owner.kill()
        owner.wait()
        HeldFolder(tmp_path).release()


def test_a_file_in_place_of_the_state_folder_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("mine")
    with pytest.raises(StateUnusableError, match="a folder that this process may write"):
        HeldFolder(tmp_path / "state")
    assert (tmp_path / "state").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; runs as an ordinary user")
def test_a_folder_without_write_permission_is_unusable(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o500)
    with pytest.raises(StateUnusableError, match="Permission denied"):
        HeldFolder(folder)
