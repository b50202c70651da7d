"""Makes a log of any size in memory, with just enough decisions to check a graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloud_export.data.log import Catalogue, Decisions, Events, Log
from cloud_export.features.split import Split
from cloud_export.scene.load import Scene

NOW_MS = 1_768_478_400_000  # 2026-01-15 12:00:00 UTC
STEP_MS = 10_000  # between two events
DECISIONS, CANDIDATES, TESTER_EVENTS = 4, 50, 60
_LETTERS = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz", np.uint8)


@dataclass(frozen=True, slots=True)
class MadeUpLog:
    """A log and its split: one user met every item once, another one was shown some decisions."""

    log: Log
    split: Split


def made_up_log(scene: Scene, items: int, offers: int, categories: tuple[str, ...]) -> MadeUpLog:
    """Returns a log; the same arguments give the same log.

    Args:
        scene: whose kinds, objectives and context the log has.
        items: how many, the offers among them.
        offers: how many of them may be ranked.
        categories: their names, sorted; items take them in turns.
    """
    random = np.random.default_rng(1)
    names = item_names(items)
    rankable = np.sort(random.choice(items, offers, replace=False)).astype(np.int32)
    seen = np.concatenate([np.arange(items), random.integers(items, size=TESTER_EVENTS)]).astype(np.int32)
    events = len(seen)
    log = Log(
        kinds=scene.events.kinds,
        objectives=scene.objective_order,
        users=("everything", "tester"),
        items=names,
        events=Events.of(
            2,
            user=np.repeat(np.array([0, 1], np.int32), [items, TESTER_EVENTS]),
            time_ms=NOW_MS - STEP_MS * np.arange(events, 0, -1, dtype=np.int64),
            kind=random.integers(len(scene.events.kinds), size=events).astype(np.int16),
            item=seen,
            value=random.lognormal(3, 1, events).astype(np.float32),
        ),
        decisions=_decisions(scene, random, rankable),
        catalogue=_catalogue(names, rankable, categories),
        attributes=np.zeros((2, len(scene.columns.users.attributes)), np.int32),
        attribute_values=((),) * len(scene.columns.users.attributes),
    )
    return MadeUpLog(log, _everything_known(events))


def _decisions(scene: Scene, random: np.random.Generator, rankable: npt.NDArray[np.int32]) -> Decisions:
    """Returns decisions of the second user, after all events; the first five candidates of each were shown."""
    each, objectives = min(CANDIDATES, len(rankable)), len(scene.objective_order)
    candidate = np.concatenate([random.choice(rankable, each, False) for _ in range(DECISIONS)])
    shown = np.arange(len(candidate)) % each < 5
    outcome = np.full((len(candidate), objectives), np.nan, np.float32)
    outcome[shown] = random.integers(2, size=(int(shown.sum()), objectives))
    return Decisions(
        decision_id=tuple(f"d{number}" for number in range(DECISIONS)),
        user=np.ones(DECISIONS, np.int32),
        time_ms=NOW_MS + np.arange(DECISIONS, dtype=np.int64),
        position=np.full(DECISIONS, TESTER_EVENTS, np.int64),
        offsets=np.arange(DECISIONS + 1, dtype=np.int64) * each,
        candidate=candidate.astype(np.int32),
        outcome=outcome,
        propensity=np.full(len(candidate), np.nan, np.float32),
        shown=shown,
        context=np.zeros((DECISIONS, len(scene.context)), np.int16),
    )


def _catalogue(names: tuple[str, ...], rankable: npt.NDArray[np.int32], categories: tuple[str, ...]) -> Catalogue:
    """Returns offers that are always valid and cost nothing; items take the categories in turns."""
    return Catalogue(
        offers=tuple(names[item] for item in rankable.tolist()),
        offer_item=rankable,
        valid_from_ms=np.zeros(len(rankable), np.int64),
        valid_until_ms=np.zeros(len(rankable), np.int64),
        categories=categories,
        item_category=(np.arange(len(names)) % len(categories)).astype(np.int32),
    )


def item_names(count: int) -> tuple[str, ...]:
    """Returns a number of different sorted names, ten random letters and digits each, like a shop's article ids.

    Numbers in a row would not do: crc32 spreads them more evenly than names.
    """
    letters = _LETTERS[np.random.default_rng(count).integers(len(_LETTERS), size=(count + count // 100 + 10, 10))]
    drawn = np.unique(letters.reshape(-1, 10).view("S10"))
    chosen = np.sort(np.random.default_rng(count).permutation(len(drawn))[:count])
    return tuple(name.decode() for name in drawn[chosen].tolist())


def _everything_known(events: int) -> Split:
    """Returns a split with every event in training, so that every item has a row, and every decision in the test."""
    return Split(
        training=np.arange(0),
        test=np.arange(DECISIONS),
        validation_user=np.zeros(2, np.bool_),
        fold=np.zeros(2, np.int64),
        training_events=np.ones(events, np.bool_),
        training_users=1,
        test_users=1,
        rule="made up",
    )
