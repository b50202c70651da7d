"""Counts the golden bundle as `make instructions` does: once a session, for all tests of counts."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from device_sim.counts.counts import BundleCounts
from device_sim.emulation import installation
from device_sim.emulation.counting import REPETITIONS, Counted, EmulatedCore, count_on, golden_folder, prepared
from device_sim.emulation.workload_plan import OPERATIONS
from tests.support.paths import GOLDEN

CORE: Final = "cortex-a55"
BUNDLE: Final = GOLDEN / "decisions.edge"
ELSEWHERE: Final = (50, 100)  # lengths of folders' names


@functools.cache
def golden_count() -> Counted:
    """All operations, and all golden decisions played; takes half a minute the first time."""
    return _counted(golden_folder())


def golden_count_again() -> Counted:
    """The first two operations once more, in a fresh process and another folder; no golden decisions."""
    return _counted(None, OPERATIONS[:2])


def golden_counts_elsewhere(folder: Path) -> list[BundleCounts]:
    """The same in folders with longer and longer names, which move everything in the guest's memory a little."""
    found = []
    former = tempfile.tempdir
    for length in ELSEWHERE:
        tempfile.tempdir = str(folder / ("x" * length))
        Path(tempfile.tempdir).mkdir(parents=True)
        try:
            found.append(_counted(None).counts)
        finally:
            tempfile.tempdir = former
    return found


def _counted(golden: Path | None, operations: Sequence[str] | None = None) -> Counted:
    with prepared(BUNDLE, public_key=None, golden=golden, repetitions=REPETITIONS, operations=operations) as ready:
        return count_on(ready, CORE, None, EmulatedCore(installation.installed(), CORE, None))
