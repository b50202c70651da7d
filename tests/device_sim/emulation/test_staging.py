"""The copy for the guest is complete: each import of a staged module is staged or installed in the guest."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from device_sim.emulation import staging

# `_sha2` is in the standard library from Python 3.12 on; edge_sdk tries it first.
_IN_THE_GUEST = {"numpy", "onnxruntime", "flatbuffers", "cryptography", "_sha2", *sys.stdlib_module_names}


def _written(folder: Path) -> dict[str, bytes]:
    files = staging.sources()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return files


def test_the_scripts_and_the_markers_are_staged() -> None:
    files = staging.sources()
    for script in ("counting_run", "decisions_run", "golden_run"):
        assert str(staging.script(Path(), script)) in files
    assert {"device_sim/__init__.py", "device_sim/emulation/__init__.py", "device_sim/emulation/markers.py"} <= set(
        files
    )


def test_every_import_is_staged_or_installed_in_the_guest() -> None:
    files = staging.sources()
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    for name, content in files.items():
        for node in ast.walk(ast.parse(content)):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in found:
                assert module in modules or module.split(".")[0] in _IN_THE_GUEST, f"{name} imports {module}"


def test_the_staged_modules_import_without_the_rest_of_this_source_tree(tmp_path: Path) -> None:
    _written(tmp_path)
    program = "import device_sim.emulation.guest.counting_run as run; print(run.__file__)"
    # -P: the current folder, which is this source tree, is not searched.
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={"PYTHONPATH": str(tmp_path), "ORT_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
