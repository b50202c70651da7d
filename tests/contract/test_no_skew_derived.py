"""Training and the engine build the same arrays with derived events too, bit for bit, live and after a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_export.evaluate.faithfulness import window_rows
from cloud_export.features.examples import decision_points, make_examples
from edge_sdk.memory.memory import replay
from edge_sdk.model.inputs import ModelInputs, Shape
from tests.support.bound_inputs import made_from
from tests.support.scene import DERIVED_KINDS, DERIVED_SCENE, HOME, NOW_MS, SettableClock, Small, packed
from tests.support.stories import ANY_WAY, FORWARD, LAST, Step, as_log, base_of, same_bits, steps

VIEW, CLICK, IMPRESSION = 0, 1, 2  # codes of kinds
OF_RULES = st.sampled_from([0, 1_000, 60_000, 240_000, 240_001, 300_000, 300_001])  # at and beyond gaps and stays


@given(story=steps(st.one_of(OF_RULES, FORWARD)))
@settings(max_examples=80, deadline=None)
def test_replay_and_engine_derive_the_same_bits(derived: Small, story: list[Step]) -> None:
    same_bits(derived, story)


@given(story=steps(st.one_of(OF_RULES, ANY_WAY)))
@settings(max_examples=80, deadline=None)
def test_the_same_bits_even_where_the_clock_steps_back(derived: Small, story: list[Step]) -> None:
    same_bits(derived, story)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The scene with events that are soon no longer shown."""
    retention = {"retention": {"max_age_s": 600, "kinds": {"view": 60, "stay": 120, "visit_end": 3600}}}
    return packed(tmp_path_factory.mktemp("forgetful"), DERIVED_SCENE | retention)


@given(story=steps(OF_RULES))
@settings(max_examples=40, deadline=None)
def test_the_same_bits_where_events_are_kept_for_a_while(forgetful: Small, story: list[Step]) -> None:
    same_bits(forgetful, story)


def test_what_training_and_the_device_see_of_a_short_story(derived: Small, tmp_path: Path) -> None:
    """Derived events are at the places of docs/format.md: by name, newest first."""
    story = [
        Step(0, VIEW, 2, 0.0, ()),
        Step(34_000, CLICK, 2, 0.0, ()),
        Step(1_000, IMPRESSION, 3, 0.0, ()),
        Step(1_000, IMPRESSION, 4, 0.0, ()),
        Step(400_000, VIEW, 5, 0.0, ()),
        LAST,
    ]
    expected = [
        ("view", 0.017), ("visit_end", 400.017), ("passed_over", 400.017), ("click", 402.017), ("stay", 402.017),
        ("view", 436.017),
    ]  # fmt: skip
    log, clock = as_log(story), SettableClock()
    chosen = np.arange(1)
    offline = make_examples(
        log, derived.layout, chosen, decision_points(log, chosen), progress=lambda done, total: None
    )

    with derived.open(tmp_path / "state", clock) as engine:
        for step in story[:-1]:
            clock.now_ms += step.later_ms
            kind = ("view", "click", "impression")[step.kind]
            engine.record(kind, item=derived.log.items[step.item])
        clock.now_ms += LAST.later_ms
        decision = engine.rank(base_of(LAST), context=HOME)
        live = made_from(engine, decision)
        labels = [term.label for term in engine.explain(decision)[0].contributions if term.event >= 0]
        assert engine.status().events == 5  # the recorded events alone

    assert clock.now_ms == NOW_MS + 436_017
    for kinds, ages, values in (
        (offline.event_kind[0], offline.event_age_s[0], offline.event_value[0]),
        (live.event_kind, live.event_age_s, live.event_value),
    ):
        names = [derived.layout.kinds[row - 1] for row in kinds.tolist() if row]
        assert list(zip(names, ages.round(3).tolist(), strict=False)) == [
            (name, pytest.approx(age_s, abs=2e-3)) for name, age_s in expected
        ]
        assert values[: len(names)].tolist() == [0.0, 36.0, 2.0, 0.0, 34.0, 0.0]
    assert sorted(labels) == [
        "click fund_a, 7 min ago", "passed_over, 7 min ago", "stay fund_a, 7 min ago", "view fund_a, 7 min ago",
        "view fund_d, 0 s ago", "visit_end, 7 min ago",
    ]  # fmt: skip


@given(story=steps(st.one_of(OF_RULES, ANY_WAY)))
@settings(max_examples=60, deadline=None)
def test_each_place_in_the_window_is_traced_to_its_row_of_the_log(derived: Small, story: list[Step]) -> None:
    log, layout = as_log(story), derived.layout
    rows = np.arange(len(log.events.kind))
    columns = log.events.time_ms, layout.kind_ids[log.events.kind], layout.item_ids[log.events.item], log.events.value
    memory = replay(layout.memory, *(column.tolist() for column in columns))
    inputs = ModelInputs.empty(Shape(layout.memory.window, layout.memory.counter_features, 4, 2), 1)
    memory.fill_window(0, inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)

    found = window_rows(log, layout, rows)

    assert len(found) == np.count_nonzero(inputs.event_kind)
    for place, row in enumerate(found.tolist()):
        name = layout.kinds[inputs.event_kind[place] - 1]
        assert name in DERIVED_KINDS if row < 0 else name == log.kinds[log.events.kind[row]]
        assert row < 0 or inputs.event_value[place] == log.events.value[row]
    assert [row for row in found.tolist() if row >= 0] == sorted({row for row in found.tolist() if row >= 0})[::-1]
