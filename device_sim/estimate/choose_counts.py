"""Chooses the counts for a bundle on a core: the bundle's own, else those of its scene with a remark in capitals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from device_sim.cores import COUNTS_CORE
from device_sim.counts.counts import BundleCounts
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle

SHIPPED: Final = Path(__file__).parents[1] / "counts" / "shipped"

_REFERENCE: Final = "ncnn."  # the reference models' counts are in the same folder

# Where the kernels of a core were not counted: the cores with the most similar kernels, best first. A55 and A76 have
# the dot product and half precision, A53 and A72 do not; the interpreter's code is the same on all.
INSTEAD: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cortex-a53": ("cortex-a72", "cortex-a55", "cortex-a76"),
        "cortex-a55": ("cortex-a76", "cortex-a53", "cortex-a72"),
        "cortex-a72": ("cortex-a53", "cortex-a76", "cortex-a55"),
        "cortex-a76": ("cortex-a55", "cortex-a72", "cortex-a53"),
    }
)


class NoCountsError(Exception):
    """There are no counts for this bundle; the message tells how to make them."""

    def __init__(self, bundle: BundleIdentity, scenes: Sequence[str]) -> None:
        known = f"there are counts of {', '.join(scenes)}" if scenes else "there are no counts"
        super().__init__(
            f"{bundle.path}: scene {bundle.scene}: {known}; "
            f"count it with `device-sim count {bundle.path}` and give the files with --counts"
        )


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """The properties that identify a bundle."""

    path: Path
    scene: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ChosenCounts:
    """The chosen counts, and how they differ from counts of this bundle on this core.

    Attributes:
        remarks: To be shown beside every figure; empty = the counts are of this very bundle and the core's own kernels.
    """

    counts: BundleCounts
    is_of_bundle: bool
    remarks: tuple[str, ...]


def identify(bundle: Path) -> BundleIdentity:
    """Reads a bundle's identity; its signature is not checked, since the bundle is not run.

    Raises:
        EdgeError: The file is no bundle, or damaged.
    """
    content = read_bundle(bundle, open_container(bundle, trusted_keys=(), allow_unsigned=True))
    raw = bundle.read_bytes()
    return BundleIdentity(bundle, content.scene, hashlib.sha256(raw).hexdigest(), len(raw))


def shipped_counts(folder: Path = SHIPPED) -> tuple[BundleCounts, ...]:
    """Returns the shipped counts of bundles: files named `<scene>.<core>.json`.

    Raises:
        CountsFileError: One of them is not usable.
    """
    files = (file for file in sorted(folder.glob("*.cortex-*.json")) if not file.name.startswith(_REFERENCE))
    return tuple(BundleCounts.read_json(file) for file in files)


def choose_counts(
    bundle: BundleIdentity, core: str, counted: Sequence[BundleCounts], *, any_scene: bool = False
) -> ChosenCounts:
    """Returns the counts that are most similar to a bundle on a core.

    Args:
        bundle: The bundle.
        core: The core, as `COUNTS_CORE` spells it.
        counted: The available counts.
        any_scene: Whether counts of another scene may be used: the user named their file.

    Raises:
        NoCountsError: No counts are of the bundle's scene.
    """
    usable = [counts for counts in counted if any_scene or _is_of(bundle, counts) or counts.scene == bundle.scene]
    if not usable:
        raise NoCountsError(bundle, sorted({counts.scene for counts in counted}))
    wanted = COUNTS_CORE[core]
    ranked = sorted(usable, key=lambda counts: _distance(bundle, wanted, counts))
    best = ranked[0]
    return ChosenCounts(best, _is_of(bundle, best), tuple(_remarks(bundle, wanted, best)))


def _is_of(bundle: BundleIdentity, counts: BundleCounts) -> bool:
    return counts.bundle_sha256 == bundle.sha256


def _distance(bundle: BundleIdentity, wanted: str, counts: BundleCounts) -> tuple[bool, bool, int, int]:
    """Returns a sort key: this bundle first, then its scene, then the most similar kernels, then the nearest size."""
    order = (wanted, *INSTEAD.get(wanted, ()))
    kernels = order.index(counts.core) if counts.core in order else len(order)
    size = abs(counts.bundle_bytes - bundle.size_bytes)
    return not _is_of(bundle, counts), counts.scene != bundle.scene, kernels, size


def _remarks(bundle: BundleIdentity, wanted: str, counts: BundleCounts) -> Iterable[str]:
    if not _is_of(bundle, counts):
        yield (
            f"COUNTS OF ANOTHER BUNDLE: {counts.scene}, {counts.bundle_bytes:,} bytes, {counts.items:,} items, "
            f"window {counts.window}, {counts.candidates} candidates (sha256 {counts.bundle_sha256[:12]}…; this one is "
            f"{bundle.scene}, {bundle.size_bytes:,} bytes, {bundle.sha256[:12]}…): count yours with `device-sim count`"
        )
    if counts.core != wanted:
        yield f"COUNTS OF ANOTHER CORE'S KERNELS: {counts.core}; this core runs those of {wanted}"
