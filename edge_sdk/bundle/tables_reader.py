"""Reads a bundle's model tables: views of the file in memory, checked against the sizes of its layout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_sdk.bundle.bounds import check_vectors
from edge_sdk.bundle.policy_symbols import Fail, numbers
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.model.projection import ModelTables
from edge_sdk.policy.rules import Policy
from edge_sdk.types import F32

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import BundleT


TABLES_FROM: Final = 3  # format; before, the graphs contained the tables


def read_model_tables(bundle: BundleT, layout: MemoryLayout, policy: Policy, fail: Fail) -> ModelTables | None:
    """Returns the tables of a bundle; None where its graphs contain them, as up to format 2."""
    if bundle.formatVersion < TABLES_FROM:
        return None
    raw = bundle.tables
    if raw is None:
        fail("tables", "absent")
    value = numbers(raw.value, np.float32)
    d, kinds = len(value), len(layout.kinds) + 1
    if not d:
        fail("tables.value", "empty")

    def table(field: str, vector: object, *shape: int) -> F32:
        found = numbers(vector, np.float32)
        if len(found) != math.prod(shape):
            fail(f"tables.{field}", f"{len(found)} numbers, not {math.prod(shape)}")
        return found.reshape(shape)

    tables = ModelTables(
        items=table("items", raw.items, len(layout.items) + 1, d),
        value=value,
        kind_scale=table("kind_scale", raw.kindScale, kinds, d),
        kind_shift=table("kind_shift", raw.kindShift, kinds, d),
        kind_fading=table("kind_fading", raw.kindFading, kinds),
        context=table("context", raw.context, policy.context_features, d),
        offers=table("offers", raw.offers, len(layout.offers) + 1, d),
        query=table("query", raw.query, d, d),
        readout=table("readout", raw.readout, len(policy.objectives), d, d),
    )
    for field, found in zip(tables._fields, tables, strict=True):
        if not np.isfinite(found).all():
            fail(f"tables.{field}", "NaN or infinite")
    check_vectors(tables, layout.category_rows, fail)
    for field in ("kind_scale", "kind_shift", "kind_fading", "offers"):
        if np.any(getattr(tables, field)[0]):
            fail(f"tables.{field}", "row 0 is not 0")
    if not (tables.kind_fading[1:] < 0).all():
        fail("tables.kind_fading", "a rate that is not below 0")
    return tables
