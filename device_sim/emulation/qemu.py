"""Run a Python script on an emulated core and count what it does."""

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
    """What a counted guest left.

    Attributes:
        stdout: What it printed.
        dumps: What was counted, one for each `markers.dump()` and one for the rest until its end.
        images: Where its libraries lay, if it called `markers.report_images()`.
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
    """Run a script that marks its regions by `markers`, and count; bit for bit the same on every run.

    Args:
        script: The guest's script.
        arguments: For it; paths in them must be absolute (the guest's working folder is an empty one of its own).
        core_name: One of `machine.CORES`.
        installation: What `device-sim setup` made.
        python_path: Folders before those of the installation.
        caches: Simulate these (about 8 times slower); None = count instructions only.
        timeout_s: After this the guest is ended.

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
    """The same without counting; what the script printed."""
    return _run(script, arguments, core_name, installation, python_path, None, timeout_s).stdout


def plugin_options(plugin: Path, out: Path, caches: Caches | None) -> str:
    """The value of qemu's `-plugin`; a comma in a path is written twice, as qemu wants it."""
    options = [plugin, f"out={out}"]
    if caches is not None:
        levels = {"l1i": caches.l1i, "l1d": caches.l1d, "l2": caches.l2, "l3": caches.l3}
        options += [f"{level}={size[0]}:{size[1]}" for level, size in levels.items() if size is not None]
    return ",".join(str(option).replace(",", ",,") for option in options)


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
