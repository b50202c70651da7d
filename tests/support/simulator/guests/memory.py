"""Reads the same 16 KiB repeatedly: warm, after the caches were emptied, warm again; then 8 MiB, twice."""

from device_sim.emulation import markers

small = bytes(16 * 1024)
large = bytes(8 * 1024 * 1024)


def read(data: bytes, region: int) -> None:
    markers.enter(region)
    data.count(b"\1")
    markers.enter(0)


for _ in range(3):
    read(small, 10)
read(small, 1)
markers.empty_caches()
read(small, 2)
read(small, 3)
read(large, 4)
read(large, 5)
