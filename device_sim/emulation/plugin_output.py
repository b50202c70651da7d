"""Reads the output of the counting plugin; its format is described at the top of instruction_counts.c."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from device_sim.counts.counts import IMAGES, INSTRUCTION_CLASSES, Counts, Image
from device_sim.emulation.errors import PluginOutputError
from device_sim.emulation.images import ImageMap

LEVELS: Final = ("l1i_misses", "l1d_misses", "l2_misses", "l3_misses")
_COUNT_MAX: Final = 2**64


@dataclass(frozen=True, slots=True)
class PageCounts:
    """The counts of one page of code: the classes of INSTRUCTION_CLASSES, and misses of the simulated levels."""

    page: int
    mix: tuple[int, ...]
    misses: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """The counts of all visits of one region."""

    visits: int = 0
    pages: tuple[PageCounts, ...] = ()

    def total(self) -> Counts:
        """Returns the counts of the whole region."""
        return _added(self.pages)

    def by_image(self, images: ImageMap) -> dict[Image, Counts]:
        """Split by whose code ran; only images that ran."""
        split = {image: [page for page in self.pages if images.image_of(page.page) == image] for image in IMAGES}
        return {image: _added(pages) for image, pages in split.items() if pages}


@dataclass(frozen=True, slots=True)
class Dump:
    """What was gathered between two dumps, by region; a region that nothing visited is missing."""

    regions: Mapping[int, Region]

    def region(self, number: int) -> Region:
        """The region, empty if nothing visited it."""
        return self.regions.get(number, Region())


def read_dumps(text: str, where: str = "the plugin's output") -> tuple[Dump, ...]:
    """Reads the plugin's output; the last dump counts the code after the guest's own last dump.

    Raises:
        PluginOutputError: The output is cut off or not in the format; the message names `where`.
    """
    reader = _Reader(where)
    for number, line in enumerate(text.splitlines(), start=1):
        reader.line(line, number)
    if not reader.ended:
        raise PluginOutputError(where, "the end is missing")
    return tuple(reader.dumps)


class _Reader:
    def __init__(self, where: str) -> None:
        self.dumps: list[Dump] = []
        self.ended = False
        self._where = where
        self._visits: dict[int, int] = {}
        self._pages: dict[int, list[PageCounts]] = {}

    def line(self, line: str, number: int) -> None:
        try:
            if self.ended:
                raise ValueError("something follows the end")
            self._take(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PluginOutputError(self._where, f"line {number} is not in the format ({error!r})") from error

    def _take(self, row: dict[str, object]) -> None:
        match row:
            case {"end": True, **rest} if set(rest) == {"vcpus"} and not self._pages and not self._visits:
                self.ended = True
            case {"dump": int(index), **rest} if not rest and index == len(self.dumps):
                self._close()
            case {"region": int(region), "visits": int(visits), **rest} if not rest and region not in self._visits:
                self._visits[region] = _natural(visits)
            case {"region": int(region), "page": int(page), "mix": list(mix), **rest} if set(rest) <= {"misses"}:
                self._pages.setdefault(region, []).append(_page(page, mix, rest.get("misses", [])))
            case _:
                raise ValueError("an unknown row")

    def _close(self) -> None:
        if not set(self._pages) <= set(self._visits):
            raise ValueError("a region without visits")
        regions = {number: Region(count, tuple(self._pages.get(number, ()))) for number, count in self._visits.items()}
        self.dumps.append(Dump(regions))
        self._visits, self._pages = {}, {}


def _page(page: int, mix: list[object], misses: object) -> PageCounts:
    if not isinstance(misses, list) or len(mix) != len(INSTRUCTION_CLASSES) or len(misses) not in (0, 3, 4):
        raise ValueError("a list has the wrong length")
    return PageCounts(_natural(page), tuple(map(_natural, mix)), tuple(map(_natural, misses)))


def _natural(value: object) -> int:
    if type(value) is not int or not 0 <= value < _COUNT_MAX:
        raise ValueError(f"{value!r} is not a count")
    return value


def _added(pages: Iterable[PageCounts]) -> Counts:
    pages = list(pages)
    mix = dict(zip(INSTRUCTION_CLASSES, _columns(pages, lambda page: page.mix), strict=False))
    misses = dict(zip(LEVELS, _columns(pages, lambda page: page.misses), strict=False))
    return Counts(mix={name: float(mix.get(name, 0)) for name in INSTRUCTION_CLASSES}, **misses)


def _columns(pages: list[PageCounts], row: Callable[[PageCounts], tuple[int, ...]]) -> list[float]:
    return [float(sum(column)) for column in zip(*map(row, pages), strict=True)]
