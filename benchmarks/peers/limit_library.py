"""Builds the C of the model with the system's compiler and loads it."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.peers.limit_task import LimitTask, ModelInputs, limit_task, padded_count
from benchmarks.peers.peer import PeerMissingError
from cloud_export.models.device_model import DeviceModel

COMPILERS = ("cc", "gcc")
SOURCES = Path(__file__).parent
LIMIT, PLAIN = "limit.c", "limit_plain.c"
HEADERS = ("limit_task.h", "limit_vector.h")


@dataclass(frozen=True, slots=True)
class Build:
    """A source and the flags that it is built with."""

    source: str
    flags: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.source, *self.flags))


@dataclass(frozen=True, slots=True, eq=False)
class LimitLibrary:
    """One build, loaded."""

    library: ctypes.PyDLL

    @property
    def lanes(self) -> int:
        """Returns the number of floats in a vector."""
        lanes: int = self.library.limit_lanes()
        return lanes

    def task(self, model: DeviceModel, inputs: ModelInputs) -> LimitTask:
        """Lays the inputs out for `bound`, whatever their number."""
        floats = self.library.limit_work_floats(padded_count(len(inputs.item)), len(inputs.candidate))
        return limit_task(model, inputs, floats)

    def bound(self, entry: str, task: LimitTask) -> Callable[[], object]:
        """Returns a call of an entry point; its one argument is converted already."""
        function = getattr(self.library, entry)
        function.argtypes, function.restype = None, None
        return partial(function, ctypes.c_void_p(ctypes.addressof(task.structure)))


def built(build: Build, dimension: int, objectives: int, folder: Path) -> LimitLibrary:
    """Returns the library of a build; compiles it unless the folder has it from the same source, flags and compiler.

    Raises:
        PeerMissingError: there is no C compiler, or it does not take this source or these flags, or this processor does
            not run what it makes.
    """
    compiler = _compiler()
    source = SOURCES / build.source
    options = (*build.flags, f"-DDIMENSION={dimension}", f"-DOBJECTIVES={objectives}")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    texts = [(SOURCES / name).read_bytes() for name in (build.source, *HEADERS)]
    digest = hashlib.sha256(b"\0".join([*texts, version, *(option.encode() for option in options)]))
    path = folder / f"{source.stem}_{digest.hexdigest()[:12]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _compile([compiler, *options, "-fPIC", "-shared", str(source), "-lm"], path)
    # PyDLL keeps the interpreter's lock: letting go of it and taking it again would cost more than the call's overhead.
    library = ctypes.PyDLL(str(path))
    library.limit_work_floats.restype = ctypes.c_long
    if not library.limit_runs_here():
        raise PeerMissingError(f"this processor does not run what {build} makes", "measure on one that does")
    return LimitLibrary(library)


def _compiler() -> str:
    for name in COMPILERS:
        if path := shutil.which(name):
            return path
    raise PeerMissingError(f"no C compiler ({', '.join(COMPILERS)})", "install gcc, e.g. apt install gcc")


def _compile(command: list[str], path: Path) -> None:
    fresh = path.with_suffix(".new")
    done = subprocess.run([*command, "-o", str(fresh)], capture_output=True, text=True, check=False)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), f"exit code {done.returncode}")
        raise PeerMissingError(f"{' '.join(command)} failed: {first}", "use gcc 12 or newer")
    fresh.replace(path)
