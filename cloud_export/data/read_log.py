"""Reads and checks the events, decisions, offers and users of a scene; returns one `Log` of plain arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from cloud_export.data.decisions import logged_decisions, read_decisions
from cloud_export.data.derived_decisions import derive_decisions
from cloud_export.data.log import I32, I64, U16, Catalogue, Decisions, Events, Log, summarise
from cloud_export.data.rows import read_events, read_offers, read_users
from cloud_export.errors import BadRow, BadRowsError, LogContentError
from cloud_export.scene.load import Scene
from edge_sdk.log.local_field import local_fields

__all__ = ["BadRow", "Catalogue", "Decisions", "Log", "read_log", "summarise"]


def read_log(
    scene: Scene,
    *,
    events: Path,
    decisions: Path | None = None,
    offers: Path | None = None,
    users: Path | None = None,
    bad_rows: Literal["stop", "skip"] = "stop",
) -> tuple[Log, tuple[BadRow, ...]]:
    """Reads the log of a scene; each path is a .parquet, .csv or .csv.gz file or a folder of them.

    Args:
        scene: The columns to read and the values that they may contain.
        events: The users' events.
        decisions: The logged decisions; without them, decisions are derived by the rules of the scene's [decisions].
        offers: The catalogue; without it, the offers are all candidates of the decisions.
        users: Attributes of users; without it, all are unknown.
        bad_rows: "stop" raises at bad rows, "skip" sets them aside.

    Returns:
        The log, and the rows set aside: of offers, users, events, decisions.

    Raises:
        BadRowsError: There are bad rows and `bad_rows` is "stop".
        LogFileError, LogColumnError, LogTypeError: A file cannot be used.
        LogContentError: No usable event, offer or decision is left, or decisions have no source.
    """
    if decisions is None and scene.decisions is None:
        fix = "give the decision log, or name the positive events in [decisions]"
        raise LogContentError("there is neither a decision log nor [decisions] in the scene", fix)
    offer_rows, bad_offers = read_offers(scene, offers) if offers else (None, [])
    user_rows, bad_users = read_users(scene, users) if users else (None, [])
    event_rows, bad_events = read_events(scene, events)
    rankable = _rankable(offer_rows)
    decision_rows, bad_decisions = read_decisions(scene, decisions, offers=rankable) if decisions else (None, [])
    if (bad := (*bad_offers, *bad_users, *bad_events, *bad_decisions)) and bad_rows == "stop":
        raise BadRowsError(bad)
    _require_content(event_rows, decision_rows, rankable, bad=len(bad))
    return _log(scene, event_rows, decision_rows, offer_rows, user_rows), bad


def _rankable(offer_rows: pl.DataFrame | None) -> list[str] | None:
    return None if offer_rows is None else offer_rows.filter("rankable")["offer"].to_list()


def _require_content(
    event_rows: pl.DataFrame, decision_rows: pl.DataFrame | None, rankable: Sequence[str] | None, *, bad: int
) -> None:
    # The catalogue is checked first: without offers every decision is bad, and the decisions are not the cause.
    if rankable is not None and not rankable:
        raise LogContentError("no offer may be ranked", "give the catalogue an offer whose rankable is true")
    for name, rows in (("event", event_rows), ("decision", decision_rows)):
        if rows is not None and rows.is_empty():
            raise LogContentError(f"no usable {name} is left ({bad} bad rows)", f"give a log with {name}s")


def _log(
    scene: Scene,
    event_rows: pl.DataFrame,
    decision_rows: pl.DataFrame | None,
    offer_rows: pl.DataFrame | None,
    user_rows: pl.DataFrame | None,
) -> Log:
    users = _distinct(event_rows["user"], None if decision_rows is None else decision_rows["user"])
    candidates = None if decision_rows is None else decision_rows["candidates"].explode()
    items = _distinct(event_rows["item"], candidates, None if offer_rows is None else offer_rows["offer"])
    events = _events(event_rows, users, items)
    if decision_rows is not None:
        decided = logged_decisions(decision_rows, users=users, items=items, objectives=len(scene.objective_order))
        decided.position[:] = _positions(decided, events)
    else:
        assert scene.decisions is not None  # read_log has made sure
        names = _rankable(offer_rows)
        rankable = None if names is None else _codes(pl.Series(names, dtype=pl.String), items)
        decided = derive_decisions(scene, scene.decisions, events, users=users, rankable=rankable)
    attributes, attribute_values = _attributes(scene, user_rows, users)
    return Log(
        kinds=scene.events.kinds,
        objectives=scene.objective_order,
        users=users,
        items=items,
        events=events,
        decisions=decided,
        catalogue=_catalogue(scene, offer_rows, decided.candidate, items),
        attributes=attributes,
        attribute_values=attribute_values,
    )


def _distinct(*columns: pl.Series | None) -> tuple[str, ...]:
    """Returns all names of the columns, sorted by code point."""
    present = [column.unique().rename("name") for column in columns if column is not None]
    return tuple(pl.concat(present).unique().sort())


def _codes(column: pl.Series, names: Sequence[str]) -> I32:
    return column.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)


def _events(rows: pl.DataFrame, users: Sequence[str], items: Sequence[str]) -> Events:
    user, time_ms = _codes(rows["user"], users), rows["time_ms"].to_numpy()
    order = np.lexsort((time_ms, user))  # stable: equal times keep the order of the files
    return Events.of(
        len(users),
        user=user[order],
        time_ms=time_ms[order],
        kind=rows["kind"].to_numpy()[order],
        item=_codes(rows["item"], items)[order],
        value=rows["value"].to_numpy()[order],
        local=_local(rows["utc_offset_s"])[order],
    )


def _local(offsets_s: pl.Series) -> U16:
    """Returns the field `local` of each event, as a device back-fills it (E,); 0 where the offset is not known."""
    return np.where(offsets_s.is_null(), 0, local_fields(offsets_s.fill_null(0).to_numpy())).astype(np.uint16)


def _positions(decisions: Decisions, events: Events) -> I64:
    """Returns for each decision the number of its user's events before its time (D,)."""
    event_count, decision_count = len(events.user), len(decisions.user)
    all_users = np.concatenate((events.user, decisions.user))
    all_times_ms = np.concatenate((events.time_ms, decisions.time_ms))
    is_decision = np.repeat([False, True], [event_count, decision_count])
    # At the same millisecond the decision comes first: an event of that millisecond may be the decision's own
    # impression or click, so the model would see the answer.
    order = np.lexsort((~is_decision, all_times_ms, all_users))
    events_before = np.cumsum(~is_decision[order])
    position = np.empty(len(order), dtype=np.int64)
    position[order] = events_before
    return position[event_count:] - events.offsets[decisions.user]


def _catalogue(scene: Scene, rows: pl.DataFrame | None, candidate: I32, items: Sequence[str]) -> Catalogue:
    """Returns the offers of the file, else all candidates; a category of the file overrides the scene's pattern."""
    category = {} if rows is None else dict(rows.select("offer", "category").drop_nulls().rows())
    if scene.catalog.category_pattern is not None:
        pattern = re.compile(scene.catalog.category_pattern)
        found = {item: match[1] for item in items if (match := pattern.search(item)) and match[1]}
        category = found | category
    categories = tuple(sorted(set(category.values())))
    number = {name: index for index, name in enumerate(categories)}
    cost = None
    if rows is None:
        offer_item = np.unique(candidate)
        bounds = {word: np.zeros(len(offer_item), dtype=np.int64) for word in ("valid_from", "valid_until")}
    else:
        rankable = rows.filter("rankable").sort("offer")
        offer_item = _codes(rankable["offer"], items)
        bounds = {word: rankable[word].to_numpy() for word in ("valid_from", "valid_until")}
        cost = rankable["cost"].to_numpy() if scene.columns.offers.cost else None
    return Catalogue(
        offers=tuple(items[index] for index in offer_item),
        offer_item=offer_item,
        valid_from_ms=bounds["valid_from"],
        valid_until_ms=bounds["valid_until"],
        categories=categories,
        item_category=np.array([number[category[item]] if item in category else -1 for item in items], dtype=np.int32),
        cost=cost,
    )


def _attributes(
    scene: Scene, rows: pl.DataFrame | None, users: Sequence[str]
) -> tuple[npt.NDArray[np.int32], tuple[tuple[str, ...], ...]]:
    """Returns codes (U, A), 0 = unknown, and for each attribute the values with the codes 1, 2, …"""
    count = len(scene.columns.users.attributes)
    codes = np.zeros((len(users), count), dtype=np.int32)
    if rows is None:
        return codes, ((),) * count
    aligned = pl.DataFrame({"user": users}).join(rows, on="user", how="left", maintain_order="left")
    values = tuple(tuple(rows[f"attribute_{index}"].drop_nulls().unique().sort()) for index in range(count))
    for index in range(count):
        code = aligned[f"attribute_{index}"].cast(pl.Enum(values[index])).to_physical()
        codes[:, index] = code.cast(pl.Int32).fill_null(-1).to_numpy() + 1
    return codes, values
