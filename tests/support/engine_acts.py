"""Acts of a test on an engine, and reads of the engine afterwards."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st

from edge_sdk import Decision, Engine, Reason
from edge_sdk.explain.explainer import model_inputs
from edge_sdk.model.inputs import ModelInputs
from edge_sdk.testing.white_box import internals
from tests.support.scene import ITEMS, KINDS, SettableClock, Small

Act = tuple[int, str, str, float]  # milliseconds after the former act, kind, item, value
ACTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 5_000), st.integers(0, 3_000_000)),
        st.sampled_from(KINDS),
        st.sampled_from((*ITEMS, "", "never heard of")),
        st.floats(-1e6, 1e6, width=32),
    ),
    max_size=40,
)


def do(engine: Engine, clock: SettableClock, acts: list[Act]) -> None:
    for later_ms, kind, item, value in acts:
        clock.now_ms += later_ms
        engine.record(kind, item=item, value=value)


def fresh(small: Small, clock: SettableClock) -> tuple[tempfile.TemporaryDirectory[str], Engine]:
    folder = tempfile.TemporaryDirectory()
    return folder, small.open(Path(folder.name) / "state", clock)


def names(decision: Decision) -> list[str]:
    return [offer.id for offer in decision.offers]


def dropped(decision: Decision) -> dict[str, Reason]:
    """Dropped offers with the reasons for the suppression alone."""
    rank_reasons = Reason.RAISED | Reason.LOWERED | Reason.KEPT | Reason.BASE_ORDER
    return {offer.id: offer.reasons & ~rank_reasons for offer in decision.dropped}


def tape(engine: Engine) -> bytes:
    """Every record of the log, as bytes."""
    return internals(engine).state.log.read().tobytes()


def inputs_of(decision: Decision) -> ModelInputs:
    """The model's inputs for a decision, as rows."""
    evidence = decision.trace.evidence
    assert evidence is not None
    return model_inputs(evidence)
