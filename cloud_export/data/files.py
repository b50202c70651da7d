"""Reads the files of a log into raw tables: the mapped columns under the scene's names, each row with its number."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PanicException, PolarsError

from cloud_export.errors import LogColumnError, LogFileError, LogTypeError

SUFFIXES = (".parquet", ".csv", ".csv.gz")
ROW = "_row"
RAGGED = "_ragged"  # the reason why a CSV line is not a row of this table; null where it is a row
_REPLACE = "replace the file by an intact one"


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file of a log: `frame` has a column per mapped word, `ROW` (1-based) and `RAGGED`."""

    file: str
    section: str
    columns: Mapping[str, str]
    frame: pl.DataFrame

    def type_error(self, word: str, wanted: str) -> LogTypeError:
        """Returns the error for a column whose type cannot contain the values of `word`."""
        return LogTypeError(self.file, self.section, word, self.columns[word], str(self.frame[word].dtype), wanted)


def read_tables(path: Path, *, section: str, columns: Mapping[str, str]) -> list[RawTable]:
    """Reads one file, or each file of a folder and its subfolders in the order of their names.

    Args:
        path: A .parquet, .csv or .csv.gz file, or a folder of them.
        section: The section of the scene that maps the columns, for messages.
        columns: The scene's word -> the name of the column in the file.

    Raises:
        LogFileError: A file is absent, empty, truncated or has another format than its suffix.
        LogColumnError: A mapped column is missing.
    """
    return [_read_table(file, section, columns) for file in _files(path)]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        found = [path]
    elif path.is_dir():
        # Spark and similar programs write _SUCCESS, _metadata and .crc files beside the data.
        found = sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith(("_", ".")))
    else:
        raise LogFileError(str(path), "there is no such file or folder", "give the path of the log")
    if not found:
        raise LogFileError(str(path), "the folder has no file", f"put {', '.join(SUFFIXES)} files into it")
    for file in found:
        if not file.name.endswith(SUFFIXES):
            fix = f"give files that end in {', '.join(SUFFIXES)}, and move others out of the folder"
            raise LogFileError(str(file), "its name has no known ending", fix)
    return found


def _read_table(file: Path, section: str, columns: Mapping[str, str]) -> RawTable:
    try:
        read = _read_parquet if file.name.endswith(".parquet") else _read_csv
        return RawTable(str(file), section, columns, read(file, section, columns))
    except (PolarsError, PanicException, OSError, EOFError, zlib.error) as error:
        reason = f"it cannot be read: {str(error).strip() or type(error).__name__}"
        raise LogFileError(str(file), " ".join(reason.split()), _REPLACE) from error


def _read_parquet(file: Path, section: str, columns: Mapping[str, str]) -> pl.DataFrame:
    table = pl.scan_parquet(file, glob=False)
    _require(file, section, columns, table.collect_schema().names())
    chosen = table.select(pl.col(column).alias(word) for word, column in columns.items()).collect()
    return chosen.with_row_index(ROW, offset=1).with_columns(pl.lit(None, pl.String).alias(RAGGED))


def _read_csv(file: Path, section: str, columns: Mapping[str, str]) -> pl.DataFrame:
    data = gzip.decompress(file.read_bytes()) if file.name.endswith(".gz") else file.read_bytes()
    if not data.strip():
        raise LogFileError(str(file), "it is empty", "write a header line and the rows, or remove the file")
    header = pl.read_csv(data, n_rows=0, infer_schema=False, truncate_ragged_lines=True).columns
    _require(file, section, columns, header)
    fields, blank = _count_fields(file, data)
    # Rows with too many fields are read here and named below; otherwise polars would refuse the whole file.
    table = pl.read_csv(data, columns=sorted(set(columns.values())), infer_schema=False, truncate_ragged_lines=True)
    if len(fields) != table.height:
        reason = f"{len(fields)} lines, but {table.height} rows: a quotation mark is not closed or not doubled"
        raise LogFileError(str(file), reason, "quote fields as in RFC 4180")
    wrong = pl.Series("found", fields)
    ragged = pl.when(wrong != len(header)).then(pl.format(f"{len(header)} fields expected, {{}} found", wrong))
    chosen = table.select(pl.col(column).alias(word) for word, column in columns.items())
    numbered = chosen.with_row_index(ROW, offset=1).with_columns(ragged.alias(RAGGED))
    return numbered.filter(pl.Series(~blank)) if blank.any() else numbered


def _count_fields(file: Path, data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Returns the number of fields of each data line, and whether the line is blank; the header line is not counted.

    A comma or line end counts after an even number of quotation marks (a doubled mark counts twice).
    """
    text = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    quotes, commas, ends = (np.flatnonzero(text == ord(mark)) for mark in '",\n')
    if len(quotes) % 2:
        raise LogFileError(str(file), "a quotation mark is not closed", "quote fields as in RFC 4180")
    if len(quotes):
        commas = commas[np.searchsorted(quotes, commas) % 2 == 0]
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    fields = np.diff(np.searchsorted(commas, ends)) + 1
    lengths = np.diff(ends) - 1
    blank = (lengths == 0) | ((lengths == 1) & (text[ends[1:] - 1] == ord("\r")))
    return fields.astype(np.int64), blank


def _require(file: Path, section: str, columns: Mapping[str, str], present: list[str]) -> None:
    for word, column in columns.items():
        if column not in present:
            raise LogColumnError(str(file), section, word, column, present)
