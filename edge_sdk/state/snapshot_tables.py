"""The tables that give the cells of a dumped memory their meaning, written beside the dump for other bundles to read.

All numbers are little-endian u32, and every list follows its length. The lists, in this order:

- the size of the window, the counters of one half-life;
- low words of the offers' ids; their high words (an empty list = not known); category ids; ticks;
- kinds (id, counter + 1; 0 = not counted);
- the number of caps, and for each cap (scope, limit, seconds, 1 = cooldown), its kinds;
- the session (start, end, gap in seconds; an empty list = none), its activity;
- the number of dwell rules, and for each rule (kind, longest stay in seconds), its kinds, its activity;
- the number of ignored rules, and for each rule (kind, count), the kinds that show, the kinds that respond;
- the number of machines, and for each machine (id of its name, scope), the ids of its states, its steps (kind, count,
  seconds, target), the sources of each step;
- the budget (seconds of a period, seconds since 1970 at which one begins, 1 = in local time, units of one; an empty
  list = no budget), its kinds.

Lists of kinds and of sources ascend. Items and the rows of the window are left out: another bundle takes the window
from the log. The names and channels of caps are left out too: they do not change what is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from edge_sdk._sha256 import sha256
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.spending import UNITS_PER_ONE, Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.types import U32
from edge_sdk.vocabulary import Vocabulary

VERSION: Final = 5
READABLE: Final = (3, 4, VERSION)
_BUDGET_OF_4: Final = (0, 0, UNITS_PER_ONE)  # up to version 4 a budget had its period alone
_NUMBER: Final = np.dtype("<u4")
_NONE: Final = np.zeros(0, np.uint32)
_NO_WORDS: Final = np.zeros(0, np.uint16)


def pack_tables(layout: MemoryLayout) -> bytes:
    """Returns the packed tables of a layout; their length depends on the layout alone."""
    session, kinds = layout.derived.session, sorted(layout.kinds.items())
    lists: list[Iterable[int] | U32] = [
        (layout.window, layout.counter_kinds),
        layout.offers.lows,
        () if layout.offers.highs is None else layout.offers.highs.astype(np.uint32),
        layout.categories,
        [decay.tick_ms for decay in layout.decays],
        [number for kind, rule in kinds for number in (kind, rule.counter + 1)],
        (len(layout.caps),),
        *(
            part
            for cap in layout.caps
            for part in ((cap.per, cap.limit, cap.within_s, cap.cooldown), sorted(cap.kinds))
        ),
        (session.start_kind, session.end_kind, session.gap_s) if session else (),
        sorted(session.activity) if session else (),
        (len(layout.derived.dwell),),
        *(
            part
            for stay in layout.derived.dwell
            for part in ((stay.kind, stay.longest_s), sorted(stay.of), sorted(stay.activity))
        ),
        (len(layout.derived.ignored),),
        *(
            part
            for ignored in layout.derived.ignored
            for part in ((ignored.kind, ignored.count), sorted(ignored.seen), sorted(ignored.reset_by))
        ),
        (len(layout.machines),),
        *(
            part
            for rule, names in zip(layout.machines, layout.machine_names, strict=True)
            for part in _machine(rule, names)
        ),
        (*layout.spending.periods, layout.spending.units_per_one) if layout.spending else (),
        sorted(layout.spending.kinds) if layout.spending else (),
    ]
    return b"".join(_packed(numbers) for numbers in lists)


def read_tables(raw: bytes, *, version: int = VERSION) -> tuple[MemoryLayout, int]:
    """Reads a layout under which a dump can be loaded. It cannot ingest events: it has no items and no window kinds.

    Args:
        raw: begins with packed tables.
        version: of the snapshot that contains the tables, one of `READABLE`.

    Returns:
        The layout, and how many bytes the tables take.

    Raises:
        ValueError: `raw` does not begin with tables.
    """
    reader = _Reader(raw)
    window, counter_kinds = reader.row(2)
    offers = reader.numbers()
    high_words = reader.numbers().astype(np.uint16) if version >= 5 else _NO_WORDS
    categories = reader.numbers()
    ticks: list[int] = reader.numbers().tolist()
    if not window or 0 in ticks:
        raise ValueError("not the tables of a memory")
    # All half-lives share their factors, which are by ticks.
    decays = tuple(DecayTables.of(1)._replace(tick_ms=tick) for tick in ticks)
    kinds = reader.rows(2)
    caps = reader.caps() if version >= 4 else reader.caps_of_3()
    derived = reader.derived()
    machines, names = reader.machines() if version >= 4 else ((), ())
    layout = MemoryLayout(
        window=window,
        kinds={kind: KindRule(row, False, counter - 1) for row, (kind, counter) in enumerate(kinds, start=1)},
        items=Vocabulary(_NONE, b"", np.zeros(0, np.uint16)),
        offers=Vocabulary(offers, b"", np.zeros(len(offers), np.uint16), highs=high_words if len(high_words) else None),
        category_rows=len(categories) + 1,
        counter_kinds=counter_kinds,
        decays=decays,
        caps=caps,
        derived=derived,
        category_ids=tuple(categories.tolist()),
        machines=machines,
        spending=reader.budget() if version >= 4 else None,
        machine_ids=names,
    )
    return layout, reader.at


def fingerprint(layout: MemoryLayout) -> bytes:
    """Returns the SHA-256 (32 bytes) of all that gives a dump its meaning: tables, items, rows of kinds, retention."""
    digest = sha256(pack_tables(layout))
    for vocabulary in (layout.items, layout.offers):
        highs = b"" if vocabulary.highs is None else vocabulary.highs.tobytes()
        digest.update(vocabulary.lows.tobytes() + highs + vocabulary.row_category.tobytes())
    kinds = sorted((kind, rule.row, rule.in_window, rule.keep_s) for kind, rule in layout.kinds.items())
    digest.update(repr(kinds).encode())
    return digest.digest()


def least_bytes(layout: MemoryLayout) -> int:
    """Returns how many bytes a dump has at least: of the window, the counters, the caps and the machines."""
    event_bytes, number_bytes = 20, 8
    rows = len(layout.offers) + 1 + layout.category_rows
    numbers = rows * layout.counter_kinds * len(layout.decays)
    numbers += sum(layout.target_rows(cap.per) * (cap.limit + 1) for cap in layout.caps)
    numbers += sum(layout.target_rows(machine.per) for machine in layout.machines)
    return layout.window * event_bytes + numbers * number_bytes


def _machine(rule: MachineRule, names: tuple[int, ...]) -> list[Iterable[int]]:
    steps = [number for step in rule.steps for number in (step.kind, step.count, step.after_s, step.target)]
    return [(names[0], rule.per), names[1:], steps, *(sorted(step.sources) for step in rule.steps)]


def _packed(numbers: Iterable[int] | U32) -> bytes:
    listed = numbers if isinstance(numbers, np.ndarray) else list(numbers)
    packed = np.asarray(listed, _NUMBER)
    return len(packed).to_bytes(_NUMBER.itemsize, "little") + packed.tobytes()


class _Reader:
    """Reads lists one after another. A list that goes beyond the end raises numpy's own ValueError."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0

    def numbers(self) -> U32:
        size = _NUMBER.itemsize
        count = int.from_bytes(self._raw[self.at : self.at + size], "little")
        found = np.frombuffer(self._raw, _NUMBER, count, self.at + size).astype(np.uint32)
        self.at += size * (1 + count)
        return found

    def rows(self, width: int) -> list[list[int]]:
        rows: list[list[int]] = self.numbers().reshape(-1, width).tolist()
        return rows

    def row(self, width: int) -> list[int]:
        (row,) = self.rows(width)
        return row

    def caps(self) -> tuple[CapRule, ...]:
        caps = []
        for _ in range(*self.row(1)):
            per, limit, within_s, cooldown = self.row(4)
            caps.append(CapRule(tuple(sorted(self.kinds())), Scope(per), limit, within_s, bool(cooldown)))
        return tuple(caps)

    def caps_of_3(self) -> tuple[CapRule, ...]:
        """Reads the caps of version 3: of one kind each, per offer (0) or per category (1)."""
        return tuple(
            CapRule((kind,), Scope(per), limit, within_s, bool(cooldown))
            for kind, per, limit, within_s, cooldown in self.rows(5)
        )

    def machines(self) -> tuple[tuple[MachineRule, ...], tuple[tuple[int, ...], ...]]:
        """Reads rules without names, and the ids of their names and of the names of their states."""
        rules, names = [], []
        for _ in range(*self.row(1)):
            name, per = self.row(2)
            states: list[int] = self.numbers().tolist()
            if not states:
                raise ValueError("a machine without states")
            steps = tuple(
                MachineStep(self.kinds(), kind, count, after_s, target) for kind, count, after_s, target in self.rows(4)
            )
            rules.append(MachineRule("", Scope(per), ("",) * len(states), steps))
            names.append((name, *states))
        return tuple(rules), tuple(names)

    def budget(self) -> SpendingRule | None:
        numbers, kinds = self.numbers().tolist(), self.kinds()
        if not numbers:
            return None
        length_s, first_s, is_local, units_per_one = numbers if len(numbers) > 1 else (*numbers, *_BUDGET_OF_4)
        return SpendingRule(kinds, Periods(length_s, first_s, bool(is_local)), units_per_one)

    def derived(self) -> DerivedRules:
        of_session, activity = self.rows(3), self.kinds()
        (start, end, gap_s), *_ = of_session or [[0, 0, 0]]
        dwell, ignored = [], []
        for _ in range(*self.row(1)):
            kind, longest_s = self.row(2)
            dwell.append(DwellRule(kind, self.kinds(), self.kinds(), longest_s))
        for _ in range(*self.row(1)):
            kind, count = self.row(2)
            ignored.append(IgnoredRule(kind, self.kinds(), self.kinds(), count))
        session = SessionRule(start, end, activity, gap_s) if of_session else None
        return DerivedRules(session, tuple(dwell), tuple(ignored))

    def kinds(self) -> frozenset[int]:
        """Reads a set of kinds or of states."""
        return frozenset(self.numbers().tolist())
