"""Finds two kinds whose names have the same 16-bit id on the device."""

from __future__ import annotations

from edge_sdk.vocabulary import kind_id


def colliding_kinds() -> tuple[str, str]:
    """Returns the first two of kind_0, kind_1, … that share an id."""
    seen: dict[int, str] = {}
    for number in range(70_000):
        kind = f"kind_{number}"
        if kind_id(kind) in seen:
            return seen[kind_id(kind)], kind
        seen[kind_id(kind)] = kind
    raise AssertionError("70,000 kinds cannot have different 16-bit ids")
