"""The simulated cores: the emulated processor of each, how Linux describes it, and its caches.

Sources:
    part numbers: Arm's Technical Reference Manual of each core, register MIDR_EL1; the same in Linux'
        arch/arm64/include/asm/cputype.h
    features: Armv8.0-A for A35 ... A73, Armv8.2-A with half precision and dot products for the others (the manuals'
        ID_AA64ISAR0_EL1 and ID_AA64PFR0_EL1); the words are those of Linux' Documentation/arch/arm64/elf_hwcaps.rst
    ways: the manuals' chapters on the L1 and L2 memory systems; sizes are the maker's choice, see each core
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_sim.counts.counts import Caches
from device_sim.emulation import cache_folder
from device_sim.emulation.errors import UnknownCoreError

PROCESSORS: Final = 4
IMPLEMENTER_ARM: Final = 0x41
_V8_0: Final = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V8_2: Final = f"{_V8_0} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
# Frequencies only have to be there: libraries order processors by them.
_MAX_KHZ: Final = 1_800_000
_MIN_KHZ: Final = 600_000


@dataclass(frozen=True, slots=True)
class Core:
    """One kind of core.

    Attributes:
        name: Such as `cortex-a55`.
        emulated: What qemu-aarch64 calls the processor with the same instructions (7.2 has no model of each core).
        part: The part number in MIDR_EL1, by which libraries choose their kernels.
        features: As in /proc/cpuinfo.
        caches: What the cache simulation uses.
    """

    name: str
    emulated: str
    part: int
    features: str
    caches: Caches

    @property
    def midr(self) -> int:
        """MIDR_EL1: implementer Arm, variant 0, architecture by feature registers, revision 3."""
        return IMPLEMENTER_ARM << 24 | 0xF << 16 | self.part << 4 | 3

    @property
    def half_precision(self) -> bool:
        """Whether it computes in 16-bit floats."""
        return "asimdhp" in self.features.split()


def _caches(l1i: tuple[int, int], l1d: tuple[int, int], l2: tuple[int, int], l3: tuple[int, int] | None) -> Caches:
    return Caches(l1i=l1i, l1d=l1d, l2=l2, l3=l3)


_CORES: Final = (
    # MediaTek MT8167 class: 512 KiB shared by four
    Core("cortex-a35", "cortex-a35", 0xD04, _V8_0, _caches((32, 2), (32, 4), (512, 8), None)),
    # Broadcom BCM2837 (Raspberry Pi 3): 512 KiB shared by four
    Core("cortex-a53", "cortex-a53", 0xD03, _V8_0, _caches((32, 2), (32, 4), (512, 16), None)),
    # Qualcomm SDM845, Rockchip RK3588: 128 KiB of its own, about 2 MiB shared
    Core("cortex-a55", "cortex-a76", 0xD05, _V8_2, _caches((32, 4), (32, 4), (128, 4), (2048, 16))),
    # Nvidia Tegra X1: 2 MiB shared by four
    Core("cortex-a57", "cortex-a57", 0xD07, _V8_0, _caches((48, 3), (32, 2), (2048, 16), None)),
    # Broadcom BCM2711 (Raspberry Pi 4), Rockchip RK3399: 1 MiB shared
    Core("cortex-a72", "cortex-a72", 0xD08, _V8_0, _caches((48, 3), (32, 2), (1024, 16), None)),
    # Qualcomm MSM8998, HiSilicon Kirin 960: 2 MiB shared by four
    Core("cortex-a73", "cortex-a72", 0xD09, _V8_0, _caches((64, 4), (64, 16), (2048, 16), None)),
    # Qualcomm SDM845: 256 KiB of its own, 2 MiB shared
    Core("cortex-a75", "cortex-a76", 0xD0A, _V8_2, _caches((64, 4), (64, 16), (256, 8), (2048, 16))),
    # Qualcomm SM8150 (prime), Rockchip RK3588: 512 KiB of its own, 2 to 3 MiB shared
    Core("cortex-a76", "cortex-a76", 0xD0B, _V8_2, _caches((64, 4), (64, 4), (512, 8), (2048, 16))),
    # Qualcomm SM8250 (prime): 512 KiB of its own, 4 MiB shared
    Core("cortex-a77", "cortex-a76", 0xD0D, _V8_2, _caches((64, 4), (64, 4), (512, 8), (4096, 16))),
    # Qualcomm SM8350: 512 KiB of its own, 4 MiB shared
    Core("cortex-a78", "cortex-a76", 0xD41, _V8_2, _caches((64, 4), (64, 4), (512, 8), (4096, 16))),
    # Qualcomm SM8350: 1 MiB of its own, 4 MiB shared
    Core("cortex-x1", "cortex-a76", 0xD44, _V8_2, _caches((64, 4), (64, 4), (1024, 8), (4096, 16))),
    # Amazon Graviton2: 1 MiB of its own, 32 MiB shared
    Core("neoverse-n1", "neoverse-n1", 0xD0C, _V8_2, _caches((64, 4), (64, 4), (1024, 8), (32768, 16))),
)
CORES: Final[Mapping[str, Core]] = {core.name: core for core in _CORES}


def core_named(name: str) -> Core:
    """Returns the core of this name.

    Raises:
        UnknownCoreError: There is none; the message lists the cores.
    """
    if name not in CORES:
        raise UnknownCoreError(name, tuple(CORES))
    return CORES[name]


def root_for(core: Core, sysroot: Path) -> Path:
    """Returns a root folder in which Linux describes this core, over the files of the shared sysroot.

    Each core has a root of its own, so runs for several cores do not disturb each other. The root contains only the
    files that describe the processors; all else is links into `sysroot`.

    Raises:
        CacheFolderError: The folder cannot be written.
    """
    files = processor_files(core)
    described = cache_folder.key(str(sysroot), *(f"{path}\n{text}" for path, text in files.items()))

    def build(folder: Path) -> None:
        for entry in sorted(sysroot.iterdir()):
            if entry.name not in ("proc", "sys"):
                os.symlink(entry, folder / entry.name)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="ascii")

    return cache_folder.built(f"root-{core.name}-{described}", build)


def processor_files(core: Core) -> dict[str, str]:
    """Returns the files of /proc and /sys on this core, path → text; onnxruntime does not start without them."""
    every = f"0-{PROCESSORS - 1}\n"
    system = "sys/devices/system/cpu"
    files = {"proc/cpuinfo": "".join(_cpuinfo(core, number) for number in range(PROCESSORS))}
    files |= {f"{system}/{name}": every for name in ("possible", "present", "online")}
    for number in range(PROCESSORS):
        one = f"{system}/cpu{number}"
        files[f"{one}/regs/identification/midr_el1"] = f"0x{core.midr:016x}\n"
        files[f"{one}/cpufreq/cpuinfo_max_freq"] = f"{_MAX_KHZ}\n"
        files[f"{one}/cpufreq/cpuinfo_min_freq"] = f"{_MIN_KHZ}\n"
        files[f"{one}/topology/core_id"] = f"{number}\n"
        files[f"{one}/topology/physical_package_id"] = "0\n"
        files |= {
            f"{one}/topology/{name}": every for name in ("core_siblings_list", "cluster_cpus_list", "package_cpus_list")
        }
    return files


def _cpuinfo(core: Core, number: int) -> str:
    return (
        f"processor\t: {number}\nBogoMIPS\t: 38.40\nFeatures\t: {core.features}\n"
        f"CPU implementer\t: 0x{IMPLEMENTER_ARM:02x}\nCPU architecture: 8\nCPU variant\t: 0x0\n"
        f"CPU part\t: 0x{core.part:03x}\nCPU revision\t: 3\n\n"
    )
