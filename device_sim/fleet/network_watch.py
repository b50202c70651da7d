"""Counts the sockets, connections and bytes of a process while engines run.

Three methods are used at once, since each alone has a gap:
    - Python's audit events report every socket that Python code makes, and every address that it looks up, connects to
      or binds (`sys.addaudithook` cannot be removed, so one hook is installed and switched on and off).
    - The sending methods of `socket.socket` are wrapped to count bytes, which audit events do not report.
    - The kernel's list of the process's open files (`/proc/self/fd`) shows all sockets, those of native code too.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from device_sim.fleet.result import Traffic

WATCHED: Final = (
    "while the arms ran, in the one process that ran all engines: sockets and connections by Python's audit events, "
    "bytes by the sending methods of socket.socket, sockets of native code by /proc/self/fd after each user's day"
)
_CONNECTING: Final = frozenset(
    {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
)
_SENDING: Final = ("send", "sendall", "sendto", "sendmsg", "sendfile")


@dataclass(slots=True)
class NetworkWatch:
    """The counts so far; sockets that are open at the start are not counted."""

    sockets_created: int = 0
    connections: int = 0
    bytes_sent: int = 0
    foreign_sockets: int = 0
    _known: set[str] = field(default_factory=lambda: _open_sockets())

    def look(self) -> None:
        """Counts the sockets that are new in the kernel's list of open files."""
        now = _open_sockets()
        self.foreign_sockets += len(now - self._known)
        self._known |= now

    def traffic(self) -> Traffic:
        """Returns the counts for the result file."""
        return Traffic(
            sockets_created=self.sockets_created,
            connections=self.connections,
            bytes_sent=self.bytes_sent,
            foreign_sockets=self.foreign_sockets,
            processes=1,
            watched=WATCHED,
        )


@contextmanager
def watching() -> Iterator[NetworkWatch]:
    """Counts within the block.

    Raises:
        RuntimeError: Another watch is on.
    """
    if _hook.watch is not None:
        raise RuntimeError("another watch is on; end it first")
    watch = NetworkWatch()
    _hook.install()
    originals = {name: getattr(socket.socket, name) for name in _SENDING}
    own = {name for name in _SENDING if name in vars(socket.socket)}
    for name, original in originals.items():
        setattr(socket.socket, name, _counting(watch, original))
    _hook.watch = watch
    try:
        yield watch
    finally:
        watch.look()
        _hook.watch = None
        for name, original in originals.items():
            if name in own:
                setattr(socket.socket, name, original)
            else:
                delattr(socket.socket, name)  # inherited from the C type


class _Hook:
    """The one audit hook of the process."""

    def __init__(self) -> None:
        self.watch: NetworkWatch | None = None
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            sys.addaudithook(self._see)
            self._installed = True

    def _see(self, event: str, _arguments: tuple[object, ...]) -> None:
        if self.watch is None or not event.startswith("socket."):
            return
        if event == "socket.__new__":
            self.watch.sockets_created += 1
        elif event in _CONNECTING:
            self.watch.connections += 1


_hook: Final = _Hook()


def _counting(watch: NetworkWatch, original: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a sending method that adds its returned number of bytes, or the whole data where it returns None."""

    def send(self: socket.socket, data: Any, *rest: Any, **named: Any) -> Any:
        before = watch.bytes_sent
        sent = original(self, data, *rest, **named)
        # Set, not added: `sendfile` may have sent through `send`.
        watch.bytes_sent = before + (len(memoryview(data).cast("B")) if sent is None else sent)
        return sent

    return send


def _open_sockets() -> set[str]:
    """Returns the kernel's names of the open sockets, such as `socket:[12345]`; empty where there is no /proc."""
    found: set[str] = set()
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for number in numbers:
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # the folder's own descriptor, closed by now
        if target.startswith("socket:"):
            found.add(target)
    return found
