"""Trains the weights of all competitors and packs them, in a process of its own.

    python -m benchmarks.speed.training --out build/benchmarks/speed/360 [--items 2000]

One training serves all windows: no weight depends on the window. The program writes `weights.pt` (the torch module's
numbers and sizes) and a signed bundle for each window, all through cloud_export's own pipeline.
"""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks.work import with_window
from cloud_export.data.read_log import read_log
from cloud_export.features.examples import make_examples, with_base
from cloud_export.features.layout import build_layout
from cloud_export.features.split import split_log
from cloud_export.pipeline import pack, train
from cloud_export.run_types import Inputs, Run, RunTimer, Trained
from cloud_export.scene.load import scene_from_table
from device_sim.population.population import Population, PopulationConfig, simulate, write

WINDOWS = (32, 128)
SCENE = "wealth"
OWN_ITEMS = 360  # of the simulated app
_USERS, _DAYS = 500, 6
_SEED = 1


def main() -> None:
    """Simulates the log, trains, and writes all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--items", type=int, default=OWN_ITEMS, help="items of the scene, 360 or more")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    write(
        with_items(simulate(PopulationConfig(users=_USERS, days=_DAYS, seed=_SEED)), arguments.items),
        arguments.out / "log",
    )
    _train(arguments.out)


def scene_file() -> Path:
    """Returns the scene's TOML file."""
    return Path(__file__).parents[2] / "cloud_export" / "scenes" / f"{SCENE}.toml"


def with_items(population: Population, items: int) -> Population:
    """Returns the same log over more items.

    Each item that is not ranked is split into several, a busy one into more; its events go to its parts in turn.
    """
    others = population.offers.filter(~pl.col("rankable"))["offer"].to_list()
    counts = dict(population.events["item"].value_counts().iter_rows())
    parts = dict.fromkeys(others, 1)
    for _ in range(items - population.offers.height):
        parts[max(others, key=lambda name: counts.get(name, 0) / parts[name])] += 1
    turn = pl.int_range(pl.len()).over("item") % pl.col("item").replace_strict(parts, default=1)
    name = pl.when(turn == 0).then(pl.col("item")).otherwise(pl.col("item") + "/" + turn.cast(pl.String))
    more = [
        population.offers.filter(pl.col("offer") == one).with_columns(offer=pl.lit(f"{one}/{part}"))
        for one, count in parts.items()
        for part in range(1, count)
    ]
    return replace(
        population,
        events=population.events.with_columns(item=name),
        offers=pl.concat([population.offers, *more]),
    )


def _train(out: Path) -> None:
    table = tomllib.loads(scene_file().read_text())
    table["model"]["min_item_count"] = 1  # a small log has some items once only
    scene = scene_from_table(table)
    events, decisions, offers, users = (
        out / "log" / f"{name}.parquet" for name in ("events", "decisions", "offers", "users")
    )
    inputs = Inputs(scene=scene, events=events, decisions=decisions, offers=offers, users=users, out=out, seed=_SEED)
    log, _ = read_log(scene, events=events, decisions=decisions, offers=offers, users=users, bad_rows="stop")
    split = split_log(scene, log, seed=_SEED)
    run = Run(inputs, log, build_layout(scene, log, training_events=split.training_events), split)
    timer = RunTimer(lambda _: lambda __, ___: None)
    trained = train(run, timer)
    for window in WINDOWS:
        _pack(run, trained, window)
    torch.save({"config": asdict(trained.model.config), "weights": trained.model.state_dict()}, out / "weights.pt")


def _pack(run: Run, trained: Trained, window: int) -> None:
    folder = run.inputs.out / f"window_{window}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = run.inputs.scene.model.model_copy(update={"window": window})
    scene = run.inputs.scene.model_copy(update={"model": settings})
    layout = replace(run.layout, memory=run.layout.memory._replace(window=window))
    wide = replace(run, inputs=replace(run.inputs, scene=scene, out=folder), layout=layout)
    base = trained.base
    test = make_examples(run.log, layout, run.split.test, trained.test_points, progress=lambda _, __: None)
    test = with_base(test, base.test_logits, base.test_states.astype(np.int64))
    pack(wide, replace(trained, model=with_window(trained.model, window), base=replace(base, test=test)))


if __name__ == "__main__":
    main()
