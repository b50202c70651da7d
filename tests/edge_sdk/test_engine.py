"""The engine's promises: it always answers, it loses nothing, it forgets on demand."""

from __future__ import annotations

import math
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from conftest import FUNDS, HOME, ITEMS, KINDS, NOW_MS, OFFERS, VALID_FROM_MS, VALID_UNTIL_MS, SettableClock, Small
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Decision, Engine, ErrorCode, Reason
from edge_sdk.errors import ExplanationGoneError, InvalidValueError, UnknownKindError, UnknownOutcomeError
from edge_sdk.ranker import BoundCall
from edge_sdk.vocabulary import item_id

Act = tuple[int, str, str, float]  # milliseconds later: kind, item, value
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


def names(decision: Decision) -> list[str]:
    return [offer.id for offer in decision.offers]


def dropped(decision: Decision) -> dict[str, Reason]:
    """Offers taken out, with the reasons for that alone."""
    moved = Reason.RAISED | Reason.LOWERED | Reason.KEPT | Reason.BASE_ORDER
    return {offer.id: offer.reasons & ~moved for offer in decision.dropped}


def tape(engine: Engine) -> bytes:
    """Every record of the log, as bytes."""
    return engine._log.read().tobytes()


def fresh(small: Small, clock: SettableClock) -> tuple[tempfile.TemporaryDirectory[str], Engine]:
    folder = tempfile.TemporaryDirectory()
    return folder, small.open(Path(folder.name) / "state", clock)


# ---- the base order ----


@given(data=st.data(), count=st.integers(1, 60), per_objective=st.booleans())
@settings(max_examples=80, deadline=None)
def test_without_events_the_order_is_the_base_order(
    small: Small, data: st.DataObject, count: int, per_objective: bool
) -> None:
    offers = data.draw(st.lists(st.sampled_from(OFFERS), min_size=count, max_size=count))  # with repetitions
    logit = st.one_of(st.sampled_from([-1.0, 0.0, 0.5]), st.floats(-50, 50, width=32))  # with ties
    size = count * 2 if per_objective else count
    flat = np.array(data.draw(st.lists(logit, min_size=size, max_size=size)), np.float32)
    base = BaseDecision(offers, flat.reshape(count, 2) if per_objective else flat)
    folder, engine = fresh(small, SettableClock())
    with folder, engine:
        decision = engine.rank(base, context=HOME)
    pairs = flat.reshape(count, 2) if per_objective else np.stack([flat, flat], axis=1)
    assert decision.error is ErrorCode.NONE
    assert decision.scores.tolist() == (pairs[:, 0] + pairs[:, 1] * np.float32(0.5)).tolist()
    assert decision.order.tolist() == decision.base_ranking.tolist()
    assert [offer.reasons for offer in decision.offers] == [Reason.KEPT] * count
    assert [(offer.place, offer.base_place) for offer in decision.offers] == [(n, n) for n in range(1, count + 1)]


def test_without_events_the_logits_are_the_base_logits_to_the_bit(engine: Engine, base: BaseDecision) -> None:
    engine.rank(base, context=HOME)
    assert engine._maker._ranker.bound(6).logits.tobytes() == base.logits.tobytes()


def test_ties_stand_in_the_order_given(engine: Engine) -> None:
    decision = engine.rank(BaseDecision(OFFERS, [0, 1, 0, 1, 0, 1]), context=HOME)
    assert names(decision) == ["coupon_b", "fund_b", "fund_d", "coupon_a", "fund_a", "fund_c"]


def test_events_change_the_scores(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    before = engine.rank(base, context=HOME)
    engine.record("click", item="fund_b", value=10.0)
    after = engine.rank(base, context=HOME)
    assert (before.scores != after.scores).all()
    clock.now_ms += 600_000
    later = engine.rank(base, context=HOME)
    assert (later.scores != after.scores).all()
    elsewhere = engine.rank(base, context={"surface": "wealth", "stage": "new"})
    assert (elsewhere.scores != later.scores).all()


# ---- record ----


@pytest.mark.parametrize("kind", ["", "nonsense", "View", "\ud800", None, 3, ["view"]])
def test_an_unknown_kind_is_refused_and_nothing_is_written(engine: Engine, kind: str) -> None:
    engine.record("view", item="fund_a")
    before = tape(engine)
    with pytest.raises(UnknownKindError, match="use one of view, click, impression, dismiss, convert, note"):
        engine.record(kind, item="fund_a")
    assert tape(engine) == before
    assert engine.status().events == 1


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("fund_a", math.nan),
        ("fund_a", math.inf),
        ("fund_a", -math.inf),
        ("fund_a", 1e39),
        ("fund_a", -1e39),
        ("fund_a", 10**400),
        ("fund_a", None),
        ("fund_a", "12"),
        ("fund_a", 1j),
        ("fund_a", [1.0]),
        ("fund_a", np.array([1.0, 2.0])),
        (None, 0.0),
        (5, 0.0),
        (b"fund_a", 0.0),
        (["fund_a"], 0.0),
        ("fund_\ud800", 0.0),
    ],
)
def test_an_unusable_item_or_value_is_refused_and_nothing_is_written(engine: Engine, item: str, value: float) -> None:
    engine.record("view", item="fund_a")
    before = tape(engine)
    with pytest.raises(InvalidValueError, match="is not usable"):
        engine.record("click", item=item, value=value)
    assert tape(engine) == before
    assert engine.record("click", item="fund_a") == 2


@pytest.mark.parametrize("decision", [-1, 1 << 32, 1.5, "1", None])
def test_an_unusable_decision_id_is_refused_and_nothing_is_written(engine: Engine, decision: int) -> None:
    with pytest.raises(InvalidValueError, match="decision="):
        engine.record("click", item="fund_a", decision=decision)
    assert engine.status().events == 0


@pytest.mark.parametrize("value", [3.4028234663852886e38, -3.4028234663852886e38, 1e-45, True, np.float32(2.5), 7])
def test_every_float32_is_kept(engine: Engine, value: float) -> None:
    engine.record("click", item="fund_a", value=value)
    assert float(engine._log.read()["value"][0]) == float(np.float32(value))


def test_an_unknown_item_is_recorded_and_kept(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    with small.open(tmp_path / "s", clock) as engine:
        assert engine.record("view", item="a new fund") == 1
        assert engine.record("view", item="a new fund") == 2
        assert engine.record("view", item="fund_a") == 3
        assert engine.status().unknown_items == 1
    with small.open(tmp_path / "s", clock) as engine:
        records = engine._log.read()
        assert records["item"].tolist() == [item_id("a new fund")] * 2 + [item_id("fund_a")]
        assert records["seq"].tolist() == [1, 2, 3]


def test_a_clock_out_of_range_is_held_within_it(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    for now_ms in (-5, 0, 1 << 62):
        clock.now_ms = now_ms
        engine.record("click", item="fund_a")
        assert np.isfinite(engine.rank(base, context=HOME).scores).all()
    assert engine._log.read()["time_s"].tolist() == [0, 0, 0xFFFFFFFF]


# ---- rank answers, whatever it is asked ----


def six(logits: object) -> BaseDecision:
    return BaseDecision(OFFERS, logits)  # type: ignore[arg-type]


GOOD = [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
NAN = math.nan


@pytest.mark.parametrize(
    ("base", "error", "mend"),
    [
        (BaseDecision([], []), ErrorCode.NO_CANDIDATES, "pass the offers to choose from"),
        (BaseDecision(["fund_a"] * 4097, [0.0] * 4097), ErrorCode.TOO_MANY_CANDIDATES, "let the cloud keep the best"),
        (BaseDecision(["fund_a", "nobody's"], [2, 1]), ErrorCode.UNKNOWN_OFFER, '"nobody\'s"; install the bundle'),
        (BaseDecision([f"x{n}" for n in range(8)], range(8, 0, -1)), ErrorCode.UNKNOWN_OFFER, "'x4' and 3 more"),
        (BaseDecision(["fund_a", "\ud800"], [2, 1]), ErrorCode.UNKNOWN_OFFER, "install the bundle"),
        (BaseDecision(["fund_a", 7, None], [3, 2, 1]), ErrorCode.UNKNOWN_OFFER, "7, None"),  # type: ignore[list-item]
        (six([NAN, *GOOD[1:]]), ErrorCode.BAD_BASE_LOGITS, "mend the base decision where it is made"),
        (six([math.inf, *GOOD[1:]]), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six([1e39, *GOOD[1:]]), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six(GOOD[:5]), ErrorCode.BAD_BASE_LOGITS, "shape (5,); pass (6,) or (6, 2)"),
        (six(np.zeros((6, 3))), ErrorCode.BAD_BASE_LOGITS, "shape (6, 3); pass (6,) or (6, 2)"),
        (six(np.zeros((2, 6))), ErrorCode.BAD_BASE_LOGITS, "shape (2, 6)"),
        (six(1.0), ErrorCode.BAD_BASE_LOGITS, "shape ()"),
        (six(None), ErrorCode.BAD_BASE_LOGITS, "shape ()"),
        (six(["high", "low"] * 3), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six([[1.0], [1.0, 2.0]] * 3), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six([1j] * 6), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
    ],
)
def test_a_base_decision_that_cannot_be_scored(engine: Engine, base: BaseDecision, error: ErrorCode, mend: str) -> None:
    engine.record("click", item="fund_a")
    before = tape(engine)
    decision = engine.rank(base, context=HOME)
    assert decision.error is error
    assert mend in decision.detail
    assert names(decision) == list(base.offers)  # the base order: best first, as it was given
    assert all(Reason.BASE_ORDER in offer.reasons for offer in decision.offers)
    assert decision.trace is None
    assert tape(engine) == before
    assert engine.status().errors == 1


def test_the_unknown_one_of_several_candidates_is_marked(engine: Engine) -> None:
    decision = engine.rank(BaseDecision(["x", "fund_a"], [1.0, 2.0]), context=HOME)
    assert [(offer.id, offer.reasons) for offer in decision.offers] == [
        ("fund_a", Reason.BASE_ORDER),
        ("x", Reason.BASE_ORDER | Reason.UNKNOWN_OFFER),
    ]


@pytest.mark.parametrize(
    ("context", "mend"),
    [
        ({"surface": "kitchen"}, "it declares {'surface': ['home', 'wealth'], 'stage': ['new', 'active']}"),
        ({"weather": "fine"}, "'weather'"),
        ({"surface": 5}, "it declares"),
        ({"surface": ["home"]}, "it declares"),
        ({3: "home", "x": "y"}, "it declares"),
        ("home", "it declares"),
        (7, "it declares"),
        (["surface"], "it declares"),
    ],
)
def test_an_unknown_context_gives_the_base_order(engine: Engine, context: object, mend: str) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(BaseDecision(FUNDS, [0, 3, 1, 2]), context=context)  # type: ignore[arg-type]
    assert decision.error is ErrorCode.UNKNOWN_CONTEXT
    assert mend in decision.detail
    assert names(decision) == ["fund_b", "fund_d", "fund_c", "fund_a"]


@pytest.mark.parametrize(
    "weights",
    [
        {"click": NAN},
        {"click": math.inf},
        {"click": 1e39},
        {"click": 1.0, "joy": 1.0},
        {"click": "much"},
        {"click": None},
        {"click": [1.0, 2.0]},
        {"click": [1.0], "convert": [2.0]},
        ["click"],
        3,
    ],
)
def test_bad_weights_give_the_base_order(engine: Engine, weights: object) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(BaseDecision(FUNDS, [0, 3, 1, 2]), context=HOME, weights=weights)  # type: ignore[arg-type]
    assert decision.error is ErrorCode.BAD_WEIGHTS
    assert "pass finite numbers for click, convert" in decision.detail
    assert names(decision) == ["fund_b", "fund_d", "fund_c", "fund_a"]


@pytest.mark.parametrize(("limit", "kept"), [(-1, 0), (0, 0), (1, 1), (4, 4), (10**30, 4), (None, 4)])
def test_a_limit_means_up_to(engine: Engine, limit: int | None, kept: int) -> None:
    decision = engine.rank(BaseDecision(FUNDS, [4, 3, 2, 1]), context=HOME, limit=limit)
    assert decision.error is ErrorCode.NONE
    assert names(decision) == list(FUNDS[:kept])


@pytest.mark.parametrize("limit", [2.5, NAN, math.inf, "2", [1], True])
def test_a_limit_that_is_no_whole_number_gives_the_base_order(engine: Engine, limit: int) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(BaseDecision(FUNDS, [4, 3, 2, 1]), context=HOME, limit=limit)
    assert decision.error is ErrorCode.BAD_LIMIT
    assert "pass a whole number or None" in decision.detail
    assert names(decision) == list(FUNDS)


@pytest.mark.parametrize("logits", [[3e38] * 4, [-3e38, 3e38, 3e38, -3e38]])
def test_logits_that_overflow_give_the_base_order(engine: Engine, logits: list[float]) -> None:
    decision = engine.rank(BaseDecision(FUNDS, logits), context=HOME)
    assert decision.error is ErrorCode.MODEL_FAILED
    assert sorted(names(decision)) == sorted(FUNDS)


def test_a_model_that_fails_gives_the_base_order(
    engine: Engine, base: BaseDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.record("click", item="fund_a")

    def broken(_: BoundCall) -> None:
        raise RuntimeError("no such kernel")

    with monkeypatch.context() as patch:
        patch.setattr(BoundCall, "run", broken)
        decision = engine.rank(base, context=HOME)
    assert decision.error is ErrorCode.MODEL_FAILED
    assert decision.detail == "RuntimeError: no such kernel; report it with the model version"
    fused = base.logits @ np.array([1.0, 0.5], np.float32)
    assert names(decision) == [OFFERS[index] for index in np.argsort(-fused, kind="stable")]
    assert engine.rank(base, context=HOME).error is ErrorCode.NONE


def test_a_model_that_gives_nan_gives_the_base_order(
    engine: Engine, base: BaseDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundCall, "run", lambda call: call.logits.fill(np.nan))
    decision = engine.rank(base, context=HOME)
    assert decision.error is ErrorCode.MODEL_FAILED
    assert decision.detail == "the model gave NaN or infinity; export it again"
    assert decision.order.tolist() == decision.base_ranking.tolist()


# ---- policy ----


def test_eligibility_takes_a_category_out(engine: Engine, base: BaseDecision) -> None:
    decision = engine.rank(base, context={"stage": "active"})
    assert dropped(decision) == {"coupon_a": Reason.NOT_ELIGIBLE, "coupon_b": Reason.NOT_ELIGIBLE}
    assert sorted(names(decision)) == sorted(FUNDS)
    assert [offer.place for offer in decision.dropped] == [0, 0]
    assert dropped(engine.rank(base)) == dropped(decision)  # a field not given has no allowed value
    assert dropped(engine.rank(base, context=HOME)) == {}


@pytest.mark.parametrize(
    ("now_ms", "reason"),
    [
        (VALID_FROM_MS - 1, Reason.NOT_YET_VALID),
        (VALID_FROM_MS, None),
        (VALID_UNTIL_MS - 1, None),
        (VALID_UNTIL_MS, Reason.EXPIRED),
    ],
)
def test_an_offer_stands_within_its_dates(
    engine: Engine, base: BaseDecision, clock: SettableClock, now_ms: int, reason: Reason | None
) -> None:
    engine.rank(base, context=HOME)  # what is kept of this answer must not outlive the date
    clock.now_ms = now_ms
    decision = engine.rank(base, context=HOME)
    assert dropped(decision) == ({} if reason is None else {"fund_d": reason})
    assert ("fund_d" in names(decision)) == (reason is None)


def test_a_cap_a_category_cap_and_a_cooldown(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    engine.record("impression", item="fund_a")
    clock.now_ms += 1000
    engine.record("impression", item="fund_a")
    engine.record("dismiss", item="fund_b")
    for _ in range(3):
        engine.record("convert", item="coupon_a")
    held = {
        "fund_a": Reason.CAPPED,
        "fund_b": Reason.COOLING_DOWN,
        "coupon_a": Reason.CAPPED,
        "coupon_b": Reason.CAPPED,
    }
    assert dropped(engine.rank(base, context=HOME)) == held
    clock.now_ms += 1_800_000
    del held["fund_b"]
    assert dropped(engine.rank(base, context=HOME)) == held
    clock.now_ms = NOW_MS + 3_600_000
    del held["fund_a"]
    assert dropped(engine.rank(base, context=HOME)) == held
    clock.now_ms = NOW_MS + 1000 + 7_200_000
    assert dropped(engine.rank(base, context=HOME)) == {}


def test_rules_hold_in_the_base_order_too_and_their_reasons_add_up(engine: Engine, clock: SettableClock) -> None:
    engine.record("dismiss", item="coupon_a")
    base = BaseDecision(["coupon_a", "fund_a"], [NAN, NAN])
    decision = engine.rank(base, context={"stage": "active"})
    assert decision.error is ErrorCode.BAD_BASE_LOGITS
    assert names(decision) == ["fund_a"]
    assert dropped(decision) == {"coupon_a": Reason.NOT_ELIGIBLE | Reason.COOLING_DOWN}
    assert decision.dropped[0].reasons.text == (
        "as the cloud ranked it; not for this user's stage or surface; resting after the user's answer"
    )


def test_weights_of_the_call_replace_those_of_the_bundle(engine: Engine) -> None:
    base = BaseDecision(["fund_a", "fund_b"], [[1.0, 0.0], [0.0, 1.5]])
    assert names(engine.rank(base, context=HOME)) == ["fund_a", "fund_b"]  # 1.0 against 0.75
    decision = engine.rank(base, context=HOME, weights={"convert": 2.0})
    assert names(decision) == ["fund_b", "fund_a"]
    assert decision.scores.tolist() == [0.0, 3.0]
    assert decision.base_ranking.tolist() == [1, 0]
    assert names(engine.rank(base, context=HOME, weights={})) == ["fund_a", "fund_b"]  # all 0: the order given


# ---- shown and feedback ----


def test_shown_and_feedback_record_the_declared_kinds_with_the_decision(engine: Engine, base: BaseDecision) -> None:
    engine.rank(base, context=HOME)
    decision = engine.rank(base, context=HOME)
    engine.shown(decision, count=2)
    engine.feedback(decision, "fund_c", "click", value=2.5)
    first, second = names(decision)[:2]
    kinds = engine._bundle.kind_ids
    assert [tuple(record) for record in engine._log.read()[["seq", "kind", "item", "value", "decision"]].tolist()] == [
        (1, kinds["impression"], item_id(first), 0.0, 2),
        (2, kinds["impression"], item_id(second), 0.0, 2),
        (3, kinds["click"], item_id("fund_c"), 2.5, 2),
    ]


@pytest.mark.parametrize(("count", "recorded"), [(None, 6), (0, 0), (-3, 0), (99, 6)])
def test_shown_counts(engine: Engine, base: BaseDecision, count: int | None, recorded: int) -> None:
    engine.shown(engine.rank(base, context=HOME), count=count)
    assert engine.status().events == recorded


def test_feedback_that_cannot_be_meant_is_refused(engine: Engine, base: BaseDecision) -> None:
    decision = engine.rank(base, context=HOME)
    with pytest.raises(UnknownOutcomeError, match="use one of click, convert, dismiss"):
        engine.feedback(decision, "fund_a", "applause")
    with pytest.raises(InvalidValueError, match="page_home"):
        engine.feedback(decision, "page_home", "click")
    with pytest.raises(InvalidValueError, match="nan"):
        engine.feedback(decision, "fund_a", "click", value=NAN)
    assert engine.status().events == 0


# ---- open, close, determinism ----


def test_a_closed_engine_says_so(engine: Engine, base: BaseDecision) -> None:
    decision = engine.rank(base, context=HOME)
    engine.close()
    engine.close()
    calls: list[Callable[[], object]] = [
        lambda: engine.record("click", item="fund_a"),
        lambda: engine.rank(base, context=HOME),
        lambda: engine.shown(decision),
        lambda: engine.feedback(decision, "fund_a", "click"),
        lambda: engine.explain(decision),
        engine.erase,
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="the engine is closed; open a new one"):
            call()


def test_decision_ids_go_on_after_a_restart(
    small: Small, clock: SettableClock, base: BaseDecision, tmp_path: Path
) -> None:
    with small.open(tmp_path / "s", clock) as engine:
        for number in (1, 2, 3):
            decision = engine.rank(base, context=HOME)
            assert decision.id == number
        engine.shown(decision, count=1)
    with small.open(tmp_path / "s", clock) as engine:
        assert engine.rank(base, context=HOME).id == 4


@given(acts=ACTS)
@settings(max_examples=30, deadline=None)
def test_the_same_state_and_clock_give_the_same_bits(small: Small, acts: list[Act]) -> None:
    base = BaseDecision(OFFERS, np.linspace(1, 0, 6))
    answers = []
    for restart in (False, True):
        clock = SettableClock()
        folder, engine = fresh(small, clock)
        with folder:
            do(engine, clock, acts)
            if restart:
                engine.close()
                engine = small.open(Path(folder.name) / "state", clock)
            first, again = engine.rank(base, context=HOME), engine.rank(base, context=HOME)
            engine.close()
        assert first.scores.tobytes() == again.scores.tobytes()
        answers.append((first.scores.tobytes(), names(first), dropped(first)))
    assert answers[0] == answers[1]


def test_many_threads_record_and_rank(engine: Engine, base: BaseDecision) -> None:
    acknowledged: list[list[int]] = [[] for _ in range(4)]
    decided: list[list[Decision]] = [[] for _ in range(2)]
    start = threading.Barrier(6)

    def record(thread: int) -> None:
        start.wait()
        for number in range(300):
            acknowledged[thread].append(engine.record("view", item=f"item {thread}", value=number))

    def rank(thread: int) -> None:
        start.wait()
        for _ in range(100):
            decided[thread].append(engine.rank(base, context=HOME))

    threads = [threading.Thread(target=record, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=rank, args=(n,)) for n in range(2)]
    for running in threads:
        running.start()
    for running in threads:
        running.join()
    assert sorted(seq for seqs in acknowledged for seq in seqs) == list(range(1, 1201))
    records = {int(record["seq"]): record for record in engine._log.read()}
    for thread, seqs in enumerate(acknowledged):
        assert [float(records[seq]["value"]) for seq in seqs] == list(range(300))
        assert {int(records[seq]["item"]) for seq in seqs} == {item_id(f"item {thread}")}
    assert sorted(decision.id for part in decided for decision in part) == list(range(1, 201))
    assert {decision.error for part in decided for decision in part} == {ErrorCode.NONE}


# ---- erase ----


def test_erase_leaves_nothing_of_the_user(
    small: Small, clock: SettableClock, base: BaseDecision, tmp_path: Path
) -> None:
    engine = small.open(tmp_path / "s", clock)
    secret, amount = item_id("fund_c"), struct.pack("<f", 31415.5)
    engine.record("click", item="fund_c", value=31415.5)
    engine.record("view", item="not in the bundle")
    engine.feedback(engine.rank(base, context=HOME), "fund_c", "dismiss", value=31415.5)
    traces = (struct.pack("<I", secret), struct.pack("<I", item_id("not in the bundle")), amount, b"fund_c")
    assert sum(trace in content(tmp_path / "s") for trace in traces) == 3  # names are never written
    engine.erase()
    assert not any(trace in content(tmp_path / "s") for trace in traces)
    status = engine.status()
    assert (status.events, status.unknown_items, status.decisions, status.errors, status.damaged) == (0, 0, 0, 0, 0)
    decision = engine.rank(base, context=HOME)
    assert decision.id == 1
    assert decision.dropped == ()
    assert decision.order.tolist() == decision.base_ranking.tolist()
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


# ---- explain ----


def sums_up(decision: Decision, engine: Engine) -> None:
    explanations = engine.explain(decision)
    assert [explanation.offer for explanation in explanations] == names(decision)
    for explanation, offer in zip(explanations, decision.offers, strict=True):
        assert explanation.score == offer.score
        total = explanation.base + sum(term.value for term in explanation.terms)
        assert total == pytest.approx(explanation.score, abs=1e-5)
        sizes = [abs(term.value) for term in explanation.terms]
        assert sizes == sorted(sizes, reverse=True)


@given(acts=ACTS, later_ms=st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_the_terms_sum_to_the_score(small: Small, acts: list[Act], later_ms: int) -> None:
    clock = SettableClock()
    folder, engine = fresh(small, clock)
    with folder, engine:
        do(engine, clock, acts)
        clock.now_ms += later_ms
        sums_up(engine.rank(BaseDecision(OFFERS, np.linspace(1, 0, 6)), context=HOME), engine)


@given(acts=ACTS, later=ACTS)
@settings(max_examples=20, deadline=None)
def test_an_explanation_does_not_change_with_later_events(small: Small, acts: list[Act], later: list[Act]) -> None:
    clock = SettableClock()
    folder, engine = fresh(small, clock)
    with folder, engine:
        do(engine, clock, acts)
        decision = engine.rank(BaseDecision(OFFERS, np.linspace(1, 0, 6)), context=HOME, weights={"convert": 1.0})
        now = engine.explain(decision)
        do(engine, clock, later)
        assert engine.explain(decision) == now


def test_an_explanation_names_the_events(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    engine.record("click", item="fund_a")
    engine.record("view", item="never heard of")
    clock.now_ms += 12_000
    explanation = engine.explain(engine.rank(base, context=HOME))[0]
    assert {(term.label, term.event) for term in explanation.terms if term.event >= 0} == {
        ("view (an item not in the bundle), 12 s ago", 0),
        ("click fund_a, 12 s ago", 1),
    }


def test_without_events_the_explanation_is_the_base(engine: Engine) -> None:
    decision = engine.rank(BaseDecision(["fund_a"], [2.0]), context=HOME)
    (explanation,) = engine.explain(decision)
    assert (explanation.offer, explanation.base, explanation.score, explanation.terms) == ("fund_a", 3.0, 3.0, ())


def test_a_bare_base_order_has_no_explanation(engine: Engine) -> None:
    with pytest.raises(InvalidValueError, match="NO_CANDIDATES"):
        engine.explain(engine.rank(BaseDecision([], [])))


def test_what_the_log_no_longer_holds_cannot_be_explained(
    small: Small, clock: SettableClock, base: BaseDecision, tmp_path: Path
) -> None:
    with small.open(tmp_path / "s", clock, log_bytes=4096) as engine:
        for _ in range(100):
            engine.record("click", item="fund_a")
        decision = engine.rank(base, context=HOME)
        for _ in range(26):
            engine.record("view", item="fund_a")
        sums_up(decision, engine)
        engine.record("view", item="fund_a")
        with pytest.raises(ExplanationGoneError, match=r"open with a larger log_bytes"):
            engine.explain(decision)


def test_a_decision_from_before_an_erase_cannot_be_explained(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(base, context=HOME)
    engine.erase()
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)
    engine.record("dismiss", item="fund_b")  # the log is as long as it was, and about something else
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)


def test_status_and_context_fields(small: Small, engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="nobody's")
    engine.rank(base, context=HOME)
    engine.rank(BaseDecision([], []))
    status = engine.status()
    assert (status.scene, status.events, status.capacity, status.damaged) == ("small", 1, 2046, 0)
    assert (status.unknown_items, status.decisions, status.errors) == (1, 2, 1)
    assert len(status.model_version) == 12
    assert [(field.name, field.values) for field in engine.context_fields] == [
        ("surface", ("home", "wealth")),
        ("stage", ("new", "active")),
    ]


def test_a_base_decision_copies_its_logits() -> None:
    logits: npt.NDArray[np.float64] = np.array([1.0, 2.0])
    base = BaseDecision(["a", "b"], logits)
    logits[0] = 9.0
    assert base.logits.tolist() == [1.0, 2.0]
    assert base.logits.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        base.logits[0] = 9.0
