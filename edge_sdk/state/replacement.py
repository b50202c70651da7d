"""Replaces the log, or the snapshot file, of an open folder. A crash leaves the former or the new one, complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edge_sdk.log.directory import state_error
from edge_sdk.log.encryption import Cipher
from edge_sdk.log.event_log import EventLog
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.state.snapshot import Snapshot
from edge_sdk.state.snapshot_store import SnapshotStore


@contextmanager
def staged_log(
    former: EventLog,
    snapshots: SnapshotStore,
    snapshot: Snapshot,
    *,
    size_bytes: int | None,
    cipher: Cipher | None,
    renumber: bool,
) -> Iterator[EventLog]:
    """Stages a new log beside the former one, with a snapshot of its own; the body activates the new log.

    Each log has a snapshot slot: whichever log a crash leaves in place finds the snapshot that belongs to it.

    Args:
        former: the log in place. The body must not have activated the new log if it raises an OSError.
        snapshots: of the former log, not foreign.
        snapshot: of all events.
        size_bytes, cipher, renumber: as of `EventLog.replacement`.

    Raises:
        InvalidValueError, StateFullError, StateUnusableError: the former log stays the log.
    """
    log = former.replacement(size_bytes=size_bytes, cipher=cipher, renumber=renumber)
    log.skip_to(log.last_seq if renumber else max(former.last_seq, log.last_seq))
    slot = snapshots.next_slot
    try:
        snapshots.write(snapshot._replace(seq=log.last_seq), log)
        snapshots.sync()
        yield log
    except OSError as problem:
        snapshots.rewind(slot)  # the other slot has the only snapshot of the former log
        with suppress(OSError):
            log.discard()
        raise state_error(former.path, problem) from problem


def replaced_snapshots(
    former: SnapshotStore, layout: MemoryLayout, snapshot: Snapshot, log: EventLog
) -> tuple[SnapshotStore, bool]:
    """Replaces the snapshot file by one of another layout; the former store stays open.

    Returns:
        The store of the new file, and whether the disk did all of it. Otherwise the former file may still be there; the
        next write replaces it, and until then an opening migrates what it has.
    """
    store = SnapshotStore(former.entry, layout)
    if not store.has_file:
        return store, not former.has_file
    store.replace_file()  # even a file that has the right size
    try:
        store.write(snapshot, log)
    except OSError:
        return store, False
    return store, True
