"""The interface of a competitor: the task it is given and the call it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

from benchmarks.work import Work
from edge_sdk.types import F32

TOLERANCE = 1e-4  # of fused logits; the tolerance of the exporter's parity check


class PeerMissingError(Exception):
    """A competitor cannot run on this machine; the message has the reason and the fix."""

    def __init__(self, reason: str, fix: str) -> None:
        self.reason, self.fix = reason, fix
        super().__init__(f"{reason}; {fix}")


@dataclass(frozen=True, slots=True)
class Ready:
    """A competitor that is set up for one window."""

    call: Callable[[], object]  # the timed call
    scores: Callable[[], F32 | None]  # (C,) fused logits before any policy, by the same path; None = another model
    before: Callable[[], object] | None = None  # done before each call, not timed
    note: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """One row of the table."""

    key: str
    label: str
    prepare: Callable[[Work], AbstractContextManager[Ready]]
    packages: Sequence[str] = ()  # distributions whose versions are printed
    same_maths: bool = True  # whether its scores have to be those of torch

    def versions(self) -> str:
        """Returns names and versions of the packages it runs on; empty where that is this project alone."""
        return ", ".join(f"{name} {version(name)}" for name in self.packages)


def needed(module: str, package: str) -> ModuleType:
    """Imports the library of a competitor.

    Raises:
        PeerMissingError: the library is not installed, or does not load on this machine.
    """
    try:
        return import_module(module)
    except ImportError as problem:
        fix = f"install {package}: pip install 'edge-sdk[bench]'"
        raise PeerMissingError(f"{module} cannot be imported ({problem})", fix) from None


def kept(work: Work, name: str) -> Path:
    """Returns the path of a converted model, the same for the same weights, code and sizes; its folder exists."""
    folder = work.folder / "converted" / work.model_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"window_{work.window}_{name}"


def version(package: str) -> str:
    """Returns the version of an installed distribution, or the words "(not installed)"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
