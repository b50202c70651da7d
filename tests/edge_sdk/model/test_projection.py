"""What the graph is bound to is what the window and the base decision say, to the bit, however it came about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine
from edge_sdk.bundle.selftest import model_shape
from edge_sdk.memory.window import Window
from edge_sdk.model.inputs import ModelInputs, graph_inputs
from edge_sdk.model.projection import ModelTables, ProjectedEvents, Projection
from edge_sdk.model.session import BoundInputs
from edge_sdk.testing.white_box import internals
from edge_sdk.types import F32
from tests.support.engine_acts import inputs_of
from tests.support.scene import HOME, OFFERS, SettableClock, Small

N, D, ITEMS, KINDS = 5, 3, 4, 3
KEEP_MS = np.array([1 << 60, 4_000, 1 << 60], np.int64)
WEALTH = {"surface": "wealth", "stage": "active"}


def random_tables() -> ModelTables:
    generator = np.random.default_rng(1)

    def table(*shape: int) -> F32:
        return generator.normal(size=shape).astype(np.float32)

    scale, shift, fading = table(KINDS, D), table(KINDS, D), -abs(table(KINDS))
    for of_kind in (scale, shift, fading):
        of_kind[0] = 0
    return ModelTables(
        items=table(ITEMS, D),
        value=table(D),
        kind_scale=scale,
        kind_shift=shift,
        kind_fading=fading,
        context=table(2, D),
        offers=table(4, D),
        query=table(D, D),
        readout=table(2, D, D),
    )


PROJECTION = Projection(random_tables())

EVENT = st.tuples(st.integers(1, KINDS - 1), st.integers(0, ITEMS - 1), st.integers(-3_000, 6_000), st.floats(-9, 9))
STEP = st.one_of(
    st.tuples(st.just("see"), st.lists(EVENT, max_size=2 * N)),
    st.tuples(st.just("see many"), st.lists(EVENT, max_size=N)),
    st.tuples(st.just("pass"), st.integers(-9_000, 9_000)),
    st.sampled_from([("forget expired", None), ("reload", None), ("forget", None), ("start anew", None)]),
)


def plain(window: Window, now_ms: int) -> dict[str, F32]:
    """The events' arrays, made of the window's rows all at once."""
    item, kind, age_s, value = (
        np.zeros(N, np.int32),
        np.zeros(N, np.int32),
        np.zeros(N, np.float32),
        np.zeros(N, np.float32),
    )
    window.fill(now_ms, item, kind, age_s, value)
    term, scale, fading = PROJECTION.events(item, kind, value)
    return {"term": term, "scale": scale, "fading": np.reshape(fading, (N, 1)), "age_s": age_s[:, None]}


def assert_follows(events: ProjectedEvents, window: Window, now_ms: int) -> None:
    events.follow(window, now_ms)
    for name, expected in plain(window, now_ms).items():
        assert getattr(events, name).tobytes() == expected.tobytes(), name


@given(steps=st.lists(STEP, max_size=25), keeps=st.booleans())
@settings(max_examples=200, deadline=None)
def test_it_follows_the_window_whatever_happens_in_it(steps: list[tuple[str, object]], keeps: bool) -> None:
    keep_ms, now_ms = KEEP_MS if keeps else None, 1_000_000
    window, events = Window(N, keep_ms), ProjectedEvents(PROJECTION, N)
    for what, given_ in steps:
        match what, given_:
            case "see", list(seen):
                for kind, item, later_ms, value in seen:
                    window.see(kind, item, now_ms + later_ms, value)
            case "see many", list(seen) if seen:
                kinds, items, later_ms, values = zip(*seen, strict=True)
                times_ms = now_ms + np.array(later_ms, np.int64)
                window.see_many(
                    np.array(kinds, np.int32), np.array(items, np.int32), times_ms, np.array(values, np.float32)
                )
            case "pass", int(later_ms):
                now_ms += later_ms
            case "forget expired", _:
                window.forget_expired(now_ms)
            case "reload", _:
                window.load(window.dump())
            case "forget", _:
                events.forget()
            case "start anew", _:
                window = Window(N, keep_ms)
        assert_follows(events, window, now_ms)


def test_events_that_have_been_kept_too_long_leave_zeros_and_come_back_with_the_clock() -> None:
    window, events = Window(N, KEEP_MS), ProjectedEvents(PROJECTION, N)
    window.see(2, 1, 1_000, 2.0)
    window.see(1, 2, 2_000, 3.0)
    events.follow(window, 6_000)
    before = events.term[0].copy()
    assert before.any()
    events.follow(window, 6_001)
    assert [bool(array[0].any()) for array in (events.term, events.scale, events.fading, events.age_s)] == [False] * 4
    assert events.term[1].any()
    events.follow(window, 6_000)
    assert events.term[0].tobytes() == before.tobytes()


def test_only_what_is_new_is_projected() -> None:
    projected: list[int] = []

    class Counted(Projection):
        def events(self, item, kind, value):  # type: ignore[no-untyped-def]
            projected.append(np.size(kind))
            return super().events(item, kind, value)

    window, events = Window(N, None), ProjectedEvents(Counted(random_tables()), N)
    for count in (3, 0, 1, 2, 0, 4, 5, 9, 1):
        for _ in range(count):
            window.see(1, 1, 0, 1.0)
        events.follow(window, 10)
    assert projected == [5, 1, 2, 4, 5, 5, 1]


def test_products_of_many_offers_are_those_of_each() -> None:
    tables = random_tables()
    offers = np.random.default_rng(2).normal(size=(60_000, D)).astype(np.float32)  # more than are multiplied at once
    projection = Projection(tables._replace(offers=offers))
    np.testing.assert_allclose(projection.queries, offers @ tables.query, rtol=0, atol=1e-5)
    np.testing.assert_allclose(projection.readouts, offers @ tables.readout, rtol=0, atol=1e-5)


def test_what_rank_is_made_from_is_what_the_raw_arrays_say(small: Small, tmp_path: Path, clock: SettableClock) -> None:
    first, second = (BaseDecision(OFFERS[::step], np.random.default_rng(3).normal(size=(6, 2))) for step in (1, -1))
    with small.open(tmp_path, clock) as engine:
        for number, (base, context) in enumerate([(first, HOME), (first, WEALTH), (second, WEALTH), (first, {})]):
            engine.record("click", item=OFFERS[number], value=float(number))
            clock.now_ms += 1_234
            decision = engine.rank(base, context=context)
            raw = inputs_of(decision)
            tables = internals(engine).bundle.tables
            assert tables is not None
            expected = graph_inputs(Projection(tables), raw)
            call = internals(engine).session.bound(6)
            for name in expected.keys() - {"weights"}:  # the graph that ranks has none
                assert call._arrays[name].tobytes() == expected[name].tobytes(), name


def test_the_same_base_decision_is_gathered_once(small: Small, tmp_path: Path, clock: SettableClock) -> None:
    base, same = (BaseDecision(OFFERS, np.linspace(1, 0, 6)) for _ in range(2))
    with small.open(tmp_path, clock) as engine:
        decisions = [engine.rank(base, context=HOME)]
        internals(engine).session.bound(6)._arrays["query"].fill(0)  # where it were gathered again, this would be fixed
        decisions.append(engine.rank(base, context=HOME))
        assert not internals(engine).session.bound(6)._arrays["query"].any()
        decisions.append(engine.rank(same, context=HOME))
        assert internals(engine).session.bound(6)._arrays["query"].any()
    assert decisions[0].scores.tobytes() == decisions[2].scores.tobytes()


def test_an_erase_leaves_no_event_in_the_bound_arrays(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a", value=3.0)
    engine.rank(base, context=HOME)
    events = internals(engine).session._events
    assert events is not None
    arrays = [events.term, events.scale, events.fading, events.age_s]
    assert arrays[0].any()
    engine.erase()
    assert not any(array.any() for array in arrays)


def test_a_replay_in_between_does_not_disturb_the_engine(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a", value=3.0)
    before = engine.rank(base, context=HOME)
    call: BoundInputs = internals(engine).session.bound(6)
    call.take(ModelInputs.empty(model_shape(internals(engine).bundle), 6))
    call.run()
    assert not np.array_equal(call.logits, before.trace.result.stages.model)
    assert engine.rank(base, context=HOME).scores.tobytes() == before.scores.tobytes()
