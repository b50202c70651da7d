"""Builds the page's HTML elements; escapes every text except a body or a picture, which is HTML already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def section(title: str, body: str) -> str:
    """Returns a part of the page with a heading; the body is HTML already."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def figure(title: str, caption: str, picture: str) -> str:
    """Returns a picture (SVG) below its caption."""
    return f"<figure><figcaption><b>{escape(title)}</b> {escape(caption)}</figcaption>{picture}</figure>"


def table(heads: Iterable[str], cells: list[list[str]], *, marked: int = 0) -> str:
    """Returns a table whose first column heads the rows; row number ``marked`` (from 1) is highlighted."""
    head = "".join(f"<th>{escape(label)}</th>" for label in heads)
    lines = ""
    for place, row in enumerate(cells, start=1):
        kind = " class=marked" if place == marked else ""
        body = "".join(f"<td{_verdict_class(cell)}>{_cell(cell)}</td>" for cell in row[1:])
        lines += f"<tr{kind}><th>{escape(row[0])}</th>{body}</tr>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def definitions(title: str, pairs: list[tuple[str, str]], *, kind: str = "meanings") -> str:
    """Returns a list of terms with a heading; ``kind`` is its CSS class."""
    items = "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(meaning)}</dd></div>" for term, meaning in pairs)
    return f'<div><h3>{escape(title)}</h3><dl class="{kind}">{items}</dl></div>'


def _cell(cell: str) -> str:
    """Escapes a cell and sets an interval in brackets small: a narrow screen puts it below the mean."""
    mean, bracket, rest = cell.partition(" (")
    return f"{escape(mean)} <small>({escape(rest)}</small>" if bracket else escape(cell)


def _verdict_class(cell: str) -> str:
    return {"✓": " class=good", "✗": " class=bad"}.get(cell[:1], "")
