"""Reads a decision log: checks its rows and lays them out as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from cloud_export.data.columns import Rule, later_duplicates, rule, split_rows, text, time_ms, time_rules
from cloud_export.data.files import RAGGED, ROW, RawTable, read_tables
from cloud_export.data.lists import number_lists, text_lists, unreadable
from cloud_export.data.log import F32, I32, I64, Decisions, Flags
from cloud_export.errors import BadRow
from cloud_export.scene.load import Scene


def read_decisions(scene: Scene, path: Path, *, offers: Sequence[str] | None) -> tuple[pl.DataFrame, list[BadRow]]:
    """Reads and checks the rows of a decision log.

    Args:
        scene: The columns to read, and the context fields.
        path: A file or a folder of files.
        offers: The rankable offers, where a catalogue was given: each candidate must be one of them.

    Returns:
        A frame with decision, user (String), time_ms (Int64), candidates, shown (List(String)), propensities,
        outcomes (List(Float32), null where unknown) and context_0, context_1, … (Int16); and the bad rows.

    Raises:
        LogError: A file cannot be read, a mapped column is missing or has the wrong type.
    """
    columns = scene.columns.decisions
    mapping = columns.model_dump(exclude={"context"}, exclude_none=True)
    mapping |= {f"context.{field}": column for field, column in columns.context.items()}
    tables = read_tables(path, section="columns.decisions", columns=mapping)
    parts = [_decisions_of(scene, table, offers) for table in tables]
    frame, repeated = later_duplicates(pl.concat([part for part, _ in parts]), "decision")
    return frame.drop("file", ROW), [row for _, bad in parts for row in bad] + repeated


def logged_decisions(frame: pl.DataFrame, *, users: Sequence[str], items: Sequence[str], objectives: int) -> Decisions:
    """Sorts the checked rows by (user, time) and returns them as arrays; `position` is 0 everywhere.

    Args:
        frame: What `read_decisions` returned.
        users: All users, sorted.
        items: All items, sorted.
        objectives: K.
    """
    by_user = pl.col("user").cast(pl.Enum(users)).to_physical().cast(pl.Int32)
    frame = frame.with_columns(by_user.alias("user")).sort("user", "time_ms", maintain_order=True)
    count = frame["candidates"].list.len().to_numpy().astype(np.int64)
    candidate = _codes(frame["candidates"], items)
    cell = np.repeat(np.arange(len(frame), dtype=np.int64) * len(items), count) + candidate
    shown_count = frame["shown"].list.len().to_numpy().astype(np.int64)
    shown_rows = np.repeat(np.arange(len(frame), dtype=np.int64) * len(items), shown_count)
    shown = _among(cell, shown_rows + _codes(frame["shown"], items))
    outcome = _flat(frame, "outcomes", objectives).reshape(-1, objectives)
    outcome[~shown] = np.nan  # a user cannot answer an offer that was not shown
    context = [frame[name].to_numpy().astype(np.int16) for name in frame.columns if name.startswith("context_")]
    return Decisions(
        decision_id=tuple(frame["decision"]),
        user=frame["user"].to_numpy().astype(np.int32),
        time_ms=frame["time_ms"].to_numpy().astype(np.int64),
        position=np.zeros(len(frame), dtype=np.int64),
        offsets=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
        candidate=candidate,
        outcome=outcome,
        propensity=_flat(frame, "propensities", 1),
        shown=shown,
        context=np.stack(context, axis=1) if context else np.zeros((len(frame), 0), dtype=np.int16),
    )


def _decisions_of(scene: Scene, table: RawTable, offers: Sequence[str] | None) -> tuple[pl.DataFrame, list[BadRow]]:
    contexts = [_context_of(scene, table, field) for field in scene.context]
    columns: list[str | pl.Expr] = [
        ROW,
        RAGGED,
        pl.lit(table.file).alias("file"),
        text(table, "decision").alias("decision"),
        text(table, "user").alias("user"),
        time_ms(table, "time").alias("time"),
        pl.col("time").alias("time_raw"),
        *(expression for pair in contexts for expression in pair),
    ]
    frame = table.frame.select(columns).with_columns(_lists_of(table, len(scene.objective_order)))
    frame = frame.with_columns(_strangers(frame, offers))
    rules = [
        rule(pl.col("decision").is_null(), "no decision"),
        rule(pl.col("user").is_null(), "no user"),
        *time_rules("time"),
        *_candidate_rules(),
        *_outcome_rules(len(scene.objective_order)),
        *_context_rules(scene),
    ]
    good, bad = split_rows(frame, table.file, rules)
    kept = ["file", ROW, "decision", "user", "candidates", "shown", "propensities", "outcomes"]
    codes = [f"context_{index}" for index in range(len(scene.context))]
    return good.select(*kept, pl.col("time").alias("time_ms"), *codes), bad


def _context_of(scene: Scene, table: RawTable, field: str) -> tuple[pl.Expr, pl.Expr]:
    """Returns the code of a context field (-1 absent, null where not in its closed list), and its raw text."""
    index, word = list(scene.context).index(field), f"context.{field}"
    if word not in table.columns:
        return pl.lit(-1, pl.Int16).alias(f"context_{index}"), pl.lit(None, pl.String).alias(f"context_{index}_raw")
    value = text(table, word)
    code = value.cast(pl.Enum(scene.context[field]), strict=False).to_physical().cast(pl.Int16)
    known = pl.when(value.is_null()).then(pl.lit(-1, pl.Int16)).otherwise(code)
    return known.alias(f"context_{index}"), value.alias(f"context_{index}_raw")


def _lists_of(table: RawTable, width: int) -> list[pl.Series]:
    """Returns the four list columns, and for each `<word>_unreadable`; an unmapped `shown` is all candidates."""
    size = len(table.frame)
    candidates = text_lists(table, "candidates")
    lists = {"candidates": candidates, "outcomes": number_lists(table, "outcomes", width=width)}
    lists["shown"] = text_lists(table, "shown") if "shown" in table.columns else candidates.alias("shown")
    unknown = pl.Series("propensities", [None] * size, pl.List(pl.Float32))
    lists["propensities"] = number_lists(table, "propensities", width=1) if "propensities" in table.columns else unknown
    wrong = [
        (unreadable(table, word, found) if word in table.columns else pl.Series([False] * size, dtype=pl.Boolean))
        for word, found in lists.items()
    ]
    return [*lists.values(), *(one.alias(f"{word}_unreadable") for word, one in zip(lists, wrong, strict=True))]


def _strangers(frame: pl.DataFrame, offers: Sequence[str] | None) -> pl.Series:
    """Returns the first candidate of each row that is not among the offers; null where there is none."""
    if offers is None:
        return pl.Series("stranger", [None] * len(frame), pl.String)
    rows = frame.select(pl.int_range(pl.len()).alias("at"), "candidates").explode("candidates").drop_nulls()
    outside = rows.filter(~pl.col("candidates").is_in(list(offers))).unique("at", keep="first", maintain_order=True)
    everywhere = pl.DataFrame({"at": pl.int_range(len(frame), eager=True)})
    return everywhere.join(outside, on="at", how="left", maintain_order="left")["candidates"].alias("stranger")


def _candidate_rules() -> list[Rule]:
    candidates, shown = pl.col("candidates"), pl.col("shown")
    blank = candidates.list.eval(~pl.element().str.contains(r"\S").fill_null(False)).list.any()
    return [
        rule(pl.col("candidates_unreadable"), "candidates is not a list of names"),
        rule(candidates.is_null() | (candidates.list.len() == 0), "no candidates"),
        rule(blank, "a candidate has no name"),
        rule(candidates.list.n_unique() < candidates.list.len(), "a candidate occurs in the list twice"),
        rule(pl.col("stranger").is_not_null(), "a candidate is not a rankable offer of the catalogue:", "stranger"),
        rule(pl.col("shown_unreadable"), "shown is not a list of names"),
        rule(shown.is_null(), "no shown (write [] where nothing was shown)"),
        rule(shown.list.set_difference(candidates).list.len() > 0, "shown has an offer that is not a candidate"),
    ]


def _outcome_rules(width: int) -> list[Rule]:
    count = pl.col("candidates").list.len()
    outcomes, propensities = pl.col("outcomes"), pl.col("propensities")
    outside = propensities.list.eval((pl.element() <= 0) | (pl.element() > 1) & pl.element().is_not_nan()).list.any()
    infinite = outcomes.list.eval(pl.element().is_infinite()).list.any()
    per_candidate = f"{width} number{'s' if width > 1 else ''} per candidate"
    return [
        rule(pl.col("outcomes_unreadable"), f"outcomes is not a list of {per_candidate}"),
        rule(outcomes.list.len() != count * width, f"outcomes does not have {per_candidate}"),
        rule(infinite, "an outcome is infinite"),
        rule(pl.col("propensities_unreadable"), "propensities is not a list of numbers"),
        rule(propensities.list.len() != count, "propensities does not have one number per candidate"),
        rule(outside, "a propensity is not above 0 and at most 1"),
    ]


def _context_rules(scene: Scene) -> list[Rule]:
    return [
        rule(pl.col(f"context_{index}").is_null(), f"{field} is not in context.{field}:", f"context_{index}_raw")
        for index, field in enumerate(scene.context)
    ]


def _among(cells: I64, chosen: I64) -> Flags:
    """Returns whether each of `cells` is in `chosen`, four times as fast as np.isin on these sorted runs."""
    ordered = np.sort(chosen)
    found = np.searchsorted(ordered, cells)
    same: Flags = np.append(ordered, -1)[found] == cells
    return same


def _codes(lists: pl.Series, names: Sequence[str]) -> I32:
    """Returns all entries of the lists, concatenated, as indices into `names`."""
    entries = lists.filter(lists.list.len() > 0).explode()
    return entries.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)


def _flat(frame: pl.DataFrame, word: str, width: int) -> F32:
    """Returns all numbers of a list column, concatenated; NaN where the number or its whole list is null."""
    unknown = pl.lit(None, pl.Float32).repeat_by(pl.col("candidates").list.len() * width)
    filled = frame.select(pl.coalesce(word, unknown)).to_series()
    return filled.explode().fill_null(float("nan")).to_numpy().astype(np.float32)
