"""Reads the list columns of a decision log, Parquet lists or JSON text in CSV, as one type; null where unreadable."""

from __future__ import annotations

import json

import polars as pl

from cloud_export.data.files import RawTable


def text_lists(table: RawTable, word: str) -> pl.Series:
    """Returns lists of names as List(String); null where missing or not a list of names (see `unreadable`).

    Raises:
        LogTypeError: The column has another type.
    """
    column = table.frame[word]
    if column.dtype in (pl.String, pl.Null):
        return pl.Series(word, [_names(content) for content in column.cast(pl.String)], pl.List(pl.String))
    inner = _inner(column.dtype)
    if inner is None or not (inner in (pl.String, pl.Categorical, pl.Enum, pl.Null) or inner.is_integer()):
        raise table.type_error(word, "a list of names")
    return column.cast(pl.List(pl.String))


def number_lists(table: RawTable, word: str, *, width: int) -> pl.Series:
    """Returns lists of numbers, or of lists of `width` numbers, as flat List(Float32), row-major; null if unreadable.

    A null or NaN number stays unchanged and means unknown.

    Raises:
        LogTypeError: The column has another type.
    """
    column = table.frame[word]
    if column.dtype in (pl.String, pl.Null):
        lists = [_numbers(content, width) for content in column.cast(pl.String)]
        return pl.Series(word, lists, pl.List(pl.Float64)).cast(pl.List(pl.Float32))
    inner = _inner(column.dtype)
    nested = None if inner is None else _inner(inner)
    if nested is not None and _is_number(nested):
        lists_of_lists = column.cast(pl.List(pl.List(pl.Float32)))
        fits = lists_of_lists.list.eval(pl.element().list.len().fill_null(0) == width).list.all()
        flat = lists_of_lists.list.eval(pl.element().explode())
        return pl.select(pl.when(fits).then(flat).alias(word)).to_series()
    if inner is None or not _is_number(inner):
        raise table.type_error(word, "a list of numbers")
    return column.cast(pl.List(pl.Float32))


def unreadable(table: RawTable, word: str, lists: pl.Series) -> pl.Series:
    """Returns where the file has content that is not such a list (Boolean)."""
    raw = table.frame[word]
    present = raw.is_not_null()
    if raw.dtype == pl.String:
        present = present & raw.str.contains(r"\S").fill_null(False)
    return present & lists.is_null()


def _inner(dtype: pl.DataType) -> pl.DataType | None:
    return pl.List(dtype.inner).inner if isinstance(dtype, pl.List | pl.Array) else None  # type: ignore[return-value]


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Null, pl.Boolean)


def _json_list(content: str | None) -> list[object] | None:
    try:
        found = json.loads(content) if content else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _names(content: str | None) -> list[str] | None:
    found = _json_list(content)
    if found is None or not all(isinstance(one, str | int) and not isinstance(one, bool) for one in found):
        return None
    return [str(one) for one in found]


def _numbers(content: str | None, width: int) -> list[float | None] | None:
    found = _json_list(content)
    if found is None:
        return None
    if any(isinstance(one, list) for one in found):
        if not all(isinstance(one, list) and len(one) == width for one in found):
            return None
        found = [one for inner in found if isinstance(inner, list) for one in inner]
    if not all(one is None or isinstance(one, int | float) for one in found):
        return None
    return [float(one) if isinstance(one, int | float) else None for one in found]
