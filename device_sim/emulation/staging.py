"""What the guest needs of this source tree, as a folder for its PYTHONPATH: `edge_sdk` and the guest's own modules."""

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
# A script is run by its path and stays as it is; what is imported is compiled, so that no run spends time on it.
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
    """The files, by their path in the guest's folder: all of `edge_sdk`, and of `device_sim` what runs in the guest."""
    own = [
        _OWN / "estimate/__init__.py",
        *(_OWN / "emulation" / name for name in ("estimate/__init__.py", "markers.py")),
    ]
    own += (_OWN / "emulation" / "guest").glob("*.py")
    files = {f"device_sim/{path.relative_to(_OWN)}": path for path in own}
    files |= {f"edge_sdk/{path.relative_to(_RUNTIME)}": path for path in _RUNTIME.rglob("*.py")}
    return {name: files[name].read_bytes() for name in sorted(files)}


def staged(installation: Installation) -> Path:
    """The folder, compiled by the guest's Python; made if these very sources have not been staged before.

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
    """A guest's script in a staged folder, or in this source tree (`tree`)."""
    return stage / "device_sim" / "emulation" / "guest" / f"{name}.py"


def tree() -> Path:
    """The folder that holds this source tree's `device_sim`."""
    return _OWN.parent
