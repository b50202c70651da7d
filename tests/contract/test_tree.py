"""The tree keeps the limits of CONTRIBUTING.md: short files, short functions, few positional arguments, empty doors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("edge_sdk", "cloud_export", "device_sim", "benchmarks")
FILE_LINES, BODY_LINES, POSITIONAL = 300, 40, 7
# Calls of foreign functions that take their fields one by one.
FOREIGN_CALLS = {"_PACK", "pack_into", "select"}  # struct's packers, polars' columns

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return sorted(path for path in paths if "generated" not in path.parts)


def code_lines(source: str) -> int:
    """Returns the number of lines that are neither blank nor part of a docstring."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            documented |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(bool(line.strip()) and number not in documented for number, line in lines)


def long_bodies(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body and (body[-1].end_lineno or 0) - body[0].lineno + 1 > BODY_LINES:
                yield node.name


def long_calls(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and len(node.args) > POSITIONAL:
            name = ast.unparse(node.func)
            if name.rpartition(".")[2] not in FOREIGN_CALLS:
                yield name


def test_files_are_short() -> None:
    found = {str(path.relative_to(ROOT)): code_lines(path.read_text(encoding="utf-8")) for path in sources()}
    assert len(found) > 250
    assert {path: lines for path, lines in found.items() if lines > FILE_LINES} == {}


def test_function_bodies_are_short() -> None:
    found = {str(path.relative_to(ROOT)): list(long_bodies(path.read_text(encoding="utf-8"))) for path in sources()}
    assert {path: names for path, names in found.items() if names} == {}


def test_calls_name_their_arguments() -> None:
    found = {str(path.relative_to(ROOT)): list(long_calls(path.read_text(encoding="utf-8"))) for path in sources()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_says_what_it_holds_and_re_exports_nothing(package: str) -> None:
    doors = [path for path in (ROOT / package).glob("*/__init__.py") if path.parent.name != "testing"]
    assert len(doors) >= 6
    for door in doors:
        (only,) = ast.parse(door.read_text(encoding="utf-8")).body
        assert isinstance(only, ast.Expr), door
        assert isinstance(only.value, ast.Constant), door


def test_the_limits_find_what_they_look_for() -> None:
    long_function = "def f():\n    '''Doc.'''\n" + "    a = 1\n" * 41
    assert list(long_bodies(long_function)) == ["f"]
    assert list(long_bodies("def f():\n" + "    a = 1\n" * 40)) == []
    calls = "f(1, 2, 3, 4, 5, 6, 7, 8)\ng(1, 2, 3, 4, 5, 6, 7)\nx.select(1, 2, 3, 4, 5, 6, 7, 8)"
    assert list(long_calls(calls)) == ["f"]
    assert code_lines('"""Doc."""\n\na = 1\n\n\ndef f():\n    """Doc.\n\n    More.\n    """\n    return 1\n') == 3
