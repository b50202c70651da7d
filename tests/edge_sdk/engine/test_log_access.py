"""An engine that writes its log by calls, whose log is cut, or whose process has no descriptors left.

Every answer is a value or a typed error; the process lives, and nothing that was acknowledged is lost.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edge_sdk import BaseDecision, Engine
from edge_sdk.errors import EdgeError, InvalidValueError, StateUnusableError
from edge_sdk.log.file_access import CalledFile
from edge_sdk.testing.white_box import internals
from tests.support.rich_engine import rich as rich
from tests.support.rich_engine import signed
from tests.support.scene import HOME, SettableClock, Small


def opened(small: Small, path: Path, clock: SettableClock, access: str = "auto") -> Engine:
    return Engine.open(
        path, bundle=small.bundle, trusted_keys=[small.public_key], clock=clock, log_bytes=8192, log_access=access  # type: ignore[arg-type]
    )  # fmt: skip


def test_an_unknown_access_is_refused_before_the_folder_is_made(
    small: Small, clock: SettableClock, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match="log_access='fast' is not usable; pass 'auto', 'map' or 'calls'"):
        opened(small, tmp_path / "state", clock, "fast")
    assert not (tmp_path / "state").exists()


def test_by_calls_an_engine_decides_the_same(
    small: Small, clock: SettableClock, tmp_path: Path, base: BaseDecision
) -> None:
    found = []
    for access in ("map", "calls"):
        with opened(small, tmp_path / access, clock, access) as engine:
            for number in range(600):
                engine.record("click", item=f"fund_{'abcd'[number % 4]}", value=number)
            engine.storage.resize(16384)
            found.append(engine.rank(base, context=HOME).order.tolist())
            assert isinstance(internals(engine).state.log.ring.file, CalledFile) == (access == "calls")
    assert found[0] == found[1]


@pytest.mark.parametrize("access", ["map", "calls"])
def test_a_cut_log_is_an_error_in_the_next_millisecond_and_costs_no_count(
    small: Small, clock: SettableClock, tmp_path: Path, base: BaseDecision, access: str
) -> None:
    path = tmp_path / "state"
    engine = opened(small, path, clock, access)
    for _ in range(500):
        engine.record("click", item="fund_a")
    expected = internals(engine).state.memory.dump()
    os.truncate(path / "events.log", 100)
    clock.now_ms += 1
    for _ in range(3):
        with pytest.raises(StateUnusableError, match="another process has cut it from 8192 to 100 bytes"):
            engine.record("click", item="fund_a")
    with pytest.raises(StateUnusableError):
        engine.storage.sync()
    with pytest.raises(StateUnusableError):
        engine.record_many([1], [0], kind_names=["click"])
    assert engine.rank(base, context=HOME).error == 0
    with pytest.raises(StateUnusableError):
        engine.close()
    with opened(small, path, clock, access) as again:
        assert internals(again).state.memory.dump() == expected
        again.record("click", item="fund_a")


@pytest.mark.parametrize("name", ["whole", "cut"])
def test_a_clock_that_is_set_back_frees_no_cap_under_a_cut_log_either(
    rich: Small, clock: SettableClock, tmp_path: Path, base: BaseDecision, name: str
) -> None:
    policy = {"caps": [{"kind": "click", "per": "offer", "limit": 1, "within_s": 60}]}
    engine = opened(rich, tmp_path / "state", clock)
    engine.install_policy(signed(policy))
    now_ms, clock.now_ms = clock.now_ms, clock.now_ms + 3_600_000
    engine.record("click", item="fund_a")
    if name == "cut":
        os.truncate(tmp_path / "state" / "events.log", 100)
    for clock.now_ms, is_capped in ((now_ms, True), (now_ms + 59_999, True), (now_ms + 60_000, False)):
        decision = engine.rank(base, context=HOME)
        assert decision.error == 0
        assert any(offer.id == "fund_a" for offer in decision.dropped) == is_capped
    with suppress(StateUnusableError):
        engine.close()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Leaves the process as many descriptors as it has open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_memory_is_kept_and_changes_are_refused_in_type(
    small: Small, clock: SettableClock, tmp_path: Path, base: BaseDecision
) -> None:
    path = tmp_path / "state"
    engine = opened(small, path, clock)
    state = internals(engine).state
    with no_descriptors():
        with pytest.raises(OSError, match="Too many open files"):
            os.open("/", os.O_RDONLY)
        for _ in range(1000):  # the ring goes round several times
            engine.record("click", item="fund_a")
        assert engine.rank(base, context=HOME).error == 0
        assert state.disk_failures == 0
        changes: tuple[Callable[[], object], ...] = (
            lambda: engine.storage.resize(16384),
            lambda: engine.storage.rotate_key(None),
        )
        for change in changes:
            with pytest.raises(StateUnusableError, match="Too many open files"):
                change()
        expected = state.memory.dump()
        engine.close()
    with opened(small, path, clock) as again:
        assert internals(again).state.memory.dump() == expected
        with no_descriptors():
            again.record("view")
            again.erase()
            again.storage.sync()


def test_close_tells_that_counts_are_lost(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    engine = opened(small, tmp_path / "state", clock)
    with pytest.MonkeyPatch.context() as patch:

        def refused(*_: object) -> int:
            raise OSError(5, "Input/output error")

        patch.setattr(os, "pwrite", refused)
        for _ in range(1000):
            engine.record("click", item="fund_a")
        with pytest.raises(EdgeError, match=r"memory\.bin: the disk refused the counts of events that have left"):
            engine.close()
    opened(small, tmp_path / "state", clock).close()
