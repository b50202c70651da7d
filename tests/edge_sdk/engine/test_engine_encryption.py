"""With a storage key no file of the folder ever contains a plain byte of an event, and no nonce comes twice.

The wrong key, one too many or none where one is needed is refused, names the fix and leaves the folder untouched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine
from edge_sdk.errors import WrongKeyError
from edge_sdk.log.record import RECORD
from edge_sdk.state import folder as state_folder
from edge_sdk.testing.white_box import internals
from tests.support.scene import HOME, OFFERS, SettableClock, Small
from tests.support.state_traces import SECRET_MS, UNKNOWN, on_disk, record_secrets

BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6))
KEY_16, KEY_24, KEY_32 = bytes(range(16)), bytes(range(24)), bytes(range(32))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def contents(engine: Engine) -> tuple[bytes, bytes, int, int]:
    records = internals(engine).state.log.read()[[name for name in RECORD.names or () if name != "crc"]]
    return (
        repr(records.tolist()).encode(),
        internals(engine).state.memory.dump(),
        internals(engine).state.log.last_seq,
        internals(engine).state.log.count,
    )


# ---- nothing plain ----


def assert_nothing_plain(engine: Engine, folder: Path) -> None:
    assert on_disk(folder) == set()
    pieces = [record.tobytes()[4:20] for record in internals(engine).state.log.read()]  # time, kind, item, value
    dump = internals(engine).state.memory.dump()
    pieces += [dump[at : at + 16] for at in range(0, len(dump), 16) if len(set(dump[at : at + 16])) > 4]
    for name, content in files(folder).items():
        assert not any(piece in content for piece in pieces), name


def test_no_file_ever_contains_a_plain_byte(derived: Small, tmp_path: Path) -> None:
    clock = SettableClock(SECRET_MS)
    engine = derived.open(tmp_path, clock, log_bytes=4096, storage_key=KEY_16)
    record_secrets(engine, "view")
    assert_nothing_plain(engine, tmp_path)
    engine.record_many(
        np.full(100, SECRET_MS), np.zeros(100, np.int64), np.zeros(100, np.int64), kind_names=["click"],
        item_names=[UNKNOWN],
    )  # fmt: skip
    record_secrets(engine, "convert")
    assert_nothing_plain(engine, tmp_path)
    internals(engine).state.write_snapshot()
    assert_nothing_plain(engine, tmp_path)
    engine.feedback(engine.rank(BASE, context=HOME), "fund_c", "click")
    engine.storage.resize(9000)
    assert_nothing_plain(engine, tmp_path)
    engine.storage.rotate_key(KEY_32)
    assert_nothing_plain(engine, tmp_path)
    engine.erase(kinds=["convert"])
    assert_nothing_plain(engine, tmp_path)
    engine.close()
    assert on_disk(tmp_path) == set()
    with derived.open(tmp_path, clock, storage_key=KEY_32) as engine:
        assert engine.status().damaged == 0
        assert engine.status().events == 61
        assert_nothing_plain(engine, tmp_path)


# ---- keys ----


def test_a_key_that_does_not_fit_is_refused_and_nothing_changes(
    small: Small, clock: SettableClock, tmp_path: Path
) -> None:
    for name, key in (("plain", None), ("sealed", KEY_32)):
        with small.open(tmp_path / name, clock, storage_key=key) as engine:
            record_secrets(engine, "click")
    before = files(tmp_path / "plain"), files(tmp_path / "sealed")
    cases: list[tuple[str, bytes | None, str]] = [
        ("sealed", KEY_16, "another key encrypted it; pass that key"),
        ("sealed", KEY_32[::-1], "another key encrypted it; pass that key"),
        ("sealed", None, "it is encrypted; pass its key"),
        ("plain", KEY_32, r"it is not encrypted; open it without a key, then call engine.storage.rotate_key\(key\)"),
    ]
    for name, key, words in cases:
        with pytest.raises(WrongKeyError, match=words) as refused:
            small.open(tmp_path / name, clock, storage_key=key)
        assert refused.value.code == 204
        assert (files(tmp_path / "plain"), files(tmp_path / "sealed")) == before
    for name, key in (("plain", None), ("sealed", KEY_32)):
        with small.open(tmp_path / name, clock, storage_key=key) as engine:
            assert engine.status().events == 2


@pytest.mark.parametrize(
    "key", [b"", bytes(15), bytes(17), bytes(33), "0" * 32, bytearray(32), memoryview(bytes(32)), 7]
)
def test_what_is_no_key_is_refused(small: Small, clock: SettableClock, tmp_path: Path, key: Any) -> None:
    with pytest.raises(WrongKeyError, match="is no AES key; pass 16, 24 or 32 random bytes"):
        small.open(tmp_path / "s", clock, storage_key=key)
    with small.open(tmp_path / "s", clock) as engine:
        engine.record("click", item="fund_a")
        before = files(tmp_path / "s")
        with pytest.raises(WrongKeyError, match="is no AES key"):
            engine.storage.rotate_key(key)
        assert files(tmp_path / "s") == before
        assert not engine.status().encrypted


def test_after_a_rotation_the_new_key_alone_opens_all_there_was(
    small: Small, clock: SettableClock, tmp_path: Path
) -> None:
    former: bytes | None = None
    engine = small.open(tmp_path, clock, log_bytes=4096)
    for number in range(300):
        clock.now_ms += 1_000
        engine.record(("impression", "view")[number % 2], item=OFFERS[number % 6], value=float(number))
    for key in (KEY_16, KEY_24, KEY_32, None, KEY_32, KEY_16, None):
        before, scores = contents(engine), engine.rank(BASE, context=HOME).scores.tobytes()
        engine.storage.rotate_key(key)
        assert contents(engine) == before
        engine.close()
        with pytest.raises(WrongKeyError):
            small.open(tmp_path, clock, storage_key=former)
        engine = small.open(tmp_path, clock, storage_key=key)
        assert contents(engine) == before
        assert engine.rank(BASE, context=HOME).scores.tobytes() == scores
        assert engine.status().encrypted == (key is not None)
        assert engine.status().damaged == 0
        former = key
    engine.close()


def test_a_smallest_log_can_be_encrypted_and_decrypted(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    with small.open(tmp_path, clock, log_bytes=4096, storage_key=KEY_16) as engine:
        assert engine.status().capacity == 63
        for _ in range(70):
            engine.record("click", item="fund_a")
        before = contents(engine)
        engine.storage.rotate_key(None)
        assert contents(engine) == before
        assert (engine.status().log_bytes, engine.status().capacity) == (4096, 126)  # never below the smallest size


# ---- nonces ----


def seals(folder: Path) -> dict[bytes, bytes]:
    """What lies in the folder under each nonce."""
    raw = (folder / "events.log").read_bytes()
    slots = [raw[at : at + 64] for at in range(64, len(raw), 64)]
    memory = (folder / "memory.bin").read_bytes()
    slots += [memory[: len(memory) // 2], memory[len(memory) // 2 :]]
    return {slot[:12]: slot[12:] for slot in slots if any(slot)}


@pytest.mark.parametrize("renumber_at", [None, 200])
def test_no_nonce_comes_twice(
    small: Small, clock: SettableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renumber_at: int | None
) -> None:
    """Of all that ever lay in the files: under one nonce always the same sealed bytes."""
    if renumber_at:
        monkeypatch.setattr(state_folder, "RENUMBER_AT", renumber_at)
    found: dict[bytes, bytes] = {}
    key, numbers = KEY_16, []

    def look() -> None:
        for nonce, sealed in seals(tmp_path).items():
            assert found.setdefault(nonce, sealed) == sealed

    engine = small.open(tmp_path, clock, log_bytes=4096, storage_key=key)
    for lap in range(40):
        for number in range(17):
            numbers.append(engine.record("click", item=OFFERS[number % 6], value=float(number)))
            look()
        act = lap % 8
        if act in (0, 4):
            engine.erase(items=[OFFERS[lap % 6]])
        elif act == 1:
            engine.close()
            engine = small.open(tmp_path, clock, storage_key=key)
        elif act == 2:
            internals(engine).state.write_snapshot()
        elif act == 3:
            key = KEY_32 if key == KEY_16 else KEY_16
            engine.storage.rotate_key(key)
        elif act == 5:
            engine.storage.resize(4096 if lap % 16 == 5 else 5000)
        elif act == 6 and lap > 20:
            engine.erase()
        elif act == 7:
            engine.record_many(np.full(200, clock.now_ms), np.zeros(200, np.int64), kind_names=["note"])
        look()
    engine.close()
    look()
    assert len(set(numbers)) < len(numbers)  # numbers were used again
    assert len(found) > 40 * 17
