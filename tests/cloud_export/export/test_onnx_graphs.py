"""The exported graphs are small and deterministic, use the allowed operators only, and equal torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from cloud_export.export.onnx_graphs import (
    export_explainer,
    export_ranker,
    export_tables,
    foreign_operators,
    node_count,
)
from cloud_export.export.parity import ParityError, check_explainer, check_parity
from cloud_export.features.examples import Examples
from cloud_export.models.device_model import EdgeModel, EdgeModelConfig
from edge_sdk.model.inputs import ModelInputs, graph_inputs
from edge_sdk.model.onnx_runtime import onnxruntime
from edge_sdk.model.projection import ModelTables, Projection

CONFIG = EdgeModelConfig(
    items=9,
    kinds=4,
    offers=7,
    counter_features=3,
    context_features=2,
    objectives=2,
    window=5,
    dimension=8,
    dropout=0.1,
)
WEIGHTS = np.array([1.0, 0.5], np.float32)


def build_model(config: EdgeModelConfig = CONFIG) -> EdgeModel:
    torch.manual_seed(0)
    model = EdgeModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def build_examples(config: EdgeModelConfig = CONFIG, rows: int = 20) -> Examples:
    random = np.random.default_rng(0)
    window, cells = (rows, config.window), (rows, 6)
    candidate = random.integers(1, config.offers, cells).astype(np.int32)
    candidate[:, 4:] = 0
    counters = random.random((*cells, config.counter_features), dtype=np.float32)
    counters[:, 4:] = 0.0  # the device keeps none of an unknown offer
    return Examples(
        event_item=random.integers(0, config.items, window).astype(np.int32),
        event_kind=random.integers(0, config.kinds, window).astype(np.int32),
        event_age_s=random.exponential(1e4, window).astype(np.float32),
        event_value=random.normal(0, 1e3, window).astype(np.float32),
        counters=counters,
        context=random.random((rows, config.context_features), dtype=np.float32),
        candidate=candidate,
        base_logits=random.normal(size=(*cells, config.objectives)).astype(np.float32),
        outcomes=np.zeros((*cells, config.objectives), np.float32),
    )


@pytest.fixture(scope="module")
def ranker() -> bytes:
    return export_ranker(build_model())


@pytest.fixture(scope="module")
def explainer() -> bytes:
    return export_explainer(build_model())


@pytest.fixture(scope="module")
def tables() -> ModelTables:
    return export_tables(build_model())


def test_the_ranker_equals_torch_on_examples_and_edge_cases(ranker: bytes, tables: ModelTables) -> None:
    result = check_parity(build_model(), ranker, tables, build_examples(), weights=WEIGHTS)
    assert result.decisions == 20 + 3
    assert len(result.objectives) == 2
    assert max(*result.objectives, result.fused) < 2e-5


def test_a_wrong_weight_fails_parity_and_the_error_names_a_fix(ranker: bytes, tables: ModelTables) -> None:
    model = build_model()
    with torch.no_grad():
        model.counter[0, 1].add_(5.0)
    with pytest.raises(ParityError, match=r"logit 1 of decision \d+ differs .* export the model again$") as caught:
        check_parity(model, ranker, tables, build_examples())
    assert caught.value.difference > caught.value.tolerance == 1e-4


def test_a_wrong_table_fails_parity(ranker: bytes, tables: ModelTables) -> None:
    for field, table in tables._asdict().items():
        wrong = tables._replace(**{field: table * np.float32(1.5)})
        with pytest.raises(ParityError):
            check_parity(build_model(), ranker, wrong, build_examples())


def test_a_score_that_is_no_number_fails_parity(ranker: bytes, tables: ModelTables) -> None:
    examples = build_examples()
    age_s = examples.event_age_s.copy()
    age_s[:] = np.nan
    with pytest.raises(ParityError, match="non-finite"):
        check_parity(build_model(), ranker, tables, replace(examples, event_age_s=age_s))


def test_the_explanation_sums_to_the_score(ranker: bytes, explainer: bytes, tables: ModelTables) -> None:
    assert check_explainer(ranker, explainer, tables, build_examples(), weights=WEIGHTS) < 2e-5


def test_an_explainer_of_other_weights_is_refused(ranker: bytes, tables: ModelTables) -> None:
    other = build_model()
    with torch.no_grad():
        other.hidden_out.add_(0.5)
    with pytest.raises(ParityError, match="sum of the contributions"):
        check_explainer(ranker, export_explainer(other), tables, build_examples(), weights=WEIGHTS)


def test_an_empty_window_gives_the_base_logits_to_the_bit_in_onnx_runtime_too(
    ranker: bytes, tables: ModelTables
) -> None:
    session = onnxruntime.InferenceSession(ranker, providers=["CPUExecutionProvider"])
    examples = build_examples()
    zeros, none = np.zeros(5, np.float32), np.zeros(5, np.int32)
    inputs = ModelInputs(
        none, none, zeros, zeros, np.zeros((6, 3), np.float32), examples.context[0], examples.candidate[0],
        examples.base_logits[0], WEIGHTS,
    )  # fmt: skip
    given = graph_inputs(Projection(tables), inputs)
    (logits,) = session.run(None, {wanted.name: given[wanted.name] for wanted in session.get_inputs()})
    assert np.array_equal(logits.T, examples.base_logits[0])


def test_the_interface_is_the_documented_one(ranker: bytes, explainer: bytes) -> None:
    def shapes(values: object) -> dict[str, list[int | str]]:
        assert {value.type for value in values} == {"tensor(float)"}  # type: ignore[attr-defined]
        return {value.name: value.shape for value in values}  # type: ignore[attr-defined]

    both: dict[str, list[int | str]] = {
        "event_term": [5, 8],
        "event_scale": [5, 8],
        "event_fading": [5, 1],
        "event_age_s": [5, 1],
        "context_row": [1, 8],
        "query": ["candidates", 8],
        "readout": [2, "candidates", 8],
        "counters": ["candidates", 3],
    }
    session = onnxruntime.InferenceSession(ranker, providers=["CPUExecutionProvider"])
    assert shapes(session.get_inputs()) == both | {"base_logits": [2, "candidates"]}
    assert shapes(session.get_outputs()) == {"logits": [2, "candidates"]}
    second = onnxruntime.InferenceSession(explainer, providers=["CPUExecutionProvider"])
    assert shapes(second.get_inputs()) == both | {"weights": [2]}
    assert shapes(second.get_outputs()) == {
        "event_contribution": [5, "candidates"],
        "counter_contribution": ["candidates", 3],
    }


def test_the_bytes_depend_on_the_weights_alone(ranker: bytes) -> None:
    again = export_ranker(build_model())
    assert again == ranker
    proto = onnx.load_from_string(ranker)
    assert (proto.ir_version, [(entry.domain, entry.version) for entry in proto.opset_import]) == (8, [("", 18)])
    assert not proto.metadata_props
    assert not any(node.doc_string or node.metadata_props for node in proto.graph.node)
    assert b"/" not in b"".join(node.name.encode() for node in proto.graph.node)
    assert b".py" not in ranker


def test_the_graph_is_small_and_made_of_allowed_operators(ranker: bytes, explainer: bytes) -> None:
    assert node_count(ranker) == 21
    assert foreign_operators(ranker) == ()
    assert foreign_operators(explainer) == ()


def test_foreign_operators_are_named() -> None:
    nodes = [
        onnx.helper.make_node("TopK", ["x", "k"], ["v", "i"]),
        onnx.helper.make_node("Attention", ["v"], ["y"], domain="com.microsoft"),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [], [])
    proto = onnx.helper.make_model(graph)
    assert foreign_operators(proto.SerializeToString()) == ("TopK", "com.microsoft::Attention")


def test_a_scene_without_context_exports_too() -> None:
    config = replace(CONFIG, context_features=0, objectives=1)
    model = build_model(config)
    result = check_parity(model, export_ranker(model), export_tables(model), build_examples(config, rows=3))
    assert result.fused < 2e-5
