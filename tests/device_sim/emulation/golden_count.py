"""The golden bundle, counted as `make instructions` counts it: once a session, for all tests that look at counts."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

from device_sim.emulation import installation
from device_sim.emulation.counting import REPETITIONS, Counted, EmulatedCore, count_on, golden_folder, prepared

CORE: Final = "cortex-a55"
GOLDEN: Final = Path(__file__).parents[2] / "golden"
BUNDLE: Final = GOLDEN / "decisions.edge"


@functools.cache
def golden_count() -> Counted:
    """All operations, and all golden decisions played; takes half a minute the first time."""
    return _counted(golden_folder())


def golden_count_again() -> Counted:
    """The same once more in a fresh process and another folder, without the golden decisions."""
    return _counted(None)


def _counted(golden: Path | None) -> Counted:
    with prepared(BUNDLE, public_key=None, golden=golden, repetitions=REPETITIONS) as ready:
        return count_on(ready, CORE, None, EmulatedCore(installation.installed(), CORE, None))
