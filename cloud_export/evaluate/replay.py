"""Measures the quality of a packed bundle: replays logged decisions through the file and the real `Engine`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from cloud_export.data.log import Log
from cloud_export.errors import LogError
from cloud_export.evaluate.metrics import Rankings, ndcg_at
from cloud_export.features.examples import F32, I64, Examples, PointsInTime, Progress
from cloud_export.features.layout import DeviceLayout
from cloud_export.json_types import JsonValue
from edge_sdk import BaseDecision, Engine
from edge_sdk.policy.scoring import fused
from edge_sdk.types import by_score

_LOG_BYTES = 1 << 16  # of the replayed user's log; small, because it is erased for each user
_SESSION_S = 1800.0  # events within half an hour belong to the session
_EMPTY_CHECKS = 500  # decisions whose order without events is compared with the base order


class TruthError(LogError):
    """The truth file does not fit the log."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(f"{path}: {found}; pass the truth.parquet that was written together with the decisions")


class Timer:
    """A clock that the replay sets."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The candidates of all test decisions, concatenated (M of them)."""

    rankings: Rankings
    names: list[tuple[str, ...]]  # of each decision
    base_logits: F32  # (M, K)


def make_candidates(log: Log, layout: DeviceLayout, test: I64, offer_logits: F32, state_of: I64) -> Candidates:
    """Returns candidates, outcomes and base logits of the test decisions.

    Args:
        log: the log.
        layout: its tables.
        test: decision indices, ascending.
        offer_logits: (S, O, K) base logits of every offer and state.
        state_of: (D,) the state of each test decision.
    """
    decisions = log.decisions
    starts, ends = decisions.offsets[test], decisions.offsets[test + 1]
    offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    rows = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts, ends - starts)
    item = decisions.candidate[rows]
    logits = offer_logits[np.repeat(state_of, ends - starts), layout.offer_row[item] - 1]
    names = [
        tuple(log.items[i] for i in item[a:b].tolist())
        for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]
    relevance = (decisions.outcome[rows] @ layout.policy.weights).astype(np.float32)  # NaN where one is unknown
    return Candidates(Rankings(decisions.user[test], offsets, relevance), names, logits)


@contextmanager
def opened(bundle: Path, public_key: bytes) -> Iterator[tuple[Engine, Timer]]:
    """An engine over an empty temporary folder, and its clock."""
    timer = Timer()
    with tempfile.TemporaryDirectory(prefix="edge-replay-") as folder:
        engine = Engine.open(folder, bundle=bundle, trusted_keys=[public_key], log_bytes=_LOG_BYTES, clock=timer)
        with engine:
            yield engine, timer


def engine_scores(
    engine: Engine,
    timer: Timer,
    log: Log,
    test: I64,
    points: PointsInTime,
    candidates: Candidates,
    *,
    progress: Progress,
) -> F32:
    """Returns the engine's scores (M,) of the candidates of each test decision.

    The scores are the fused logits before the operator's rules remove offers, because the test judges the model.

    Raises:
        RuntimeError: a decision came back with an error code.
    """
    scores = np.zeros(len(candidates.base_logits), np.float32)
    kinds = log.kinds
    at, user = 0, -1
    for index, decision in enumerate(test.tolist()):
        if points.user[index] != user:
            engine.erase()
            user, at = int(points.user[index]), int(log.events.offsets[points.user[index]])
        upto = int(log.events.offsets[user] + points.position[index])
        for row in range(at, upto):
            timer.now_ms = int(log.events.time_ms[row])
            item = log.items[log.events.item[row]]
            engine.record(kinds[log.events.kind[row]], item=item, value=float(log.events.value[row]))
        at = max(at, upto)
        timer.now_ms = int(points.now_ms[index])
        part = slice(int(candidates.rankings.offsets[index]), int(candidates.rankings.offsets[index + 1]))
        base = BaseDecision(candidates.names[index], candidates.base_logits[part])
        answer = engine.rank(base, context=_context(log, decision, engine))
        if answer.error:
            raise RuntimeError(f"decision {log.decisions.decision_id[decision]}: {answer.error.name}: {answer.detail}")
        scores[part] = answer.scores
        progress(index + 1, len(test))
    return scores


def empty_log_is_base_order(engine: Engine, timer: Timer, candidates: Candidates, weights: F32) -> dict[str, JsonValue]:
    """Ranks without any event and counts how often the device's order equals the base order."""
    engine.erase()
    timer.now_ms = 0
    count = min(_EMPTY_CHECKS, len(candidates.names))
    identical = 0
    for index in range(count):
        part = slice(int(candidates.rankings.offsets[index]), int(candidates.rankings.offsets[index + 1]))
        logits = candidates.base_logits[part]
        answer = engine.rank(BaseDecision(candidates.names[index], logits))
        identical += bool((by_score(answer.scores) == by_score(fused(logits, weights))).all())
    return {"decisions": count, "identical": identical}


def popularity_scores(log: Log, layout: DeviceLayout, training: I64, test: I64) -> F32:
    """Returns scores (M,): each offer's smoothed share of positive outcomes among the training decisions."""
    decisions = log.decisions
    rows = _candidate_rows(log, training)
    outcome = decisions.outcome[rows]
    known = ~np.isnan(outcome).any(axis=1)
    item, gain = decisions.candidate[rows][known], (outcome[known] @ layout.policy.weights).astype(np.float64)
    shown = np.bincount(item, minlength=len(log.items))
    gained = np.bincount(item, gain, minlength=len(log.items))
    prior = 20.0  # impressions at the overall mean that are added to each offer, for offers with few of their own
    rate = (gained + prior * gain.mean()) / (shown + prior)
    scores: F32 = rate[decisions.candidate[_candidate_rows(log, test)]].astype(np.float32)
    return scores


def oracle_scores(path: Path, log: Log, test: I64, weights: F32) -> F32:
    """Returns scores (M,) from the simulator's true probabilities: the weighted sum over objectives.

    Raises:
        TruthError: a decision or an objective is missing, or the candidates differ in number.
    """
    try:
        truth = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise TruthError(path, f"not readable ({problem})") from problem
    missing = {"decision", *log.objectives} - set(truth.columns)
    if missing:
        raise TruthError(path, f"column {sorted(missing)[0]!r} is missing")
    wanted = pl.DataFrame({"decision": [log.decisions.decision_id[index] for index in test.tolist()]})
    found = wanted.join(truth, on="decision", how="left", maintain_order="left")
    sizes = np.diff(log.decisions.offsets)[test]
    scores = np.zeros(int(sizes.sum()))
    for weight, objective in zip(weights.tolist(), log.objectives, strict=True):
        lengths = found[objective].list.len().fill_null(0).to_numpy()
        if not np.array_equal(lengths, sizes):
            raise TruthError(path, f"{objective} does not have one figure for each candidate")
        scores += weight * found[objective].explode(empty_as_null=False).to_numpy()
    return scores.astype(np.float32)


def calibration(logits: F32, outcomes: F32, objectives: tuple[str, ...], *, bins: int = 10) -> dict[str, JsonValue]:
    """Returns predicted and observed probability of each objective, in bins of equal size, with 95% Wald intervals."""
    blocks: dict[str, JsonValue] = {}
    for k, name in enumerate(objectives):
        known = np.isfinite(outcomes[..., k])
        predicted = 1.0 / (1.0 + np.exp(-logits[..., k][known].astype(np.float64)))
        observed = outcomes[..., k][known] > 0
        rows: list[JsonValue] = []
        for part in np.array_split(np.argsort(predicted, kind="stable"), bins):
            if len(part):
                share = float(observed[part].mean())
                spread = 1.96 * (share * (1 - share) / len(part)) ** 0.5
                rows.append(
                    {
                        "predicted": float(predicted[part].mean()),
                        "observed": share,
                        "count": len(part),
                        "low": max(0.0, share - spread),
                        "high": min(1.0, share + spread),
                    }
                )
        blocks[name] = rows
    return blocks


def quality_by_events(rankings: Rankings, scores: dict[str, F32], examples: Examples) -> list[JsonValue]:
    """Returns NDCG@5 of base and device by the number of window events in the last half hour."""
    recent = ((examples.event_kind > 0) & (examples.event_age_s <= _SESSION_S)).sum(axis=1)
    values = {name: ndcg_at(rankings, scores[name], 5) for name in ("base", "device")}
    rows: list[JsonValue] = []
    for label, low, high in (("0", 0, 0), ("1–2", 1, 2), ("3–5", 3, 5), ("6–10", 6, 10), ("11+", 11, 1 << 30)):
        chosen = (recent >= low) & (recent <= high) & np.isfinite(values["base"])
        if chosen.any():
            means: dict[str, JsonValue] = {name: float(value[chosen].mean()) for name, value in values.items()}
            rows.append({"events": label, "decisions": int(chosen.sum()), **means})
    return rows


def _candidate_rows(log: Log, chosen: I64) -> I64:
    starts, ends = log.decisions.offsets[chosen], log.decisions.offsets[chosen + 1]
    offsets = np.concatenate([[0], np.cumsum(ends - starts)])
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts, ends - starts)


def _context(log: Log, decision: int, engine: Engine) -> dict[str, str]:
    indices = log.decisions.context[decision].tolist()
    return {
        field.name: field.values[index]
        for field, index in zip(engine.context_fields, indices, strict=True)
        if index >= 0
    }
