"""An installed policy is in force whole or not at all, and a refused one changes nothing."""

from __future__ import annotations

import errno
import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from cloud_export.export.container_writer import development_key, sign_container
from cloud_export.export.policy_file import pack_policy_file, sign_policy_file
from cloud_export.scene.load import scene_from_table
from edge_sdk import BaseDecision, Decision, Engine, Reason
from edge_sdk.bundle.container import POLICY
from edge_sdk.errors import (
    BundleDamagedError,
    BundleUntrustedError,
    EdgeError,
    ErrorCode,
    PolicyInvalidError,
    PolicyNotNewerError,
    StateUnusableError,
)
from edge_sdk.log import atomic_file
from edge_sdk.log.directory import Directory, Entry
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.policy_file import PolicyStore, Trust
from edge_sdk.testing.white_box import abandon, internals
from tests.support.interrupts import Cut
from tests.support.random_policies import RICH, Table
from tests.support.rich_engine import KEY, opened, signed
from tests.support.rich_engine import rich as rich
from tests.support.scene import HOME, SettableClock, Small

ONE = BaseDecision(("fund_a", "fund_b"), np.arange(2.0))
TWICE: Table = {"caps": [{"kind": ["impression"], "per": "user", "limit": 2, "within": "total"}]}
THRICE: Table = {"caps": [{"kind": ["impression"], "per": "user", "limit": 3, "within": "total"}]}
DAMAGED_EVERY = 97  # bytes


class Opened:
    """A folder with an engine under the former policy, in which one impression is counted."""

    def __init__(self, rich: Small, folder: Path) -> None:
        self.rich, self.folder, self.clock = rich, folder, SettableClock()
        self.engine = self.open()
        self.engine.install_policy(signed(TWICE, 5))
        self.engine.record("impression", item="fund_a")

    def open(self) -> Engine:
        return opened(self.rich, self.folder, self.clock)

    def again(self) -> None:
        self.engine.close()
        self.engine = self.open()

    def room(self) -> int:
        """How many offers the policy in force lets be shown now."""
        return len(self.rank().offers)

    def rank(self) -> Decision:
        return self.engine.rank(ONE, context=HOME)

    def expect(self, version: int, room: int) -> None:
        """This policy is in force, with what it has counted; after the next opening too."""
        for _ in range(2):
            status = self.engine.status()
            assert (status.policy_version, status.policy_error, self.room()) == (version, "", room)
            self.again()


@pytest.fixture
def user(rich: Small, tmp_path: Path) -> Iterator[Opened]:
    user = Opened(rich, tmp_path / "state")
    yield user
    user.engine.close()


def other_scene() -> bytes:
    return sign_policy_file(scene_from_table({**RICH, "scene": {**RICH["scene"], "name": "other"}}), KEY)


def foreign_words() -> bytes:
    """Of a scene of this name that has one channel more."""
    channels = {**RICH["channels"], "mail": {"shown": "note"}}
    policy = {"version": 9, "blocks": [{"channel": ["mail"]}]}
    return sign_policy_file(scene_from_table({**RICH, "channels": channels, "policy": policy}), KEY)


def payload() -> bytes:
    return pack_policy_file(scene_from_table({**RICH, "policy": {**THRICE, "version": 9}}))


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda: sign_container(payload(), [], POLICY), BundleUntrustedError),
        (lambda: sign_container(payload(), [development_key("another")], POLICY), BundleUntrustedError),
        (lambda: sign_container(payload(), [KEY]), BundleDamagedError),  # a bundle's identifier
        (lambda: payload(), BundleDamagedError),
        (lambda: b"", BundleDamagedError),
        (other_scene, PolicyInvalidError),
        (foreign_words, PolicyInvalidError),
        (lambda: signed(THRICE, 5), PolicyNotNewerError),
        (lambda: signed(THRICE, 4), PolicyNotNewerError),
    ],
)
def test_a_policy_that_is_refused_changes_nothing(
    user: Opened, made: Callable[[], bytes], error: type[EdgeError]
) -> None:
    before = user.rank()
    with pytest.raises(error):
        user.engine.install_policy(made())
    assert user.rank().trace.result.eligible_order.tolist() == before.trace.result.eligible_order.tolist()
    user.expect(5, room=1)


def test_a_bundle_is_no_policy(user: Opened) -> None:
    with pytest.raises(BundleDamagedError, match="file identifier"):
        user.engine.install_policy(user.rich.bundle.read_bytes())
    user.expect(5, room=1)


def test_a_damaged_policy_is_refused_wherever_it_is_damaged(user: Opened) -> None:
    """Or it is the same policy: some bytes of the file are padding, or name tables that nobody reads."""
    whole = signed(THRICE, 9)
    store = PolicyStore(Directory(user.folder), Trust((user.rich.public_key,), allow_unsigned=False))
    refused = 0
    for at in range(0, len(whole), DAMAGED_EVERY):
        for flip in (0x01, 0x80, 0xFF):
            damaged = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
            try:
                store.check(damaged, internals(user.engine).bundle)
            except EdgeError:
                refused += 1
                with pytest.raises(EdgeError):
                    user.engine.install_policy(damaged)
            else:
                assert payload() in damaged
    assert refused >= len(range(0, len(whole), DAMAGED_EVERY))
    for size in range(0, len(whole), DAMAGED_EVERY):
        with pytest.raises(EdgeError):
            user.engine.install_policy(whole[:size])
    user.expect(5, room=1)


# ---- accepted ----


def test_an_accepted_policy_is_in_force_at_once_and_goes_on_counting(user: Opened) -> None:
    user.engine.install_policy(signed(THRICE, 6))
    user.expect(6, room=2)  # one of three is shown
    user.engine.shown(user.rank(), count=1)
    user.expect(6, room=1)
    user.engine.install_policy(signed(TWICE, 7))
    user.expect(7, room=0)
    assert {offer.reasons & Reason.CAPPED for offer in user.rank().dropped} == {Reason.CAPPED}


def test_a_decision_of_the_former_policy_is_explained_by_the_former_policy(user: Opened) -> None:
    decision = user.rank()
    before = user.engine.explain(decision)
    assert user.engine.is_still_valid(decision)
    user.engine.install_policy(signed(THRICE, 6))
    assert not user.engine.is_still_valid(decision)
    assert user.engine.explain(decision) == before


# ---- killed, and refused by the disk ----


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("where", ["prepare", "activate"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_between_one_of_both_policies_is_in_force_whole(
    user: Opened, monkeypatch: pytest.MonkeyPatch, where: str, when: str
) -> None:
    real = getattr(PolicyStore, where)

    def dying(store: PolicyStore, *given: Any) -> None:
        if when == "after":
            real(store, *given)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(PolicyStore, where, dying)
        with pytest.raises(Killed):
            user.engine.install_policy(signed(THRICE, 6))
    user.again()
    if (where, when) == ("activate", "after"):
        user.expect(6, room=2)
        return
    user.expect(5, room=1)
    user.engine.install_policy(signed(THRICE, 6))
    user.expect(6, room=2)


@pytest.mark.parametrize("left", [b"", b"half of a pol", None])
def test_what_a_killed_install_left_behind_is_not_looked_at(user: Opened, left: bytes | None) -> None:
    beside = user.folder / "policy.new"
    beside.write_bytes(signed(THRICE, 8) if left is None else left)
    user.again()
    user.expect(5, room=1)
    user.engine.install_policy(signed(THRICE, 6))
    assert not beside.exists()
    user.expect(6, room=2)


@pytest.mark.parametrize("step", ["stage", "recover", "install"])
def test_a_disk_that_refuses_is_named_and_the_former_policy_stays_in_force(
    user: Opened, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real = getattr(atomic_file, step)

    def full(path: Entry, *given: Any) -> None:
        if path.name.startswith("policy"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, *given)

    with monkeypatch.context() as patch:
        patch.setattr(atomic_file, step, full)
        with pytest.raises(StateUnusableError, match="No space left on device"):
            user.engine.install_policy(signed(THRICE, 6))
        assert user.room() == 1
    user.expect(5, room=1)
    user.engine.install_policy(signed(THRICE, 6))
    user.expect(6, room=2)


def test_a_rename_that_the_disk_does_not_confirm_has_happened(user: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy in force now is in force after a restart too."""
    failed = list[Path]()

    def failing(directory: Directory) -> None:
        failed.append(directory.path)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Directory, "sync", failing)
        user.engine.install_policy(signed(THRICE, 6))
    assert set(failed) == {user.folder}
    user.expect(6, room=2)


ONCE_FOR_EVER: Table = {"caps": [{"kind": "convert", "per": "offer", "limit": 1, "within": "total"}]}


@pytest.fixture
def bought(rich: Small, tmp_path: Path) -> Iterator[Opened]:
    """The user bought fund_a, which a cap suppresses for ever; the log has dropped that event."""
    user = Opened(rich, tmp_path / "bought")
    user.engine.install_policy(signed(ONCE_FOR_EVER, 6))
    user.engine.record("convert", item="fund_a")
    for _ in range(internals(user.engine).state.log.capacity + 1):
        user.clock.now_ms += 1000
        user.engine.record("view", item="fund_b")
    user.expect(6, room=1)
    yield user
    user.engine.close()


def test_counts_that_the_log_no_longer_has_survive_a_refused_install_of_a_policy_without_them(
    bought: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: PolicyStore) -> None:
        raise StateUnusableError(bought.folder, "the disk refuses")

    with monkeypatch.context() as patch:
        patch.setattr(PolicyStore, "activate", refuse)
        with pytest.raises(StateUnusableError):
            bought.engine.install_policy(signed({}, 7))
    bought.expect(6, room=1)


@pytest.mark.parametrize("where", ["activate", "adopt"])
def test_killed_before_the_new_counts_are_written_the_policy_in_force_has_its_counts(
    bought: Opened, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The policy that is in force after `adopt` was reached counts the same purchase and more."""

    def killed(*_: object) -> None:
        raise Killed

    more = {"caps": [*ONCE_FOR_EVER["caps"], *THRICE["caps"]]}
    with monkeypatch.context() as patch:
        patch.setattr(PolicyStore if where == "activate" else StateFolder, where, killed)
        with pytest.raises(Killed):
            bought.engine.install_policy(signed(more, 7))
    abandon(internals(bought.engine).state)
    bought.engine = bought.open()
    bought.expect(6 if where == "activate" else 7, room=1)


def test_a_policy_with_reordered_kinds_counts_the_same(user: Opened) -> None:
    both = {"caps": [{"kind": ["impression", "click"], "per": "user", "limit": 2, "within": "total"}]}
    turned = {"caps": [{"kind": ["click", "impression"], "per": "user", "limit": 2, "within": "total"}]}
    user.engine.install_policy(signed(both, 6))
    memory = internals(user.engine).state.memory
    user.engine.install_policy(signed(turned, 7))
    assert internals(user.engine).state.memory is memory


def test_decisions_keep_no_former_memory_alive(user: Opened) -> None:
    decision, former = user.rank(), weakref.ref(internals(user.engine).state.memory)
    before = user.engine.explain(decision)
    user.engine.install_policy(signed(ONCE_FOR_EVER, 6))
    assert internals(user.engine).state.memory is not former()
    gc.collect()
    assert former() is None
    assert user.engine.explain(decision) == before


INTERRUPTED = ("install_policy", "adopt", "_follow", "_put_in_force", "_look_again", "rebind")


def interrupt(at: int) -> Cut:
    """Raises KeyboardInterrupt at the n-th place where these functions can be interrupted: a line, or a call."""
    return Cut(at, is_interruptible, KeyboardInterrupt)


def is_interruptible(frame: FrameType, what: str) -> bool:
    code, caller = frame.f_code, frame.f_back
    if "edge_sdk" not in code.co_filename or not (code.co_name in INTERRUPTED or what == "call"):
        return False
    return code.co_name in INTERRUPTED or (caller is not None and caller.f_code.co_name in INTERRUPTED)


def test_an_interrupt_leaves_rules_and_memory_with_one_layout(rich: Small, tmp_path: Path) -> None:
    more = {"caps": [*THRICE["caps"], {"kind": "convert", "per": "offer", "limit": 9, "within": "total"}]}
    policy, counting, versions = signed(more, 6), interrupt(0), set()
    user = Opened(rich, tmp_path / "counted")
    counting.during(lambda: user.engine.install_policy(policy))
    user.engine.close()
    for at in range(1, counting.seen + 1):
        user = Opened(rich, tmp_path / str(at))
        with pytest.raises(KeyboardInterrupt):
            interrupt(at).during(lambda: user.engine.install_policy(policy))  # noqa: B023 - called at once
        decision, version = user.rank(), user.engine.status().policy_version
        assert (decision.error, decision.detail) == (ErrorCode.NONE, ""), at
        assert (version, len(decision.offers)) in ((5, 1), (6, 2)), at
        versions.add(version)
        user.engine.close()
    assert versions == {5, 6}
