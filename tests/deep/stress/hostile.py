"""Absurd and hostile arguments: wrong types, extreme numbers, objects that raise or that call the engine again."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np


class OwnError(Exception):
    """Raised by the harness's own objects: it may pass through every verb but `rank`."""


class Hostile:
    """Does `act` whenever anything is asked of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def _do(self, *_: object) -> Any:
        self._act()
        return 1

    __index__ = __int__ = __float__ = __len__ = __hash__ = __call__ = __bool__ = _do
    __getitem__ = __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __array__ = _do

    def __iter__(self) -> Iterator[object]:
        self._act()
        return iter(())

    def __repr__(self) -> str:
        self._act()
        return "hostile"


class HostileMapping(Mapping[str, Any]):
    """A mapping with usual keys that does `act` whenever it is read."""

    def __init__(self, act: Callable[[], object], content: dict[str, Any]) -> None:
        self._act, self._content = act, content

    def __getitem__(self, key: str) -> Any:
        self._act()
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        self._act()
        return iter(self._content)

    def __len__(self) -> int:
        self._act()
        return len(self._content)


class HostileText(str):
    """A str whose hash and comparison do `act`."""

    act: Callable[[], object]

    def __hash__(self) -> int:
        self.act()
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        self.act()
        return super().__eq__(other)


class Finalised:
    """Does `act` when the collector takes it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act, self._self = act, self

    def __del__(self) -> None:
        self._act()


def raising() -> None:
    """Raises the harness's own error."""
    raise OwnError("by the harness")


def text(act: Callable[[], object], content: str) -> HostileText:
    """Returns a hostile str."""
    made = HostileText(content)
    made.act = act
    return made


def anything(random: random.Random, act: Callable[[], object]) -> Any:
    """Returns an absurd value; one in six does `act`."""
    if random.random() < 1 / 6:
        return random.choice((Hostile(act), HostileMapping(act, {"surface": "home"}), text(act, "view")))
    return random.choice(_PLAIN)(random)


_NUMBERS = (
    -1, 0, 1, 3, 255, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, 1 << 70, -(1 << 70), 0.0, -0.0, 0.5, 1e300, -1e300,
    3.4e38, 1e-320, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
_SCALARS = (np.int64(3), np.uint8(2), np.float32(2.5), np.float64("nan"), np.bool_(True), np.int8(-1), np.str_("view"))
_TEXTS = ("", "view", "fund_a", "\ud800", "\x00", "x" * 100_000, "é", "e\u0301", "never", "home", "surface", "a\nb")
_PLAIN: tuple[Callable[[random.Random], Any], ...] = (
    lambda r: r.choice(_NUMBERS),
    lambda r: r.choice(_NUMBERS),
    lambda r: r.choice(_SCALARS),
    lambda r: r.choice(_TEXTS),
    lambda r: r.choice(_TEXTS),
    lambda r: r.choice((None, True, False, ..., NotImplemented, object(), object, len)),
    lambda r: r.choice((b"", b"view", bytearray(b"x"), memoryview(b"xyz"), 1j, Decimal("NaN"), Fraction(1, 3))),
    lambda r: r.choice((datetime.datetime(2026, 1, 1), datetime.timedelta(1), range(3), slice(2), Exception("x"))),
    lambda r: r.choice(([], (), {}, set(), frozenset(), [[1], [2, 3]], [None], ["fund_a", 3], {"surface": 3})),
    lambda r: r.choice((np.zeros(0), np.zeros((2, 0)), np.arange(6), np.full(6, np.nan), np.array("view"))),
    lambda r: r.choice((np.array([1, "a", None], object), np.zeros((2, 2, 2)), np.zeros(6, "datetime64[ms]"))),
    lambda r: [anything(r, raising) for _ in range(r.randint(0, 3))],
    lambda r: {r.choice(("surface", "balance", "click")): anything(r, raising) for _ in range(r.randint(0, 3))},
    lambda r: (part for part in ("fund_a", 3)),
)  # fmt: skip
