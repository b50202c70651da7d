"""One user's folder under two bundles: counters and caps go on, whatever happens while they are taken over."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import HOME, ITEMS, KINDS, NOW_MS, OFFERS, SCENE, SettableClock, Small, packed
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine, Reason
from edge_sdk.bulk import memory_from
from edge_sdk.carry_over import take_over
from edge_sdk.event_log import EventLog
from edge_sdk.memory import Memory
from edge_sdk.vocabulary import item_id

LOG_BYTES = 4096  # 126 records plain, 63 encrypted
DAY_MS = 86_400_000
THIRTY_DAYS = {"kind": "impression", "per": "offer", "limit": 2, "within_s": 30 * 86_400}
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Yesterday's bundle: an offer less, fewer items; other kinds, half-lives and caps."""
    table: dict[str, Any] = {
        **SCENE,
        "model": {
            **SCENE["model"],
            "counter_kinds": ["dismiss", "click", "impression"],
            "half_lives_s": [3600, 7200],
            "min_item_count": 21,
        },
        "policy": {**SCENE["policy"], "caps": [THIRTY_DAYS]},
    }
    return packed(tmp_path_factory.mktemp("former"), table, offers=OFFERS[1:])


@pytest.fixture(scope="module")
def latest(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Today's: with a new offer, and the cap at another place, a day longer."""
    policy = {**SCENE["policy"], "caps": [*SCENE["policy"]["caps"][1:], {**THIRTY_DAYS, "within_s": 31 * 86_400}]}
    return packed(tmp_path_factory.mktemp("latest"), {**SCENE, "policy": policy})


def opened(small: Small, state: Path, clock: SettableClock, key: bytes | None = None) -> Engine:
    trusted = [small.public_key]
    return Engine.open(
        state, bundle=small.bundle, trusted_keys=trusted, clock=clock, log_bytes=LOG_BYTES, storage_key=key
    )


def record_some(engine: Engine, clock: SettableClock, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(count):
        clock.now_ms += int(random.integers(0, 400_000))
        engine.record(str(random.choice(KINDS)), item=str(random.choice(ITEMS)), value=float(random.normal()))


def known(engine: Engine, now_ms: int) -> list[bytes]:
    """What a memory can be asked for: counters, caps, window, however it stands in its arrays."""
    return known_of(engine._state.memory, now_ms)


def known_of(memory: Memory, now_ms: int) -> list[bytes]:
    counters: npt.NDArray[np.generic] = (memory.sums * memory._fade(now_ms, 1)).astype(np.float32)
    caps = [memory.caps.newest(index, np.arange(len(rows))) for index, rows in enumerate(memory.caps._next)]
    return [array.tobytes() for array in (counters, *caps)] + [memory.window.dump()]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- what it is for ----


@pytest.mark.parametrize("key", [None, KEY])
def test_a_cap_of_thirty_days_survives_a_busy_day_and_a_new_bundle(
    former: Small, latest: Small, tmp_path: Path, key: bytes | None
) -> None:
    clock, now = SettableClock(), BaseDecision(OFFERS, np.zeros((6, 2)))
    with opened(former, tmp_path, clock, key) as engine:
        for _ in range(2):
            engine.record("impression", item="fund_a")
        for _ in range(500):
            engine.record("note")
    for day in (1, 30):
        clock.now_ms = NOW_MS + day * DAY_MS
        with opened(latest, tmp_path, clock, key) as engine:
            assert engine._state.log.read()["seq"].min() > 2  # the impressions have left the log
            dropped = {offer.id: offer.reasons for offer in engine.rank(now, context=HOME).dropped}
            assert Reason.CAPPED in dropped["fund_a"]
            assert not any(Reason.CAPPED in reasons for offer, reasons in dropped.items() if offer != "fund_a")
    clock.now_ms = NOW_MS + 31 * DAY_MS
    with opened(latest, tmp_path, clock, key) as engine:
        assert "fund_a" in [offer.id for offer in engine.rank(now, context=HOME).offers]


@given(counts=st.lists(st.integers(0, 300), min_size=2, max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_bundles_in_turn_are_as_one_memory_that_is_taken_over_in_turn(
    former: Small, latest: Small, tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int
) -> None:
    folder, clock = tmp_path_factory.mktemp("state"), SettableClock()
    before: Memory | None = None
    for turn, count in enumerate(counts):
        small = (former, latest)[turn % 2]
        with opened(small, folder, clock) as engine:
            expected = memory_from(engine._state._layout, engine._state.log.read())
            if before is not None and not engine._state.log.is_whole:
                take_over(expected, before)
            assert known(engine, clock.now_ms) == known_of(expected, clock.now_ms)
            record_some(engine, clock, count, seed + turn)
            before = engine._state.memory


def test_a_log_that_holds_all_events_knows_more_than_the_former_memory(
    former: Small, latest: Small, tmp_path: Path
) -> None:
    clock = SettableClock()
    with opened(former, tmp_path, clock) as engine:
        record_some(engine, clock, 100, 1)
    with opened(latest, tmp_path, clock) as engine:
        state = engine._state
        assert state.log.is_whole
        assert state.memory.dump() == memory_from(state._layout, state.log.read()).dump()
        clock.now_ms += 60 * DAY_MS
        decision = engine.rank(BaseDecision(OFFERS, np.zeros((6, 2))), context=HOME)
        engine.record("click", item="fund_a")  # so that the explanation is made from the log
        scores = [found.base + sum(term.value for term in found.terms) for found in engine.explain(decision)]
        assert scores == pytest.approx([offer.score for offer in decision.offers], abs=1e-4)
        assert scores


def test_decision_ids_go_on(former: Small, latest: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with opened(former, tmp_path, clock) as engine:
        record_some(engine, clock, 200, 1)
        assert engine.rank(BaseDecision(OFFERS[1:], np.zeros((5, 2))), context=HOME).id == 1
    for expected in (2, 3):
        with opened(latest, tmp_path, clock) as engine:
            assert engine.rank(BaseDecision(OFFERS, np.zeros((6, 2))), context=HOME).id == expected


# ---- what may happen on the way ----


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
        assert known(damaged, clock.now_ms)[1:] == known(intact, clock.now_ms)[1:]
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
        state = engine._state
        assert state.memory.dump() == memory_from(state._layout, state.log.read()).dump()
        assert not state.log.is_whole


def test_without_room_for_both_files_the_former_stays_until_there_is(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock = left
    former_bytes = (folder / "memory.bin").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

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

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        engine = opened(latest, folder, clock)
    before = known(engine, clock.now_ms)
    place, copies = EventLog.take_place, []

    def photographed(log: EventLog) -> None:
        copies.append(shutil.copytree(folder, folder.with_name("killed")))
        place(log)

    monkeypatch.setattr(EventLog, "take_place", photographed)
    engine.rotate_storage_key(KEY)
    engine.close()
    with opened(latest, folder, clock, KEY) as engine, opened(latest, copies[0], clock) as killed:
        assert known(engine, clock.now_ms) == known(killed, clock.now_ms) == before


# ---- what stays behind ----


@pytest.mark.parametrize("act", [Engine.erase, Engine.close])
def test_a_former_file_that_could_not_be_removed_is_at_the_next_writing(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch, act: Callable[[Engine], object]
) -> None:
    folder, clock = left

    def refused(*_: object) -> None:
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

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if is_full:
        monkeypatch.setattr(os, "posix_fallocate", full)
    with opened(latest, folder, clock) as engine:
        engine.erase()
        raw = (folder / "memory.bin").read_bytes()
        assert len(raw) > 0
        assert raw == bytes(len(raw))
        assert names_in(folder) == ["events.log", "memory.bin", "owner.lock"]
    with opened(latest, folder, clock) as engine:
        assert engine._state.memory.dump() == Memory(engine._state._layout).dump()


def test_the_former_file_is_overwritten_before_it_is_let_go(
    latest: Small, left: tuple[Path, SettableClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock = left
    unlinked: dict[str, bytes] = {}
    unlink = os.unlink

    def watched(path: Path, **options: Any) -> None:
        unlinked[Path(path).name] = Path(path).read_bytes()
        unlink(path, **options)

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
        offers = [item_id(offer).to_bytes(4, "little") for offer in OFFERS]
        latest_ms = clock.now_ms.to_bytes(8, "little")
    assert len(written) >= 3
    for raw in (*written, *(path.read_bytes() for path in folder.iterdir() if path.name != "owner.lock")):
        assert not any(plain in raw for plain in (*offers, latest_ms, b"EDGEMEM"))


def test_what_was_erased_before_is_not_taken_over(former: Small, latest: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with opened(former, tmp_path, clock) as engine:
        record_some(engine, clock, 300, 3)
        engine.erase(items=["fund_a"])
    with opened(latest, tmp_path, clock) as engine:
        memory = engine._state.memory
        row = memory.layout.offers.row(item_id("fund_a"))
        assert not memory.sums[row].any()
        assert memory.sums[1:].any()
        for index, rule in enumerate(memory.layout.caps):
            assert rule.per_category or not memory.caps.newest(index, np.array([row])).any()


def test_the_two_bundles_differ_in_all_that_matters(former: Small, latest: Small) -> None:
    old, new = former.layout.memory, latest.layout.memory
    assert [len(table) for table in (old.offers, new.offers, old.items, new.items)] == [5, 6, 3, 8]
    assert replace(new.caps[1], within_s=30 * 86_400) == old.caps[0]
    assert [decay.half_life_s for decay in (*old.decays, *new.decays)] == [3600, 7200, 60, 3600]
