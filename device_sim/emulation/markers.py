"""The calls by which a guest tells the counting plugin which region its code belongs to. Imports only `os`.

Without the emulator the same calls fail quietly in the kernel, so a guest script also runs natively.
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
    """Counts the code from here on for a region (0 ... REGIONS − 1); a region adds up over many visits.

    The call itself costs the guest a few thousand instructions of Python: those before the system call count for the
    region that is left, those after it for `region`. To remove them, count empty visits and subtract.
    """
    try:
        os.getpgid(MARKER + region)
    except OSError:
        return


def dump() -> None:
    """Writes the counts of all regions since the last dump, sets them to zero, and enters region 0."""
    enter(DUMP)


def empty_caches() -> None:
    """Empties every simulated cache."""
    enter(EMPTY_CACHES)


def report_images() -> None:
    """Writes the addresses of the libraries for the host; to be called after all imports, outside measured regions."""
    with open("/proc/self/maps") as maps, open(IMAGES_FILE, "w") as report:
        report.write(maps.read())
