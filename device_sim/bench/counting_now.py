"""Counts made within the bench itself, where the emulator is set up."""

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
    """What `device-sim count` would write for each of these cores.

    Args:
        bundle: the `.edge` file.
        public_key: that signed it.
        cores: such as `cortex-a55`; empty = nothing is done.
        before: told which core comes next; each takes some minutes.

    Raises:
        EmulationError: the emulator is not set up, the core is not known, or the guest failed.
        EdgeError: the bundle is not usable.
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
