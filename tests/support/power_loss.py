"""A simulated disk loses power: each unsynced page has any version that it had since the last sync.

The pages of a file become durable when the file is synced (or its map flushed), and names when their folder is synced.
Before that, each page may have any of its versions, and the folder may be as it was after any rename or removal.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from edge_sdk.log import file_access as log_file

PAGE = 4096


class _File:
    def __init__(self) -> None:
        self.pages: list[list[bytes]] = []  # of each page its versions, the first one durable

    def see(self, content: bytes) -> None:
        for number, at in enumerate(range(0, len(content), PAGE)):
            page = content[at : at + PAGE]
            if number == len(self.pages):
                self.pages.append([bytes(len(page))])
            if page != self.pages[number][-1]:
                self.pages[number].append(page)

    def settle(self) -> None:
        self.pages = [versions[-1:] for versions in self.pages]


class Disk:
    """What the disk contains for certain, and what it may contain."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, _File] = {}  # by inode
        self._names: list[dict[str, _File]] = [{}]  # versions of the folder, the first one durable
        self.before_each: Callable[[], None] | None = None  # called before something becomes durable or is renamed

    def observe(self) -> None:
        """Notes what was written since the last call."""
        names = {}
        for path in self._folder.iterdir():
            file = self._files.setdefault(path.stat().st_ino, _File())
            file.see(path.read_bytes())
            names[path.name] = file
        if names != self._names[-1]:
            self._names.append(names)

    def image(self, random: Random, target: Path) -> Path:
        """Makes a folder as it may be if the power is lost now."""
        target.mkdir()
        for name, file in random.choice(self._names).items():
            (target / name).write_bytes(b"".join(random.choice(versions) for versions in file.pages))
        return target

    def may_contain(self, words: list[bytes]) -> bool:
        """Returns whether anything that may survive contains one of these words."""
        files = {id(file): file for names in self._names for file in names.values()}.values()
        pages = [page for file in files for versions in file.pages for page in versions]
        return any(word in page for page in pages for word in words)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observes everything that is done to the folder within the `with`."""
        disk = self

        class Map(mmap.mmap):
            def __new__(cls, file: int, size: int) -> Map:
                made = super().__new__(cls, file, size)
                made.inode = os.fstat(file).st_ino
                return made

            inode: int

            def flush(self, *_: Any) -> None:
                disk._settle(self.inode)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(log_file, "mmap", SimpleNamespace(mmap=Map))
            patch.setattr(os, "fsync", self._synced)
            patch.setattr(os, "fdatasync", self._synced)
            patch.setattr(os, "rename", self._renaming(os.rename))
            patch.setattr(os, "unlink", self._unlinking(os.unlink))
            yield

    def _settle(self, inode: int) -> None:
        self._step()
        self._files[inode].settle()

    def _synced(self, file: int) -> None:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            self._step()
            self._names = self._names[-1:]
        else:
            self._settle(status.st_ino)

    def _renaming(self, rename: Callable[..., None]) -> Callable[..., None]:
        def renaming(source: str, target: str, **folders: int) -> None:
            self._step()
            rename(source, target, **folders)
            self.observe()

        return renaming

    def _unlinking(self, unlink: Callable[..., None]) -> Callable[..., None]:
        def unlinking(name: str, **folder: int) -> None:
            self._step()
            inode = (self._folder / name).stat().st_ino
            unlink(name, **folder)
            del self._files[inode]  # the number may come again
            self.observe()

        return unlinking

    def _step(self) -> None:
        self.observe()
        if self.before_each is not None:
            self.before_each()
