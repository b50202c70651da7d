"""Gives this project's own tests and benchmarks the private parts of an engine. No other code may use them."""

from __future__ import annotations

from typing import NamedTuple

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.decision.maker import DecisionMaker
from edge_sdk.engine.engine import Engine
from edge_sdk.model.session import ModelSession
from edge_sdk.state.folder import StateFolder


class Internals(NamedTuple):
    """The parts of an engine. They are not public: each may change with any version."""

    state: StateFolder
    bundle: Bundle
    maker: DecisionMaker
    session: ModelSession


def internals(engine: Engine) -> Internals:
    """Returns the parts that an engine uses now; `install_policy` replaces some of them."""
    return Internals(engine._state, engine._bundle, engine._maker, engine._session)


def abandon(folder: StateFolder) -> None:
    """Releases a folder as the kernel does when a process dies: nothing is written or synced. For tests of crashes."""
    if folder._flusher is not None:
        folder._flusher.stop()
    folder._is_open = False
    folder.log.ring.close()
    folder.snapshots.close()
    folder._held.release()
