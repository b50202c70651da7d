"""What a fresh process prints at its end: the moments it passed, and what of its memory is resident."""

from __future__ import annotations

import resource


def report(cpu_ns: int, /, **moments_ns: int) -> None:
    """Prints one line a figure: name and value.

    Args:
        cpu_ns: CPU time of the process when the last moment was passed, of `time.process_time_ns`.
        moments_ns: by the name of what was done just before, in order; of `time.perf_counter_ns`, which on Linux counts
            the same in all processes. The first is the interpreter's own start.
    """
    for name, moment_ns in moments_ns.items():
        print(f"moment {name} {moment_ns}")  # noqa: T201 - read by the parent
    print(f"cpu process {cpu_ns}")  # noqa: T201
    for name, size in resident().items():
        print(f"bytes {name} {size}")  # noqa: T201


def resident() -> dict[str, int]:
    """Returns bytes of this process: `rss`, and where the kernel tells, `pss` and `private`.

    `rss` counts every page that is mapped and in memory. `pss` divides a page by the number of processes that have it.
    `private` counts the pages that this process alone has.
    """
    try:
        with open("/proc/self/smaps_rollup") as file:
            lines = file.readlines()[1:]
    except OSError:
        with open("/proc/self/statm") as file:
            return {"rss": int(file.read().split()[1]) * resource.getpagesize()}
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return {"rss": kilobytes["Rss"] * 1024, "pss": kilobytes["Pss"] * 1024, "private": private * 1024}
