"""A cap holds, and no event is lost, whatever cuts the taking in of events short; `rank` answers meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk import BaseDecision, Engine, ErrorCode
from edge_sdk.memory.memory import Memory
from edge_sdk.testing.white_box import internals
from tests.support.paths import ROOT
from tests.support.scene import SettableClock, Small


@pytest.mark.parametrize("problem", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("first", [1, 2])
def test_a_cap_holds_after_events_were_taken_in_half(
    engine: Engine,
    base: BaseDecision,
    monkeypatch: pytest.MonkeyPatch,
    problem: type[BaseException],
    first: int,
) -> None:
    for _ in range(2):
        engine.record("impression", item="fund_a")
    add, calls = Memory.add, 0

    def failing(memory: Memory, time_ms: int, kind: int, item: int, value: float, local: int = 0) -> None:
        nonlocal calls
        calls += 1
        if calls >= first:
            raise problem
        add(memory, time_ms, kind, item, value, local)

    with monkeypatch.context() as patched:
        patched.setattr(Memory, "add", failing)
        if problem is MemoryError:
            unranked = engine.rank(base)
            assert (unranked.error, len(unranked.offers)) == (ErrorCode.MODEL_FAILED, len(base.offers))
        else:
            with pytest.raises(KeyboardInterrupt):
                engine.rank(base)

    decision = engine.rank(base)
    assert not decision.error
    assert "fund_a" in [offer.id for offer in decision.dropped]
    assert engine.status().events == 2


def test_a_record_that_is_interrupted_is_there_or_not(
    small: Small, engine: Engine, clock: SettableClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = internals(engine).state.log

    class Interrupting:
        def __len__(self) -> int:
            return 0

        def append(self, body: bytes) -> None:
            raise KeyboardInterrupt

        def clear(self) -> None:
            pass

    engine.record("click", item="a")
    pending, log.pending = log.pending, Interrupting()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        engine.record("click", item="b")
    log.pending = pending

    dump = internals(engine).state.memory.dump()
    number = engine.record("click", item="c")
    engine.close()
    with small.open(tmp_path / "state", clock) as again:
        assert number == again.status().events == 3
        assert internals(again).state.memory.dump() != dump


NO_DESCRIPTORS = """
import resource, sys, os
import numpy as np
from edge_sdk import BaseDecision, Engine, EdgeError
from edge_sdk.errors import NotLoadedError
state, bundle, offers = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
engine = Engine.open(state, bundle=bundle, allow_unsigned=True)
base = BaseDecision(offers, np.zeros((len(offers), 2)))
os.fsencode("")
resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
for _ in range(3):
    for offer in offers:
        engine.record("impression", item=offer)
        engine.record("dismiss", item=offer)
empty = engine.rank(base)
assert empty.is_empty and empty.retry_at_ms, empty
engine.rank(base, limit="x").offers
for call in (lambda: engine.explain(empty), lambda: engine.message(empty, offers[0])):
    try:
        call()
        raise SystemExit("explained without its modules")
    except NotLoadedError:
        pass
engine.is_still_valid(empty), engine.status()
engine.shown(empty)
for act in (lambda: engine.erase(items=[offers[0]]), lambda: engine.erase(), lambda: engine.storage.resize(8192)):
    try:
        act()
    except EdgeError:
        pass
try:
    engine.close()
except EdgeError:
    pass
print("typed")
"""


def test_without_descriptors_every_call_answers_or_raises_a_typed_error(small: Small, tmp_path: Path) -> None:
    from tests.support.scene import OFFERS

    ran = subprocess.run(
        [sys.executable, "-c", NO_DESCRIPTORS, tmp_path / "state", small.bundle, ",".join(OFFERS)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert (ran.stdout.strip(), ran.returncode) == ("typed", 0), ran.stderr
