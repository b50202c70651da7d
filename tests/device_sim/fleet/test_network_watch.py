"""The network watch finds planted activity of Python code and native code, and restores the methods afterwards."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_sim.fleet.network_watch import watching

needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="there is no /proc/self/fd here: runs where the kernel lists open files"
)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A listener on loopback, made before any watch."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_nothing_is_seen_where_nothing_is_done() -> None:
    with watching() as watch:
        sum(range(1000))
    assert watch.traffic().model_dump(exclude={"watched"}) == {
        "sockets_created": 0, "connections": 0, "bytes_sent": 0, "foreign_sockets": 0, "processes": 1,
    }  # fmt: skip


def test_a_connection_on_loopback_is_counted_to_the_byte(server: socket.socket) -> None:
    with watching() as watch:
        client = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        client.sendall(b"12345")
        client.send(b"678")
        other.sendmsg([b"9", b"0"])
        watch.look()
        client.close()
        other.close()
    traffic = watch.traffic()
    assert traffic.bytes_sent == 10
    assert traffic.sockets_created == 2
    assert traffic.connections >= 2  # the address is looked up, then connected to
    if sys.platform == "linux":
        assert traffic.foreign_sockets == 2


def test_a_datagram_is_counted(server: socket.socket) -> None:
    with watching() as watch, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"123", ("127.0.0.1", server.getsockname()[1]))
    assert watch.bytes_sent == 3


def no_sendfile(*_arguments: object) -> int:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_a_file_is_counted_once(server: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    client = socket.create_connection(server.getsockname())
    with watching() as watch, (tmp_path / "file").open("rb") as file:
        client.sendfile(file)
        file.seek(0)
        monkeypatch.setattr(os, "sendfile", no_sendfile)  # then Python sends the file through `send`
        client.sendfile(file)
        assert watch.bytes_sent == 2000
    client.close()


@needs_proc
def test_a_socket_past_python_is_seen_in_the_kernels_list() -> None:
    libc = ctypes.CDLL(None)
    with watching() as watch:
        number = libc.socket(int(socket.AF_INET), int(socket.SOCK_STREAM), 0)
        assert number >= 0
        watch.look()
        os.close(number)
    assert (watch.sockets_created, watch.foreign_sockets) == (0, 1)


def test_sockets_from_before_are_not_counted_but_what_they_send_is(server: socket.socket) -> None:
    client = socket.create_connection(server.getsockname())
    with watching() as watch:
        client.sendall(b"abc")
    client.close()
    assert (watch.sockets_created, watch.foreign_sockets, watch.bytes_sent) == (0, 0, 3)


def test_the_sending_methods_come_back(server: socket.socket) -> None:
    before = {name: getattr(socket.socket, name) for name in ("send", "sendall", "sendto", "sendmsg", "sendfile")}
    with watching() as watch:
        pass
    assert {name: getattr(socket.socket, name) for name in before} == before
    socket.create_connection(server.getsockname()).close()
    assert watch.sockets_created == 0


def test_one_watch_at_a_time() -> None:
    with watching(), pytest.raises(RuntimeError, match="another watch is on"), watching():
        pass
