"""What a guest calls to tell the counting plugin where it is. Imports nothing but `os`: guests load it.

Without the emulator the same calls do nothing but fail quietly in the kernel, so a guest script runs natively as well.
"""

from __future__ import annotations

import os
from typing import Final

MARKER: Final = 0x7EAD0000
DUMP: Final = 0xFFFF
EMPTY_CACHES: Final = 0xFFFE
REGIONS: Final = 64
IMAGES_FILE: Final = "images.txt"  # in the working folder that the host gives each guest


def enter(region: int) -> None:
    """From here on, what runs counts for this region (0 ... REGIONS − 1); regions keep adding over many visits.

    The call itself costs the guest a few thousand instructions of Python: those before the system call count for the
    region that is left, those after it for `region`. Who wants them out counts empty visits and takes them off.
    """
    try:
        os.getpgid(MARKER + region)
    except OSError:
        return


def dump() -> None:
    """Write what all regions gathered since the last dump, start anew, and go to region 0."""
    enter(DUMP)


def empty_caches() -> None:
    """Every simulated cache forgets what it held."""
    enter(EMPTY_CACHES)


def report_images() -> None:
    """Tell the host which library lies where; call it after all imports, outside every region that matters."""
    with open("/proc/self/maps") as maps, open(IMAGES_FILE, "w") as report:
        report.write(maps.read())
