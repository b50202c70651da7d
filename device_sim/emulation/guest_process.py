"""Runs an arm64 program under qemu-aarch64 so that every run executes the same instructions."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_sim.emulation import machine, tools
from device_sim.emulation.errors import GuestFailedError, GuestTimeoutError
from device_sim.emulation.sysroot import PYTHON

# Arguments and environment are on the guest's stack; with a constant size of them every run has the same stack.
STACK_STRINGS_BYTES: Final = 16 * 1024
PADDING: Final = "EDGE_SIM_PADDING"


@dataclass(frozen=True, slots=True)
class GuestOutput:
    """A guest's standard output, and the requested files of its working folder."""

    stdout: str
    files: Mapping[str, str]


def run_python(
    arguments: Sequence[str],
    *,
    core_name: str,
    sysroot: Path,
    python_path: Sequence[Path],
    bytecode: Path,
    write_bytecode: bool = False,
    plugin_options: str | None = None,
    collect: Sequence[str] = (),
    timeout_s: float,
) -> GuestOutput:
    """Runs the sysroot's Python.

    Args:
        arguments: As for `python`: options, script, its arguments. Paths must be absolute.
        core_name: One of `machine.CORES`.
        sysroot: The unpacked Debian packages.
        python_path: Folders that modules are imported from.
        bytecode: Folder of compiled modules (PYTHONPYCACHEPREFIX).
        write_bytecode: Whether the guest may add to that folder.
        plugin_options: For qemu's `-plugin`; None = run without counting.
        collect: Files of the guest's working folder to return.
        timeout_s: The guest is ended after this time.

    Raises:
        GuestFailedError: The guest ended with an error or by a signal.
        GuestTimeoutError: The guest was ended after `timeout_s`.
        MissingToolsError: The emulator or setarch is missing.
        CacheFolderError: The core's root cannot be written.
    """
    environment = python_environment(python_path, bytecode)
    if write_bytecode:
        del environment["PYTHONDONTWRITEBYTECODE"]
    # -S: without site.py nothing of the host's packages is found.
    command = [f"/usr/bin/python{PYTHON}", "-S", *arguments]
    return run_program(
        command,
        core_name=core_name,
        sysroot=sysroot,
        environment=environment,
        plugin_options=plugin_options,
        collect=collect,
        timeout_s=timeout_s,
    )


def run_program(
    command: Sequence[str],
    *,
    core_name: str,
    sysroot: Path,
    environment: Mapping[str, str],
    plugin_options: str | None = None,
    collect: Sequence[str] = (),
    timeout_s: float,
) -> GuestOutput:
    """Runs an arm64 program of a sysroot, without address randomisation, in a new empty working folder.

    Args:
        command: The program's path inside the sysroot and its arguments.
        environment: The whole environment.

    The other arguments are those of `run_python`.

    Raises:
        GuestFailedError, GuestTimeoutError, MissingToolsError, CacheFolderError: As in `run_python`.
    """
    core = machine.core_named(core_name)
    root = machine.root_for(core, sysroot)
    guest = [f"{root}{command[0]}", *command[1:]]
    emulator = [_program("setarch"), "-R", _program(tools.EMULATOR), "-L", str(root), "-cpu", core.emulated]
    emulator += ["-plugin", plugin_options] if plugin_options else []
    with tempfile.TemporaryDirectory(prefix="edge-sim-") as folder:
        stdout = _completed([*emulator, *guest], padded(environment, guest), folder, timeout_s)
        files = {name: (Path(folder) / name).read_text() for name in collect if (Path(folder) / name).is_file()}
    return GuestOutput(stdout, files)


def python_environment(python_path: Sequence[Path], bytecode: Path) -> dict[str, str]:
    """Returns the guest Python's whole environment: no host variables, fixed hashing, one thread in every library."""
    return {
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # onnxruntime 1.29 and later report to Microsoft unless told not to, from a thread that wakes by the clock.
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONHOME": "/usr",
        "PYTHONPATH": os.pathsep.join(map(str, python_path)),
        "PYTHONPYCACHEPREFIX": str(bytecode),
        "TZ": "UTC",
    }


def padded(environment: Mapping[str, str], arguments: Sequence[str]) -> dict[str, str]:
    """Returns the environment with one more variable, so that all strings fill a multiple of STACK_STRINGS_BYTES."""
    strings = [*arguments, *(f"{name}={value}" for name, value in environment.items()), f"{PADDING}="]
    used = sum(len(os.fsencode(text)) + 1 for text in strings) + len(os.fsencode(arguments[0])) + 1
    return {**environment, PADDING: "-" * (-used % STACK_STRINGS_BYTES)}


def _completed(command: list[str], environment: Mapping[str, str], folder: str, timeout_s: float) -> str:
    script = next((Path(part).name for part in command if part.endswith(".py")), "the guest")
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        stderr = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        raise GuestTimeoutError(script, timeout_s, stderr) from error
    if done.returncode != 0:
        raise GuestFailedError(script, done.returncode, done.stderr)
    return done.stdout


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        tools.require(tools.missing_to_run() or [f"{name} is not on the PATH; install it"])
    return str(found)
