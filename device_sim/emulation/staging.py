"""Copies the modules that the guest imports, `edge_sdk` and the guest's own, into a folder for its PYTHONPATH."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import edge_sdk
from device_sim.emulation import cache_folder
from device_sim.emulation.guest_process import run_python
from device_sim.emulation.installation import WARM_CORE, Installation
from device_sim.emulation.sysroot import PYTHON

_OWN: Final = Path(__file__).parents[1]
_RUNTIME: Final = Path(edge_sdk.__file__).parent
# A script is run by its path and stays as it is. Imported modules are compiled, so that no run compiles them.
_COMPILE: Final = """
import compileall, pathlib, sys
folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.rglob("*.py")):
    if not path.stem.endswith("_run"):
        if not compileall.compile_file(path, quiet=2, legacy=True, ddir=str(path.relative_to(folder).parent)):
            sys.exit(f"{path} cannot be compiled for Python {sys.version}")
        path.unlink()
"""
_TIMEOUT_S: Final = 600.0


def sources() -> dict[str, bytes]:
    """Returns the files by their path in the guest's folder: all of `edge_sdk`, the guest's part of `device_sim`."""
    own = [_OWN / "__init__.py", *(_OWN / "emulation" / name for name in ("__init__.py", "markers.py"))]
    own += (_OWN / "emulation" / "guest").glob("*.py")
    files = {f"device_sim/{path.relative_to(_OWN)}": path for path in own}
    files |= {f"edge_sdk/{path.relative_to(_RUNTIME)}": path for path in _RUNTIME.rglob("*.py")}
    return {name: files[name].read_bytes() for name in sorted(files)}


def staged(installation: Installation) -> Path:
    """Returns the folder, compiled by the guest's Python; makes it if these very sources were not staged before.

    Raises:
        EmulationError: The guest cannot compile them, or the folder cannot be written.
    """
    files = sources()

    def build(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        run_python(
            ["-c", _COMPILE, str(folder)],
            core_name=WARM_CORE,
            sysroot=installation.sysroot,
            python_path=[installation.wheels],
            bytecode=installation.bytecode,
            timeout_s=_TIMEOUT_S,
        )

    key = cache_folder.key(PYTHON, _COMPILE, *(part for item in files.items() for part in item))
    return cache_folder.built(f"guest-{key}", build)


def script(stage: Path, name: str) -> Path:
    """Returns the path of a guest's script in a staged folder, or in this source tree (`tree`)."""
    return stage / "device_sim" / "emulation" / "guest" / f"{name}.py"


def tree() -> Path:
    """Returns the folder that contains this source tree's `device_sim`."""
    return _OWN.parent
