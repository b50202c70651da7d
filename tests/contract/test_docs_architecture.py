"""ARCHITECTURE.md lists the rooms, their order and their files as pyproject.toml and the tree have them."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
LAYERS: dict[str, list[str]] = {
    contract["containers"][0]: contract["layers"] for contract in CONTRACTS if "containers" in contract
}


def section(title: str) -> str:
    found = PAGE.split(f"\n## {title}\n")
    assert len(found) == 2, title
    return found[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a section's only table, without its two head lines."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines[2:]]


def test_every_package_with_layers_is_on_the_page() -> None:
    assert set(re.findall(r"^```text rooms (\w+)$", PAGE, re.MULTILINE)) == set(LAYERS)


@pytest.mark.parametrize("package", list(LAYERS))
def test_the_order_is_that_of_the_contract(package: str) -> None:
    block = re.findall(rf"^```text rooms {package}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    assert block[0].splitlines() == LAYERS[package]


def test_the_packages_are_listed_from_the_bottom_up() -> None:
    order = next(c["layers"] for c in CONTRACTS if c["name"] == "The four packages")

    assert [row[0].strip("`") for row in rows(section("The four packages"))] == order[::-1]


def test_every_room_of_the_runtime_has_a_line() -> None:
    *rooms, _leaves = [re.split(r" [|:] ", layer) for layer in LAYERS["edge_sdk"]]

    named = [row[0].strip("`") for row in rows(section("The rooms of `edge_sdk`"))]
    assert named == [room for layer in rooms for room in layer]
    assert set(named) == {path.parent.name for path in (ROOT / "edge_sdk").glob("*/__init__.py")}


def test_the_page_stays_one_page() -> None:
    assert len(PAGE.splitlines()) <= 150


def test_every_invariant_names_a_test() -> None:
    invariants = rows(section("Five invariants"))

    assert len(invariants) == 5
    assert all(re.search(r"\(tests/\S+\.py\)", row[1]) for row in invariants)
