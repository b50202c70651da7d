"""Counts a bundle within the bench, where the emulator is set up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from device_sim.counts.counts import BundleCounts
from device_sim.emulation import counting
from device_sim.emulation.counting import EmulatedCore
from device_sim.emulation.installation import installed


def count_cores(
    bundle: Path, public_key: bytes, cores: Sequence[str], before: Callable[[str], None]
) -> dict[str, BundleCounts]:
    """Returns the counts that `device-sim count` would write for each of these cores.

    Args:
        bundle: The `.edge` file.
        public_key: The key that signed the bundle.
        cores: Such as `cortex-a55`; empty = nothing is done.
        before: Called with the next core; each takes some minutes.

    Raises:
        EmulationError: The emulator is not set up, the core is not known, or the guest failed.
        EdgeError: The bundle is not usable.
    """
    if not cores:
        return {}
    caches = {core: counting.caches_of(core) for core in cores}
    installation = installed()
    found = {}
    with counting.prepared(bundle, public_key=public_key, golden=None, repetitions=counting.REPETITIONS) as ready:
        for core in cores:
            before(core)
            runner = EmulatedCore(installation, core, caches[core])
            found[core] = counting.count_on(ready, core, caches[core], runner).counts
    return found
