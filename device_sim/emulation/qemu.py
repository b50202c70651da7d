"""Runs a Python script on an emulated core and counts its instructions."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_sim.counts.counts import Caches
from device_sim.emulation import markers
from device_sim.emulation.guest_process import GuestOutput, run_python
from device_sim.emulation.images import ImageMap, read_maps
from device_sim.emulation.installation import Installation
from device_sim.emulation.plugin_output import Dump, read_dumps

TIMEOUT_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class GuestRun:
    """The output of a counted guest.

    Attributes:
        stdout: The text that the guest printed.
        dumps: The counts: one dump for each `markers.dump()`, and one for the rest until the guest's end.
        images: The addresses of its libraries, if the guest called `markers.report_images()`.
    """

    stdout: str
    dumps: tuple[Dump, ...]
    images: ImageMap


def count(
    script: Path,
    arguments: Sequence[str] = (),
    *,
    core_name: str,
    installation: Installation,
    python_path: Sequence[Path] = (),
    caches: Caches | None = None,
    timeout_s: float = TIMEOUT_S,
) -> GuestRun:
    """Runs a script that marks its regions by `markers`, and counts; every run gives the same counts.

    Args:
        script: The guest's script.
        arguments: The script's arguments; paths must be absolute (the guest's working folder is a new empty one).
        core_name: One of `machine.CORES`.
        installation: The result of `device-sim setup`.
        python_path: Folders before those of the installation.
        caches: The caches to simulate (about 8 times slower); None = count instructions only.
        timeout_s: The guest is ended after this time.

    Raises:
        GuestFailedError: The script ended with an error; the message has the end of its stderr.
        GuestTimeoutError: It took longer.
        PluginOutputError: The counts are cut off: the disk is full.
        UnknownCoreError: No such core.
    """
    with tempfile.TemporaryDirectory(prefix="edge-sim-counts-") as folder:
        written = Path(folder) / "counts.jsonl"
        options = plugin_options(installation.plugin, written, caches)
        output = _run(script, arguments, core_name, installation, python_path, options, timeout_s)
        dumps = read_dumps(written.read_text(encoding="ascii", errors="replace"), f"the counts of {script.name}")
    return GuestRun(output.stdout, dumps, read_maps(output.files.get(markers.IMAGES_FILE, "")))


def run(
    script: Path,
    arguments: Sequence[str] = (),
    *,
    core_name: str,
    installation: Installation,
    python_path: Sequence[Path] = (),
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Runs a script without counting; returns the text that it printed."""
    return _run(script, arguments, core_name, installation, python_path, None, timeout_s).stdout


def plugin_options(
    plugin: Path, out: Path, caches: Caches | None = None, dump_at: tuple[int, int] | None = None
) -> str:
    """Returns the value of qemu's `-plugin`; a comma in a path is doubled, as qemu requires.

    Args:
        plugin: The plugin.
        out: The file for the counts.
        caches: The caches to simulate.
        dump_at: A system call's number and first argument: the plugin dumps before each such call.
    """
    options = [str(plugin), f"out={out}"]
    if caches is not None:
        levels = {"l1i": caches.l1i, "l1d": caches.l1d, "l2": caches.l2, "l3": caches.l3}
        options += [f"{level}={size[0]}:{size[1]}" for level, size in levels.items() if size is not None]
    options += [f"dump_at={dump_at[0]}:{dump_at[1]}"] if dump_at else []
    return ",".join(option.replace(",", ",,") for option in options)


def _run(
    script: Path,
    arguments: Sequence[str],
    core_name: str,
    installation: Installation,
    python_path: Sequence[Path],
    plugin: str | None,
    timeout_s: float,
) -> GuestOutput:
    return run_python(
        [str(script.absolute()), *arguments],
        core_name=core_name,
        sysroot=installation.sysroot,
        python_path=[*python_path, installation.wheels],
        bytecode=installation.bytecode,
        plugin_options=plugin,
        collect=(markers.IMAGES_FILE,),
        timeout_s=timeout_s,
    )
