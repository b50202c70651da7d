"""Projects rows to the vectors that the model's graph reads; vectors that did not change are not computed again.

    term  = (items[item] + asinh(value) · value_row) ⊙ scale + kind_shift[kind]        scale = kind_scale[kind]

is computed once for each event, when the event enters the window; query and readout of a candidate, once for each base
decision. Only ages and counters are new for each decision. Graphs of bundles up to format 2 compute all of this
themselves; docs/adr/0019-tables-beside-the-graph.md has the cost.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.memory.window import Window
from edge_sdk.types import F32, I32, I64, Mask

_Rows = np.int32 | I32 | I64
_PRODUCTS_AT_ONCE: Final = 1 << 18


class ModelTables(NamedTuple):
    """A bundle's tables, d numbers a row. Rows 0 of kinds and offers are 0: a missing event or offer adds nothing."""

    items: F32  # (I + 1, d); row 0 = unknown
    value: F32  # (d,), times asinh(value)
    kind_scale: F32  # (kinds + 1, d)
    kind_shift: F32  # (kinds + 1, d)
    kind_fading: F32  # (kinds + 1,), per second, below 0
    context: F32  # (X, d)
    offers: F32  # (O + 1, d)
    query: F32  # (d, d): query row of an offer = its row @ query
    readout: F32  # (K, d, d): likewise for each objective

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.value)


def stand_in_rows(tables: ModelTables, offer_categories: I64, category_rows: int) -> F32:
    """Returns a row for each category, (categories, d): the mean of the rows of its offers.

    Such a row stands for an offer of the category that the bundle does not know. A category without offers gets 0.

    Args:
        tables: of the bundle.
        offer_categories: category row of each offer row, (O + 1,).
        category_rows: with row 0.
    """
    sums = np.zeros((category_rows, tables.dimension), np.float64)
    np.add.at(sums, offer_categories, tables.offers)
    counts = np.bincount(offer_categories, minlength=category_rows)
    return (sums[1:] / np.maximum(counts[1:], 1)[:, None]).astype(np.float32)


class Projection:
    """The tables, and the products of the candidate rows, computed once.

    Attributes:
        tables: of the bundle.
        queries: by candidate row: of the offers, then of the stand-ins. (O + 1 + categories, d).
        readouts: likewise, (K, O + 1 + categories, d).
    """

    def __init__(self, tables: ModelTables, stand_ins: F32 | None = None) -> None:
        """Takes 5 µs for 60 offers, 1 ms for 10,000; a file of the products would be (K + 1) times as large.

        Args:
            tables: of the bundle; views of the file, and no copy of the largest is made.
            stand_ins: `stand_in_rows` of them; None = all candidates are known.
        """
        offers, d = tables.offers.shape
        rows = offers + (0 if stand_ins is None else len(stand_ins))
        self.tables = tables
        self.queries: F32 = np.empty((rows, d), np.float32)
        self.readouts: F32 = np.empty((len(tables.readout), rows, d), np.float32)
        self._multiply(tables.offers, 0)
        if stand_ins is not None:
            self._multiply(stand_ins, offers)

    def _multiply(self, table: F32, first: int) -> None:
        """Computes the products of a table's rows, from candidate row `first` on.

        Part by part: for larger products BLAS wakes its threads. 10,000 offers took 80 ms on two busy cores.
        """
        size = max(1, _PRODUCTS_AT_ONCE // table.shape[1] ** 2)
        for start in range(0, len(table), size):
            part, rows = table[start : start + size], slice(first + start, first + min(start + size, len(table)))
            np.matmul(part, self.tables.query, out=self.queries[rows])
            np.matmul(part, self.tables.readout, out=self.readouts[:, rows])

    def events(self, item: _Rows, kind: _Rows, value: np.float32 | F32) -> tuple[F32, F32, np.float32 | F32]:
        """Returns term (M, d), scale (M, d) and fading (M,) of M events; for scalars without the first axis."""
        tables = self.tables
        scale = _rows(tables.kind_scale, kind)
        term = np.arcsinh(value)[..., None] * tables.value
        term += _rows(tables.items, item)
        term *= scale
        term += _rows(tables.kind_shift, kind)
        return term, scale, tables.kind_fading[kind]

    def context_row(self, one_hot: F32) -> F32:
        """Returns what the context adds to every event, (1, d)."""
        return one_hot[None] @ self.tables.context


class ProjectedEvents:
    """The window's N events as the graph reads them, newest first; missing events are 0. All `BoundInputs` share it."""

    def __init__(self, projection: Projection, window: int) -> None:
        """Starts without events.

        Args:
            projection: of the bundle.
            window: N.
        """
        size = window * projection.tables.dimension
        self._projection, self._window, self._row_bytes = projection, window, 4 * projection.tables.dimension
        rows = np.zeros(2 * size, np.float32)
        fading = np.zeros(window, np.float32)
        self.term: F32 = rows[:size].reshape(window, -1)
        self.scale: F32 = rows[size:].reshape(window, -1)
        self.fading: F32 = fading[:, None]
        self.age_s: F32 = np.zeros((window, 1), np.float32)
        self._flat_age_s, self._flat_fading = self.age_s[:, 0], fading
        # Bytes of the rows: one copy moves terms and scales by a place, at a third of numpy's cost.
        self._rows, self._fadings = rows.data.cast("B"), fading.data.cast("B")
        self.token: object = None  # of the window at the last update; None = the next update projects all events
        self._changes = 0

    def update(self, window: Window, now_ms: int) -> None:
        """Updates the arrays to match the window. Only new events are projected.

        One new event costs 5 µs and 12 cost 8, for any N; the whole window costs 8 at N = 32, 11 at 128.
        """
        expired = window.fill_ages(now_ms, self._flat_age_s)
        new = window.changes - self._changes
        if expired is not None or window.token is not self.token or new >= self._window:
            self._project(window, slice(None), expired)
        elif new == 1:  # scalars instead of arrays of one: 2 µs less
            self._move(1)
            self._project(window, 0)
        elif new:
            self._move(new)
            self._project(window, slice(new))
        # An expired event may come back with the clock: then all events are projected anew.
        self.token = window.token if expired is None else None
        self._changes = window.changes

    def forget(self) -> None:
        """Removes all events."""
        for array in (self.term, self.scale, self.fading, self.age_s):
            array.fill(0)
        self.token = None

    def _move(self, places: int) -> None:
        """Frees places at the front. The last terms overwrite the scales' first rows, which are written next."""
        at = places * self._row_bytes
        self._rows[at:] = self._rows[:-at]
        self._fadings[4 * places :] = self._fadings[: -4 * places]

    def _project(self, window: Window, part: int | slice, expired: Mask | None = None) -> None:
        item, kind, value = window.rows
        kinds = kind[part] if expired is None else np.where(expired, 0, kind)
        self.term[part], self.scale[part], self._flat_fading[part] = self._projection.events(
            item[part], kinds, value[part]
        )


def _rows(table: F32, index: _Rows) -> F32:
    """Returns one row as a view, or many as a copy: 2 µs less for 12 events than `table[index]`."""
    rows: F32 = table.take(index, axis=0) if index.ndim else table[index]
    return rows
