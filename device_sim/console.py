"""The consoles of the commands: text is printed as it is, and output that is no terminal is never wrapped or cut."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE: Final = 1_000_000  # columns: wider than any line or table


def results() -> Console:
    """Returns the console for what a command found: standard output."""
    return _console(is_stderr=False)


def problems() -> Console:
    """Returns the console for problems and progress: standard error."""
    return _console(is_stderr=True)


def print_line(console: Console, line: str, style: str = "") -> None:
    """Prints one line; on a terminal, the terminal itself breaks it."""
    console.print(Text(line), style=style or None, soft_wrap=True)


def print_problem(problem: Exception) -> None:
    """Prints an error as one line, `ErrorName: message`."""
    print_line(problems(), f"{type(problem).__name__}: {problem}", style="red")


def print_table(console: Console, table: Table) -> None:
    """Prints a table between its title and its caption, which are lines of their own: a narrow table breaks neither.

    Args:
        console: The console.
        table: The table; its title and caption are taken from it.
    """
    title, caption = table.title, table.caption
    table.title = table.caption = None
    if title:
        print_line(console, str(title), style="italic")
    console.print(table)
    if caption:
        print_line(console, str(caption), style="dim italic")


def _console(*, is_stderr: bool) -> Console:
    """Square brackets, colons and numbers in a text are text: file and scene names must come out as they are."""
    console = Console(stderr=is_stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console
