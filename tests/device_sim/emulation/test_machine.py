"""The cores are described as Linux describes them, each different from the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_sim.emulation import machine
from device_sim.emulation.errors import UnknownCoreError
from tests.support.simulator import emulator_fixtures

own_cache = emulator_fixtures.own_cache

CORES = tuple(machine.CORES.values())
A53_CPUINFO = """\
processor\t: 3
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 3

"""


@pytest.mark.parametrize(
    ("name", "midr"),
    [
        ("cortex-a35", 0x410FD043),
        ("cortex-a53", 0x410FD033),
        ("cortex-a55", 0x410FD053),
        ("cortex-a57", 0x410FD073),
        ("cortex-a72", 0x410FD083),
        ("cortex-a73", 0x410FD093),
        ("cortex-a75", 0x410FD0A3),
        ("cortex-a76", 0x410FD0B3),
        ("cortex-a77", 0x410FD0D3),
        ("cortex-a78", 0x410FD413),
        ("cortex-x1", 0x410FD443),
        ("neoverse-n1", 0x410FD0C3),
    ],
)
def test_main_id_registers(name: str, midr: int) -> None:
    core = machine.core_named(name)
    assert core.midr == midr
    files = machine.processor_files(core)
    assert files["sys/devices/system/cpu/cpu3/regs/identification/midr_el1"] == f"0x{midr:016x}\n"


def test_every_core_is_tried_above() -> None:
    assert len(machine.CORES) == 12


def test_cpuinfo() -> None:
    assert machine.processor_files(machine.core_named("cortex-a53"))["proc/cpuinfo"].endswith(A53_CPUINFO)


def test_half_precision_begins_with_v8_2() -> None:
    without = {core.name for core in CORES if not core.half_precision}
    assert without == {"cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72", "cortex-a73"}


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_cache_sets_are_powers_of_two(core: machine.Core) -> None:
    for size in (core.caches.l1i, core.caches.l1d, core.caches.l2, core.caches.l3):
        if size is not None:
            kib, ways = size
            sets, rest = divmod(kib * 1024, 64 * ways)
            assert rest == 0
            assert sets & (sets - 1) == 0


def test_an_unknown_core_lists_the_known_ones() -> None:
    with pytest.raises(UnknownCoreError, match="core 'cortex-a99' is not known; give one of: cortex-a35, cortex-a53,"):
        machine.core_named("cortex-a99")


def test_roots_share_the_files_and_differ_in_the_processor(own_cache: Path, tmp_path: Path) -> None:
    sysroot = tmp_path / "sysroot"
    for folder in ("usr/bin", "lib", "proc", "sys"):
        (sysroot / folder).mkdir(parents=True)
    (sysroot / "usr/bin/python3.11").write_text("program")
    small, large = (machine.root_for(machine.core_named(name), sysroot) for name in ("cortex-a55", "cortex-a76"))
    assert small != large
    for root, part in ((small, "0xd05"), (large, "0xd0b")):
        assert (root / "usr/bin/python3.11").read_text() == "program"
        assert f"CPU part\t: {part}\n" in (root / "proc/cpuinfo").read_text()
        assert (root / "sys/devices/system/cpu/online").read_text() == "0-3\n"
    assert machine.root_for(machine.core_named("cortex-a55"), sysroot) == small
