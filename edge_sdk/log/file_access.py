"""How the log's file is read and written: through a map of memory where that is safe, by calls elsewhere.

A write into a map has no way to fail but a signal that ends the process (SIGBUS): where the file was cut meanwhile, or
where its block cannot be written. So a map is used only where reserving a file once means that no later write needs
room: on file systems that write a block in its place, or keep room of their own for doing otherwise. By calls, the disk
can refuse a record, and the app hears of it. A call takes about a microsecond longer.
"""

from __future__ import annotations

import errno
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from edge_sdk.errors import EdgeError, StateFullError, StateUnusableError
from edge_sdk.log.atomic_file import PART_BYTES, write_all
from edge_sdk.log.directory import state_error
from edge_sdk.log.open_file import OpenFile, close_in_child
from edge_sdk.log.record import RecordCodec

LogAccess = Literal["auto", "map", "calls"]
LOG_ACCESSES: Final = ("auto", "map", "calls")

SlotWriter = Callable[[Any, int, bytes], None]  # target, byte, body: writes one record

_FULL: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
# On btrfs, zfs, bcachefs and others each write takes a new block, whatever was reserved. Behind overlay, fuse and a
# network there may be any of them.
_MAPPABLE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "f2fs", "tmpfs", "ramfs"})


class FileAccess(ABC):
    """An open log file, read by calls. Maps count as memory of the process; Linux has one copy of a page.

    Attributes:
        path: for errors.
        file: open for reading and writing.
        size: in bytes, when the file was opened.
    """

    def __init__(self, path: Path, file: OpenFile, size: int) -> None:
        """Takes over an open file of at least `size` bytes."""
        self.path, self.file, self.size = path, file, size

    def require_whole(self) -> None:
        """Raises if another process has cut the file: a map of it can no longer be written, and would end the process.

        Raises:
            StateUnusableError: the file is shorter than when it was opened, or is not readable.
        """
        try:
            size = os.lseek(self.file.number, 0, os.SEEK_END)  # a third of an fstat; no call here uses the position
        except OSError as problem:
            raise state_error(self.path, problem) from problem
        if size < self.size:
            found = f"another process has cut it from {self.size} to {size} bytes"
            raise StateUnusableError(self.path, found, "close this engine and open it again: memory keeps its counts")

    def read(self, at: int, count: int) -> bytearray:
        """Returns a copy of `count` bytes from byte `at` on, which the caller can overwrite.

        Raises:
            StateUnusableError: the file was cut.
            OSError: the disk refuses.
        """
        content, done = bytearray(count), 0
        with memoryview(content) as view:
            while done < count:
                more = os.preadv(self.file.number, [view[done:]], at + done)
                if not more:
                    self.require_whole()
                    raise StateUnusableError(self.path, f"it ends at byte {at + done}")
                done += more
        return content

    def zero(self, at: int) -> None:
        """Writes zeros from byte `at` to the end.

        Raises:
            StateUnusableError: the file was cut.
            OSError: the disk refuses.
        """
        zeros = bytes(min(PART_BYTES, self.size - at))
        for start in range(at, self.size, PART_BYTES):
            self.write(start, zeros[: self.size - start])

    @abstractmethod
    def write(self, at: int, content: bytes | memoryview) -> None:
        """Writes these bytes from byte `at` on.

        Raises:
            StateUnusableError: the file was cut.
            OSError: the disk refuses.
        """

    @abstractmethod
    def flush(self) -> None:
        """Returns when everything that was written is on disk.

        Raises:
            OSError: the disk refuses.
        """

    @abstractmethod
    def slot_writer(self, codec: RecordCodec) -> tuple[Any, SlotWriter]:
        """Returns what writes one record, and the target that it takes: `writer(target, at, body)`.

        The writer raises a `StateFullError` or a `StateUnusableError` if the disk refuses the record.
        """

    def sync(self) -> None:
        """Asks the kernel to write the file to the disk, and returns when it has. Other threads run meanwhile.

        Raises:
            OSError: the disk refuses.
        """
        os.fdatasync(self.file.number)  # includes the pages of a map

    def close(self) -> None:
        """Closes the file; writes nothing out. A second call does nothing."""
        self.file.close()


class MappedFile(FileAccess):
    """A file written through a map."""

    def __init__(self, path: Path, file: OpenFile, size: int) -> None:
        """Maps an open file of at least `size` bytes.

        Raises:
            OSError: the system has no room for the map.
        """
        super().__init__(path, file, size)
        self._map = mmap.mmap(file.number, size)
        close_in_child(self)

    def write(self, at: int, content: bytes | memoryview) -> None:
        """Writes into the map."""
        self.require_whole()
        self._map[at : at + len(content)] = content

    def flush(self) -> None:
        """Writes the map to the disk."""
        self._map.flush()

    def slot_writer(self, codec: RecordCodec) -> tuple[mmap.mmap, SlotWriter]:
        """Returns the codec's own writer: the engine looks for a cut file each millisecond, and not at each record."""
        return self._map, codec.write

    def close(self) -> None:
        """Unmaps and closes the file."""
        self._map.close()
        super().close()


class CalledFile(FileAccess):
    """A file written by calls."""

    def write(self, at: int, content: bytes | memoryview) -> None:
        """Writes by calls. Into a file that was cut, too: then it would have holes, so that is refused."""
        self.require_whole()
        write_all(self.file, content, at)

    def flush(self) -> None:
        """Writes the file to the disk."""
        os.fdatasync(self.file.number)

    def slot_writer(self, codec: RecordCodec) -> tuple[bytearray, SlotWriter]:
        """Returns a writer that encodes a slot in memory and passes it on in one call."""
        size = codec.slot_bytes

        def write(slot: bytearray, at: int, body: bytes) -> None:
            codec.write(slot, 0, body)
            done = 0
            try:
                done = os.pwrite(self.file.number, slot, at)
                if done != size:
                    write_all(self.file, slot, at)
            except OSError as problem:
                if done:  # half a record is no event, and would count as damage
                    with suppress(OSError):
                        write_all(self.file, bytes(size), at)
                raise disk_error(self.path, problem, self.size) from problem

        return bytearray(size), write


def open_access(path: Path, file: OpenFile, size: int, access: LogAccess, *, is_reserved: bool) -> FileAccess:
    """Returns the way to an open file that was asked for; "auto" = a map where that is safe.

    Args:
        path: for errors.
        file: of at least `size` bytes.
        size: in bytes.
        access: as `Engine.open` takes it.
        is_reserved: all blocks of the file are reserved.

    Raises:
        OSError: the system has no room for a map.
    """
    is_mapped = access == "map" or (access == "auto" and is_reserved and file_system(file) in _MAPPABLE)
    return (MappedFile if is_mapped else CalledFile)(path, file, size)


def file_system(file: OpenFile) -> str:
    """Returns the type of the file system of an open file, as /proc names it; "" = not known."""
    try:
        mount = _lines(f"/proc/self/fdinfo/{file.number}", b"mnt_id:")[0][1]
        # 36 35 98:0 /root /mount options [optional fields] - type source options
        (found,) = [line for line in _lines("/proc/self/mountinfo", mount + b" ") if line[0] == mount]
        return found[found.index(b"-", 6) + 1].decode("ascii", "replace")
    except (OSError, ValueError, IndexError):
        return ""


def disk_error(path: Path, problem: OSError, needed_bytes: int) -> EdgeError:
    """Returns the error for a file that the disk has no room for, or refuses."""
    return StateFullError(path, needed_bytes) if problem.errno in _FULL else state_error(path, problem)


def _lines(path: str, start: bytes) -> list[list[bytes]]:
    """Returns the lines of a file of the kernel that begin so, split into words."""
    with open(path, "rb") as file:
        return [line.split() for line in file if line.startswith(start)]
