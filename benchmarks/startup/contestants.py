"""The contestants of `benchmarks.startup`: for first calls in one process, and for processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.peers import litert
from benchmarks.peers.naive_onnx import naive_export
from benchmarks.peers.peer import Peer, PeerMissingError, needed
from benchmarks.speed.rounds import Row, prepared
from benchmarks.work import Work
from device_sim.bench.event_workload import Workload
from device_sim.bench.first_calls import Contestant
from device_sim.bench.fresh_process import RANKS
from device_sim.bench.latencies import HISTORY
from device_sim.bench.log_peers import RECORD, log_contestants
from device_sim.bench.measure import RANK
from device_sim.bench.whole_process import Program
from edge_sdk.limits import LOG_BYTES

REFERENCES: Final = {RECORD: "sqlite", RANK: "naive_run"}
_PROGRAMS: Final = Path(__file__).with_name("programs")
_NOTHING_TO_COMPUTE: Final = ("onnx_one", "onnx_nodes", "c_call")  # floors of `benchmarks.speed`, no ways to rank


def record_contestants(workload: Workload, folder: Path, stack: ExitStack) -> list[Contestant]:
    """Returns `Engine.record` and the log's peers, all set up; `stack` closes them.

    Args:
        workload: the events, and the engine's bundle.
        folder: where the logs lie.
        stack: closes the engine and the peers.
    """
    engine = stack.enter_context(workload.open(folder / "state", LOG_BYTES))
    workload.fill(engine, HISTORY)
    return log_contestants(workload, engine, folder, stack)


def rank_contestants(work: Work, peers: Sequence[Peer], stack: ExitStack) -> list[Contestant]:
    """Returns `Engine.rank` and the ways to run its model, all set up; a missing one has the reason and the fix.

    Args:
        work: the task of all.
        peers: the competitors of `benchmarks.speed`; its floors, which compute nothing, are left out.
        stack: closes them.
    """
    return [_contestant(peer, work, stack) for peer in peers if peer.key not in _NOTHING_TO_COMPUTE]


def model_programs(work: Work) -> list[Program]:
    """Returns the programs that run the model and nothing else; a missing one has the reason and the fix."""
    return [
        _program("naive_onnx", "naive ONNX Runtime session", "onnx_session.py", lambda: naive_export(work)),
        _program("litert", "LiteRT interpreter", "litert.py", lambda: _litert_model(work)),
    ]


def _contestant(peer: Peer, work: Work, stack: ExitStack) -> Contestant:
    row = Row(work.window, peer)
    ready = prepared(row, work, stack)
    if ready is None:
        return Contestant(RANK, peer.key, peer.label, missing=row.missing)
    if row.is_wrong:
        raise SystemExit(f"{peer.label} has other scores than torch; `python -m benchmarks.speed` shows by how much")
    if ready.before is None:
        return Contestant(RANK, peer.key, peer.label, ready.call)
    return Contestant(RANK, peer.key, peer.label, ready.call, ready.before)


def _program(key: str, label: str, file: str, model: Callable[[], Path]) -> Program:
    try:
        arguments = [str(model().resolve()), str(RANKS)]
    except PeerMissingError as missing:
        return Program(key, label, _PROGRAMS / file, missing=str(missing))
    return Program(key, label, _PROGRAMS / file, arguments)


def _litert_model(work: Work) -> Path:
    needed("ai_edge_litert.interpreter", "ai-edge-litert")
    return litert.converted(work)
