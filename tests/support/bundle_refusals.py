"""Opens bad bundles on state folders, and expects a typed error and unchanged folders.

Tests import the fixtures under their own names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud_export.export.container_writer import development_key
from edge_sdk import BaseDecision, EdgeError, Engine, ErrorCode
from edge_sdk.bundle.container import open_container
from tests.support.scene import HOME, OFFERS, SettableClock, Small

KEY = development_key("small")


@pytest.fixture(scope="module")
def whole(small: Small) -> bytes:
    """The packed file."""
    return small.bundle.read_bytes()


@pytest.fixture(scope="module")
def payload(small: Small) -> bytes:
    """The payload of the packed file."""
    return bytes(open_container(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False))


def written(path: Path, content: bytes) -> Path:
    """Writes a new file each time: an earlier one may still be mapped."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def snapshot(folder: Path) -> dict[str, bytes] | None:
    """Returns every file below a folder; None if there is no such folder."""
    if not folder.exists():
        return None
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Refuser:
    """Opens a bad bundle on an absent, an empty and a used state folder, and a good bundle after it."""

    def __init__(self, small: Small, folder: Path) -> None:
        self.small, self.folder, self.count = small, folder, 0
        self.used = folder / "used"
        with small.open(self.used, SettableClock(), log_bytes=4096) as engine:
            engine.record("view", item="fund_a", value=2.5)
            engine.record("click", item="fund_b")

    def refuse(self, bundle: bytes | Path, error: type[EdgeError], *words: str, **options: Any) -> None:
        """Expects this error, with these words, and unchanged folders."""
        path = bundle if isinstance(bundle, Path) else written(self.folder / "other.edge", bundle)
        options = options or {"trusted_keys": [self.small.public_key]}
        self.count += 1
        absent, empty = self.folder / f"absent{self.count}", self.folder / f"empty{self.count}"
        empty.mkdir()
        for state in (absent, empty, self.used):
            before = snapshot(state)
            with pytest.raises(error) as caught:
                Engine.open(state, bundle=path, log_bytes=4096, **options)
            assert type(caught.value) is error
            assert [word for word in (*words, str(path)) if word not in str(caught.value)] == []
            assert snapshot(state) == before
        for state, events in ((absent, 0), (empty, 0), (self.used, 2)):
            with self.small.open(state, SettableClock(), log_bytes=4096) as engine:
                assert engine.status().events == events

    def accept(self, bundle: bytes, **options: Any) -> None:
        """Expects a bundle to open and rank."""
        path = written(self.folder / "other.edge", bundle)
        options = options or {"trusted_keys": [self.small.public_key]}
        with Engine.open(self.used, bundle=path, clock=SettableClock(), log_bytes=4096, **options) as engine:
            assert engine.status().events == 2
            decision = engine.rank(BaseDecision(OFFERS, [0.0] * 6), context=HOME)
            assert decision.error is ErrorCode.NONE


@pytest.fixture
def refuser(small: Small, tmp_path: Path) -> Refuser:
    return Refuser(small, tmp_path)
