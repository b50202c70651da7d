"""The parts that `device-sim setup` makes in the cache folder: makes them, or finds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_sim.emulation import cache_folder, plugin, sysroot, tools, wheels
from device_sim.emulation.errors import EmulationError, NotSetUpError
from device_sim.emulation.guest_process import run_python

# Imported once at set-up, so that every later run finds them compiled and executes the same instructions.
WARM_IMPORTS: Final = (
    "onnxruntime",
    "numpy",
    "flatbuffers",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.ciphers.aead",
    "json",
    "pathlib",
    "dataclasses",
    "tempfile",
    "mmap",
    "zlib",
    "argparse",
    "logging",
    "threading",
    "typing",
    "hashlib",
    "statistics",
    "importlib.metadata",
    "fcntl",
)
WARM_CORE: Final = "cortex-a76"
WARM_TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Installation:
    """The folders and files of the cache that a run under the emulator needs.

    Attributes:
        sysroot: Debian's arm64 Python and its libraries.
        wheels: The guest's packages.
        bytecode: The modules of both, compiled by the guest's Python at set-up.
        plugin: The counting plugin.
    """

    sysroot: Path
    wheels: Path
    bytecode: Path
    plugin: Path


def install(report_step: Callable[[str], None] = lambda step: None) -> Installation:
    """Fetches and builds the parts that do not exist yet.

    Args:
        report_step: Called with each step's name before the step starts.

    Raises:
        MissingToolsError: Programs are missing on this machine; the message has a line for each, with its fix.
        EmulationError: A step failed; the message says how to fix it. Finished parts stay.
    """
    tools.require(tools.missing_to_set_up(debian_there=_expected().sysroot.is_dir()))
    report_step("the counting plugin")
    built_plugin = plugin.plugin()
    report_step("Debian's arm64 Python")
    root = sysroot.sysroot()
    versions = wheels.pins()
    report_step("arm64 wheels: " + ", ".join(wheels.requirements(versions)))
    site = wheels.target(versions)
    report_step("a first start of the guest")
    return Installation(root, site, _compiled(root, site), built_plugin)


def installed() -> Installation:
    """Returns the parts that an earlier `install` made; uses no network.

    Raises:
        NotSetUpError: Parts are missing, or do not fit the packages that the host has now.
        MissingToolsError: The emulator or the compiler is missing.
    """
    tools.require(tools.missing_to_run())
    if missing := _missing_parts():
        raise NotSetUpError(missing)
    found = _expected()
    return Installation(found.sysroot, found.wheels, found.bytecode, plugin.plugin())


def problems() -> list[str]:
    """Returns what prevents counting on this machine, one line each with its fix; empty = ready. Changes nothing."""
    found = tools.missing_to_run()
    try:
        missing = _missing_parts()
    except EmulationError as error:
        return [*found, str(error)]
    # Setting up needs more programs than counting.
    if missing:
        found = [*tools.missing_to_set_up(debian_there=_expected().sysroot.is_dir()), str(NotSetUpError(missing))]
    return found


def _missing_parts() -> list[str]:
    expected = _expected()
    parts = {
        "Debian's arm64 Python": expected.sysroot,
        "the arm64 wheels": expected.wheels,
        "the guest's compiled modules": expected.bytecode,
    }
    return [what for what, folder in parts.items() if not folder.is_dir()]


def _expected() -> Installation:
    """Returns where the parts belong, whether or not they exist."""
    folder = cache_folder.cache_folder()
    root = folder / sysroot.name() / sysroot.ROOT
    site = folder / wheels.name(wheels.pins())
    return Installation(root, site, folder / _bytecode_name(root, site), folder / plugin.name() / plugin.LIBRARY)


def _bytecode_name(root: Path, site: Path) -> str:
    return f"bytecode-{cache_folder.key(str(root), str(site), *WARM_IMPORTS)}"


def _compiled(root: Path, site: Path) -> Path:
    def build(folder: Path) -> None:
        run_python(
            ["-c", "import " + ", ".join(WARM_IMPORTS)],
            core_name=WARM_CORE,
            sysroot=root,
            python_path=[site],
            bytecode=folder,
            write_bytecode=True,
            timeout_s=WARM_TIMEOUT_S,
        )

    return cache_folder.built(_bytecode_name(root, site), build)
