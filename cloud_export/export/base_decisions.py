"""Writes the base decisions of users as Parquet: the cloud's ranking, which an app passes to `Engine.rank`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from cloud_export.atomic_write import write_whole
from cloud_export.features.layout import DeviceLayout
from edge_sdk.types import F32


def write_base_decisions(
    path: Path, users: Sequence[str], layout: DeviceLayout, logits: F32, refreshed_ms: int
) -> None:
    """Writes one row a user: the offers, best first by the policy's weights, and a list of base logits an objective.

    Args:
        path: the Parquet file; columns user, refreshed, offers, and logits_<objective> each.
        users: U names.
        layout: the scene's offers and policy.
        logits: (U, O, K).
        refreshed_ms: time of the newest event that the logits are computed from, ms since 1970.
    """
    policy = layout.policy
    order = np.argsort(-(logits @ policy.weights), axis=1, kind="stable")
    names = np.array(layout.memory.offers.names(), dtype=object)
    columns: dict[str, pl.Series] = {
        "user": pl.Series(users, dtype=pl.String),
        "refreshed": pl.Series([refreshed_ms] * len(users), dtype=pl.Int64).cast(pl.Datetime("ms")),
        "offers": pl.Series(names[order].tolist(), dtype=pl.List(pl.String)),
    }
    for index, objective in enumerate(policy.objectives):
        ordered = np.take_along_axis(logits[..., index], order, axis=1)
        columns[f"logits_{objective}"] = pl.Series(ordered.tolist(), dtype=pl.List(pl.Float32))
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    write_whole(path, buffer.getvalue())
