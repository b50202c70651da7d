"""Lists the sources of the SDK, and its rooms as the import contracts name them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import edge_sdk
from tests.support.paths import ROOT

PACKAGE = Path(edge_sdk.__file__).parent


def sources(package: Path = PACKAGE) -> list[Path]:
    """Returns every Python file below a package."""
    return sorted(package.rglob("*.py"))


def room_of(path: Path, package: Path = PACKAGE) -> str:
    """Returns the room of a source: the folder, or the name of a module beside the folders."""
    first = path.relative_to(package).parts[0]
    return first.removesuffix(".py")


def listed_rooms() -> set[str]:
    """Returns the rooms and single modules in the layers of pyproject.toml, which are exhaustive."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["edge_sdk"]]
    return {name for layer in layers for name in re.split(r"[\s|:]+", layer)}
