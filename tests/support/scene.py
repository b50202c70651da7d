"""Packs a scene with every kind of rule and random weights in a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis.vendor.pretty import RepresentationPrinter

from cloud_export.data.log import Catalogue, Decisions, Events, Log
from cloud_export.export.bundle_writer import Content, pack_payload
from cloud_export.export.container_writer import development_key, public_bytes, sign_container
from cloud_export.export.golden import make_golden
from cloud_export.export.onnx_graphs import export_explainer, export_ranker, export_tables
from cloud_export.features.layout import DeviceLayout, build_layout
from cloud_export.models.device_model import DeviceModel, DeviceModelConfig
from cloud_export.scene.load import Scene, scene_from_table
from edge_sdk import Engine

NOW_MS = 1_768_478_400_000  # 2026-01-15 12:00:00 UTC
VALID_FROM_MS = 1_768_003_200_000  # 2026-01-10, of fund_d
VALID_UNTIL_MS = 1_770_681_600_000  # 2026-02-10, of fund_d

OFFERS = ("coupon_a", "coupon_b", "fund_a", "fund_b", "fund_c", "fund_d")
FUNDS = ("fund_a", "fund_b", "fund_c", "fund_d")
# All items of every log of these tests, sorted. No training event is about the last one: the device does not know it.
ITEMS = (*OFFERS, "page_coupons", "page_home", "rare_fund_page")
KINDS = ("view", "click", "impression", "dismiss", "convert", "note")
HOME = {"surface": "home", "stage": "new"}  # the context in which every offer is eligible

SCENE: dict[str, Any] = {
    "scene": {"name": "small", "objective_order": ["click", "convert"]},
    "columns": {"decisions": {"context": {"surface": "surface", "stage": "stage"}}, "offers": {"category": "category"}},
    "events": {
        "kinds": list(KINDS),
        "shown": "impression",
        "feedback": {"click": "click", "convert": "convert", "dismiss": "dismiss"},
    },
    "context": {"surface": ["home", "wealth"], "stage": ["new", "active"]},
    "model": {
        "window": 8,
        "window_kinds": ["view", "click", "dismiss", "convert"],
        "counter_kinds": ["impression", "click", "convert"],
        "half_lives_s": [60, 3600],
        "dimension": 8,
        "min_item_count": 1,
    },
    "objectives": {"click": 1.0, "convert": 0.5},
    "policy": {
        "eligibility": [{"category": "coupon", "when": {"stage": "new"}}],
        "caps": [
            {"kind": "impression", "per": "offer", "limit": 2, "within_s": 3600},
            {"kind": "convert", "per": "category", "limit": 3, "within_s": 7200},
        ],
        "cooldowns": [{"kind": "dismiss", "per": "offer", "rest_s": 1800}],
    },
}

# The same with a rule of every sort; they make events within a few minutes and within a few impressions.
DERIVED_KINDS = ("visit", "visit_end", "stay", "passed_over")
DERIVED_SCENE: dict[str, Any] = {
    **SCENE,
    "events": {
        **SCENE["events"],
        "session": {"gap_s": 300, "start": "visit", "end": "visit_end", "activity": ["view", "click", "impression"]},
        "dwell": [{"kind": "stay", "of": ["view"], "longest_s": 240, "activity": ["view", "click", "dismiss"]}],
        "ignored": [{"kind": "passed_over", "seen": ["impression"], "reset_by": ["click", "convert"], "count": 2}],
    },
    "model": {
        **SCENE["model"],
        "window_kinds": [*SCENE["model"]["window_kinds"], "visit_end", "stay", "passed_over"],
        "counter_kinds": [*SCENE["model"]["counter_kinds"], "stay"],
    },
    "policy": {
        **SCENE["policy"],
        "caps": [*SCENE["policy"]["caps"], {"kind": "stay", "per": "offer", "limit": 4, "within_s": 600}],
    },
}


@dataclass(frozen=True)
class Small:
    """The packed scene and everything that it was made of."""

    folder: Path
    bundle: Path
    public_key: bytes
    scene: Scene
    log: Log
    layout: DeviceLayout
    model: DeviceModel
    content: Content

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """A failing property prints its arguments; the arrays would fill pages."""
        printer.text("small")

    def open(
        self, state: Path, clock: SettableClock, *, log_bytes: int = 1 << 16, storage_key: bytes | None = None
    ) -> Engine:
        """An engine on this bundle."""
        return Engine.open(
            state,
            bundle=self.bundle,
            trusted_keys=[self.public_key],
            clock=clock,
            log_bytes=log_bytes,
            storage_key=storage_key,
        )


class SettableClock:
    """A clock that keeps its time until it is set."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def packed(
    folder: Path, table: dict[str, Any], *, offers: tuple[str, ...] = OFFERS, names: Mapping[str, str] | None = None
) -> Small:
    """A scene over `small_log`, with a random model, signed by the key of `small`; `names` renames items."""
    scene = scene_from_table(table)
    log = renamed(with_offers(small_log(), offers), names or {})
    layout = build_layout(scene, log, training_events=np.ones(len(log.events.item), np.bool_))
    model = random_model(layout)
    ranker, tables = export_ranker(model), export_tables(model)
    chosen = np.arange(len(log.decisions.time_ms))
    logits = np.random.default_rng(3).normal(size=(len(chosen), len(offers), 2)).astype(np.float32)
    golden = make_golden(log, layout, ranker, tables, chosen, logits, 4)
    content = Content(scene, layout, ranker, export_explainer(model), tables, golden)
    key = development_key("small")
    bundle = folder / "scene.edge"
    bundle.write_bytes(sign_container(pack_payload(content), [key]))
    return Small(folder, bundle, public_bytes(key), scene, log, layout, model, content)


def random_model(layout: DeviceLayout, seed: int = 5) -> DeviceModel:
    """A model whose every parameter is random, so that a score depends on everything that the graph reads."""
    memory = layout.memory
    torch.manual_seed(seed)
    model = DeviceModel(
        DeviceModelConfig(
            items=len(memory.items) + 1,
            kinds=len(memory.kinds) + 1,
            offers=layout.offers + 1,
            counter_features=memory.counter_features,
            context_features=layout.policy.context_features,
            objectives=len(layout.policy.objectives),
            window=memory.window,
            dimension=8,
            dropout=0.0,
            item_category=tuple(memory.items.row_category.tolist()),
            offer_category=tuple(memory.offers.row_category.tolist()),
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3)
    return model.eval()


def small_log(users: int = 4, events: int = 40, decisions: int = 3, seed: int = 1) -> Log:
    """Random events of every kind about every item but the last, and decisions over all offers."""
    random = np.random.default_rng(seed)
    event_user = np.repeat(np.arange(users, dtype=np.int32), events)
    times = np.sort(random.integers(0, 7_200_000, (users, events)), axis=1) + NOW_MS - 7_200_000
    positions = np.sort(random.integers(0, events + 1, (users, decisions)), axis=1)
    return log_of(
        event_user=event_user,
        times_ms=times.reshape(-1),
        kinds=random.integers(0, len(KINDS), users * events),
        items=random.integers(0, len(ITEMS) - 1, users * events),
        values=random.normal(0.0, 100.0, users * events),
        decision_user=np.repeat(np.arange(users, dtype=np.int32), decisions),
        positions=positions.reshape(-1),
        decision_times_ms=np.full(users * decisions, NOW_MS),
        candidates=[list(range(len(OFFERS)))] * (users * decisions),
    )


def with_offers(log: Log, offers: tuple[str, ...]) -> Log:
    """The same log over a catalogue of some of its offers; of every decision's candidates these are left."""
    rows = np.array([OFFERS.index(offer) for offer in offers])
    stays = np.isin(log.decisions.candidate, rows)
    columns = ("candidate", "outcome", "propensity", "shown")
    left = {column: getattr(log.decisions, column)[stays] for column in columns}
    offsets = np.concatenate([[0], np.cumsum(stays)])[log.decisions.offsets]
    catalogue = replace(
        log.catalogue,
        offers=offers,
        offer_item=rows.astype(np.int32),
        valid_from_ms=log.catalogue.valid_from_ms[rows],
        valid_until_ms=log.catalogue.valid_until_ms[rows],
    )
    return replace(log, catalogue=catalogue, decisions=replace(log.decisions, offsets=offsets, **left))


def renamed(log: Log, names: Mapping[str, str]) -> Log:
    """The same log with other names of some items."""
    offers = tuple(names.get(offer, offer) for offer in log.catalogue.offers)
    items = tuple(names.get(item, item) for item in log.items)
    return replace(log, items=items, catalogue=replace(log.catalogue, offers=offers))


def log_of(
    *,
    event_user: np.ndarray,
    times_ms: np.ndarray,
    kinds: np.ndarray,
    items: np.ndarray,
    values: np.ndarray,
    decision_user: np.ndarray,
    positions: np.ndarray,
    decision_times_ms: np.ndarray,
    candidates: list[list[int]],
) -> Log:
    """A log over `ITEMS` from plain columns; events by user, decisions by (user, position)."""
    users = int(max(event_user.max(initial=0), decision_user.max(initial=0))) + 1
    sizes = [len(row) for row in candidates]
    rows = sum(sizes)
    return Log(
        kinds=KINDS,
        objectives=("click", "convert"),
        users=tuple(f"user_{number}" for number in range(users)),
        items=ITEMS,
        events=Events.of(
            users,
            user=event_user.astype(np.int32),
            time_ms=times_ms.astype(np.int64),
            kind=kinds.astype(np.int16),
            item=items.astype(np.int32),
            value=values.astype(np.float32),
        ),
        decisions=Decisions(
            decision_id=tuple(f"d{number}" for number in range(len(decision_user))),
            user=decision_user.astype(np.int32),
            time_ms=decision_times_ms.astype(np.int64),
            position=positions.astype(np.int64),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            candidate=np.array([item for row in candidates for item in row], np.int32),
            outcome=np.zeros((rows, 2), np.float32),
            propensity=np.full(rows, np.nan, np.float32),
            shown=np.ones(rows, np.bool_),
            context=np.tile(np.array([0, 0], np.int16), (len(decision_user), 1)),
        ),
        catalogue=Catalogue(
            offers=OFFERS,
            offer_item=np.arange(len(OFFERS), dtype=np.int32),
            valid_from_ms=np.array([0, 0, 0, 0, 0, VALID_FROM_MS], np.int64),
            valid_until_ms=np.array([0, 0, 0, 0, 0, VALID_UNTIL_MS], np.int64),
            categories=("coupon", "fund"),
            item_category=np.array([0, 0, 1, 1, 1, 1, 0, -1, 1], np.int32),
        ),
        attributes=np.zeros((users, 0), np.int32),
        attribute_values=(),
    )
