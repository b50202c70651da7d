"""The names of cores, as published tables and profiles spell them."""

from __future__ import annotations

import re
from typing import Final

from device_sim.validation.protocol import COUNTS_CORE, SAME_CORE

_SHORT: Final = re.compile(r"[ax]\d{1,3}[a-z]{0,2}")


class UnknownCoreError(Exception):
    """A core that the cycle model does not know."""

    def __init__(self, core: str) -> None:
        """Name the core and the ones that are known."""
        super().__init__(
            f"core {core[:60]!r}: unknown or mixed; give one core of COUNTS_CORE in device_sim/validation/protocol.py, "
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
