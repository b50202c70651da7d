"""Packs bundles of any size with `cloud_export` itself; weights are drawn, not trained: no cost depends on them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.scale.made_up_log import made_up_log
from cloud_export.features.examples import decision_points, make_examples
from cloud_export.features.layout import DeviceLayout, build_layout
from cloud_export.models.base_model import BaseModel, BaseModelConfig
from cloud_export.models.base_ranker import BaseRanker
from cloud_export.models.device_model import DeviceModel, DeviceModelConfig
from cloud_export.pipeline import pack
from cloud_export.run_types import Inputs, Run, Trained
from cloud_export.scene.load import Scene, load_scene
from edge_sdk import BaseDecision, Engine

NEUTRAL_KINDS = ("item_view", "page_view", "search", "item_view", "click")  # fill the window, trip no rule of the scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of a bundle."""

    window: int = 32
    items: int = 2000  # the offers among them
    offers: int = 360


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A signed bundle on the disk, with some of its names."""

    path: Path
    public_key: bytes
    items: tuple[str, ...]  # a sample of those with a row
    offers: tuple[str, ...]
    pack_s: float

    def open(self, state: Path) -> Engine:
        """Opens an engine on this bundle with default options."""
        return Engine.open(state, bundle=self.path, trusted_keys=[self.public_key])

    def base(self, candidates: int) -> BaseDecision:
        """Returns a base decision with a number of the bundle's offers."""
        if candidates > len(self.offers):
            raise ValueError(f"{candidates} candidates of {len(self.offers)} offers; pack a bundle with more")
        return BaseDecision(self.offers[:candidates], np.linspace(1, -1, candidates))

    def record(self, engine: Engine, events: int, *, first: int = 0) -> None:
        """Records a number of events that enter the window and count for no rule."""
        items, kinds = self.items, NEUTRAL_KINDS
        for number in range(first, first + events):
            engine.record(kinds[number % len(kinds)], item=items[number * 7 % len(items)], value=1.0)


class Bundles:
    """Keeps bundles by their sizes and packs each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._packed: dict[Sizes, Packed] = {}

    def of(self, sizes: Sizes) -> Packed:
        """Returns the bundle of these sizes; packs it at the first call."""
        if sizes not in self._packed:
            name = f"bundle-{sizes.window}-{sizes.items}-{sizes.offers}"
            self._packed[sizes] = pack_bundle(self.folder / name, sizes)
        return self._packed[sizes]


def pack_bundle(folder: Path, sizes: Sizes) -> Packed:
    """Does all of `cloud-export run` but reading and training: layout, export, parity, packing, signature.

    Args:
        folder: the bundle's own folder; made if absent.
        sizes: the sizes of the bundle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    scene = scene_of(sizes)
    made_up = made_up_log(scene, sizes.items, sizes.offers, category_names(scene))
    start = time.perf_counter()
    layout = build_layout(scene, made_up.log, training_events=made_up.split.training_events)
    run = Run(Inputs(scene=scene, events=folder, out=folder), made_up.log, layout, made_up.split)
    packed = pack(run, _untrained(run))
    spent_s = time.perf_counter() - start
    return Packed(
        path=packed.path,
        public_key=packed.public_key,
        items=tuple(made_up.log.items[:: max(1, sizes.items // 1000)]),
        offers=tuple(layout.memory.offers.names()),
        pack_s=spent_s,
    )


def scene_of(sizes: Sizes) -> Scene:
    """Returns the scene `wealth`, with every rule of its policy, at another window."""
    scene = load_scene("wealth")
    return replace_model(scene, window=sizes.window, min_item_count=1)


def replace_model(scene: Scene, **fields: int) -> Scene:
    """Returns the scene with other fields of [model]."""
    return scene.model_copy(update={"model": scene.model.model_copy(update=fields)})


def category_names(scene: Scene) -> tuple[str, ...]:
    """Returns the categories of the scene's offers, sorted."""
    named = (key.partition(".") for key in scene.texts["en"])
    return tuple(sorted(name for sort, _, name in named if sort == "category"))


def _untrained(run: Run) -> Trained:
    """Returns an untrained model in the place of a trained one; no weight is 0, so that no term is skipped."""
    log, layout = run.log, run.layout
    points = decision_points(log, run.split.test)
    test = make_examples(log, layout, run.split.test, points, progress=lambda done, of: None)
    drawn = np.random.default_rng(1).normal(0, 1, test.base_logits.shape).astype(np.float32)
    test = replace(test, base_logits=drawn)
    model = DeviceModel(model_config(run.inputs.scene, layout))
    with torch.no_grad():
        model.counter.normal_(0, 0.1)
        model.context_table.normal_(0, 0.1)
    base = BaseRanker(
        model=_smallest_base(layout),
        training=test,
        test=test,
        test_states=np.arange(len(run.split.test)),
        test_logits=np.zeros((len(run.split.test), layout.offers, len(log.objectives)), np.float32),
    )
    return Trained(base, model, (), points)


def model_config(scene: Scene, layout: DeviceLayout) -> DeviceModelConfig:
    """Returns the sizes that `cloud_export.pipeline` gives to the device model of a scene."""
    memory, policy = layout.memory, layout.policy
    return DeviceModelConfig(
        items=len(memory.items) + 1,
        kinds=len(memory.kinds) + 1,
        offers=layout.offers + 1,
        counter_features=memory.counter_features,
        context_features=policy.context_features,
        objectives=len(policy.objectives),
        window=memory.window,
        dimension=scene.model.dimension,
        dropout=0.0,
        item_category=tuple(memory.items.row_category.tolist()),
        offer_category=tuple(memory.offers.row_category.tolist()),
    )


def _smallest_base(layout: DeviceLayout) -> BaseModel:
    """Returns the smallest base model: the cloud's ranker is no part of a bundle."""
    return BaseModel(BaseModelConfig(1, 1, 2, 1, 1, (), len(layout.policy.objectives), dimension=1, hidden=1))
