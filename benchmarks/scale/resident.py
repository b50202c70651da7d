"""Reads the memory figures of this process from Linux."""

from __future__ import annotations

from pathlib import Path


def megabytes(field: str) -> float:
    """Returns a figure of /proc/self/status, in MB (10⁶ bytes): "VmRSS" is resident now, "VmHWM" is the peak so far.

    `ru_maxrss` would be wrong: a child begins with its parent's.

    Raises:
        ValueError: the kernel has no such figure.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024 / 1e6
    raise ValueError(f"/proc/self/status has no {field}")
