"""Checks the raw rows of events, offers and users; every refused row is named with its reason."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from cloud_export.data.columns import flag, later_duplicates, number, rule, split_rows, text, time_ms, time_rules
from cloud_export.data.files import RAGGED, ROW, RawTable, read_tables
from cloud_export.errors import BadRow
from cloud_export.scene.load import Scene
from edge_sdk.limits import UTC_OFFSET_S_MAX

Checked = tuple[pl.DataFrame, list[BadRow]]


def read_events(scene: Scene, path: Path) -> Checked:
    """Reads user, item (String), time_ms (Int64), kind (Int16, index into the scene's kinds), value (Float32),
    utc_offset_s (Int32, null where not known).

    Raises:
        LogError: A file cannot be read, a mapped column is missing or has the wrong type.
    """
    columns = scene.columns.events
    mapping = {"user": columns.user, "time": columns.time, "kind": columns.kind, "item": columns.item}
    mapping |= {
        word: column
        for word, column in (("value", columns.value), ("utc_offset_s", columns.utc_offset_s))
        if column is not None
    }
    tables = read_tables(path, section="columns.events", columns=mapping)
    return _together([_events_of(scene, table) for table in tables])


def read_offers(scene: Scene, path: Path) -> Checked:
    """Reads offer, category (String or null), rankable (Boolean), valid_from, valid_until (Int64 ms, 0 = none), cost
    (Float32).

    Raises:
        LogError: A file cannot be read, a mapped column is missing or has the wrong type.
    """
    mapping = {word: column for word, column in scene.columns.offers.model_dump().items() if column is not None}
    tables = read_tables(path, section="columns.offers", columns=mapping)
    frame, bad = _together([_offers_of(table) for table in tables])
    frame, repeated = later_duplicates(frame, "offer")
    return frame.drop("file", ROW), bad + repeated


def read_users(scene: Scene, path: Path) -> Checked:
    """Reads user and attribute_0, attribute_1, … in scene order (String; null where unknown).

    Raises:
        LogError: A file cannot be read, a mapped column is missing or has the wrong type.
    """
    attributes = {f"attribute_{index}": column for index, column in enumerate(scene.columns.users.attributes)}
    mapping = {"user": scene.columns.users.user, **attributes}
    tables = read_tables(path, section="columns.users", columns=mapping)
    frame, bad = _together([_users_of(table, list(attributes)) for table in tables])
    frame, repeated = later_duplicates(frame, "user")
    return frame.drop("file", ROW), bad + repeated


def _together(parts: list[Checked]) -> Checked:
    return pl.concat([frame for frame, _ in parts]), [row for _, bad in parts for row in bad]


def _events_of(scene: Scene, table: RawTable) -> Checked:
    kinds = pl.Enum(scene.events.kinds)
    has_value = "value" in table.columns
    columns: list[str | pl.Expr] = [
        ROW,
        RAGGED,
        text(table, "user").alias("user"),
        text(table, "item").alias("item"),
        time_ms(table, "time").alias("time"),
        pl.col("time").alias("time_raw"),
        text(table, "kind").alias("kind_raw"),
        text(table, "kind").cast(kinds, strict=False).to_physical().cast(pl.Int16).alias("kind"),
        (number(table, "value") if has_value else pl.lit(0.0, pl.Float32)).alias("value"),
        (pl.col("value") if has_value else pl.lit(None, pl.String)).alias("value_raw"),
        *_utc_offset(table),
    ]
    rules = [
        rule(pl.col("user").is_null(), "no user"),
        *time_rules("time"),
        rule(pl.col("kind_raw").is_null(), "no kind"),
        rule(pl.col("kind").is_null(), "kind is not in events.kinds of the scene:", "kind_raw"),
        rule(pl.col("item").is_null(), "no item"),
        rule(pl.col("value").is_null(), "value is not a finite number:", "value_raw"),
        rule(
            pl.col("utc_offset_raw").is_not_null()
            & ~(pl.col("utc_offset_s").abs() <= UTC_OFFSET_S_MAX).fill_null(False),
            f"utc_offset_s is not a whole number of seconds within {UTC_OFFSET_S_MAX} either way:",
            "utc_offset_raw",
        ),
    ]
    good, bad = split_rows(table.frame.select(columns), table.file, rules)
    return good.select("user", pl.col("time").alias("time_ms"), "kind", "item", "value", "utc_offset_s"), bad


def _utc_offset(table: RawTable) -> list[pl.Expr]:
    """Returns the UTC offset as Int32, null where empty, and what the file has."""
    if "utc_offset_s" not in table.columns:
        return [pl.lit(None, pl.Int32).alias("utc_offset_s"), pl.lit(None, pl.String).alias("utc_offset_raw")]
    raw = text(table, "utc_offset_s")
    return [raw.str.strip_chars().cast(pl.Int32, strict=False).alias("utc_offset_s"), raw.alias("utc_offset_raw")]


def _offers_of(table: RawTable) -> Checked:
    mapped = table.columns
    category = text(table, "category") if "category" in mapped else pl.lit(None, pl.String)
    rankable = flag(table, "rankable", default=True) if "rankable" in mapped else pl.lit(True)
    bounds = [word for word in ("valid_from", "valid_until") if word in mapped]
    unmapped = [word for word in ("valid_from", "valid_until") if word not in mapped]
    columns: list[str | pl.Expr] = [
        ROW,
        RAGGED,
        text(table, "offer").alias("offer"),
        category.alias("category"),
        rankable.alias("rankable"),
        (pl.col("rankable") if "rankable" in mapped else pl.lit(None, pl.String)).alias("rankable_raw"),
        *(time_ms(table, word).alias(word) for word in bounds),
        *(pl.col(word).alias(f"{word}_raw") for word in bounds),
        *(pl.lit(0, pl.Int64).alias(word) for word in unmapped),
        (number(table, "cost") if "cost" in mapped else pl.lit(0.0, pl.Float32)).alias("cost"),
        (pl.col("cost") if "cost" in mapped else pl.lit(None, pl.String)).alias("cost_raw"),
    ]
    rules = [
        rule(pl.col("offer").is_null(), "no offer"),
        rule(pl.col("rankable").is_null(), "rankable is neither true nor false:", "rankable_raw"),
        rule(pl.col("cost").is_null(), "cost is not a finite number:", "cost_raw"),
        rule(pl.col("cost") < 0, "cost is below 0:", "cost_raw"),
    ]
    for word in bounds:
        absent, *wrong = time_rules(word)
        # The first rule is dropped: a bound may be absent, but not wrong.
        rules += [type(one)(one.broken & ~absent.broken, one.reason) for one in wrong]
    both = (pl.col("valid_from") > 0) & (pl.col("valid_until") > 0)
    rules.append(rule(both & (pl.col("valid_from") > pl.col("valid_until")), "valid_from is after valid_until"))
    good, bad = split_rows(table.frame.select(columns), table.file, rules)
    names = [ROW, "offer", "category", "rankable", "valid_from", "valid_until", "cost"]
    kept = good.select(pl.lit(table.file).alias("file"), *names)
    return kept.with_columns(pl.col("valid_from", "valid_until").fill_null(0)), bad


def _users_of(table: RawTable, attributes: list[str]) -> Checked:
    frame = table.frame.select(
        ROW,
        RAGGED,
        pl.lit(table.file).alias("file"),
        text(table, "user").alias("user"),
        *(_attribute(table, word).alias(word) for word in attributes),
    )
    return split_rows(frame, table.file, [rule(pl.col("user").is_null(), "no user")])


def _attribute(table: RawTable, word: str) -> pl.Expr:
    """Returns an attribute as text, because attributes are classes: numbers and booleans too."""
    dtype = table.frame[word].dtype
    return pl.col(word).cast(pl.String) if dtype.is_float() or dtype == pl.Boolean else text(table, word)
