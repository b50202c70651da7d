"""The counts files: instructions by class and cache misses, of a bundle's operations and of reference models.

Every other part of `device_sim` works from these JSON files, so only counting needs the emulator. A field's name ends
in its unit where it has one; a count is per operation and may be a fraction (a mean).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final, Literal

from device_sim.files import Frozen, JsonFile

FORMAT: Final = 1

INSTRUCTION_CLASSES: Final = (
    "integer",
    "multiply",
    "divide",
    "branch",
    "indirect",
    "load",
    "store",
    "vector_load",
    "vector_store",
    "fma",
    "vector_float",
    "vector_integer",
    "dot",
    "vector_other",
    "scalar_float",
    "system",
)

Stage = Literal["window", "model", "policy", "result", "engine"]  # engine: the rest of the call
Image = Literal["onnxruntime", "numpy", "python", "libc", "other"]  # the library whose machine code ran
STAGES: Final[tuple[Stage, ...]] = ("window", "model", "policy", "result", "engine")
IMAGES: Final[tuple[Image, ...]] = ("onnxruntime", "numpy", "python", "libc", "other")


class CountsFileError(Exception):
    """A counts file is not usable; the message names the file, the field and the fix."""


class Counts(Frozen):
    """Instructions and cache misses of one run.

    Attributes:
        mix: Instructions of each class in INSTRUCTION_CLASSES; a class that is missing is 0.
        l1i_misses: Cache lines (64 bytes) not found in the first instruction cache; None = counted without caches.
        l1d_misses: The same for data.
        l2_misses: Lines, of data and code, that the second level does not hold either.
        l3_misses: Lines, of data and code, that no level holds.
    """

    mix: Mapping[str, float]
    l1i_misses: float | None = None
    l1d_misses: float | None = None
    l2_misses: float | None = None
    l3_misses: float | None = None

    @property
    def instructions(self) -> float:
        """The sum of the mix."""
        return sum(self.mix.values())

    def of(self, *classes: str) -> float:
        """Returns the instructions of these classes together."""
        return sum(self.mix.get(name, 0.0) for name in classes)


class Caches(Frozen):
    """The simulated caches of a count: LRU, lines of 64 bytes, as (KiB, ways)."""

    l1i: tuple[int, int]
    l1d: tuple[int, int]
    l2: tuple[int, int]
    l3: tuple[int, int] | None = None


class Part(Frozen):
    """The counts of one image's code in one stage of an operation."""

    stage: Stage
    image: Image
    counts: Counts


class Operation(Frozen):
    """One operation of the runtime, such as `rank`, by stage and image; the parts add up to the whole."""

    parts: tuple[Part, ...]

    def total(self, *, stage: Stage | None = None, image: Image | None = None) -> Counts:
        """Returns the sum of the parts of a stage, of an image, of both, or of all."""
        return summed(part.counts for part in self.parts if stage in (None, part.stage) and image in (None, part.image))


class _CountsFile(JsonFile):
    file_error: ClassVar = CountsFileError
    file_fix: ClassVar = "give a file that `device-sim count` wrote, or count again"
    file_format: ClassVar = FORMAT


class BundleCounts(_CountsFile):
    """A bundle's operations on one core.

    Attributes:
        operations: `record`, `rank` (warm: the same base decision again), `rank_new_base`, `rank_cold` (first rank
            after all caches were emptied).
        repetitions: N of the 2N − N difference, by operation.
        versions: python, numpy, onnxruntime, edge_sdk, qemu.
        conformance: What the golden vectors gave on this core: how many were played, the largest logit difference.
    """

    format: int = FORMAT
    core: str
    scene: str
    bundle_sha256: str
    bundle_bytes: int
    items: int
    candidates: int
    window: int
    caches: Caches | None = None
    operations: Mapping[str, Operation]
    repetitions: Mapping[str, int]
    versions: Mapping[str, str]
    conformance: Mapping[str, float | int | str]


class ReferenceCounts(_CountsFile):
    """Models with published timings, counted on one core's kernels: the data that the cycle model is fitted on."""

    format: int = FORMAT
    core: str
    caches: Caches
    models: Mapping[str, Counts]
    versions: Mapping[str, str]


def summed(counts: Iterable[Counts]) -> Counts:
    """Returns the sum of counts; cache misses are None if any part was counted without caches."""
    parts = list(counts)
    return Counts(
        mix={name: sum(part.mix.get(name, 0.0) for part in parts) for name in INSTRUCTION_CLASSES},
        l1i_misses=_summed(part.l1i_misses for part in parts),
        l1d_misses=_summed(part.l1d_misses for part in parts),
        l2_misses=_summed(part.l2_misses for part in parts),
        l3_misses=_summed(part.l3_misses for part in parts),
    )


def _summed(misses: Iterable[float | None]) -> float | None:
    known = list(misses)
    return None if None in known else sum(value for value in known if value is not None)
