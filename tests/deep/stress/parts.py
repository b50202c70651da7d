"""The parts of the harness, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.deep.stress import calls, clients, clocks, exhausted, forks, injected, kills, mutations, odd_files, signals
from tests.deep.stress.isolate import Case
from tests.deep.stress.kit import Kit

PARTS: Final[dict[str, Callable[[Kit], Case]]] = {
    "calls": calls.case,
    "clients": clients.case,
    "clocks": clocks.case,
    "exhausted": exhausted.case,
    "forks": forks.case,
    "injected": injected.case,
    "kills": kills.case,
    "mutations": mutations.case,
    "odd_files": odd_files.case,
    "signals": signals.case,
}
