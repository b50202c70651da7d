"""VowpalWabbit: a contextual bandit with about 30 equivalent features an action, trained on the same log's decisions.

It is another model, so its scores are not compared. Its features are the graph's own inputs: the 24 decayed counters,
offer and category of each candidate, the context, and the kind and item of the newest event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.peers.peer import Peer, PeerMissingError, Ready, kept, needed
from benchmarks.plain_features import DeviceTables, PlainFeatures
from benchmarks.work import Work

DECISIONS = 2000  # learned from, the log's first
# User × offer; no exploration: the order is by cost alone.
_OPTIONS = "--cb_explore_adf --epsilon 0 --interactions UO --bit_precision 18 --quiet"


@contextmanager
def _parsed(work: Work) -> Iterator[Ready]:
    workspace = _trained(work)
    examples = workspace.parse(_task_lines(work))
    try:
        yield Ready(lambda: workspace.predict(examples), lambda: None, note="examples parsed before")
    finally:
        workspace.finish_example(examples)
        workspace.finish()


@contextmanager
def _with_text(work: Work) -> Iterator[Ready]:
    workspace = _trained(work)
    features = _filled(work)
    counters, names = features.model_inputs(work.base.offers, work.context, work.now_ms)[4], work.base.offers
    newest = work.events[-1]

    def call() -> object:
        user = user_line(work.context, newest.kind, newest.item)
        return workspace.predict(lines(user, names, work.tables, counters.tolist()))

    try:
        yield Ready(call, lambda: None, note="features ready, text built and parsed")
    finally:
        workspace.finish()


def user_line(context: Mapping[str, str], newest_kind: str, newest_item: str) -> str:
    """Returns the shared part of a decision: four features."""
    fields = " ".join(f"{name}={value}" for name, value in context.items())
    return f"shared |U {fields} kind={newest_kind} item={newest_item}"


def lines(
    user: str,
    offers: Sequence[str],
    tables: DeviceTables,
    counters: Sequence[Sequence[float]],
    labels: Mapping[int, str] | None = None,
) -> list[str]:
    """Returns a decision in VowpalWabbit's text format: 26 features an action.

    Args:
        user: the shared line.
        offers: C names.
        tables: for their categories.
        counters: (C, F).
        labels: by candidate, `action:cost:probability`.
    """
    categories, found = tables.offer_category, labels or {}
    return [user] + [
        f"{found.get(place, '')}|O offer={offer} category={categories[offer]} |C "
        + " ".join([f"{index}:{value:.5g}" for index, value in enumerate(row)])
        for place, (offer, row) in enumerate(zip(offers, counters, strict=True))
    ]


def _task_lines(work: Work) -> list[str]:
    counters = _filled(work).model_inputs(work.base.offers, work.context, work.now_ms)[4]
    newest = work.events[-1]
    return lines(user_line(work.context, newest.kind, newest.item), work.base.offers, work.tables, counters.tolist())


def _filled(work: Work) -> PlainFeatures:
    features = PlainFeatures(work.tables)
    for event in work.events:
        features.add(event.time_ms, event.kind, event.item, event.value)
    return features


def _trained(work: Work) -> Any:
    vowpal = needed("vowpalwabbit", "vowpalwabbit")
    model = kept(work, "vowpal.model")
    if not model.exists():
        if work.log is None:
            raise PeerMissingError(
                "there is no log to train it on", "run `python -m benchmarks.speed`, which makes one"
            )
        learner = vowpal.Workspace(_OPTIONS)
        for decision in _decisions(work.log, work.tables):
            learner.learn(decision)
        learner.save(str(model))
        learner.finish()
    return vowpal.Workspace(f"--quiet --initial_regressor {model} --testonly")


def _decisions(log: Path, tables: DeviceTables) -> Iterator[list[str]]:
    """Yields the log's first decisions with the features of their time; the label is the first shown offer's click."""
    decisions = pl.read_parquet(log / "decisions.parquet").sort("user", "time").head(DECISIONS)
    events = pl.read_parquet(log / "events.parquet").with_columns(time_ms=pl.col("time").dt.epoch("ms"))
    by_user = events.partition_by("user", as_dict=True)
    for (user,), of_user in decisions.with_columns(time_ms=pl.col("time").dt.epoch("ms")).group_by(
        "user", maintain_order=True
    ):
        features = PlainFeatures(tables)
        past = by_user[(user,)].select("time_ms", "kind", "item", "value").iter_rows()
        newest: tuple[Any, ...] = (0, "none", "none", 0.0)
        pending = next(past, None)
        for row in of_user.iter_rows(named=True):
            while pending is not None and pending[0] < row["time_ms"]:
                newest = pending
                features.add(pending[0], pending[1], pending[2] or "", pending[3] or 0.0)
                pending = next(past, None)
            context = {name: row[name] for name, _ in tables.context}
            counters = features.model_inputs(row["candidates"], context, row["time_ms"])[4]
            first = row["candidates"].index(row["shown"][0])
            label = f"0:{-row['outcomes'][first][0]}:{max(row['propensities'][first], 1e-3)} "
            user_text = user_line(context, newest[1], newest[2] or "none")
            yield lines(user_text, row["candidates"], tables, counters.tolist(), {first: label})


PEERS = (
    Peer("vowpal", "VowpalWabbit, predict alone", _parsed, ("vowpalwabbit",), same_maths=False),
    Peer("vowpal_text", "VowpalWabbit, text and predict", _with_text, ("vowpalwabbit",), same_maths=False),
)
