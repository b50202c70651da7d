"""The snapshot file of a former bundle is replaced: no crash, damage or full disk loses anything or leaves a trace."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import Engine
from edge_sdk.log.event_log import EventLog
from edge_sdk.memory.bulk import memory_from
from edge_sdk.memory.memory import Memory
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_words
from tests.support.scene import OFFERS, SettableClock, Small
from tests.support.two_bundles import KEY, known, names_in, opened, pack_former, pack_latest, record_some


def full(file: int, _: int, size: int) -> None:
    """Refuses room to a new file; a file that has its room needs none."""
    if os.fstat(file).st_size < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The former bundle."""
    return pack_former(tmp_path_factory.mktemp("former"))


@pytest.fixture(scope="module")
def latest(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The latest bundle."""
    return pack_latest(tmp_path_factory.mktemp("latest"))


@pytest.fixture
def left(former: Small, tmp_path: Path) -> tuple[Path, SettableClock]:
    """A folder as the former bundle left it, after the ring went round twice."""
    folder, clock = tmp_path / "state", SettableClock()
    with opened(former, folder, clock) as engine:
        record_some(engine, clock, 300, 3)
    return folder, clock


STEPS = ("posix_fallocate", "pwrite", "fsync", "rename", "unlink")


def test_killed_at_any_step_nothing_is_lost(
    latest: Small, left: tuple[Path, SettableClock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock = left
    copies: list[Path] = []  # of the folder before each step

    def photographed(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            copies.append(tmp_path / f"copy{len(copies)}")
            copies[-1].mkdir()
            for path in folder.iterdir():
                shutil.copyfile(path, copies[-1] / path.name)
            return call(*arguments, **options)

        return step

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, photographed(getattr(os, name)))
        engine = opened(latest, folder, clock)
    whole = known(engine, clock.now_ms)
    engine.close()
    seen = {tuple(names_in(copy)) for copy in copies}
    assert {("events.log", "memory.bin", "memory.new", "owner.lock"), ("events.log", "memory.new", "memory.old",
            "owner.lock"), ("events.log", "memory.bin", "memory.old", "owner.lock")} <= seen  # fmt: skip
    for copy in copies:
        with opened(latest, copy, clock) as engine:
            assert known(engine, clock.now_ms) == whole
            assert names_in(copy) == ["events.log", "memory.bin", "owner.lock"]


@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=40, deadline=None)
def test_one_damaged_byte_of_the_former_file_costs_nothing(
    former: Small, latest: Small, tmp_path_factory: pytest.TempPathFactory, where: float, flip: int
) -> None:
    folder, clock = tmp_path_factory.mktemp("state"), SettableClock()
    with opened(former, folder, clock) as engine:
        record_some(engine, clock, 300, 3)
    raw = bytearray((folder / "memory.bin").read_bytes())
    shutil.copytree(folder, folder / "intact")
    raw[int(where * len(raw))] ^= flip
    (folder / "memory.bin").write_bytes(raw)
    with opened(latest, folder, clock) as damaged, opened(latest, folder / "intact", clock) as intact:
        # Row 0 counts the offers that a bundle does not know: what the former one knew, only the snapshot tells.
        answers = [known(engine, clock.now_ms, from_row=1)[1:] for engine in (damaged, intact)]
        assert answers[0] == answers[1]
        at = slots_in_both(former, latest)
        read = [np.frombuffer(known(engine, clock.now_ms)[0], np.float32) for engine in (damaged, intact)]
        width = latest.layout.memory.counter_kinds * len(latest.layout.memory.decays)
        tables = [counters.reshape(-1, width)[at] for counters in read]
        assert tables[0].tobytes() == tables[1].tobytes()


def slots_in_both(former: Small, latest: Small) -> list[int]:
    ids = latest.layout.memory.offers.ids.tolist()
    return [row for row, offer in enumerate(ids, start=1) if offer in former.layout.memory.offers.ids]


def test_where_both_slots_are_damaged_the_log_alone_must_do(latest: Small, left: tuple[Path, SettableClock]) -> None:
    folder, clock = left
    size = (folder / "memory.bin").stat().st_size
    raw = bytearray((folder / "memory.bin").read_bytes())
    raw[100] ^= 1
    raw[size // 2 + 100] ^= 1
    (folder / "memory.bin").write_bytes(raw)
    with opened(latest, folder, clock) as engine:
        state = internals(engine).state
        assert state.memory.dump() == memory_from(state.layout, state.log.read()).dump()
        assert not state.log.is_whole


def test_without_room_for_both_files_the_former_stays_until_there_is(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock = left
    former_bytes = (folder / "memory.bin").read_bytes()

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with opened(latest, folder, clock) as engine:
            before = known(engine, clock.now_ms)
        assert (folder / "memory.bin").read_bytes() == former_bytes
        with opened(latest, folder, clock) as engine:
            assert known(engine, clock.now_ms) == before
    with opened(latest, folder, clock) as engine:
        assert known(engine, clock.now_ms) == before
    assert (folder / "memory.bin").read_bytes() != former_bytes
    with opened(latest, folder, clock) as engine:
        assert known(engine, clock.now_ms) == before


def test_a_key_given_while_the_former_file_is_still_there_finds_its_memory(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock = left

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        engine = opened(latest, folder, clock)
    before = known(engine, clock.now_ms)
    activate, copies = EventLog.activate, []

    def photographed(log: EventLog) -> None:
        copies.append(shutil.copytree(folder, folder.with_name("killed")))
        activate(log)

    monkeypatch.setattr(EventLog, "activate", photographed)
    engine.storage.rotate_key(KEY)
    engine.close()
    with opened(latest, folder, clock, KEY) as engine, opened(latest, copies[0], clock) as killed:
        assert known(engine, clock.now_ms) == known(killed, clock.now_ms) == before


# ---- what stays behind ----


@pytest.mark.parametrize("act", [Engine.erase, Engine.close])
def test_a_former_file_that_could_not_be_removed_is_at_the_next_writing(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch, act: Callable[[Engine], object]
) -> None:
    folder, clock = left

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refused)
        engine = opened(latest, folder, clock)
    assert names_in(folder) == ["events.log", "memory.bin", "memory.old", "owner.lock"]
    act(engine)
    assert names_in(folder) == ["events.log", "memory.bin", "owner.lock"]
    engine.close()


@pytest.mark.parametrize("is_full", [False, True])
def test_erasing_after_it_leaves_zeros(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    folder, clock = left

    if is_full:
        monkeypatch.setattr(os, "posix_fallocate", full)
    with opened(latest, folder, clock) as engine:
        engine.erase()
        raw = (folder / "memory.bin").read_bytes()
        assert len(raw) > 0
        assert raw == bytes(len(raw))
        assert names_in(folder) == ["events.log", "memory.bin", "owner.lock"]
    with opened(latest, folder, clock) as engine:
        assert internals(engine).state.memory.dump() == Memory(internals(engine).state.layout).dump()


def test_the_former_file_is_overwritten_before_it_is_removed(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock = left
    unlinked: dict[str, bytes] = {}
    unlink = os.unlink

    def watched(name: str, **options: Any) -> None:
        unlinked[name] = (folder / name).read_bytes()
        unlink(name, **options)

    size = (folder / "memory.bin").stat().st_size
    monkeypatch.setattr(os, "unlink", watched)
    opened(latest, folder, clock).close()
    assert unlinked == {"memory.old": bytes(size)}


def test_an_encrypted_folder_shows_nothing_on_the_way(
    former: Small, latest: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock = tmp_path / "state", SettableClock()
    with opened(former, folder, clock, KEY) as engine:
        record_some(engine, clock, 200, 3)
        before = known(engine, clock.now_ms)
    written: list[bytes] = []
    pwrite = os.pwrite

    def watched(file: int, content: bytes, at: int) -> int:
        written.append(bytes(content))
        return pwrite(file, content, at)

    monkeypatch.setattr(os, "pwrite", watched)
    with opened(latest, folder, clock, KEY) as engine:
        record_some(engine, clock, 100, 4)
        assert known(engine, clock.now_ms) != before
        offers = [item_words(offer)[0].to_bytes(4, "little") for offer in OFFERS]
        latest_ms = clock.now_ms.to_bytes(8, "little")
    assert len(written) >= 3
    for raw in (*written, *(path.read_bytes() for path in folder.iterdir() if path.name != "owner.lock")):
        assert not any(plain in raw for plain in (*offers, latest_ms, b"EDGEMEM"))
