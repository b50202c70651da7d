"""The terminal output of `cloud-export` and `device-sim`: prints text exactly as it is, and cuts nothing in a pipe.

Names, paths and messages may contain square brackets, which rich would read as markup. So these consoles have markup
switched off, and styles are separate from the text. Every printed text of `cloud_export` passes through this module.
"""

from __future__ import annotations

import copy
import io
import sys
from typing import Annotated, Final

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import edge_sdk

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
        show(f"{context.find_root().info_name} {edge_sdk.__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


def show(content: str | Table, *, error: bool = False, style: str = "") -> None:
    """Prints a line or a table; a table's title and caption become lines above and below it.

    Args:
        content: text without markup, or a table.
        error: print to stderr instead of stdout.
        style: a rich style of the text, such as "bold"; no effect on a table.
    """
    printed = console(error=error)
    if isinstance(content, str):
        printed.print(Text(content, style), soft_wrap=True)
        return
    plain = copy.copy(content)
    plain.title = plain.caption = None  # rich would wrap them to the width of the table
    _show_beside(printed, content.title)
    printed.print(plain)
    _show_beside(printed, content.caption)


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


def console(*, error: bool = False) -> Console:
    """Returns a console of stdout or stderr without markup; without a width limit where the stream is no terminal."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else UNCUT_COLUMNS
    return Console(stderr=error, width=width, markup=False, highlight=False, emoji=False)


def progress_bars() -> Progress:
    """Returns progress bars on stderr: name, bar, percentage and elapsed time."""
    name, share = TextColumn("{task.description}", markup=False), TextColumn("{task.percentage:>3.0f}%")
    return Progress(name, BarColumn(), share, TimeElapsedColumn(), console=console(error=True))


def replace_unencodable() -> None:
    """Makes stdout print "?" for characters that its encoding does not have, instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _show_beside(printed: Console, line: RenderableType | None) -> None:
    if line is not None:
        printed.print(line, soft_wrap=True)
