"""Collects the simulation's events and decisions in batches and makes the tables of the log."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from device_sim.population import constants as m
from device_sim.population.catalogue import Catalogue, Flags, Floats, Ints


class EventSink(Protocol):
    """The destination of events: a log, or phones."""

    def add(self, kind: str | Ints, user: Ints, time_ms: Ints, item: Ints, value: Floats | None = None) -> None:
        """Adds one event for each row, all (N,); `kind` is one word for all or an index in KINDS for each."""


@dataclass(frozen=True, slots=True)
class EventLog:
    """Batches of events; times are ms since the start of the simulation."""

    _batches: list[tuple[Ints, Ints, NDArray[np.uint8], Ints, NDArray[np.float32]]] = field(default_factory=list)

    def add(self, kind: str | Ints, user: Ints, time_ms: Ints, item: Ints, value: Floats | None = None) -> None:
        """Adds one event for each row, all (N,); `kind` is one word for all or an index in KINDS for each."""
        code = m.KINDS.index(kind) if isinstance(kind, str) else kind
        kinds = np.broadcast_to(np.asarray(code, dtype=np.uint8), user.shape)
        values = np.full(user.shape, np.nan) if value is None else value
        self._batches.append((user, time_ms, kinds, item, values.astype(np.float32)))

    def frame(self, catalogue: Catalogue, users: list[str], start: datetime) -> pl.DataFrame:
        """Returns the `events` table, sorted by user and time; a NaN value becomes null."""
        user, time_ms, kind, item, value = (np.concatenate(column) for column in zip(*self._batches, strict=True))
        order = np.lexsort((time_ms, user))
        return pl.DataFrame(
            {
                "user": _words(users, user[order]),
                "time": _moments(time_ms[order], start),
                "kind": _words(m.KINDS, kind[order]),
                "item": _words(catalogue.names, item[order]),
                "value": pl.Series(value[order]).fill_nan(None),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBatch:
    """Decisions of `N` users at one step; `K` offers on the page, 24 in a log."""

    user: Ints  # (N,)
    time_ms: Ints  # (N,)
    surface: Ints  # (N,)
    stage: Ints  # (N,)
    candidates: Ints  # (N, K)
    shown: Ints  # (N,) how many of the first were shown
    outcomes: NDArray[np.float32]  # (N, K, 2) click, convert; NaN where not shown
    click: Floats  # (N, K) the true probability
    convert: Floats  # (N, K) the true probability, the click included


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """Batches of decisions; the first is empty, so that a population without sessions has tables too."""

    batches: list[DecisionBatch] = field(default_factory=lambda: [_no_decisions()])

    def add(self, batch: DecisionBatch) -> None:
        """Adds decisions of 24 candidates each."""
        self.batches.append(batch)

    def frames(self, catalogue: Catalogue, users: list[str], start: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Returns the `decisions` and `truth` tables, both in the order of user and time."""
        user, time_ms, shown = self._column("user"), self._column("time_ms"), self._column("shown")
        order = np.lexsort((time_ms, user))
        name = pl.Series("decision", [f"d{number:07}" for number in range(len(order))], dtype=pl.String)
        candidates = _lists(_words(catalogue.names, self._column("candidates")[order].ravel()), m.CANDIDATES)
        propensity = np.repeat((shown[order] / m.CANDIDATES).astype(np.float32), m.CANDIDATES)
        decisions = pl.DataFrame(
            {
                "decision": name,
                "user": _words(users, user[order]),
                "time": _moments(time_ms[order], start),
                "surface": _words(m.SURFACES, self._column("surface")[order]),
                "stage": _words(m.STAGES, self._column("stage")[order]),
                "candidates": candidates,
                "shown": candidates,
                "propensities": _lists(pl.Series(propensity), m.CANDIDATES),
                "outcomes": _lists(_lists(pl.Series(self._column("outcomes")[order].ravel()), 2), m.CANDIDATES),
            }
        ).with_columns(pl.col("shown").list.head(pl.lit(pl.Series(shown[order]))))
        truth = {
            objective: _lists(pl.Series(self._column(objective)[order].astype(np.float32).ravel()), m.CANDIDATES)
            for objective in ("click", "convert")
        }
        return decisions, pl.DataFrame({"decision": name, **truth})

    def _column(self, name: str) -> NDArray[np.float64]:
        columns: list[NDArray[np.float64]] = [getattr(batch, name) for batch in self.batches]
        return np.concatenate(columns)


def outcome_lists(shown: Flags, clicked: Flags, converted: Flags) -> NDArray[np.float32]:
    """Returns outcomes (N, K, 2) of the shown offers, NaN elsewhere; all arguments (N, K)."""
    outcomes = np.stack([clicked, converted], axis=2).astype(np.float32)
    outcomes[~shown] = np.nan
    return outcomes


def _no_decisions() -> DecisionBatch:
    none, row = np.zeros(0, dtype=np.int64), np.zeros((0, m.CANDIDATES))
    return DecisionBatch(
        user=none,
        time_ms=none,
        surface=none,
        stage=none,
        candidates=row.astype(np.int64),
        shown=none,
        outcomes=np.zeros((0, m.CANDIDATES, 2), dtype=np.float32),
        click=row,
        convert=row,
    )


def _words(words: tuple[str, ...] | list[str], index: NDArray[np.generic]) -> pl.Series:
    return pl.Series(words, dtype=pl.String).gather(pl.Series(index.astype(np.uint32)))


def _moments(time_ms: NDArray[np.generic], start: datetime) -> pl.Series:
    epoch_ms = round((start - datetime(1970, 1, 1)).total_seconds() * 1000)
    return pl.Series(time_ms.astype(np.int64) + epoch_ms).cast(pl.Datetime("ms"))


def _lists(flat: pl.Series, length: int) -> pl.Series:
    """Divides a flat column into lists of `length`."""
    rows = len(flat) // length
    groups = pl.Series(np.repeat(np.arange(rows, dtype=np.uint32), length))
    frame = pl.DataFrame({"group": groups, "flat": flat})
    return frame.group_by("group", maintain_order=True).agg("flat")["flat"]
