"""Files of events are read in every format; bad rows are named by file and row, and unusable files are refused."""

from __future__ import annotations

import gzip
import math
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_export.data.read_log import BadRow, Log, read_log
from cloud_export.errors import BadRowsError, LogColumnError, LogContentError, LogFileError, LogTypeError
from cloud_export.scene.load import scene_from_table

SCENE = scene_from_table(
    {
        "scene": {"name": "shop", "objective_order": ["click"]},
        "columns": {"events": {"value": "value"}},
        "events": {"kinds": ["view", "click"]},
        "decisions": {"positive_kinds": ["view", "click"], "objective": "click"},
    }
)
HEADER = "user,time,kind,item,value\n"
GOOD = "u,1,view,a,\nu,2,click,b,\n"  # enough for one derived decision


def _skip(path: Path) -> tuple[Log, tuple[BadRow, ...]]:
    return read_log(SCENE, events=path, bad_rows="skip")


def _csv(folder: Path, rows: str, name: str = "events.csv") -> Path:
    (folder / name).write_text(HEADER + rows, encoding="utf-8")
    return folder / name


def _frame(times: object) -> pl.DataFrame:
    return pl.DataFrame({"user": [7, 7], "time": times, "kind": "view", "item": ["a", "b"], "value": [1, None]})


@pytest.mark.parametrize(
    ("written", "time_ms"),
    [
        ("2011-09-30 22:38:44.546+00:00", 1_317_422_324_546),
        ("2011-09-30 22:38:44+00:00", 1_317_422_324_000),
        ("2011-09-30T22:38:44.5Z", 1_317_422_324_500),
        ("2011-10-01T00:38:44.546+02:00", 1_317_422_324_546),
        ("2011-09-30T17:38:44-0500", 1_317_422_324_000),
        ("2011-09-30 22:38:44 +00:00", 1_317_422_324_000),
        ("2011-09-30 22:38:44 UTC", 1_317_422_324_000),
        ("2011-09-30 22:38:44.123456789", 1_317_422_324_123),
        (" 2011-09-30 22:38:44 ", 1_317_422_324_000),
        ("2011-09-30 22:38", 1_317_422_280_000),
        ("2011-09-30", 1_317_340_800_000),
        ("1317422324546", 1_317_422_324_546),
        ("0", 0),
        ("4294967295999", 4_294_967_295_999),
    ],
)
def test_times_in_csv(tmp_path: Path, written: str, time_ms: int) -> None:
    log, bad = _skip(_csv(tmp_path, f"t,{written},view,a,\n{GOOD}"))
    assert bad == ()
    assert log.users == ("t", "u")
    assert log.events.time_ms[0] == time_ms


@pytest.mark.parametrize(
    "times",
    [
        pl.Series([1_317_422_324_546, 1_317_422_324_546]),
        pl.Series([datetime(2011, 9, 30, 22, 38, 44, 546_000)] * 2, dtype=pl.Datetime("ns")),
        pl.Series([datetime(2011, 9, 30, 22, 38, 44, 546_999)] * 2, dtype=pl.Datetime("us")),
        pl.Series([datetime(2011, 9, 30, 22, 38, 44, 546_000, UTC)] * 2).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series(["2011-09-30T22:38:44.546Z"] * 2),
    ],
    ids=["integers", "ns", "us", "tokyo", "text"],
)
def test_times_in_parquet(tmp_path: Path, times: pl.Series) -> None:
    _frame(times).write_parquet(tmp_path / "events.parquet")
    log, bad = _skip(tmp_path / "events.parquet")
    assert bad == ()
    assert log.events.time_ms.tolist() == [1_317_422_324_546] * 2
    assert log.users == ("7",)
    assert log.events.value.tolist() == [1.0, 0.0]


def test_categories_in_parquet(tmp_path: Path) -> None:
    frame = _frame([1, 2]).with_columns(pl.col("kind").cast(pl.Categorical), item=pl.Series([5, 6]))
    frame.write_parquet(tmp_path / "events.parquet")
    log, bad = _skip(tmp_path / "events.parquet")
    assert bad == ()
    assert log.items == ("5", "6")


def test_dates_in_parquet(tmp_path: Path) -> None:
    _frame([date(1970, 1, 2), date(1970, 1, 3)]).write_parquet(tmp_path / "events.parquet")
    assert _skip(tmp_path / "events.parquet")[0].events.time_ms.tolist() == [86_400_000, 172_800_000]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",1,view,a,", "no user"),
        ("  ,1,view,a,", "no user"),
        ("u,,view,a,", "no time"),
        ("u,soon,view,a,", 'time is not a time: "soon"'),
        ("u,2011-02-30 00:00:00,view,a,", 'time is not a time: "2011-02-30 00:00:00"'),
        ("u,-1,view,a,", 'time is before 1970: "-1"'),
        ("u,1969-12-31 23:59:59,view,a,", 'time is before 1970: "1969-12-31 23:59:59"'),
        ("u,4294967296000,view,a,", 'time is after 2106-02-07, the last the device can store: "4294967296000"'),
        ("u,1,,a,", "no kind"),
        ("u,1,veiw,a,", 'kind is not in events.kinds of the scene: "veiw"'),
        ("u,1,view,,", "no item"),
        ("u,1,view,a,x", 'value is not a finite number: "x"'),
        ("u,1,view,a,nan", 'value is not a finite number: "nan"'),
        ("u,1,view,a,-inf", 'value is not a finite number: "-inf"'),
        ("u,1,view,a,1e39", 'value is not a finite number: "1e39"'),
        ("u,1,view,a", "5 fields expected, 4 found"),
        ("u,1,view,a,1,", "5 fields expected, 6 found"),
    ],
)
def test_a_bad_event(tmp_path: Path, row: str, reason: str) -> None:
    path = _csv(tmp_path, f"u,1,view,a,\n{row}\nu,2,click,b,\n")
    log, bad = _skip(path)
    assert bad == (BadRow(str(path), 2, reason),)
    assert log.events.time_ms.tolist() == [1, 2]


def test_stop_lists_the_first_20_and_the_total(tmp_path: Path) -> None:
    path = _csv(tmp_path, GOOD + "u,1,odd,a,\n" * 25)
    with pytest.raises(BadRowsError) as caught:
        read_log(SCENE, events=path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "25 bad rows:"
    assert lines[1] == f'{path} row 3: kind is not in events.kinds of the scene: "odd"'
    assert lines[20].startswith(f"{path} row 22:")
    assert lines[21:] == ["… and 5 more", 'fix them, or set them aside with bad_rows="skip" (`--bad-rows skip`)']
    assert len(caught.value.rows) == 25


def test_quotes_line_ends_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(
        b"\xef\xbb\xbfitem,user,time,kind,value\r\n"
        b'"a,\nb",u,1,view,\r\n\r\n"say ""hi""",u,2,view,3\r\nx,u\r\ny,u,3,view,'
    )
    log, bad = _skip(path)
    assert log.items == ("a,\nb", 'say "hi"', "y")
    assert bad == (BadRow(str(path), 4, "5 fields expected, 2 found"),)  # the blank line counts as row 2


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    _frame([5, 5]).with_columns(user=pl.lit("u"), item=pl.Series(["x", "y"])).write_parquet(tmp_path / "b.parquet")
    _csv(tmp_path, "u,5,view,z,\nu,5,odd,z,\n", "c.csv")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "part.csv.gz").write_bytes(gzip.compress(f"{HEADER}u,5,view,w,\n".encode()))
    (tmp_path / "_SUCCESS").touch()
    log, bad = _skip(tmp_path)
    assert [log.items[index] for index in log.events.item] == ["w", "x", "y", "z"]
    assert [(Path(row.file).name, row.row) for row in bad] == [("c.csv", 2)]


def test_a_missing_column(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user,Time,kind,item,value\n", encoding="utf-8")
    with pytest.raises(LogColumnError) as caught:
        _skip(tmp_path / "e.csv")
    assert str(caught.value) == (
        f'{tmp_path / "e.csv"}: no column "time" for `time`; the columns present are "user", "Time", "kind", "item", '
        '"value"; did you mean "Time"? map `time` to one of them in [columns.events] of the scene, or add the column'
    )


def test_a_column_of_the_wrong_type(tmp_path: Path) -> None:
    _frame([1.5, 2.5]).write_parquet(tmp_path / "e.parquet")
    with pytest.raises(LogTypeError) as caught:
        _skip(tmp_path / "e.parquet")
    assert str(caught.value) == (
        f'{tmp_path / "e.parquet"}: column "time" for `time` has the type Float64; store it as timestamps, ISO '
        "8601 text or whole milliseconds since 1970, or map `time` to another column in [columns.events] of the scene"
    )


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("e.csv", b"", "it is empty"),
        ("e.csv", b"\n \n", "it is empty"),
        ("e.csv.gz", b"", "it is empty"),
        ("e.csv.gz", gzip.compress(HEADER.encode() * 1000)[:-20], "it cannot be read"),
        ("e.csv.gz", HEADER.encode(), "it cannot be read: Not a gzipped file"),
        ("e.csv", HEADER.encode() + b'"u,1,view,a,\n', "a quotation mark is not closed"),
        ("e.csv", HEADER.encode() + b"u,1,view,\xff,\n", "it cannot be read: invalid utf-8"),
        ("e.parquet", b"", "it cannot be read"),
        ("e.parquet", b"PAR1 not really PAR1", "it cannot be read"),
        ("e.txt", b"x", "its name has no known ending"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogFileError) as caught:
        _skip(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")
    assert str(caught.value).endswith(f"; {caught.value.fix}")


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    _frame([1, 2]).write_parquet(tmp_path / "e.parquet")
    whole = (tmp_path / "e.parquet").read_bytes()
    (tmp_path / "e.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LogFileError, match=r"e.parquet: it cannot be read: .*; replace the file by an intact one$"):
        _skip(tmp_path / "e.parquet")


def test_absent_and_empty_places(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match=r"there is no such file or folder; give the path of the log$"):
        _skip(tmp_path / "none")
    with pytest.raises(LogFileError, match="the folder has no file; "):
        _skip(tmp_path)
    with pytest.raises(LogContentError, match=r"^no usable event is left \(0 bad rows\); give a log with events$"):
        _skip(_csv(tmp_path, ""))


_good_rows = st.tuples(
    st.sampled_from(["u1", "u2", '"u,3"']),
    st.sampled_from(["0", "1500", "2011-09-30 22:38:44.546+00:00", "2011-09-30T22:38:44"]),
    st.sampled_from(["view", "click"]),
    st.sampled_from(["a", '"b""c"', "é"]),
    st.sampled_from(["", "1", "-2.5e3", " 7 "]),
)
_spoilt = {0: ["", " "], 1: ["", "now", "-5", "9999999999999"], 2: ["", "View"], 3: [""], 4: ["NaN", "inf", "1,0", "k"]}


@st.composite
def _rows(draw: st.DrawFn) -> list[tuple[str, bool]]:
    """CSV rows, and whether each is good."""
    rows = []
    for fields in draw(st.lists(_good_rows, max_size=12)):
        changed = list(fields)
        spoilt = draw(st.sets(st.integers(0, 4), max_size=2))
        for field in spoilt:
            changed[field] = draw(st.sampled_from(_spoilt[field]))
        rows.append((",".join(changed), not spoilt))
    return rows


@settings(max_examples=60, deadline=None)
@given(rows=_rows())
def test_every_bad_row_is_named_once_and_every_good_one_kept(rows: list[tuple[str, bool]]) -> None:
    lines = [*rows, ("u1,1,view,a,", True), ("u1,2,view,a,", True)]
    with tempfile.TemporaryDirectory() as folder:
        path = _csv(Path(folder), "\n".join(line for line, _ in lines) + "\n")
        log, bad = _skip(path)
    assert [row.row for row in bad] == [index for index, (_, good) in enumerate(lines, start=1) if not good]
    assert len(log.events.time_ms) == sum(good for _, good in lines)
    assert all(math.isfinite(value) for value in log.events.value)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200), header=st.booleans(), suffix=st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_any_bytes_give_a_log_or_a_log_error(content: bytes, header: bool, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events{suffix}"
        content = HEADER.encode() + content if header else content
        path.write_bytes(gzip.compress(content) if suffix == ".csv.gz" else content)
        with pytest.raises((LogFileError, LogColumnError, LogContentError)):
            # Random bytes contain no two good events of one user, so nothing is left to derive decisions from.
            _skip(path)
