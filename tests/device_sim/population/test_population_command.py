"""`device-sim population` writes its files and names its errors, and its page explains its constants."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from device_sim.cli import app
from device_sim.population import constants as mechanisms
from device_sim.population.catalogue import CATEGORIES
from device_sim.population.population import PopulationConfig, simulate
from tests.support.paths import ROOT


def unwrapped(output: str) -> str:
    """The text without the frame and the line breaks of a narrow terminal."""
    return " ".join(output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("users", 0, "users is 0: give a number from 1 to 1000000"),
        ("days", 400, "days is 400: give a number from 1 to 366"),
        ("seed", -1, "seed is -1: give an integer from 0"),
    ],
)
def test_bad_numbers_are_refused_with_the_fix(field: str, value: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        PopulationConfig(**{field: value})  # type: ignore[arg-type]
    result = CliRunner().invoke(app, ["population", "--out", str(tmp_path), f"--{field}", str(value)])
    assert result.exit_code == 2
    assert message in unwrapped(result.output)


def test_the_command_writes_what_simulate_returns(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    line = ["population", "--out", str(folder), "--users", "5", "--days", "2", "--seed", "9", "--start", "2026-03-01"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    assert "clicks per impression" in result.output
    expected = simulate(PopulationConfig(users=5, days=2, seed=9, start=date(2026, 3, 1)))
    for table in ("events", "decisions", "offers", "users", "truth"):
        assert_frame_equal(pl.read_parquet(folder / f"{table}.parquet"), getattr(expected, table))


def test_the_command_refuses_a_file_as_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("")
    result = CliRunner().invoke(app, ["population", "--out", "taken"])
    assert result.exit_code == 2
    assert "taken is a file: give a folder" in unwrapped(result.output)


def test_the_command_refuses_a_folder_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("")
    result = CliRunner().invoke(app, ["population", "--out", "taken/below"])
    assert result.exit_code == 2
    assert "give another folder" in unwrapped(result.output)


def test_the_document_gives_every_constant() -> None:
    """Rows of docs/population.md look like: | `NAME` | value | why |."""
    text = (ROOT / "docs" / "population.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", text, flags=re.MULTILINE)
    documented = {name: ast.literal_eval(value) for name, value in rows}
    units_and_words = {"MINUTE_MS", "HOUR_MS", "DAY_MS", "NEVER_MS", "STAGES", "SURFACES", "KINDS", "VOUCHER_STAGES"}
    constants = {name: value for name, value in vars(mechanisms).items() if name.isupper()}
    assert set(documented) == set(constants) - units_and_words
    for name, value in documented.items():
        assert value == pytest.approx(constants[name], rel=1e-3), name
    for c in CATEGORIES:
        slopes = f"{c.demand} | {c.age} | {c.boldness} | {c.city}"
        row = f"| {c.name} | {c.offers} | {slopes} | {c.risk} | {c.price_log10} | {c.move_sd_pct} | {c.due_days} |"
        assert row in text, c.name
