"""The names of cores, as published tables and profiles spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_SHORT: Final = re.compile(r"[ax]\d{1,3}[a-z]{0,2}")


class UnknownCoreError(Exception):
    """A core that the cycle model does not know."""

    def __init__(self, core: str) -> None:
        """Name the core and the ones that are known."""
        super().__init__(
            f"core {core[:60]!r}: unknown or mixed; give one core of COUNTS_CORE in device_sim/cores.py, "
            "or add it there with the core whose kernels it runs"
        )


def core_named(name: str) -> str:
    """The one spelling of a core: `cortex-a76` for a76, A76, Cortex-A76, cortex_a76 and its automotive variant A76AE.

    Raises:
        UnknownCoreError: Not one of COUNTS_CORE, or several at once.
    """
    spelled = "-".join(name.lower().replace("_", " ").replace("-", " ").split()).removeprefix("arm-")
    if _SHORT.fullmatch(spelled):
        spelled = f"cortex-{spelled}"
    core = SAME_CORE.get(spelled, spelled)
    if core not in COUNTS_CORE:
        raise UnknownCoreError(name)
    return core


# Whose kernels a core runs (ReferenceCounts.core). ncnn looks for A53 and A55 by name, for the rest at the features.
COUNTS_CORE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cortex-a34": "cortex-a53",
        "cortex-a35": "cortex-a53",
        "cortex-a53": "cortex-a53",
        "cortex-a55": "cortex-a55",
        "cortex-a57": "cortex-a72",
        "cortex-a72": "cortex-a72",
        "cortex-a73": "cortex-a72",
        "cortex-a75": "cortex-a76",
        "cortex-a76": "cortex-a76",
        "cortex-a77": "cortex-a76",
        "cortex-a78": "cortex-a76",
        "cortex-a510": "cortex-a76",
        "cortex-a520": "cortex-a76",
        "cortex-a710": "cortex-a76",
        "cortex-a715": "cortex-a76",
        "cortex-a720": "cortex-a76",
        "cortex-a725": "cortex-a76",
        "cortex-x1": "cortex-a76",
        "cortex-x2": "cortex-a76",
        "cortex-x3": "cortex-a76",
        "cortex-x4": "cortex-a76",
        "cortex-x925": "cortex-a76",
    }
)
# Whose coefficients a core without published runs takes: the nearest relative that issues in the same manner.
NEAREST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cortex-a34": "cortex-a53",
        "cortex-a35": "cortex-a53",
        "cortex-a510": "cortex-a55",
        "cortex-a520": "cortex-a55",
        "cortex-a57": "cortex-a72",
        "cortex-a75": "cortex-a73",
        "cortex-a77": "cortex-a78",
        "cortex-a710": "cortex-a78",
        "cortex-a715": "cortex-a78",
        "cortex-a720": "cortex-a78",
        "cortex-a725": "cortex-a78",
        "cortex-x1": "cortex-a78",
        "cortex-x2": "cortex-a78",
        "cortex-x3": "cortex-a78",
        "cortex-x4": "cortex-a78",
        "cortex-x925": "cortex-a78",
    }
)
# Names under which tables and kernels know these cores; spelling (a76, A76, Cortex-A76) is handled before this.
SAME_CORE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cortex-a76ae": "cortex-a76",
        "cortex-a78ae": "cortex-a78",
        "cortex-a78c": "cortex-a78",
        "cortex-x1c": "cortex-x1",
        "neoverse-n1": "cortex-a76",
    }
)
