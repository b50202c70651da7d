"""The terminal output of `cloud-export` and `device-sim`: prints text exactly as it is, and cuts nothing in a pipe.

Names, paths and messages may contain square brackets, which rich would read as markup. So these consoles have markup
switched off, and styles are separate from the text. Every printed text of `cloud_export` passes through this module.
"""

from __future__ import annotations

import copy
import errno
import io
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import edge_sdk

_FIXES: Final = {
    errno.ENOSPC: "make room on the disk, or write somewhere else",
    errno.EDQUOT: "make room on the disk, or write somewhere else",
    errno.EACCES: "let this user do it, or choose another path",
    errno.EPERM: "let this user do it, or choose another path",
    errno.EROFS: "choose a path that can be written",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "name a folder, not a file",
    errno.EEXIST: "choose another path, or remove what is there",
}
UNCUT_COLUMNS: Final = 10_000  # the width of output that is no terminal: no line or table is that wide


def command_line(name: str, description: str) -> typer.Typer:
    """Returns an empty command line whose help and usage errors are plain text.

    Args:
        name: the name of the program.
        description: the first line of its help.
    """
    width = {} if sys.stdout.isatty() else {"terminal_width": UNCUT_COLUMNS}
    return typer.Typer(
        name=name,
        help=description,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich would take the square brackets out of help texts and messages
        context_settings=width,
    )


def _print_version(context: typer.Context, is_asked: bool) -> None:
    if is_asked:
        print_line(results(), f"{context.find_root().info_name} {edge_sdk.__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


def results() -> Console:
    """Returns the console for the results of a command: standard output."""
    return _console(is_stderr=False)


def problems() -> Console:
    """Returns the console for problems and progress: standard error."""
    return _console(is_stderr=True)


def print_line(console: Console, line: str, style: str = "") -> None:
    """Prints one line; on a terminal, the terminal itself breaks it."""
    console.print(Text(line), style=style or None, soft_wrap=True)


def print_problem(problem: BaseException) -> None:
    """Prints an error on stderr as `ErrorName: message`; an error of the system gets a fix."""
    fix = _FIXES.get(problem.errno or 0, "check the path") if isinstance(problem, OSError) else ""
    print_line(problems(), f"{type(problem).__name__}: {problem}{fix and '; '}{fix}", style="red")


def run(app: Callable[[], object]) -> None:
    """Runs a command line. A system error that no command expects, such as a full disk behind stdout, is one line.

    Raises:
        SystemExit: always; with 2 after such an error.
    """
    replace_unencodable()
    try:
        app()
    except OSError as problem:
        print_problem(problem)
        with suppress(OSError):  # what cannot be written would raise again when Python ends
            sys.stdout.close()
        raise SystemExit(2) from None


def print_table(console: Console, table: Table) -> None:
    """Prints a table between its title and its caption, which are lines of their own: rich would wrap them."""
    plain = copy.copy(table)
    plain.title = plain.caption = None
    if table.title:
        print_line(console, str(table.title), style="italic")
    console.print(plain)
    if table.caption:
        print_line(console, str(table.caption), style="dim italic")


def facts_table(rows: dict[str, str], title: str | None = None) -> Table:
    """Returns a table of labels and their values.

    Args:
        rows: label -> value, in printing order.
        title: a line above the table.
    """
    table = Table("", "", title=title, show_header=False)
    for label, value in rows.items():
        table.add_row(label, value)
    return table


def progress_bars() -> Progress:
    """Returns progress bars on stderr: name, bar, percentage and elapsed time."""
    name, share = TextColumn("{task.description}", markup=False), TextColumn("{task.percentage:>3.0f}%")
    return Progress(name, BarColumn(), share, TimeElapsedColumn(), console=problems())


def replace_unencodable() -> None:
    """Makes stdout print "?" for characters that its encoding does not have, instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _console(*, is_stderr: bool) -> Console:
    """Returns a console without markup, and without a width limit where its stream is no terminal."""
    console = Console(stderr=is_stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = UNCUT_COLUMNS
    return console
