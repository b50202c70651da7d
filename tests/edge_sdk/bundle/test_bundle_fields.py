"""A bundle that is whole and signed, but inconsistent, is refused, and the error names the field.

A contradiction between fields, a later format and a golden vector with other results on this device are each named,
and leave the state folder unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from cloud_export.export.container_writer import sign_container
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.errors import BundleDamagedError, BundleInvalidError, BundleTooNewError, SelfTestError
from tests.support.bundle_changes import Change, changed, put
from tests.support.bundle_refusals import KEY, Refuser
from tests.support.bundle_refusals import payload as payload
from tests.support.bundle_refusals import refuser as refuser


def repeat_first(vocabulary: Any) -> None:
    """Gives the second row of a vocabulary the id of the first."""
    for words in ("ids", "highs"):
        column = getattr(vocabulary, words)
        put(vocabulary, words, column[[0, 0, *range(2, len(column))]])


def bumped(owner: Any, field: str, by: float, place: int = 0) -> None:
    """Adds to one number of a vector."""
    array = getattr(owner, field).copy()
    array[place] += by
    put(owner, field, array)


def without_last(owner: Any, field: str) -> None:
    put(owner, field, getattr(owner, field)[:-1])


def wider_window(bundle: Any) -> None:
    """Makes the graph's window one event larger than the bundle's."""
    model = onnx.load_from_string(bytes(bundle.model))
    wanted = next(entry for entry in model.graph.input if entry.name == "event_term")
    assert wanted.type.tensor_type.shape.dim[0].dim_value == 8
    wanted.type.tensor_type.shape.dim[0].dim_value = 9
    bundle.model = np.frombuffer(model.SerializeToString(), np.uint8)


# ---- contradictions and later formats ----

INVALID: dict[str, tuple[Change, str]] = {
    "window of 0": (lambda b: put(b, "window", 0), "window: 0"),
    "window too large": (lambda b: put(b, "window", 4097), "window: 4097"),
    "no kinds": (lambda b: put(b, "kinds", []), "kinds: none"),
    "kinds left out": (lambda b: put(b, "kinds", None), "kinds: none"),
    "two kinds with one id": (lambda b: put(b.kinds[1], "id", b.kinds[0].id), "kinds: none, or two with one id"),
    "a kind with id 0": (lambda b: put(b.kinds[1], "id", 0), "kinds: "),
    "counter_kinds too small": (lambda b: put(b, "counterKinds", 2), "counter_kinds: 2"),
    "counter_kinds 0": (lambda b: put(b, "counterKinds", 0), "counter_kinds: 0"),
    "items not ascending": (lambda b: put(b.items, "ids", b.items.ids[::-1].copy()), "items.ids: not ascending"),
    "an item twice": (lambda b: repeat_first(b.items), "items.ids: not ascending"),
    "no high words": (lambda b: put(b.items, "highs", None), "items.highs: not as many as ids"),
    "fewer high words than offers": (lambda b: without_last(b.offers.names, "highs"), "offers.highs: not as many as"),
    "a high word that is not known": (
        lambda b: put(b.items, "highs", b.items.highs * 0),
        "items.highs: not as many as",
    ),
    "fewer categories than items": (lambda b: without_last(b.items, "categories"), "items.ids: "),
    "a category beyond the table": (lambda b: bumped(b.items, "categories", 9), "items.categories: "),
    "offers not ascending": (lambda b: put(b.offers.names, "ids", b.offers.names.ids[::-1].copy()), "offers.ids: "),
    "no offers": (lambda b: put(b.offers, "names", fb.VocabularyT()), "offers: none"),
    "fewer dates than offers": (lambda b: without_last(b.offers, "validFromS"), "offers.valid_from_s: "),
    "a short decay table": (lambda b: without_last(b.decays[0], "growFine"), "decays: half_life_s 60 "),
    "a decay table left out": (lambda b: put(b.decays[1], "fadeCoarse", None), "decays: half_life_s 3600 "),
    "a tick of 0": (lambda b: put(b.decays[1], "tickMs", 0), "decays: half_life_s 3600 "),
    "no objectives": (lambda b: put(b.policy, "objectives", []), "policy.objectives: none"),
    "no model": (lambda b: put(b, "model", None), "model: absent"),
    "an empty model": (lambda b: put(b, "model", np.zeros(0, np.uint8)), "model: absent"),
    "a garbage model": (lambda b: put(b, "model", np.arange(999).astype(np.uint8)), "model: "),
    "half a model": (lambda b: put(b, "model", b.model[: len(b.model) // 2]), "model: "),
    "a model of another shape": (wider_window, "model: "),
    "no tables": (lambda b: put(b, "tables", None), "tables: absent"),
    "empty tables": (lambda b: put(b, "tables", fb.ModelTablesT()), "tables.value: empty"),
    "a table of fewer items": (lambda b: without_last(b.tables, "items"), "tables.items: 71 numbers, not 72"),
    "tables of another dimension": (lambda b: without_last(b.tables, "value"), "tables.items: 72 numbers, not 63"),
    "a table of more offers": (lambda b: put(b.tables, "offers", np.zeros(64, np.float32)), "tables.offers: 64 "),
    "a readout missing": (lambda b: put(b.tables, "readout", None), "tables.readout: 0 numbers, not 128"),
    "a padding event that says something": (lambda b: bumped(b.tables, "kindShift", 1), "tables.kind_shift: row 0"),
    "an unknown offer that listens": (lambda b: bumped(b.tables, "offers", 1), "tables.offers: row 0 is not 0"),
    "an event that grows": (lambda b: bumped(b.tables, "kindFading", 9, 2), "tables.kind_fading: a rate"),
    "golden rows beyond the offers": (lambda b: bumped(b.golden[2], "candidates", 7), "golden.candidates: "),
    "golden rows below 0": (lambda b: bumped(b.golden[2], "candidates", -99), "golden.candidates: "),
    "a golden logit missing": (lambda b: without_last(b.golden[1], "logits"), "golden.logits: 11 numbers, not 12"),
    "a golden base logit missing": (lambda b: without_last(b.golden[1], "baseLogits"), "golden.base_logits: 11 "),
    "a golden counter missing": (lambda b: without_last(b.golden[1], "counters"), "golden.counters: 71 numbers"),
    "a golden context too short": (lambda b: without_last(b.golden[1], "context"), "golden.context: 3 numbers"),
}


def test_a_bundle_packed_again_unchanged_opens(refuser: Refuser, payload: bytes) -> None:
    refuser.accept(changed(payload, lambda bundle: None))


@pytest.mark.parametrize("case", INVALID)
def test_a_contradiction_is_named(refuser: Refuser, payload: bytes, case: str) -> None:
    change, words = INVALID[case]
    refuser.refuse(changed(payload, change), BundleInvalidError, f"other.edge: {words}", "cloud-export run")


def test_a_later_format_is_named_with_ours(refuser: Refuser, payload: bytes) -> None:
    later = changed(payload, lambda bundle: put(bundle, "formatVersion", 6))
    refuser.refuse(later, BundleTooNewError, "format_version 6, this runtime reads up to 5")


def test_a_later_format_is_named_whatever_else_is_new_in_it(refuser: Refuser, payload: bytes) -> None:
    def later(bundle: Any) -> None:
        put(bundle, "formatVersion", 6)
        put(bundle, "kinds", None)
        put(bundle, "model", None)

    refuser.refuse(changed(payload, later), BundleTooNewError, "format_version 6, this runtime reads up to 5")


def test_a_signed_payload_that_is_no_bundle_is_damaged(refuser: Refuser) -> None:
    refuser.refuse(sign_container(b"\xff" * 100, [KEY]), BundleDamagedError, "payload: not readable")


# ---- the self-test ----

STAGES: dict[str, tuple[str, float]] = {
    "event_item": ("eventItem", 1),
    "event_kind": ("eventKind", 1),
    "event_age_s": ("eventAgeS", 0.01),
    "event_value": ("eventValue", 0.001),
    "counters": ("counters", 0.00001),
    "logits": ("logits", 0.0001),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("vector", [0, 2])
def test_a_golden_vector_that_comes_out_otherwise_is_named(
    refuser: Refuser, payload: bytes, stage: str, vector: int
) -> None:
    field, by = STAGES[stage]
    other = changed(payload, lambda bundle: bumped(bundle.golden[vector], field, by))
    assert other != changed(payload, lambda bundle: None)
    refuser.refuse(other, SelfTestError, f"golden vector {vector} differs in {stage} on this device")


def test_logits_may_differ_by_a_rounding(refuser: Refuser, payload: bytes) -> None:
    refuser.accept(changed(payload, lambda bundle: bumped(bundle.golden[0], "logits", 0.000002)))
