"""After any sequence of calls an engine decides as one that knows exactly the events that count.

A state machine acts on a real engine and on a plain model side by side: recording, erasing, crashing, reopening,
resizing, changing the key, and a clock that goes wrong. After each step the log's records are compared one by one, and
each decision to the bit.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge_sdk import BaseDecision, Decision
from edge_sdk.bundle import selftest
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.clock import UTC
from edge_sdk.decision.evidence import EvidenceStore
from edge_sdk.decision.maker import DecisionMaker
from edge_sdk.errors import ExplanationGoneError
from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.log.record import items_of
from edge_sdk.policy.pipeline import Request
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id, kind_id
from tests.support.bound_inputs import made_from
from tests.support.engine_model import BACK, KIND_NAMES, Model
from tests.support.scene import DERIVED_SCENE, HOME, ITEMS, OFFERS, SettableClock, Small, packed

BASE = BaseDecision(OFFERS, np.random.default_rng(7).normal(size=(6, 2)))
KEYS = (None, bytes(range(16)), bytes(range(32)))
SIZES = (4096, 5000, 9000)
KINDS = st.sampled_from(KIND_NAMES)
NAMES = st.sampled_from((*ITEMS, "", "never heard of"))
VALUES = st.floats(-1e6, 1e6, width=32)
SOME_NAMES = st.one_of(st.none(), st.sets(NAMES, max_size=3))
SOME_KINDS = st.one_of(st.none(), st.sets(KINDS, max_size=3))
COUNTS = st.one_of(st.integers(0, 12), st.integers(58, 68), st.integers(120, 300))
SOON_MS = st.sampled_from([1, 1_000, 30_000, 59_000, 240_001, 300_001])
FORWARD_MS = st.one_of(SOON_MS, SOON_MS, st.sampled_from([3_600_000, 86_400_001, 35_000_000_000]))
ANY_MS = st.one_of(FORWARD_MS, st.sampled_from([0, -1, -30_000, -3_600_000, -86_400_000, -35_000_000_000]))


class Life(RuleBasedStateMachine):
    """One user's device. Subclassed with a scene."""

    scene: Small
    maker: DecisionMaker

    @initialize(can_step_back=st.booleans(), key=st.sampled_from(KEYS))
    def install(self, can_step_back: bool, key: bytes | None) -> None:
        self.can_step_back, self.key, self.folders = can_step_back, key, 0
        self.root = Path(tempfile.mkdtemp(prefix="edge"))
        self.clock = SettableClock()
        self.decision: Decision | None = None
        self.is_gone = False  # whether the decision belongs to another era
        self.engine = self.scene.open(self.root / "0", self.clock, log_bytes=SIZES[0], storage_key=key)
        self.model = Model(self.scene.layout.memory, 126 if key is None else 63)

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.close()
            shutil.rmtree(self.root)

    @property
    def keeps(self) -> bool:
        """Whether the scene lets events go by their age."""
        return any(kind.keep_s for kind in self.scene.layout.memory.kinds.values())

    # ---- recording ----

    @rule(kind=KINDS, item=NAMES, value=VALUES)
    def record(self, kind: str, item: str, value: float) -> None:
        seq = self.engine.record(kind, item=item, value=value)
        assert seq == self.model.record(self.clock.now_ms, kind, item, value)

    @rule(count=COUNTS, seed=st.integers(0, 9), step_ms=st.sampled_from([0, 7, 900]))
    def record_many(self, count: int, seed: int, step_ms: int) -> None:
        random = np.random.default_rng(seed)
        names = (*ITEMS, "", "never heard of")
        kinds, items = random.integers(0, 6, count), random.integers(0, len(names), count)
        values = random.normal(size=count).astype(np.float32)
        times_ms = np.clip(self.clock.now_ms + step_ms * np.arange(count), 0, TIME_MS_MAX)
        self.clock.now_ms += step_ms * count
        seq = self.engine.record_many(times_ms, kinds, items, values, kind_names=KIND_NAMES, item_names=names)
        for time_ms, kind, item, value in zip(times_ms.tolist(), kinds, items, values, strict=True):
            self.model.record(time_ms, KIND_NAMES[kind], names[item], float(value), local=BACK)
        assert seq == self.model.last_seq

    @precondition(lambda self: self.decision is not None)
    @rule(count=st.integers(0, 3))
    def shown(self, count: int) -> None:
        assert self.decision is not None
        self.engine.shown(self.decision, count=count)
        for offer in self.decision.offers[:count]:
            self.model.record(self.clock.now_ms, "impression", offer.id, 0.0, self.decision.id)

    @precondition(lambda self: self.decision is not None)
    @rule(offer=st.sampled_from(OFFERS), outcome=st.sampled_from(["click", "convert", "dismiss"]), value=VALUES)
    def feedback(self, offer: str, outcome: str, value: float) -> None:
        assert self.decision is not None
        self.engine.feedback(self.decision, offer, outcome, value=value)
        self.model.record(self.clock.now_ms, outcome, offer, value, self.decision.id)

    # ---- deciding ----

    @rule(limit=st.sampled_from([None, 0, 3]))
    def rank(self, limit: int | None) -> None:
        self.decision, self.is_gone = self.engine.rank(BASE, context=HOME, limit=limit), False
        self.decided_at = self.model.last_seq

    # ---- forgetting ----

    @rule(is_sure=st.sampled_from([False, False, False, True]))
    def erase_all(self, is_sure: bool) -> None:
        if not is_sure:  # what went before is worth more
            return
        assert self.engine.erase() == len(self.model.log)
        self.model.clear()
        self.is_gone = True

    @rule(ago_ms=st.one_of(st.none(), FORWARD_MS, st.just(0)), items=SOME_NAMES, kinds=SOME_KINDS)
    def erase_some(self, ago_ms: int | None, items: set[str] | None, kinds: set[str] | None) -> None:
        if ago_ms is None and items is None and kinds is None:
            return
        before = None if ago_ms is None else self.clock.now_ms - ago_ms
        item_ids = None if items is None else {item_id(name) if name else 0 for name in items}
        kind_ids = None if kinds is None else set(map(kind_id, kinds))
        state = internals(self.engine).state
        was_whole, former = state.log.is_whole, state.memory
        erased = self.engine.erase(before=before, items=items, kinds=kinds)
        if items == set() or kinds == set():  # no event matches: log, memory and explanations stay
            assert erased == 0
            return
        is_anew = state.memory is not former
        assert is_anew == (erased > 0) or not was_whole  # else memory may be anew for events that left the log
        self.is_gone |= is_anew
        assert erased == self.model.erase(before, item_ids, kind_ids)
        self.model.set_back(self.clock.now_ms)

    # ---- the folder ----

    @rule()
    def reopen(self) -> None:
        self.engine.close()
        self.open(self.root / str(self.folders))

    @rule()
    def crash(self) -> None:
        """Copies the files as the kernel has them at this moment; nothing is written out first."""
        shutil.copytree(self.root / str(self.folders), self.root / str(self.folders + 1))
        self.engine.close()
        self.folders += 1
        self.open(self.root / str(self.folders))
        if self.model.has_stepped_back:  # the log does not say what the clock was when nothing was recorded
            self.model.is_blurred, self.model.is_replay = True, False

    def open(self, folder: Path) -> None:
        self.engine = self.scene.open(folder, self.clock, storage_key=self.key)
        self.is_gone = True

    @rule(log_bytes=st.sampled_from(SIZES))
    def resize(self, log_bytes: int) -> None:
        self.engine.storage.resize(log_bytes)
        self.model.resize((log_bytes - 64) // (32 if self.key is None else 64))

    @rule(key=st.sampled_from(KEYS))
    def rotate(self, key: bytes | None) -> None:
        self.engine.storage.rotate_key(key)
        self.key = key
        self.model.resize(max(self.model.capacity, 126 if key is None else 63))

    # ---- the clock ----

    @rule(by_ms=FORWARD_MS)
    def pass_time(self, by_ms: int) -> None:
        self.clock.now_ms += by_ms

    @precondition(lambda self: self.can_step_back)
    @rule(by_ms=ANY_MS)
    def step(self, by_ms: int) -> None:
        self.clock.now_ms += by_ms
        if by_ms < 0:
            self.step_back()
            self.engine.rank(BASE)  # looks at the clock
            self.model.set_back(self.clock.now_ms)

    def step_back(self) -> None:
        self.model.has_stepped_back = True
        # Expired events are gone for good, even if the clock later steps back before their expiry.
        self.model.is_blurred |= self.keeps or not self.model.is_replay

    # ---- invariants ----

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if hasattr(self, "engine"):
            self.the_log_has_exactly_these_events()
            self.memory_is_made_of_these_events()
            self.it_decides_by_these_events()
            self.it_explains_exactly_until_an_erase()

    def the_log_has_exactly_these_events(self) -> None:
        records = internals(self.engine).state.log.read()
        self.model.expire(set(records["seq"].tolist()), self.clock.now_ms)
        times_ms = records["time_s"].astype(np.int64) * 1000 + records["time_ms"]
        kinds, items, values = records["kind"].tolist(), items_of(records).tolist(), records["value"].tolist()
        columns = [kinds, items, values, records["decision"].tolist()]
        assert list(zip(records["seq"].tolist(), times_ms.tolist(), *columns, strict=True)) == list(
            self.model.log.values()
        )
        status = self.engine.status()
        assert (status.events, status.capacity) == (len(self.model.log), self.model.capacity)
        assert (status.damaged, status.disk_failures, status.errors) == (0, 0, 0)
        assert status.encrypted == (self.key is not None)

    def memory_is_made_of_these_events(self) -> None:
        if self.model.is_replay and not self.keeps:
            assert internals(self.engine).state.memory.dump() == self.model.replayed()

    def it_decides_by_these_events(self) -> None:
        decision = self.engine.rank(BASE, context=HOME)
        assert decision.error == 0
        assert np.isfinite(decision.scores).all()
        assert (made_from(self.engine, decision).event_age_s >= 0).all()
        if not self.model.is_blurred:
            request = Request(decision.time_ms, local=UTC, limit=None, seed=0, number=decision.id)
            expected = self.maker.decide(self.model.memory(), BASE, request, HOME)
            assert (expected.error, expected.detail) == (0, "")
            assert decision.scores.tobytes() == expected.scores.tobytes()
            assert decision.order.tolist() == expected.order.tolist()
            assert bits(decision) == bits(expected)

    def it_explains_exactly_until_an_erase(self) -> None:
        if self.decision is None:
            return
        if self.is_gone:
            with pytest.raises(ExplanationGoneError):
                self.engine.explain(self.decision)
            return
        for explanation in self.engine.explain(self.decision):
            total = explanation.base + sum(term.value for term in explanation.contributions)
            assert total == pytest.approx(explanation.score, rel=1e-5, abs=1e-4)


def bits(decision: Decision) -> list[int]:
    return (
        [0] * len(OFFERS) if decision.trace.result.dropped_bits is None else decision.trace.result.dropped_bits.tolist()
    )


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Derived events, and kinds that are kept for a minute to a day."""
    retention = {"retention": {"max_age_s": 86_400, "kinds": {"view": 60, "stay": 120, "impression": 3600}}}
    return packed(tmp_path_factory.mktemp("forgetful"), DERIVED_SCENE | retention)


@pytest.mark.parametrize("scene", ["small", "derived", "forgetful"])
def test_an_engine_lives_as_its_model(scene: str, request: pytest.FixtureRequest) -> None:
    subject: Small = request.getfixturevalue(scene)
    payload = open_container(subject.bundle, trusted_keys=[subject.public_key], allow_unsigned=False)
    bundle = read_bundle(subject.bundle, payload)
    members = {"scene": subject, "maker": DecisionMaker(bundle, selftest.tested_session(bundle), EvidenceStore())}
    life = type(f"LifeOf{scene}", (Life,), members)
    limits = settings(max_examples=20, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(life, settings=limits)
