"""An erase removes every event from the engine and from its folder.

After `erase` no byte of a recorded event is left in the state folder, and everything that follows is as if nothing had
ever been recorded.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from hypothesis import given, settings

from edge_sdk import BaseDecision
from edge_sdk.vocabulary import item_words
from tests.support.engine_acts import ACTS, Act, do, fresh, names, tape
from tests.support.scene import HOME, NOW_MS, OFFERS, SettableClock, Small


def test_erase_leaves_nothing_of_the_user(
    small: Small, clock: SettableClock, base: BaseDecision, tmp_path: Path
) -> None:
    engine = small.open(tmp_path / "s", clock)
    secret, amount = item_words("fund_c")[0], struct.pack("<f", 31415.5)
    engine.record("click", item="fund_c", value=31415.5)
    engine.record("view", item="not in the bundle")
    engine.feedback(engine.rank(base, context=HOME), "fund_c", "dismiss", value=31415.5)
    traces = (struct.pack("<I", secret), struct.pack("<I", item_words("not in the bundle")[0]), amount, b"fund_c")
    assert sum(trace in content(tmp_path / "s") for trace in traces) == 3  # names are never written
    engine.erase()
    assert not any(trace in content(tmp_path / "s") for trace in traces)
    status = engine.status()
    assert (status.events, status.unknown_items, status.decisions, status.errors, status.damaged) == (0, 0, 0, 0, 0)
    decision = engine.rank(base, context=HOME)
    assert decision.id == 1
    assert decision.dropped == ()
    assert decision.order.tolist() == decision.base_order.tolist()
    engine.close()
    assert not any(trace in content(tmp_path / "s") for trace in traces)


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@given(before=ACTS, after=ACTS)
@settings(max_examples=20, deadline=None)
def test_erasing_is_as_if_nothing_had_been_recorded(small: Small, before: list[Act], after: list[Act]) -> None:
    base = BaseDecision(OFFERS, np.linspace(1, 0, 6))
    seen = []
    for past in (before, []):
        clock = SettableClock()
        folder, engine = fresh(small, clock)
        with folder, engine:
            do(engine, clock, past)
            engine.rank(base, context=HOME)
            engine.erase()
            clock.now_ms = NOW_MS
            do(engine, clock, after)
            decision = engine.rank(base, context=HOME)
            seen.append((decision.scores.tobytes(), decision.id, names(decision), tape(engine), engine.status()))
    assert seen[0] == seen[1]
