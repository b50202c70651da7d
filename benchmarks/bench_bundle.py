"""Finds the bundle that a benchmark runs on: the named one, that of `make demo`, or a small one trained in a minute."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.processes import run_command

_DEMO = Path("build/demo")
_SMALL = Path("build/benchmarks/bundle")
_USERS, _DAYS = 300, 6


def bench_bundle(named: Path | None) -> tuple[Path, bytes]:
    """Returns the `.edge` file and the public key that signed it.

    Args:
        named: the folder of both; None = the demo's if there is one, else that of a small bundle, made if need be.

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
    """Trains in processes of their own: the memory that training needs is not the runtime's."""
    log = folder / "log"
    run_command("device_sim", ["population", "--users", str(_USERS), "--days", str(_DAYS), "--out", str(log)])
    files = [
        part
        for name in ("events", "decisions", "offers", "users")
        for part in (f"--{name}", str(log / f"{name}.parquet"))
    ]
    run_command("cloud_export", ["run", "wealth.toml", *files, "--out", str(folder)])
