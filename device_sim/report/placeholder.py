"""What stands where a section has nothing to show: what is not there, and how to make it."""

from __future__ import annotations

from html import escape

from cloud_export.html.markup import section


def missing(title: str, words: str, command: str) -> str:
    """A section without its pictures."""
    return section(title, f"<p>{escape(words)} What makes them:</p><pre>{escape(command)}</pre>")
