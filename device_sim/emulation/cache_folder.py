"""The cache folder of set-up: each entry is made whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from device_sim.emulation.errors import CacheFolderError

VARIABLE: Final = "EDGE_SIM_CACHE"
BUILDING: Final = ".building-"


def cache_folder() -> Path:
    """Returns `EDGE_SIM_CACHE`, or `edge-sdk/device-sim` in the user's cache folder (XDG base directories)."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "edge-sdk" / "device-sim"


def key(*parts: str | bytes) -> str:
    """Returns a short name for exactly these inputs: other inputs give another name."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def built(name: str, build: Callable[[Path], None]) -> Path:
    """Returns the cache's folder of this name, after `build` has made it if it was missing.

    `build` fills a folder beside it, which is then renamed. A process that is killed while building leaves no partial
    folder under the name; the next process that builds removes the remains. Two processes that build the same folder
    wait for each other.

    Args:
        name: The folder's name; by convention with a `key` of all its inputs.
        build: Fills the empty folder that is its argument.

    Raises:
        CacheFolderError: The folder cannot be written: full, read-only, or owned by another user.
        EmulationError: `build` failed.
    """
    folder = cache_folder()
    final = folder / name
    if final.is_dir():
        return final
    try:
        with _locked(final):
            if not final.is_dir():
                _build_beside(final, build)
    except OSError as error:
        raise CacheFolderError(folder, error.strerror or str(error)) from error
    return final


def _build_beside(final: Path, build: Callable[[Path], None]) -> None:
    prefix = f"{BUILDING}{final.name}-"
    for stale in final.parent.glob(f"{prefix}*"):
        shutil.rmtree(stale)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=final.parent))
    try:
        build(scratch)
        scratch.chmod(0o755)
        scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    final.parent.mkdir(parents=True, exist_ok=True)
    with (final.parent / f".lock-{final.name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
