"""Which counts serve a bundle on a core: its own if it was counted, else its scene's, and that is said loudly."""

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

_REFERENCE: Final = "ncnn."  # the counted models of the cycle model lie in the same folder

# Where the kernels that a core runs were not counted: whose are most alike, best first. A55 and A76 have the dot
# product and half precision, A53 and A72 have not; the interpreter's code is the same on all.
INSTEAD: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cortex-a53": ("cortex-a72", "cortex-a55", "cortex-a76"),
        "cortex-a55": ("cortex-a76", "cortex-a53", "cortex-a72"),
        "cortex-a72": ("cortex-a53", "cortex-a76", "cortex-a55"),
        "cortex-a76": ("cortex-a55", "cortex-a72", "cortex-a53"),
    }
)


class NoCountsError(Exception):
    """No counts serve this bundle; the message tells how to make them."""

    def __init__(self, bundle: BundleIdentity, scenes: Sequence[str]) -> None:
        known = f"there are counts of {', '.join(scenes)}" if scenes else "there are no counts"
        super().__init__(
            f"{bundle.path}: scene {bundle.scene}: {known}; "
            f"count it with `device-sim count {bundle.path}` and give the files with --counts"
        )


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """What tells a bundle from another."""

    path: Path
    scene: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ChosenCounts:
    """Counts, and in what they are not of this bundle on this core.

    Attributes:
        remarks: To be shown wherever a figure is; empty = they are of this very bundle and of the core's own kernels.
    """

    counts: BundleCounts
    is_of_bundle: bool
    remarks: tuple[str, ...]


def identify(bundle: Path) -> BundleIdentity:
    """Read what a bundle says it is; its signature is not asked for, since nothing of it is run.

    Raises:
        EdgeError: It is not a bundle, or damaged.
    """
    content = read_bundle(bundle, open_container(bundle, trusted_keys=(), allow_unsigned=True))
    raw = bundle.read_bytes()
    return BundleIdentity(bundle, content.scene, hashlib.sha256(raw).hexdigest(), len(raw))


def shipped_counts(folder: Path = SHIPPED) -> tuple[BundleCounts, ...]:
    """The counts of bundles that come with the program: files named `<scene>.<core>.json`.

    Raises:
        CountsFileError: One of them is not usable.
    """
    files = (file for file in sorted(folder.glob("*.cortex-*.json")) if not file.name.startswith(_REFERENCE))
    return tuple(BundleCounts.read_json(file) for file in files)


def choose_counts(
    bundle: BundleIdentity, core: str, counted: Sequence[BundleCounts], *, any_scene: bool = False
) -> ChosenCounts:
    """The counts that say most about a bundle on a core.

    Args:
        bundle: What is asked about.
        core: As `COUNTS_CORE` spells it.
        counted: What there is.
        any_scene: Take another scene's counts, too: the user gave them by name.

    Raises:
        NoCountsError: None is of the bundle's scene.
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
    """This bundle before others, its scene before others, then the most alike kernels, then the nearest size."""
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
