"""Runs three regions: nothing, a loop of N, a loop of 2N."""

import sys

from device_sim.emulation import markers


def loop(count: int) -> int:
    total = 0
    for number in range(count):
        total += number & 127  # stays small: a sum of two digits costs more
    return total


# Past the interpreter's own warming up.
loop(2_000)
for _ in range(3):
    markers.enter(1)
    markers.enter(0)
markers.report_images()
markers.dump()
markers.enter(1)
markers.enter(2)
loop(int(sys.argv[1]))
markers.enter(3)
loop(2 * int(sys.argv[1]))
markers.enter(0)
sys.stdout.write("done")
