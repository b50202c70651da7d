"""The placeholder of a section without input: it tells how to make the input."""

from __future__ import annotations

from html import escape

from cloud_export.html.markup import section


def missing(title: str, words: str, command: str) -> str:
    """Returns a section that names the missing input and the command that makes it."""
    return section(title, f"<p>{escape(words)} What makes them:</p><pre>{escape(command)}</pre>")
