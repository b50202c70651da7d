"""A guest's environment is the same on every host."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.counts.counts import Caches
from device_sim.emulation import guest_process, qemu

WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


def stack_bytes(environment: dict[str, str], arguments: list[str]) -> int:
    strings = [*arguments, *(f"{name}={value}" for name, value in environment.items()), arguments[0]]
    return sum(len(text.encode()) + 1 for text in strings)


@given(st.lists(WORD, min_size=1, max_size=9), st.dictionaries(WORD, WORD, max_size=9))
def test_arguments_and_environment_fill_one_size(arguments: list[str], environment: dict[str, str]) -> None:
    padded = guest_process.padded(environment, arguments)
    assert stack_bytes(padded, arguments) == guest_process.STACK_STRINGS_BYTES
    assert environment.items() <= padded.items()


def test_more_than_one_size_becomes_two() -> None:
    arguments = ["python", "x" * guest_process.STACK_STRINGS_BYTES]
    assert stack_bytes(guest_process.padded({}, arguments), arguments) == 2 * guest_process.STACK_STRINGS_BYTES


def test_nothing_of_the_hosts_environment_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    before = guest_process.python_environment([Path("/a"), Path("/b")], Path("/c"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert guest_process.python_environment([Path("/a"), Path("/b")], Path("/c")) == before
    assert before["PYTHONHASHSEED"] == "0"
    assert before["PYTHONPATH"] == "/a:/b"


def test_plugin_options() -> None:
    caches = Caches(l1i=(32, 2), l1d=(32, 4), l2=(512, 16), l3=None)
    assert qemu.plugin_options(Path("/p.so"), Path("/o"), caches) == "/p.so,out=/o,l1i=32:2,l1d=32:4,l2=512:16"
    assert qemu.plugin_options(Path("/p.so"), Path("/o")) == "/p.so,out=/o"
    assert qemu.plugin_options(Path("/a,b/p.so"), Path("/o,o")) == "/a,,b/p.so,out=/o,,o"
    assert qemu.plugin_options(Path("/p.so"), Path("/o"), dump_at=(113, 2)) == "/p.so,out=/o,dump_at=113:2"
