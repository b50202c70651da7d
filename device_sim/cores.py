"""The cores: their names, the kernels that each runs, and the nearest relative of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_SHORT: Final = re.compile(r"[ax]\d{1,3}[a-z]{0,2}")


class UnknownCoreError(Exception):
    """The name is no core of the cycle model."""

    def __init__(self, core: str) -> None:
        """Names the core and where the known ones are listed."""
        super().__init__(
            f"core {core[:60]!r}: unknown or mixed; give one core of COUNTS_CORE in device_sim/cores.py, "
            "or add it there with the core whose kernels it runs"
        )


def core_named(name: str) -> str:
    """Returns the one spelling of a core: `cortex-a76` for a76, A76, Cortex-A76, cortex_a76 and the variant A76AE.

    Raises:
        UnknownCoreError: The name is not in COUNTS_CORE, or is of several cores.
    """
    spelled = "-".join(name.lower().replace("_", " ").replace("-", " ").split()).removeprefix("arm-")
    if _SHORT.fullmatch(spelled):
        spelled = f"cortex-{spelled}"
    core = SAME_CORE.get(spelled, spelled)
    if core not in COUNTS_CORE:
        raise UnknownCoreError(name)
    return core


# The core whose kernels were counted for a core (ReferenceCounts.core). ncnn recognises A53 and A55 by name, the others
# by their features.
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
# The core whose coefficients a core without published runs takes: its nearest relative that issues in the same manner.
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
# Other names of these cores in tables and kernels; spelling (a76, A76, Cortex-A76) is handled before this.
SAME_CORE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cortex-a76ae": "cortex-a76",
        "cortex-a78ae": "cortex-a78",
        "cortex-a78c": "cortex-a78",
        "cortex-x1c": "cortex-x1",
        "neoverse-n1": "cortex-a76",
    }
)
