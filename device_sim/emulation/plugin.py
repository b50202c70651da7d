"""Builds the counting plugin with the system's C compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from device_sim.emulation import cache_folder, tools

SOURCES: Final = ("instruction_counts.c", "a64_classes.c")
HEADERS: Final = ("a64_classes.h", "cache_model.h", "code_blocks.h", "qemu_plugin_api.h")
FLAGS: Final = ("-O2", "-Wall", "-fPIC", "-shared", "-fvisibility=hidden")
LIBRARY: Final = "instruction_counts.so"
FOLDER: Final = Path(__file__).parent


def plugin() -> Path:
    """Returns the plugin as a shared object; builds it if it is not in the cache.

    Raises:
        MissingToolsError: No compiler or no emulator.
        CommandError: The compiler failed.
        CacheFolderError: The result cannot be stored.
    """
    built = cache_folder.cache_folder() / name() / LIBRARY
    if built.is_file():
        return built
    tools.require(tools.missing_to_run())
    return cache_folder.built(name(), build) / LIBRARY


def name() -> str:
    """Returns the name of the plugin's folder in the cache: other sources or another emulator give another name."""
    sources = [(FOLDER / file).read_bytes() for file in (*SOURCES, *HEADERS)]
    return f"plugin-{cache_folder.key(*sources, *FLAGS, tools.emulator_version() or '')}"


def build(folder: Path) -> None:
    """Compiles the plugin into a folder.

    Raises:
        CommandError: The compiler failed.
    """
    command = [tools.compiler() or "cc", *FLAGS, "-o", str(folder / LIBRARY)]
    command += [str(FOLDER / source) for source in SOURCES] + ["-lpthread"]
    fix = "install the C library's headers: apt-get install gcc libc6-dev"
    tools.run(command, purpose="compiling the counting plugin", fix=fix, timeout_s=120)
