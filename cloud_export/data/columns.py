"""Converts raw columns into text, milliseconds, numbers and booleans, and separates good rows from bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cloud_export.data.files import RAGGED, ROW, RawTable
from cloud_export.errors import BadRow

END_MS = 2**32 * 1000  # the device keeps seconds in 32 bits: 2106-02-07T06:28:16Z
_SHOWN_CHARACTERS = 60
_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition of a bad row: `broken` is true there (null counts as false), `reason` is a text expression."""

    broken: pl.Expr
    reason: pl.Expr


def rule(broken: pl.Expr, reason: str, value: str | None = None) -> Rule:
    """Returns a rule whose reason ends with the content of column `value`, cut to 60 characters."""
    if value is None:
        return Rule(broken, pl.lit(reason))
    return Rule(broken, pl.format(f'{reason} "{{}}"', pl.col(value).cast(pl.String).str.slice(0, _SHOWN_CHARACTERS)))


def split_rows(frame: pl.DataFrame, file: str, rules: Sequence[Rule]) -> tuple[pl.DataFrame, list[BadRow]]:
    """Splits a frame with columns `ROW` and `RAGGED` into good and bad rows; a bad row gets its first reason."""
    rules = [Rule(pl.col(RAGGED).is_not_null(), pl.col(RAGGED)), *rules]
    is_bad = pl.any_horizontal(one.broken.fill_null(False) for one in rules)
    marked = frame.with_columns(is_bad.alias("_bad"))
    bad = marked.filter("_bad")
    if bad.is_empty():
        return marked.drop("_bad", RAGGED), []
    reasons = pl.coalesce(pl.when(one.broken).then(one.reason) for one in rules)
    named = bad.select(ROW, reasons.alias("reason"))
    good = marked.filter(~pl.col("_bad")).drop("_bad", RAGGED)
    return good, [BadRow(file, row, reason) for row, reason in named.rows()]


def later_duplicates(frame: pl.DataFrame, word: str) -> tuple[pl.DataFrame, list[BadRow]]:
    """Returns the first row of each value of `word`; the others are bad. Needs columns `file` and `ROW`."""
    first = frame.select(pl.col(word).is_first_distinct()).to_series()
    bad = frame.filter(~first).select("file", ROW, pl.format(f'{word} "{{}}" occurs in an earlier row', pl.col(word)))
    return frame.filter(first), [BadRow(file, row, reason) for file, row, reason in bad.rows()]


def text(table: RawTable, word: str) -> pl.Expr:
    """Returns text or whole numbers as String; null where empty or blank.

    Raises:
        LogTypeError: The column has another type.
    """
    dtype = table.frame[word].dtype
    if not (dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null) or dtype.is_integer()):
        raise table.type_error(word, "text or whole numbers")
    column = pl.col(word).cast(pl.String)
    return pl.when(column.str.contains(r"\S")).then(column)


def time_ms(table: RawTable, word: str) -> pl.Expr:
    """Returns timestamps as Int64 milliseconds since 1970, UTC; null where missing or not a time.

    Reads Parquet datetimes of any unit and zone, dates, whole numbers (milliseconds), and as text: whole numbers,
    ISO 8601 with `T` or a blank, with or without seconds, fraction and offset. A time without an offset is UTC.

    Raises:
        LogTypeError: The column has another type.
    """
    dtype = table.frame[word].dtype
    if dtype in (pl.Datetime, pl.Date):
        return _epoch(pl.col(word).cast(pl.Datetime("ms")) if dtype == pl.Date else pl.col(word))
    if dtype.is_integer():
        return pl.col(word).cast(pl.Int64, strict=False)
    if dtype not in (pl.String, pl.Null):
        raise table.type_error(word, "timestamps, ISO 8601 text or whole milliseconds since 1970")
    content = pl.col(word).cast(pl.String).str.strip_chars()
    iso = content.str.replace(" ", "T", literal=True).str.replace(r" ?UTC$", "Z").str.replace(r" ([+-])", "$1")
    with_offset = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", strict=False, time_unit="us", time_zone="UTC")
    plain = [iso.str.to_datetime(one, strict=False, time_unit="us") for one in _TIME_FORMATS]
    return pl.coalesce(_epoch(with_offset), *(_epoch(one) for one in plain), content.cast(pl.Int64, strict=False))


def number(table: RawTable, word: str) -> pl.Expr:
    """Returns numbers or text as Float32; 0 where empty, null where not a finite number.

    Raises:
        LogTypeError: The column has another type.
    """
    dtype = table.frame[word].dtype
    if not (dtype.is_numeric() or dtype in (pl.String, pl.Null, pl.Boolean)):
        raise table.type_error(word, "numbers")
    column = pl.col(word)
    if dtype == pl.String:
        column = column.str.strip_chars()
        column = pl.when(column != "").then(column)
    value = column.cast(pl.Float64, strict=False).cast(pl.Float32, strict=False)
    return pl.when(column.is_null()).then(pl.lit(0.0, pl.Float32)).when(value.is_finite()).then(value)


def flag(table: RawTable, word: str, *, default: bool) -> pl.Expr:
    """Returns booleans, 0/1 or text (true, false, yes, no, 1, 0) as Boolean; `default` where empty, else null.

    Raises:
        LogTypeError: The column has another type.
    """
    if table.frame[word].dtype == pl.Boolean:
        return pl.col(word).fill_null(default)
    content = text(table, word).str.strip_chars().str.to_lowercase()
    chosen = pl.when(content.is_in(_TRUE)).then(True).when(content.is_in(_FALSE)).then(False)
    return chosen.when(content.is_null()).then(default)


def time_rules(word: str) -> list[Rule]:
    """Returns the rules of a required time: column `word` has milliseconds, column `word`_raw the file's content."""
    value, raw = pl.col(word), f"{word}_raw"
    return [
        rule(pl.col(raw).is_null() | (pl.col(raw).cast(pl.String).str.strip_chars() == ""), f"no {word}"),
        rule(value.is_null(), f"{word} is not a time:", raw),
        rule(value < 0, f"{word} is before 1970:", raw),
        rule(value >= END_MS, f"{word} is after 2106-02-07, the last the device can store:", raw),
    ]


def _epoch(datetime: pl.Expr) -> pl.Expr:
    """Returns a datetime of any unit and zone as milliseconds, rounded down."""
    return datetime.dt.epoch("ms")
