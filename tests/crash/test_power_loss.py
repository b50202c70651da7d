"""A power loss costs at most the events after the last sync; no event is invented and none is counted twice.

The power is lost at a random moment of a random history, also within a change. Every page that was not synced then has
any version that it had since its last sync (power_loss.py).
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WrongKeyError
from edge_sdk.log.encryption import Cipher
from edge_sdk.state.snapshot import SnapshotFile
from edge_sdk.testing.white_box import abandon
from tests.support.places import entry
from tests.support.power_loss import Disk
from tests.support.ram_folder import ram_folder
from tests.support.small_state import KEYS, LAYOUT, LOG_BYTES, copied, event, memory_of, opened, record, recorded
from tests.support.state_changes import ITEM
from tests.support.system_calls import watched_maps

BY_HAND = 3600.0  # seconds: the flusher never comes; the history syncs the log
ACTS = st.lists(
    st.one_of(
        st.integers(1, 90),  # record so many
        st.sampled_from(("sync", "sync", "erase", "erase some", "grow", "shrink", *KEYS)),
    ),
    min_size=1,
    max_size=8,
)


class History:
    """A folder on a disk, what was done to it, and what must remain after a power loss."""

    def __init__(self, folder: Path, interval_s: float | None) -> None:
        self.disk, self.folder, self.interval_s = Disk(folder), folder, interval_s
        self.seqs: dict[int, int] = {}  # of every event that is not erased, by its number
        self.safe: set[int] = set()  # events that must survive
        self.keys: set[bytes | None] = {None}
        self.newest = 0
        with self.disk.watching():
            self.state = opened(folder, sync_interval_s=interval_s)
            self.disk.observe()

    def do(self, act: int | str) -> None:
        with self.disk.watching():
            if isinstance(act, int):
                self._record(act)
            elif act == "sync":
                assert self.state.sync()
                self.safe = set(self.seqs)
            elif act.startswith("erase"):
                self._erase(some=act == "erase some")
            else:
                self._replace(act)
            self.disk.observe()

    def _record(self, count: int) -> None:
        for number in range(self.newest + 1, self.newest + 1 + count):
            record(self.state, [number])
            self.seqs[number] = self.state.log.last_seq
            self.disk.observe()
            self.newest = number
            if self.interval_s == 0:
                self.safe.add(number)
            elif self.interval_s is None:
                self.safe = set()  # the kernel may write a page, and no page of memory, whenever it likes

    def _erase(self, *, some: bool) -> None:
        gone = {n for n in self.seqs if not some or 101 + n * n % 7 in ITEM}
        if some and not self.state.log.is_whole:
            return  # what is left of counters then is not the sum of what is left of events: test_engine_erase
        self.safe -= gone
        if some:
            self.state.erase_chosen(None, ITEM, None)
        else:
            self.state.erase()
        self.seqs = {n: seq for n, seq in self.seqs.items() if n not in gone}
        if self.state.log.cipher is None:
            times = [event(n)[0] for n in sorted(gone)]
            assert not self.disk.may_contain([struct.pack("<IH", time // 1000, time % 1000) for time in times])
            assert not self.disk.may_contain([struct.pack("<q", time) for time in times])

    def _replace(self, act: str) -> None:
        if act in KEYS:
            self.keys.add(KEYS[act])
            self.state.change_key(KEYS[act])
            self.keys = {KEYS[act]}
        else:
            self.state.resize(3 * LOG_BYTES if act == "grow" else LOG_BYTES)
        if self.interval_s is not None:
            self.safe = set(self.seqs)

    def check(self, image: Path) -> None:
        """Opens what the disk may contain now."""
        key = self._key_of(image)
        kept_seq = snapshot_seq(image, key)
        with watched_maps():
            state = opened(image, key)
            found = recorded(state)
            survivors = [n for n, seq in self.seqs.items() if seq <= kept_seq or n in found]
            assert set(found) <= set(self.seqs), "invented, or erased and there again"
            assert self.safe <= set(survivors), "lost"
            log = state.log
            in_ring = {n for n in self.safe if self.seqs[n] > log.last_seq - log.capacity}
            assert log.oldest_seq > 1 or in_ring <= set(found)
            assert state.memory.dump() == memory_of(survivors), "counted twice, or not at all"
            assert log.last_seq >= max((self.seqs[n] for n in survivors), default=0)
            last_seq = log.last_seq
            record(state, [self.newest + 1])
            assert log.last_seq == last_seq + 1
            abandon(state)
            state = opened(image, key)
            assert state.memory.dump() == memory_of([*survivors, self.newest + 1])
            abandon(state)

    def _key_of(self, image: Path) -> bytes | None:
        fitting = []
        for number, key in enumerate(self.keys):
            tried = copied(image, image.with_name(f"{image.name}_{number}"))
            with watched_maps():
                try:
                    abandon(opened(tried, key))
                    fitting.append(key)
                except WrongKeyError:
                    assert len(self.keys) == 2
            shutil.rmtree(tried)
        assert len(fitting) == 1
        return fitting[0]


def snapshot_seq(image: Path, key: bytes | None) -> int:
    """Returns the newest event in the snapshot of this log."""
    looked_at = copied(image, image.with_name(image.name + "_copy"))
    with watched_maps():
        state = opened(looked_at, key)
        log_id, cipher = state.log.log_id, None if key is None else Cipher(looked_at, key)
        abandon(state)
        shutil.copyfile(image / "memory.bin", looked_at / "memory.bin")
        file = SnapshotFile(entry(looked_at / "memory.bin"), LAYOUT)
        found = file.read(log_id, cipher)
        file.close()
    shutil.rmtree(looked_at)
    return found.seq if found else 0


@pytest.mark.parametrize("interval_s", [0.0, BY_HAND, None])
@given(acts=ACTS, random=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_what_was_synced_survives_whichever_pages_do(
    interval_s: float | None, acts: list[int | str], random: Random
) -> None:
    with ram_folder() as folder:
        history = History(Path(folder) / "state", interval_s)
        for act in acts:
            history.do(act)
        for number in range(3):
            history.check(history.disk.image(random, Path(folder) / f"image_{number}"))
        history.do("sync")
        history.check(history.disk.image(random, Path(folder) / "synced"))
        abandon(history.state)


@pytest.mark.parametrize("act", ["grow", "shrink", "key", "other key", "no key", "erase", "erase some"])
@given(acts=ACTS, more=st.integers(1, 90), random=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_power_lost_within_a_change(act: str, acts: list[int | str], more: int, random: Random) -> None:
    """Before each sync, rename and removal of the change, the log is the former or the new one."""
    with ram_folder() as folder:
        history = History(Path(folder) / "state", BY_HAND)
        if act == "erase some":
            history.do("grow")  # so that the ring seldom goes round
        for earlier in (*acts, more, "sync"):
            history.do(earlier)
        before = dict(history.seqs)
        images: list[Path] = []

        def lose_power() -> None:
            images.append(history.disk.image(random, Path(folder) / f"image_{len(images)}"))

        keys = set(history.keys)
        history.disk.before_each = lose_power
        history.do(act)
        history.keys |= keys
        after = history.seqs, history.safe
        assert images or not history.state.log.is_whole
        for image in images:
            if act.startswith("erase"):
                check_erase_cut_short(image, history, before, after[0])
            else:
                history.check(image)
        abandon(history.state)


def check_erase_cut_short(image: Path, history: History, before: dict[int, int], after: dict[int, int]) -> None:
    """All other events are there, of the erased ones any part; memory is the former, the new or the log's."""
    with watched_maps():
        state = opened(image, next(iter(history.keys)))
        found = recorded(state)
        assert set(found) <= set(before)
        assert set(after) & {n for n, seq in before.items() if seq >= state.log.oldest_seq} <= set(found)
        assert state.memory.dump() in (memory_of(before), memory_of(after), memory_of(found))
        abandon(state)
