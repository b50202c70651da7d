"""What a person types and reads: exit codes, and messages that name the place and the mend."""

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from cloud_export.cli import app

EVENTS = """case,ts,lifecycle,activity,amount_req
7,2011-10-01 09:00:00.000+00:00,COMPLETE,A_SUBMITTED,5000
7,2011-10-01 09:00:01.000+00:00,SCHEDULE,W_CALL,5000
8,2011-10-02 10:00:00.000+00:00,COMPLETE,A_SUBMITTED,9000
8,2011-10-02 10:00:09.000+00:00,COMPLETE,A_DECLINED,9000
"""


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(result: Result) -> str:
    """All that was printed, without the line breaks of the terminal's width."""
    return " ".join(result.output.split())


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


def test_check_counts_a_clean_log(events: Path) -> None:
    result = call("check", "loan", "--events", events)
    assert result.exit_code == 0
    assert "events 4" in words(result).replace("│", "").replace("  ", " ").replace("  ", " ")


def test_check_names_each_bad_row_and_fails(events: Path) -> None:
    events.write_text(EVENTS + "9,yesterday,COMPLETE,A_SUBMITTED,1\n9,2011-10-03 10:00:00+00:00,DONE,A_SUBMITTED,1\n")
    result = call("check", "loan", "--events", events)
    assert result.exit_code == 1
    assert "events.csv, row 5:" in words(result)
    assert "events.csv, row 6:" in words(result)
    assert "2 bad rows" in words(result)


def test_run_stops_at_bad_rows_before_it_trains(events: Path, tmp_path: Path) -> None:
    events.write_text(EVENTS + "9,2011-10-03 10:00:00+00:00,COMPLETE,,1\n")
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "events.csv" in words(result)
    assert "row 5" in words(result)
    assert not (tmp_path / "out" / "scene.edge").exists()


def test_a_wrong_scene_field_is_named_with_the_mend(events: Path, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "cloud_export" / "scenes" / "loan.toml"
    scene = tmp_path / "mine.toml"
    scene.write_text(shipped.read_text().replace("window = 32", "windows = 32"))
    result = call("check", scene, "--events", events)
    assert result.exit_code == 2
    assert "model.windows" in words(result)
    assert "window" in words(result).split("model.windows", 1)[1]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("check", "loan", "--events", "absent.csv"), "absent.csv"),
        (("check", "lone", "--events", "absent.csv"), "loan"),
        (("inspect", "absent.edge"), "absent.edge"),
        (("inspect", __file__), "file identifier"),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], found: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert found in words(result)


def test_a_log_too_short_to_split_says_so(events: Path, tmp_path: Path) -> None:
    pl.read_csv(events, infer_schema=False).filter(pl.col("case") == "7").write_csv(events)
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "[split]" in words(result)


def test_a_key_of_another_kind_is_refused(events: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out", "--key", key)
    assert result.exit_code == 2
    assert "openssl genpkey -algorithm ed25519" in words(result).replace("│ ", "").replace("│", "")
