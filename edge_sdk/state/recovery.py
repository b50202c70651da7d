"""Recovers memory when a folder is opened: from the newest snapshot and the events after it, or from the log alone."""

from __future__ import annotations

from collections.abc import Iterable

from edge_sdk.log.event_log import EventLog
from edge_sdk.log.record import Records
from edge_sdk.memory.bulk import ingest
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.snapshot_store import SnapshotStore
from edge_sdk.types import Record


class Recovered(Record):
    """The state of a folder at its opening."""

    memory: Memory  # as of the newest event
    is_inherited: bool  # a former bundle, whose items had other categories, counted a part of memory
    last_decision: int  # the newest decision's id
    snapshot_seq: int | None  # the newest event in the snapshot; None = there is no snapshot


def recover(log: EventLog, snapshots: SnapshotStore, layout: MemoryLayout) -> Recovered:
    """Returns memory as of the newest event; the log goes on after the newest event in the snapshot.

    Raises:
        StateUnusableError: the disk refuses.
    """
    snapshot = snapshots.read(log)
    if snapshot is not None and snapshot.seq - log.last_seq > log.capacity and log.count:
        # A power loss takes what was recorded since the kernel last wrote the log, a cut takes all behind it. A
        # snapshot that is further ahead than the log is long belongs to another state of it, and would hide its events.
        snapshot = None
    if snapshot is None:
        return Recovered(
            memory=_counted(layout, log.parts()),
            is_inherited=False,
            last_decision=log.last_decision,
            snapshot_seq=None,
        )
    if snapshot.seq > log.last_seq:
        log.skip_to(snapshot.seq)
    memory, is_inherited = snapshot.memory, snapshot.is_inherited
    if memory.layout is not layout:
        memory, is_inherited = migrate(memory, layout, log.parts(until=snapshot.seq), is_whole=log.is_whole)
    for part in log.parts(after=snapshot.seq):
        ingest(memory, part)
    return Recovered(
        memory=memory,
        is_inherited=is_inherited,
        last_decision=max(log.last_decision, snapshot.decision),
        snapshot_seq=snapshot.seq,
    )


def migrate(memory: Memory, layout: MemoryLayout, parts: Iterable[Records], *, is_whole: bool) -> tuple[Memory, bool]:
    """Returns a memory under another layout, and whether that memory inherited anything.

    Args:
        memory: of the former layout.
        layout: of the new memory.
        parts: the events in memory that the log still contains, oldest first.
        is_whole: the log contains every event: the new memory then counts the events anew, and inherits nothing. The
            former bundle may not have counted all of them.
    """
    migrated = _counted(layout, parts)
    if is_whole:
        return migrated, False
    from edge_sdk.memory.migration import inherit  # needed under another layout only: 0.8 ms of every import

    inherit(migrated, memory)
    return migrated, True


def without(
    former: Memory,
    records: Records,
    kinds: frozenset[int] | None,
    items: frozenset[int] | None,
    *,
    is_whole: bool,
    moved: bool,
) -> Memory:
    """Returns the memory that remains when the events of these kinds about these items are erased.

    Args:
        former: with all of them.
        records: those that stay in the log, oldest first.
        kinds, items: ids; None = any.
        is_whole: the log contained every event.
        moved: a former bundle, whose items had other categories, counted a part of memory.
    """
    memory = _counted(former.layout, [records])
    if not is_whole:
        from edge_sdk.memory.erasure import inherit_unaffected  # rarely needed: 0.6 ms of every import

        inherit_unaffected(memory, former, kinds, items, categories_differed=moved)
    return memory


def _counted(layout: MemoryLayout, parts: Iterable[Records]) -> Memory:
    """Returns the memory after these records, oldest first."""
    memory = Memory(layout)
    for part in parts:
        ingest(memory, part)
    return memory
