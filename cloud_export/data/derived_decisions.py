"""Derives decisions from events by the rules of the scene's [decisions], where there is no decision log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from cloud_export.data.log import F32, I32, I64, Decisions, Events
from cloud_export.errors import LogContentError, quoted
from cloud_export.scene.load import Scene
from cloud_export.scene.sections import Derivation

MAX_DERIVED_CANDIDATES = 100_000_000  # 1.3 GB of arrays


def derive_decisions(
    scene: Scene, rules: Derivation, events: Events, *, users: Sequence[str], rankable: I32 | None
) -> Decisions:
    """Derives one decision before each positive event except a user's first event, at the time of the event before it.

    The candidates are all items with a positive event, and all of them count as shown. The outcome of
    `rules.objective` is 1 for the item of the positive event and 0 for the rest; other objectives are unknown.

    Args:
        scene: Objectives and context fields.
        rules: The scene's [decisions].
        events: Sorted by (user, time).
        users: All users, sorted.
        rankable: The rankable items of the catalogue, where there is one; other items' events make no decision.

    Raises:
        LogContentError: There is no positive event, or candidates × decisions exceed 100 million.
    """
    user, item = events.user, events.item
    kinds = [scene.events.kinds.index(name) for name in rules.positive_kinds]
    positive = np.isin(events.kind, kinds)
    if rankable is not None:
        positive &= np.isin(item, rankable)
    offers = np.unique(item[positive])
    position = np.arange(len(user), dtype=np.int64) - events.offsets[user]
    row = np.flatnonzero(positive & (position > 0))
    _check_derived(rules, len(row), len(offers))
    return Decisions(
        decision_id=_decision_ids(users, user[row], position[row]),
        user=user[row],
        time_ms=events.time_ms[row - 1],
        position=position[row],
        offsets=np.arange(len(row) + 1, dtype=np.int64) * len(offers),
        candidate=np.tile(offers.astype(np.int32), len(row)),
        outcome=_outcomes(scene, rules, offers=offers, chosen=item[row]),
        propensity=np.full(len(row) * len(offers), np.nan, dtype=np.float32),
        shown=np.ones(len(row) * len(offers), dtype=np.bool_),
        context=np.full((len(row), len(scene.context)), -1, dtype=np.int16),
    )


def _decision_ids(users: Sequence[str], user: I32, position: I64) -> tuple[str, ...]:
    """Returns `<user>/<position>`, which is the same id in every run."""
    names = pl.Series(users, dtype=pl.String).gather(user)
    return tuple(pl.select(pl.format("{}/{}", names, pl.Series(position))).to_series())


def _outcomes(scene: Scene, rules: Derivation, *, offers: I32, chosen: I32) -> F32:
    """Returns (D·O, K): for the rules' objective 1 for the chosen item of each decision, else 0; NaN for others."""
    outcome = np.full((len(chosen) * len(offers), len(scene.objective_order)), np.nan, dtype=np.float32)
    objective = scene.objective_order.index(rules.objective)
    outcome[:, objective] = 0.0
    outcome[np.arange(len(chosen)) * len(offers) + np.searchsorted(offers, chosen), objective] = 1.0
    return outcome


def _check_derived(rules: Derivation, decisions: int, offers: int) -> None:
    if not decisions:
        reason = f"no decision can be derived: no user has an event before one of {quoted(rules.positive_kinds)}"
        raise LogContentError(reason, "name other kinds in decisions.positive_kinds of the scene")
    if decisions * offers > MAX_DERIVED_CANDIDATES:
        reason = f"{decisions} derived decisions × {offers} candidates are more than {MAX_DERIVED_CANDIDATES}"
        raise LogContentError(reason, "bring a decision log with fewer candidates each, or fewer events")
