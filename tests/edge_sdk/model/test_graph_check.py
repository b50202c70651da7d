"""The device proves a graph by itself: operators, attributes, fields, shapes and cost. No session is made here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_sdk import EdgeError
from edge_sdk.bundle import selftest
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import BundleInvalidError
from edge_sdk.limits import NODES_MAX
from edge_sdk.model import session
from edge_sdk.model.graph_check import Contract, check_graph, explainer_contract, ranker_contract
from edge_sdk.model.inputs import Shape
from edge_sdk.model.protobuf import GraphError
from tests.support.bundle_changes import changed
from tests.support.bundle_refusals import Refuser
from tests.support.bundle_refusals import payload as payload
from tests.support.bundle_refusals import refuser as refuser
from tests.support.paths import GOLDEN
from tests.support.scene import Small

FORMER = sorted(path.name for path in GOLDEN.glob("*.edge"))
Edit = Callable[[Any], object]  # of the ranker of `small`, as onnx reads it


@pytest.fixture(scope="module")
def contract(small: Small) -> Contract:
    layout, policy = small.layout.memory, small.layout.policy
    sizes = Shape(layout.window, layout.counter_features, policy.context_features, len(policy.objectives))
    return ranker_contract(sizes, small.content.tables.dimension, {})


def edited(graph: bytes, edit: Edit) -> bytes:
    model = onnx.load_from_string(graph)
    edit(model)
    return bytes(model.SerializeToString())


def refused(raw: bytes, contract: Contract, words: str) -> None:
    with pytest.raises(GraphError) as caught:
        check_graph(memoryview(raw), contract)
    assert words in str(caught.value)


def node(model: Any, operator: str) -> Any:
    return next(entry for entry in model.graph.node if entry.op_type == operator)


def with_attribute(operator: str, name: str, value: object) -> Edit:
    return lambda model: node(model, operator).attribute.append(helper.make_attribute(name, value))


def with_outer_products(model: Any) -> None:
    """Two vectors of 20,000 numbers become a table of 400,000,000."""
    for name, shape in (("tall", (20_000, 1)), ("wide", (1, 20_000))):
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
    model.graph.node.insert(0, helper.make_node("Mul", ["tall", "wide"], ["large"]))


def with_costly_products(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((2048, 2048), np.float32), "square"))
    for number in range(2):
        model.graph.node.insert(0, helper.make_node("MatMul", ["square", "square"], [f"product_{number}"]))


def with_external_data(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def with_subgraph(model: Any) -> None:
    inner = helper.make_graph([], "inner", [], [])
    node(model, "Relu").attribute.append(helper.make_attribute("then_branch", inner))


def with_lengths(name: str, *lengths: int) -> Edit:
    def edit(model: Any) -> None:
        wanted = next(entry for entry in model.graph.input if entry.name == name)
        for dim, length in zip(wanted.type.tensor_type.shape.dim, lengths, strict=True):
            dim.dim_value = length

    return edit


def with_number(name: str, number: float) -> Edit:
    def edit(model: Any) -> None:
        tensor = next(entry for entry in model.graph.initializer if entry.name == name)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[0] = number
        tensor.CopyFrom(numpy_helper.from_array(array, name))

    return edit


EDITS: dict[str, tuple[Edit, str]] = {
    "an operator off the list": (
        lambda m: setattr(node(m, "Tanh"), "op_type", "Identity"),
        "operator: Identity, outside",
    ),
    "an operator of former formats alone": (lambda m: setattr(node(m, "Tanh"), "op_type", "Asinh"), "operator: Asinh"),
    "another domain": (lambda m: setattr(node(m, "Tanh"), "domain", "com.microsoft"), "com.microsoft::Tanh"),
    "a domain imported": (lambda m: m.opset_import.append(helper.make_opsetid("x", 1)), "opset_import: not version 18"),
    "another opset": (lambda m: setattr(m.opset_import[0], "version", 17), "opset_import: not version 18"),
    "another version of ONNX": (lambda m: setattr(m, "ir_version", 9), "ir_version: 9, not 8"),
    "an attribute off the list": (with_attribute("Gemm", "beta", 0.5), "Gemm.beta: 0.5"),
    "an attribute that is no number": (with_attribute("Tanh", "mode", "x"), "attribute of Tanh: field 4"),
    "an attribute of another operator": (with_attribute("Tanh", "transB", 1), "Tanh.transB: 1"),
    "a graph within the graph": (with_subgraph, "attribute of Relu: field 6"),
    "a function": (lambda m: m.functions.add(), "file: field 25"),
    "training information": (lambda m: m.training_info.add(), "file: field 20"),
    "data in another file": (with_external_data, "initializer: field 13"),
    "sparse data": (lambda m: m.graph.sparse_initializer.add(), "graph: field 15"),
    "too few bytes": (lambda m: setattr(m.graph.initializer[1], "raw_data", b"1234"), "4 bytes for the shape"),
    "a constant that is NaN": (with_number("gate_bias", float("nan")), "initializer gate_bias: NaN"),
    "an infinite constant": (with_number("hidden_in", float("inf")), "initializer hidden_in: NaN or infinite"),
    "axes beyond the shape": (with_number("last_axis", 3), "axes [3] of 3"),
    "a wider window": (with_lengths("event_age_s", 9, 1), "input event_age_s: float32 [9, 1], not float32 [8, 1]"),
    "a fixed number of candidates": (
        with_lengths("query", 50, 8),
        "input query: float32 [50, 8], not float32 ['candid",
    ),
    "an unknown input": (
        lambda m: setattr(m.graph.input[0], "name", "events"),
        "input events: float32 [8, 8], not absent",
    ),
    "an input that is a constant": (lambda m: setattr(m.graph.initializer[0], "name", "query"), "the name of an input"),
    "no such output": (lambda m: setattr(m.graph.output[0], "name", "scores"), "graph.output: scores; not logits"),
    "an output of another shape": (lambda m: m.graph.output[0].CopyFrom(m.graph.input[0]), "graph.output: event_term"),
    "an output that nothing gives": (lambda m: m.graph.node.pop(), "output logits: absent, not float32"),
    "a value that comes later": (lambda m: m.graph.node.append(m.graph.node.pop(0)), "which nothing gives before it"),
    "a value given twice": (lambda m: m.graph.node.append(m.graph.node[-1]), "given twice"),
    "two outputs": (lambda m: node(m, "Tanh").output.append("more"), "Tanh: 2 outputs, not 1"),
    "too few inputs": (lambda m: node(m, "Mul").input.pop(), "Mul scaled: 1 inputs"),
    "shapes that do not fit": (lambda m: node(m, "MatMul").input.reverse(), "does not take the shapes [1, 5], [8, 1]"),
    "more operators than the bound": (lambda m: m.graph.node.extend(list(m.graph.node) * 13), f"at most {NODES_MAX}"),
    "more memory than the bound": (with_outer_products, "Mul large: 400000000 numbers"),
    "more work than the bound": (with_costly_products, "MatMul product_"),
    "no graph": (lambda m: m.ClearField("graph"), "graph.output"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_graph_that_is_not_allowed_is_refused_and_named(name: str, small: Small, contract: Contract) -> None:
    edit, words = EDITS[name]
    refused(edited(small.content.model, edit), contract, words)


def test_what_packing_writes_is_allowed(small: Small, contract: Contract) -> None:
    check_graph(memoryview(small.content.model), contract)
    check_graph(memoryview(edited(small.content.model, with_attribute("Gemm", "beta", 1.0))), contract)


@pytest.mark.parametrize("name", FORMER)
def test_graphs_of_every_format_are_allowed(name: str) -> None:
    path = GOLDEN / name
    selftest.check_graphs(read_bundle(path, open_container(path, trusted_keys=[], allow_unsigned=True)))


def test_a_table_with_fewer_rows_than_a_former_graph_reads() -> None:
    path = GOLDEN / "bundle_of_format_2.edge"
    bundle = read_bundle(path, open_container(path, trusted_keys=[], allow_unsigned=True))
    items = len(bundle.layout.items) + 1
    rows = {"event_item": items, "event_kind": len(bundle.layout.kinds) + 1, "candidate": len(bundle.layout.offers) + 1}
    for contract_of, graph in ((ranker_contract, bundle.model), (explainer_contract, bundle.explainer)):
        check_graph(graph, contract_of(selftest.model_shape(bundle), None, rows))
        refused(
            bytes(graph), contract_of(selftest.model_shape(bundle), None, rows | {"event_item": items + 1}), "Gather"
        )


def test_a_truncated_graph_is_refused_at_every_length(small: Small, contract: Contract) -> None:
    graph = small.content.model
    for length in range(len(graph) - 12):  # the last twelve bytes import the operators
        with pytest.raises(GraphError):
            check_graph(memoryview(graph[:length]), contract)


def test_a_field_given_twice_is_refused(small: Small, contract: Contract) -> None:
    """protobuf would merge the second graph into the first."""
    refused(small.content.model * 2, contract, "file.ir_version: given twice")
    refused(small.content.model + b"\x3a\x00", contract, "file.graph: given twice")


@pytest.mark.parametrize("field", ["model", "explainer"])
def test_no_session_is_made_for_a_graph_that_is_not_allowed(
    field: str, payload: bytes, refuser: Refuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(bundle: fb.BundleT) -> None:
        graph = edited(bytes(getattr(bundle, field)), lambda m: setattr(node(m, "Tanh"), "op_type", "Identity"))
        setattr(bundle, field, np.frombuffer(graph, np.uint8))

    refuser.refuse(changed(payload, foreign), BundleInvalidError, f"{field}: operator: Identity, outside Add, Exp")
    seen: list[object] = []
    monkeypatch.setattr(session, "make_session", seen.append)
    with pytest.raises(EdgeError):
        selftest.tested_session(read_bundle(refuser.folder / "other.edge", payload_view(changed(payload, foreign))))
    assert seen == []


def payload_view(raw: bytes) -> memoryview:
    container = fb.Container.GetRootAs(raw)
    return memoryview(bytes(container.PayloadAsNumpy()))
