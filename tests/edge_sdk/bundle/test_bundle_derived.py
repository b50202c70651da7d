"""Derived events and retention pass unchanged from scene file to layout, to bundle, to the device's reader."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_sdk import Engine
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import BundleInvalidError, SelfTestError, UnknownKindError
from edge_sdk.memory.derived_rules import NOTHING_DERIVED, DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.vocabulary import kind_id
from tests.support.bundle_changes import Change, changed, put
from tests.support.bundle_refusals import Refuser
from tests.support.bundle_refusals import payload as payload
from tests.support.bundle_refusals import refuser as refuser
from tests.support.scene import DERIVED_KINDS, DERIVED_SCENE, KINDS, SettableClock, Small, packed

RULES = DerivedRules(
    SessionRule(kind_id("visit"), kind_id("visit_end"), frozenset(map(kind_id, ("view", "click", "impression"))), 300),
    (DwellRule(kind_id("stay"), frozenset({kind_id("view")}),
               frozenset(map(kind_id, ("view", "click", "dismiss"))), 240),),
    (IgnoredRule(kind_id("passed_over"), frozenset({kind_id("impression")}),
                    frozenset(map(kind_id, ("click", "convert"))), 2),),
)  # fmt: skip


@pytest.fixture(scope="module")
def derived_payload(derived: Small) -> bytes:
    return payload_of(derived)


@pytest.fixture
def derived_engine(derived: Small, clock: SettableClock, tmp_path: Path) -> Iterator[Engine]:
    with derived.open(tmp_path / "state", clock) as engine:
        yield engine


def payload_of(scene: Small) -> bytes:
    return bytes(open_container(scene.bundle, trusted_keys=[scene.public_key], allow_unsigned=False))


def read(raw: bytes) -> Bundle:
    return read_bundle(Path("a.edge"), memoryview(raw))


def test_the_layout_puts_derived_kinds_after_the_recorded_ones(derived: Small) -> None:
    layout = derived.layout

    assert layout.kinds == (*KINDS, *DERIVED_KINDS)
    assert [layout.memory.kinds[kind_id(name)].row for name in layout.kinds] == list(range(1, 11))
    assert layout.kind_ids.tolist() == [kind_id(name) for name in KINDS]
    assert layout.memory.derived == RULES
    in_window = [name for name in layout.kinds if layout.memory.kinds[kind_id(name)].in_window]
    assert in_window == ["view", "click", "dismiss", "convert", "visit_end", "stay", "passed_over"]
    assert layout.memory.kinds[kind_id("stay")].counter == 3
    assert layout.memory.kinds[kind_id("visit_end")].counter == -1


def test_the_device_reads_what_was_packed(derived: Small, derived_payload: bytes) -> None:
    bundle = read(derived_payload)

    assert bundle.layout.derived == RULES
    assert bundle.layout.kinds == derived.layout.memory.kinds
    assert bundle.kind_names == (*KINDS, *DERIVED_KINDS)
    assert bundle.kind_ids == {name: kind_id(name) for name in KINDS}


def test_golden_vectors_prove_derived_events_on_the_device(derived_payload: bytes, refuser: Refuser) -> None:
    """Golden vectors contain recorded events only; a device that derives other events fails them."""
    bundle = read(derived_payload)
    rows = {row for golden in bundle.golden for row in golden.event_kind.tolist()}
    assert {bundle.kind_names[row - 1] for row in rows if row > len(KINDS)} == {"visit_end", "stay", "passed_over"}
    assert {kind for golden in bundle.golden for kind in golden.kinds} <= set(bundle.kind_ids.values())

    shorter = changed(derived_payload, lambda b: put(b.dwell[0], "longestS", 30))
    refuser.refuse(shorter, SelfTestError, "golden vector ")


def test_retention_of_each_kind(tmp_path: Path) -> None:
    table = copy.deepcopy(DERIVED_SCENE)
    table["retention"] = {"max_age_s": 86_400, "kinds": {"view": 3_600, "stay": 60, "visit": 315_360_000}}
    bundle = read(payload_of(packed(tmp_path, table)))
    only_one = read(payload_of(packed(tmp_path, DERIVED_SCENE | {"retention": {"kinds": {"click": 1}}})))

    assert {name: bundle.layout.kinds[kind_id(name)].keep_s for name in bundle.kind_names} == {
        "view": 3_600, "click": 86_400, "impression": 86_400, "dismiss": 86_400, "convert": 86_400, "note": 86_400,
        "visit": 315_360_000, "visit_end": 86_400, "stay": 60, "passed_over": 86_400,
    }  # fmt: skip
    assert [rule.keep_s for rule in only_one.layout.kinds.values()] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_an_app_cannot_record_what_is_derived(derived_engine: Engine) -> None:
    for kind in DERIVED_KINDS:
        with pytest.raises(UnknownKindError):
            derived_engine.record(kind, item="fund_a")
    assert derived_engine.status().events == 0


def test_a_scene_without_rules_is_packed_without_their_fields(refuser: Refuser, payload: bytes) -> None:
    bundle = fb.Bundle.GetRootAs(payload)
    assert (bundle.Session(), bundle.DwellIsNone(), bundle.IgnoredIsNone()) == (None, True, True)

    refuser.accept(changed(payload, lambda bundle: None))
    assert read(payload).layout.derived == NOTHING_DERIVED
    assert {rule.keep_s for rule in read(payload).layout.kinds.values()} == {0}


# ---- contradictions ----

VIEW, NOTE, STAY, VISIT_END = map(kind_id, ("view", "note", "stay", "visit_end"))


def undeclared(bundle: Any, name: str) -> None:
    """Declares a derived kind as recorded."""
    kind = next(kind for kind in bundle.kinds if kind.name.decode() == name)
    put(kind, "derived", False)


INVALID: dict[str, tuple[Change, str]] = {
    "a session of nothing": (
        lambda b: put(b, "session", fb.SessionRuleT(activity=[VIEW], gapS=60)), "session.start_kind: 0, and end_kind"
    ),
    "no activity": (lambda b: put(b.session, "activity", None), "session.activity: []"),
    "an activity that is no kind": (lambda b: put(b.session, "activity", [VIEW, 1]), "session.activity: [1, "),
    "an activity that is derived": (lambda b: put(b.dwell[0], "activity", [STAY]), "dwell[0].activity: "),
    "a stay with nothing": (lambda b: put(b.dwell[0], "of", []), "dwell[0].of: []"),
    "a stay without a kind": (lambda b: put(b.dwell[0], "kind", 0), "session, dwell or ignored: "),
    "a stay of a recorded kind": (lambda b: put(b.dwell[0], "kind", NOTE), "session, dwell or ignored: "),
    "a stay of no kind": (lambda b: put(b.dwell[0], "kind", 1), "session, dwell or ignored: "),
    "two rules of one kind": (lambda b: put(b.dwell[0], "kind", VISIT_END), "session, dwell or ignored: "),
    "a kind not declared derived": (lambda b: undeclared(b, "stay"), "session, dwell or ignored: "),
    "a count of 0": (lambda b: put(b.ignored[0], "count", 0), "ignored[0].count: 0"),
    "nothing seen": (lambda b: put(b.ignored[0], "seen", []), "ignored[0].seen: []"),
    "reset by nothing": (lambda b: put(b.ignored[0], "resetBy", [1]), "ignored[0].reset_by: [1]"),
    "a derived kind shown": (lambda b: put(b, "shownKind", STAY), "shown_kind or feedback: a derived kind"),
    "a derived kind as feedback": (lambda b: put(b.feedback[1], "kind", STAY), "shown_kind or feedback: a derived"),
}  # fmt: skip


def test_with_derived_events_too_a_bundle_packed_again_opens(refuser: Refuser, derived_payload: bytes) -> None:
    refuser.accept(changed(derived_payload, lambda bundle: None))


@pytest.mark.parametrize("case", INVALID)
def test_a_contradiction_is_named(refuser: Refuser, derived_payload: bytes, case: str) -> None:
    change, words = INVALID[case]
    refuser.refuse(changed(derived_payload, change), BundleInvalidError, f"other.edge: {words}", "cloud-export run")
