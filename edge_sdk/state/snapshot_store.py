"""The snapshots of a folder: writes them for the current log.

The file is a cache: where the disk has no room for it, the log alone must do.
"""

from __future__ import annotations

from contextlib import suppress

from edge_sdk.log.directory import Entry, as_state_error
from edge_sdk.log.event_log import EventLog
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.state.snapshot import Snapshot, SnapshotFile


class SnapshotStore:
    """The snapshot file of one layout, or none.

    Attributes:
        entry: of the file.
        path: of the file, for messages.
    """

    def __init__(self, entry: Entry, layout: MemoryLayout) -> None:
        """Opens or creates the file.

        Raises:
            StateUnusableError: it is no ordinary file.
        """
        self.entry, self.path = entry, entry.path
        self._is_synced = True  # whether the disk has what was written last
        try:
            self._file: SnapshotFile | None = SnapshotFile(entry, layout)
        except OSError:
            self._file = None

    @property
    def has_file(self) -> bool:
        """Whether the disk had room for the file."""
        return self._file is not None

    @property
    def is_foreign(self) -> bool:
        """Whether the next write replaces the file as a whole: the file has the tables of another layout."""
        return self._file is not None and self._file.is_foreign

    @property
    def next_slot(self) -> int:
        """The slot that the next write overwrites."""
        return 0 if self._file is None else self._file.next_slot

    def read(self, log: EventLog) -> Snapshot | None:
        """Returns the newest snapshot of this log; overwrites the file if it has none.

        Raises:
            StateUnusableError: the disk refuses.
        """
        if self._file is None:
            return None
        with as_state_error(self.path):
            return self._file.read(None if log.id_lost else log.log_id, log.cipher)

    def write(self, snapshot: Snapshot, log: EventLog) -> bool:
        """Writes a snapshot of this log over the older of the two; `sync` puts it on disk.

        Returns:
            Whether there is a file: the disk may have had no room for one.

        Raises:
            OSError: the disk refuses.
        """
        if self._file is None:
            return False
        self._file.write(snapshot, log.log_id, log.cipher)
        self._is_synced = False
        return True

    def overwrite(self, snapshot: Snapshot, log: EventLog) -> None:
        """Writes a snapshot over everything in the file, on disk too.

        Raises:
            StateUnusableError: the disk refuses.
        """
        if self._file is None:
            return  # there is nothing to overwrite, and an erase needs no room
        with as_state_error(self.path):
            for _slot in range(2):  # one slot after the other: a power loss may tear the one being written
                self.write(snapshot, log)
                self.sync()

    def rewind(self, slot: int) -> None:
        """Makes this slot the next one to be overwritten: what was written since is void."""
        if self._file is not None:
            self._file.next_slot = slot

    def replace_file(self) -> None:
        """Makes the next write replace the file as a whole."""
        if self._file is not None:
            self._file.is_foreign = True

    def erase(self) -> None:
        """Overwrites the file with zeros, on disk too.

        Raises:
            OSError: the disk refuses.
        """
        if self._file is not None:
            self._file.erase()

    def sync(self) -> None:
        """Returns when the disk has all that was written.

        Raises:
            OSError: the disk refuses.
        """
        if self._file is not None:
            self._is_synced = True  # set first: a write during the sync clears it again
            try:
                self._file.sync()
            except OSError:
                self._is_synced = False
                raise

    def sync_if_written(self) -> None:
        """Syncs if something was written since the last sync.

        Raises:
            OSError: the disk refuses.
        """
        if not self._is_synced:
            self.sync()

    def restrict(self) -> None:
        """Lets only the user of the file in."""
        if self._file is not None:
            self._file.restrict()

    def undo(self) -> None:
        """Closes the file, and removes a new one."""
        file = self._file
        self.close()
        if file is not None and file.is_new:
            with suppress(OSError):
                self.entry.unlink()

    def close(self) -> None:
        """Closes the file; the store is then one without a file."""
        if self._file is not None:
            self._file.close()
            self._file = None
