"""`device_sim.console`: names are printed as they are, whole, at any width of the terminal."""

from __future__ import annotations

import pytest
from rich.table import Table

from device_sim import console

NAME = "[red]scene[/red] [1] :warning: /a/very/long/path/" + "folder/" * 40 + "scene.edge"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_line(console.results(), NAME)
    console.results().print(NAME)
    assert capsys.readouterr().out == f"{NAME}\n{NAME}\n"


def test_a_problem_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_problem(ValueError(NAME))
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", f"ValueError: {NAME}\n")


def test_a_table_is_neither_wrapped_nor_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", title=f"title {NAME}", caption=f"caption {NAME}")
    table.add_row("1")
    console.print_table(console.results(), table)
    title, *_, caption = capsys.readouterr().out.splitlines()
    assert (title, caption) == (f"title {NAME}", f"caption {NAME}")
    wide = Table(NAME, "the other column")
    wide.add_row(NAME, "words that stay in one line, however many there are of them")
    console.print_table(console.results(), wide)
    _, header, _, row, _ = capsys.readouterr().out.splitlines()
    assert NAME in header
    assert NAME in row
    assert "words that stay in one line, however many there are of them" in row
