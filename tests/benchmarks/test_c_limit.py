"""The C program of the model agrees with the module in float64, also at sizes that fit no vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers import c_limit, limit_library
from benchmarks.peers.limit_library import Build, LimitLibrary, built
from benchmarks.peers.limit_task import LimitTask, ModelInputs
from benchmarks.peers.peer import PeerMissingError
from cloud_export.models.device_model import DeviceModel, DeviceModelConfig
from edge_sdk.types import F64

ITEMS, KINDS, OFFERS, COUNTERS, CONTEXTS = 40, 7, 30, 24, 8
BUILDS = (c_limit.NATIVE, c_limit.BASELINE, c_limit.SCALAR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("c_limit")


@pytest.mark.parametrize("build", BUILDS, ids=str)
@pytest.mark.parametrize(
    ("events", "candidates", "dimension", "objectives"),
    [(1, 1, 16, 2), (33, 50, 16, 2), (48, 9, 16, 2), (128, 50, 16, 2), (1024, 1000, 16, 2), (21, 13, 32, 3)],
)
def test_both_entry_points_agree_with_float64(
    folder: Path, build: Build, events: int, candidates: int, dimension: int, objectives: int
) -> None:
    model = _model(dimension, objectives)
    inputs = _inputs(events, candidates, objectives)
    logits, fused = _expected(model, inputs)
    library = _library(build, folder, dimension, objectives)
    task = library.task(model, inputs)
    library.bound("limit_state", task)()
    np.testing.assert_allclose(task.logits, logits, rtol=0, atol=_tolerance(events))
    if build.source == limit_library.LIMIT:
        task.logits[...] = np.nan
        library.bound("limit_raw", task)()
        np.testing.assert_allclose(task.logits, logits, rtol=0, atol=_tolerance(events))
        np.testing.assert_allclose(task.fused, fused, rtol=0, atol=_tolerance(events))


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_extreme_ages_values_and_gates_agree(folder: Path, build: Build) -> None:
    model = _model(16, 2)
    with torch.no_grad():
        model.query.mul_(200.0)  # gates at both ends: the exponential's clamps
    inputs = _inputs(8, 5, 2)._replace(
        age_s=np.array([0, 0, 1e-6, 0.5, 1, 3e7, 3e9, 1e12], np.float32),
        value=np.array([0, -0.0, 1e-6, -1e-3, 1e6, -1e16, 1e20, 3e38], np.float32),
    )
    logits, _ = _expected(model, inputs)
    library = _library(build, folder, 16, 2)
    task = library.task(model, inputs)
    for entry in ("limit_state", "limit_raw") if build.source == limit_library.LIMIT else ("limit_state",):
        task.logits[...] = np.nan
        library.bound(entry, task)()
        np.testing.assert_allclose(task.logits, logits, rtol=0, atol=2e-5)  # the gates' slope is 200 times as steep


@pytest.mark.parametrize("entry", ["limit_state", "limit_raw"])
def test_events_that_are_none_change_no_bit(folder: Path, entry: str) -> None:
    model, library = _model(16, 2), _library(c_limit.NATIVE, folder, 16, 2)
    one, many = _inputs(1, 50, 2), _inputs(97, 50, 2)
    nothing = {"item": np.zeros(97, np.int32), "kind": np.zeros(97, np.int32)}
    inputs = many._replace(**nothing)
    alone = one._replace(kind=np.zeros(1, np.int32), **{name: getattr(many, name) for name in one._fields[4:]})
    padded, bare = (_called(library, entry, model, given) for given in (inputs, alone))
    assert padded.logits.tobytes() == bare.logits.tobytes()
    without = _called(library, entry, model, inputs._replace(counters=np.zeros((50, COUNTERS), np.float32)))
    assert without.logits.tobytes() == inputs.base_logits.tobytes()
    counted = inputs.base_logits + inputs.counters @ model.counter_weights().detach().numpy()
    np.testing.assert_allclose(padded.logits, counted, rtol=0, atol=1e-6)


def test_an_absent_compiler_is_a_missing_peer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_library, "COMPILERS", ("no-such-compiler",))
    with pytest.raises(PeerMissingError, match=r"no C compiler \(no-such-compiler\); install gcc"):
        built(c_limit.NATIVE, 16, 2, folder)


def test_a_flag_that_the_compiler_refuses_is_a_missing_peer(folder: Path) -> None:
    _library(c_limit.NATIVE, folder, 16, 2)
    with pytest.raises(PeerMissingError, match=r"-march=no-such-processor .* failed: .*; use gcc"):
        built(Build(limit_library.LIMIT, ("-march=no-such-processor",)), 16, 2, folder)


def test_a_build_is_kept_until_its_flags_change(folder: Path, tmp_path: Path) -> None:
    _library(c_limit.NATIVE, folder, 16, 2)
    for flags in (("-O1",), ("-O1",), ("-O1", "-DANOTHER")):
        built(Build(limit_library.PLAIN, flags), 16, 2, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def _library(build: Build, folder: Path, dimension: int, objectives: int) -> LimitLibrary:
    try:
        return built(build, dimension, objectives, folder)
    except PeerMissingError as missing:
        if missing.reason.startswith("no C compiler"):
            pytest.skip(str(missing))
        raise


def _called(library: LimitLibrary, entry: str, model: DeviceModel, inputs: ModelInputs) -> LimitTask:
    task = library.task(model, inputs)
    library.bound(entry, task)()
    return task


def _model(dimension: int, objectives: int) -> DeviceModel:
    torch.manual_seed(3)
    model = DeviceModel(
        DeviceModelConfig(
            ITEMS, KINDS, OFFERS, COUNTERS, CONTEXTS, objectives, window=1, dimension=dimension, dropout=0.0
        )
    )
    with torch.no_grad():  # what starts at 0 or 1 would hide a mistake
        for parameter in (model.kind_scale, model.context_table, model.fading, model.counter):
            parameter.add_(0.5 * torch.randn(parameter.shape))
    return model.eval()


def _inputs(events: int, candidates: int, objectives: int) -> ModelInputs:
    random = np.random.default_rng(events + candidates)
    return ModelInputs(
        item=random.integers(0, ITEMS, events).astype(np.int32),
        kind=random.integers(0, KINDS, events).astype(np.int32),
        age_s=np.sort(random.exponential(20_000.0, events)).astype(np.float32),
        value=random.normal(0.0, 50.0, events).astype(np.float32),
        counters=random.random((candidates, COUNTERS)).astype(np.float32),
        context=random.integers(0, 2, CONTEXTS).astype(np.float32),
        candidate=random.integers(0, OFFERS, candidates).astype(np.int32),
        base_logits=random.normal(0.0, 1.0, (candidates, objectives)).astype(np.float32),
        weights=np.linspace(1.0, 0.2, objectives).astype(np.float32),
    )


def _sigmoid(x: F64) -> F64:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _expected(model: DeviceModel, inputs: ModelInputs) -> tuple[F64, F64]:
    """The formulas of docs/format.md in numpy, float64: logits (C, K) and fused (C,)."""
    tables = {name: tensor.detach().double().numpy() for name, tensor in model.named_parameters()}
    with torch.no_grad():
        scale, shift, fading = (
            table.double().numpy()[inputs.kind]
            for table in (model.kind_scales(), model.kind_shifts(), model.kind_fadings())
        )
        items, offers = model.items().double().numpy(), model.offers().double().numpy()[inputs.candidate]
        value_row, counter_weights = model.value_row().double().numpy(), model.counter_weights().double().numpy()
    age = inputs.age_s.astype(np.float64)[:, None]
    powers = (1.0 + age) ** model.exponents.double().numpy()
    rows = items[inputs.item] + np.arcsinh(inputs.value.astype(np.float64))[:, None] * value_row
    mixed = rows + powers @ tables["feature"][:-1] + inputs.context @ tables["context_table"]
    e = np.tanh(mixed * scale + shift)
    h = (e + np.maximum(e @ tables["hidden_in"], 0.0) @ tables["hidden_out"]) * np.exp(age * fading)
    dimension = h.shape[1]
    gates = _sigmoid(offers @ tables["query"] / dimension**0.5 @ h.T + tables["gate_bias"])
    readout = (offers @ tables["readout"]).reshape(len(offers), -1, dimension)
    logits = inputs.base_logits + np.einsum("cd,ckd->ck", gates @ h, readout) + inputs.counters @ counter_weights
    return logits, logits @ inputs.weights


def _tolerance(events: int) -> float:
    """Logits within 1e-5; sums of more than 128 events are larger, and so is their rounding."""
    return 1e-5 * max(1.0, events / 128)
