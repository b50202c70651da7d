"""Erased and expired events are in no byte of the state folder and in no object of the process.

Looked for are the ids, names, values, decision ids and times of two secret events: in plain mode all but the names are
found before, in the log and in what was kept of memory, and nothing after.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk import BaseDecision, Client, Engine
from tests.support.scene import DERIVED_SCENE, HOME, OFFERS, SCENE, SettableClock, Small, packed
from tests.support.state_traces import (
    DECISION,
    IN_LOG,
    KNOWN,
    SECRET_MS,
    UNKNOWN,
    VALUE,
    in_process,
    on_disk,
    record_secrets,
)

BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6))
ERASURES: dict[str, dict[str, object]] = {
    "all": {},
    "items": {"items": [UNKNOWN, KNOWN]},
    "kinds": {"kinds": ["convert"]},
    "before": {"before": SECRET_MS + 5_001},
    "kinds and items": {"kinds": ["convert", "view"], "items": [KNOWN, UNKNOWN, "page_home"]},
}


def others(engine: Engine, clock: SettableClock, count: int, kind: str = "click") -> None:
    for number in range(count):
        clock.now_ms += 1_000
        engine.record(kind, item="coupon_a", value=float(number))


@pytest.fixture(scope="module")
def forgetting(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Clicks are kept for ten minutes."""
    return packed(tmp_path_factory.mktemp("forgetting"), SCENE | {"retention": {"kinds": {"click": 600}}})


@pytest.mark.parametrize("earlier", [0, 60, 126, 1000])
@pytest.mark.parametrize("erasure", ERASURES)
def test_an_erase_leaves_no_trace(small: Small, tmp_path: Path, erasure: str, earlier: int) -> None:
    """However often the ring went round before, and whether memory was kept before or not."""
    clock = SettableClock(SECRET_MS - 1_000 * earlier - 2_000)
    engine = small.open(tmp_path, clock, log_bytes=4096)
    others(engine, clock, earlier)
    clock.now_ms = SECRET_MS
    record_secrets(engine, "convert")
    others(engine, clock, 5)
    engine.rank(BASE, context=HOME)
    assert on_disk(tmp_path, name="events.log") == IN_LOG
    engine.close()
    assert on_disk(tmp_path, name="memory.bin") >= {"value", "time in milliseconds"}
    engine = small.open(tmp_path, clock)
    record_secrets(engine, "convert")
    engine.erase(**ERASURES[erasure])  # type: ignore[arg-type]
    assert on_disk(tmp_path) - {"decision"} == set()  # the number of the newest decision stays the counter
    others(engine, clock, 3)
    engine.close()
    assert on_disk(tmp_path) - {"decision"} == set()


@pytest.mark.parametrize("erasure", ERASURES)
def test_an_erase_leaves_no_trace_in_the_process(small: Small, tmp_path: Path, erasure: str) -> None:
    clock = SettableClock(SECRET_MS - 5_000)
    with small.open(tmp_path, clock, log_bytes=4096) as engine:
        clock.now_ms = SECRET_MS
        record_secrets(engine, "convert")
        decision = engine.rank(BaseDecision([KNOWN, "fund_a"], [1.0, 2.0]), context=HOME)
        engine.explain(decision)
        assert in_process(engine) >= {"unknown item's name", "known item's name", "unknown item's id", "value"}
        del decision
        clock.now_ms += 5_000
        engine.erase(**ERASURES[erasure])  # type: ignore[arg-type]
        assert in_process(engine) == set()  # nor the names of the offers that were ranked
        engine.erase()
        assert in_process(engine) == set()


def test_an_erase_leaves_no_trace_in_a_client(small: Small, tmp_path: Path) -> None:
    clock = SettableClock(SECRET_MS)
    client = Client(lambda: small.open(tmp_path, clock, log_bytes=4096), clock=clock, cache_s=60.0)
    pending = {"unknown item's name", "known item's name", "value", "decision", "time in milliseconds"}
    for item in (UNKNOWN, KNOWN):
        client.record("convert", item=item, value=VALUE, decision=DECISION)
    assert in_process(client) >= pending
    clock.now_ms += 5_000  # the clock is an object of the process too
    client.erase()
    assert in_process(client) == set()
    with client:
        assert client.wait(30.0), client.error
        for item in (UNKNOWN, KNOWN):
            client.record("convert", item=item, value=VALUE, decision=DECISION)
        client.rank(BaseDecision([KNOWN, "fund_a"], [1.0, 2.0]), context=HOME)  # cached
        assert in_process(client) >= {"unknown item's name", "known item's name", "unknown item's id", "value"}
        clock.now_ms += 5_000
        client.erase()
        assert in_process(client) == set()


@pytest.mark.parametrize("erasure", ["all", "items", "kinds", "before", "kinds and items"])
def test_an_erase_also_removes_events_that_are_in_the_window_alone(small: Small, tmp_path: Path, erasure: str) -> None:
    clock = SettableClock(SECRET_MS)
    engine = small.open(tmp_path, clock, log_bytes=4096)
    record_secrets(engine, "convert")
    others(engine, clock, 300, kind="note")  # no kind of the window: the secrets have left the log alone
    engine.close()
    assert on_disk(tmp_path, name="events.log") == set()
    assert on_disk(tmp_path, name="memory.bin") == {"value", "time in milliseconds"}
    with small.open(tmp_path, clock) as engine:
        engine.erase(**ERASURES[erasure])  # type: ignore[arg-type]
        assert on_disk(tmp_path) == set()
        assert in_process(engine) == set()
    assert on_disk(tmp_path) == set()


@pytest.mark.parametrize("while_open", [False, True])
def test_what_has_been_kept_long_enough_leaves_no_trace(forgetting: Small, tmp_path: Path, while_open: bool) -> None:
    clock = SettableClock(SECRET_MS)
    engine = forgetting.open(tmp_path, clock, log_bytes=4096)
    record_secrets(engine, "click")
    engine.close()
    assert on_disk(tmp_path) == IN_LOG | {"time in milliseconds"}
    clock.now_ms = SECRET_MS + 600_000
    engine = forgetting.open(tmp_path, clock)
    assert on_disk(tmp_path) == IN_LOG | {"time in milliseconds"}  # not a moment too early
    if while_open:
        clock.now_ms += 3_600_000
        others(engine, clock, 63, kind="note")  # half a ring
        assert engine.status().events == 63
    else:
        engine.close()
        clock.now_ms += 1
        engine = forgetting.open(tmp_path, clock)
        assert engine.status().events == 0
    assert on_disk(tmp_path) - {"decision"} == set()
    engine.close()
    assert on_disk(tmp_path) - {"decision"} == set()


def test_of_a_stay_too_long_to_count_nothing_is_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An open stay contains its item's id; where events expire, so does the id once no event can follow."""
    scene = packed(tmp_path_factory.mktemp("scene"), DERIVED_SCENE | {"retention": {"max_age_s": 60}})
    folder, clock = tmp_path_factory.mktemp("state"), SettableClock(SECRET_MS)
    for later_ms, is_stored in ((0, True), (60_001, True), (240_000, True), (240_001, False)):  # longest_s is 240
        clock.now_ms = SECRET_MS + later_ms
        with scene.open(folder, clock) as engine:
            if not later_ms:
                record_secrets(engine, "view")
        assert ("known item's id" in on_disk(folder)) == is_stored


@pytest.mark.parametrize("log_bytes", [4096, 8192])
def test_what_a_smaller_log_has_no_room_for_leaves_no_trace(small: Small, tmp_path: Path, log_bytes: int) -> None:
    clock = SettableClock(SECRET_MS)
    with small.open(tmp_path, clock, log_bytes=1 << 16) as engine:
        record_secrets(engine, "click")
        others(engine, clock, 300)
        assert on_disk(tmp_path) == IN_LOG
        engine.storage.resize(log_bytes)
        assert on_disk(tmp_path) == set()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["events.log", "memory.bin", "owner.lock"]
    assert on_disk(tmp_path) == set()


def test_of_a_plain_log_encrypted_later_no_plain_trace_is_left(small: Small, tmp_path: Path) -> None:
    clock = SettableClock(SECRET_MS)
    with small.open(tmp_path, clock) as engine:
        record_secrets(engine, "convert")
    assert on_disk(tmp_path) == IN_LOG | {"time in milliseconds"}
    with small.open(tmp_path, clock) as engine:
        engine.storage.rotate_key(bytes(range(32)))
        assert on_disk(tmp_path) == set()
        record_secrets(engine, "convert")
        assert engine.status().events == 4
    assert on_disk(tmp_path) == set()
