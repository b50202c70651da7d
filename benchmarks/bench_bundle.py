"""The bundle that benchmarks run on: the one named, that of `make demo`, or one trained in a minute on a small log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_DEMO = Path("build/demo")
_SMALL = Path("build/benchmarks/bundle")
_USERS, _DAYS = 300, 6


def bench_bundle(named: Path | None) -> tuple[Path, bytes]:
    """The `.edge` file and the public key that signed it.

    Args:
        named: the folder that holds both; None = the demo's if there is one, else a small one, made if need be.

    Raises:
        SystemExit: the folder named has no bundle.
    """
    folder = named or (_DEMO if (_DEMO / "scene.edge").exists() else _SMALL)
    path, key = folder / "scene.edge", folder / "scene.pub"
    if not path.exists() or not key.exists():
        if named:
            raise SystemExit(f"{named} has no scene.edge and scene.pub; name the folder that `cloud-export run` wrote")
        print(f"no bundle in {_DEMO}: training a small one of the same scene into {_SMALL}", file=sys.stderr)
        _make(folder)
    return path, key.read_bytes()


def _make(folder: Path) -> None:
    """In processes of their own: what training needs of memory is not the runtime's."""
    log = folder / "log"
    _call("device_sim", "population", "--users", str(_USERS), "--days", str(_DAYS), "--out", str(log))
    files = [
        part
        for name in ("events", "decisions", "offers", "users")
        for part in (f"--{name}", str(log / f"{name}.parquet"))
    ]
    _call("cloud_export", "run", "wealth.toml", *files, "--out", str(folder))


def _call(package: str, *arguments: str) -> None:
    program = f"import {package}.entry; {package}.entry.main()"
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, stdout=subprocess.DEVNULL)
