"""Finds the library that a code page belongs to, from the guest's /proc/self/maps."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from device_sim.counts.counts import Image

PAGE_BITS = 12
# The first row whose text the mapped file's path contains decides. "libc" is the C and C++ runtime libraries together.
_PARTS: tuple[tuple[str, Image], ...] = (
    ("/onnxruntime/", "onnxruntime"),
    ("/numpy", "numpy"),  # numpy/ and numpy.libs/, where its BLAS is
    ("/bin/python3", "python"),
    ("/lib-dynload/", "python"),
    ("/libpython3", "python"),
    ("/libc.so", "libc"),
    ("/libc-", "libc"),
    ("/libm.so", "libc"),
    ("/libm-", "libc"),
    ("/libpthread", "libc"),
    ("/libdl", "libc"),
    ("/ld-", "libc"),
    ("/libstdc++", "libc"),
    ("/libgcc_s", "libc"),
)


@dataclass(frozen=True, slots=True)
class ImageMap:
    """Mapped files by address.

    Attributes:
        starts: First page number of each mapping, ascending.
        ends: The page number after its last.
        paths: The file, or the empty string where none is.
    """

    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()

    def path_of(self, page: int) -> str:
        """Returns the file that this page (address >> 12) maps; empty if none."""
        index = bisect_right(self.starts, page) - 1
        return self.paths[index] if index >= 0 and page < self.ends[index] else ""

    def image_of(self, page: int) -> Image:
        """Returns the image that the page's code belongs to."""
        path = self.path_of(page)
        return next((image for part, image in _PARTS if part in path), "other")


def read_maps(text: str) -> ImageMap:
    """Reads the kernel's `/proc/self/maps` (proc(5)); lines of another form are ignored."""
    rows = sorted(row for line in text.splitlines() if (row := _row(line)) is not None)
    return ImageMap(*(tuple(column) for column in zip(*rows, strict=True))) if rows else ImageMap()


def _row(line: str) -> tuple[int, int, str] | None:
    fields = line.split(maxsplit=5)
    start, _, end = fields[0].partition("-") if fields else ("", "", "")
    try:
        first, last = int(start, 16), int(end, 16)
    except ValueError:
        return None
    return first >> PAGE_BITS, last >> PAGE_BITS, fields[5] if len(fields) == 6 else ""
