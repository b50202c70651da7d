"""Counts, cores and ranges have round numbers, so that expected figures can be computed in the head."""

from __future__ import annotations

from collections.abc import Mapping

from device_sim.counts.counts import BundleCounts, Counts, Operation, Part
from device_sim.estimate.cycle_model import Calibration, CoreModel
from device_sim.estimate.profile import Profile
from device_sim.estimate.scalar_ipc import CoreIpc, LzmaInstructions, ScalarIpc, Widening

SOURCE = "reckoned for a test"


def counts(mix: Mapping[str, float], *, l1i: float = 0.0, l2: float = 0.0, l3: float = 0.0) -> Counts:
    return Counts(mix=mix, l1i_misses=l1i, l1d_misses=0.0, l2_misses=l2, l3_misses=l3)


def python_part(instructions: float, *, l1i: float = 0.0, l2: float = 0.0, l3: float = 0.0) -> Part:
    return Part(stage="policy", image="python", counts=counts({"integer": instructions}, l1i=l1i, l2=l2, l3=l3))


def kernel_part(fma: float, other: float, *, l2: float = 0.0, l3: float = 0.0) -> Part:
    """All `other` are vector loads: nobody doubts that this is a kernel."""
    return Part(stage="model", image="onnxruntime", counts=counts({"fma": fma, "vector_load": other}, l2=l2, l3=l3))


def bundle_counts(
    operations: Mapping[str, Operation], *, core: str = "cortex-a55", scene: str = "small", sha256: str = "a" * 64,
    size_bytes: int = 1000,
) -> BundleCounts:  # fmt: skip
    return BundleCounts(
        core=core,
        scene=scene,
        bundle_sha256=sha256,
        bundle_bytes=size_bytes,
        items=10,
        candidates=50,
        window=32,
        caches=None,
        operations=operations,
        repetitions=dict.fromkeys(operations, 100),
        versions={"python": "3.11.2"},
        conformance={"decisions": 4},
    )


def core_model(
    core: str, *, held_out_p90: float = 0.1, unseen: float | None = 0.2, neither: float | None = 0.25
) -> CoreModel:
    return CoreModel(
        core=core,
        counts_core=core,
        cycles_per={"fma": 1.0, "other": 0.5, "l2_miss": 100.0},
        cycles_per_x86_ms=1e6,
        held_out_median=0.05,
        held_out_p90=held_out_p90,
        unseen_device_median=None if unseen is None else unseen / 2,
        unseen_device_p90=unseen,
        neither_seen_median=None if neither is None else neither / 2,
        neither_seen_p90=neither,
        devices=("board one", "board two"),
    )


def calibration(**cores: CoreModel) -> Calibration:
    found = cores or {"a55": core_model("cortex-a55"), "a76": core_model("cortex-a76")}
    return Calibration(
        cores={model.core: model for model in found.values()},
        transferred_median=0.2,
        transferred_p90=0.6,
        published_sha256="b" * 64,
        counted_with={"ncnn": "1"},
    )


def scalar_ipc(low: float = 0.5, high: float = 1.0) -> ScalarIpc:
    names = ("cortex-a55", "cortex-a76", "cortex-x4")
    return ScalarIpc(
        lzma=LzmaInstructions(encode_per_kib=1e6, decode_per_kib=1e5, source=SOURCE),
        in_order=Widening(low=0.8, high=1.1, source=SOURCE),
        out_of_order=Widening(low=0.9, high=1.6, source=SOURCE),
        cores={name: CoreIpc(core=name, low=low, high=high, source=SOURCE) for name in names},
    )


def profile_table(*, core: str = "cortex-a55", clock_ghz: float = 2.0, little: bool = False) -> dict[str, object]:
    """Returns a profile as its file has it."""

    def one(name: str, ghz: float) -> dict[str, object]:
        figures = {"clock_ghz": ghz, "l1i_kib": 32, "l1d_kib": 32, "l2_kib": 256, "l3_kib": 1024}
        table: dict[str, object] = {field: {"value": value, "source": SOURCE} for field, value in figures.items()}
        table["core"] = {"value": name, "source": SOURCE}
        table["memory_ns"] = {"low": 100, "high": 200, "source": SOURCE}
        return table

    table: dict[str, object] = {
        "name": "test-phone",
        "title": "a phone of tests",
        "description": "Not a phone that anybody could buy.",
        "class": "entry",
        "main": one(core, clock_ghz),
    }
    if little:
        table["little"] = one("cortex-a55", 1.0)
    return table


def profile(*, core: str = "cortex-a55", clock_ghz: float = 2.0, little: bool = False, l3: bool = True) -> Profile:
    made = Profile.model_validate(profile_table(core=core, clock_ghz=clock_ghz, little=little))
    return made if l3 else made.model_copy(update={"main": made.main.model_copy(update={"l3_kib": None})})
