"""Proves a bundle's graph before ONNX Runtime sees it: operators, attributes, shapes, and what a run costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge_sdk.limits import CANDIDATES_MAX, PRODUCTS_MAX, TENSORS_MAX
from edge_sdk.model.graph import CANDIDATES, FLOAT, INT32, Constants, Graph, Node, Shape, read_graph
from edge_sdk.model.inputs import Shape as Sizes
from edge_sdk.model.operators import FORMER_OPERATORS, OPERATORS, Operator
from edge_sdk.model.protobuf import GraphError
from edge_sdk.types import Record

Typed = tuple[int, Shape]  # element type, shape
_PRODUCTS: Final = ("Gemm", "MatMul")


class Contract(Record):
    """What a graph may read, must give, and may consist of."""

    inputs: Mapping[str, Typed]
    outputs: Mapping[str, Typed]
    operators: Mapping[str, Operator]
    rows: Mapping[str, int]  # of the inputs that are rows of a table: how many rows the table must have


def ranker_contract(sizes: Sizes, dimension: int | None, rows: Mapping[str, int]) -> Contract:
    """Returns what the graph that ranks may be.

    Args:
        sizes: of the scene.
        dimension: d; None = a bundle up to format 2, whose graphs contain the tables.
        rows: rows of the items, kinds and offers, each with row 0, by the input that names one.
    """
    k, c = sizes.objectives, CANDIDATES
    if dimension is None:
        outputs = {"logits": (FLOAT, (c, k)), "fused": (FLOAT, (c,))}
        return Contract(inputs=_former_inputs(sizes), outputs=outputs, operators=_FORMER, rows=rows)
    inputs = _inputs(sizes, dimension) | {"base_logits": (FLOAT, (k, c))}
    return Contract(inputs=inputs, outputs={"logits": (FLOAT, (k, c))}, operators=OPERATORS, rows={})


def explainer_contract(sizes: Sizes, dimension: int | None, rows: Mapping[str, int]) -> Contract:
    """Returns what the graph that explains may be; the arguments are those of `ranker_contract`."""
    outputs = {
        "event_contribution": (FLOAT, (sizes.window, CANDIDATES)),
        "counter_contribution": (FLOAT, (CANDIDATES, sizes.counter_features)),
    }
    if dimension is None:
        return Contract(inputs=_former_inputs(sizes), outputs=outputs, operators=_FORMER, rows=rows)
    inputs = _inputs(sizes, dimension) | {"weights": (FLOAT, (sizes.objectives,))}
    return Contract(inputs=inputs, outputs=outputs, operators=OPERATORS, rows={})


def check_graph(raw: memoryview, contract: Contract) -> None:
    """Checks a graph.

    Raises:
        GraphError: the graph is malformed, has an operator, an attribute, an input or an output that it may not have,
            shapes that do not fit, or takes more memory or work than this runtime gives.
    """
    graph = read_graph(raw)
    for name, typed in graph.inputs.items():
        if contract.inputs.get(name) != typed:
            raise GraphError(f"input {name}", f"{_named(typed)}, not {_named(contract.inputs.get(name))}")
    if graph.inputs.keys() & graph.constants.keys():
        raise GraphError("graph.initializer", "the name of an input")
    values = _shapes(graph, contract)
    if graph.outputs.keys() != contract.outputs.keys():
        raise GraphError("graph.output", f"{', '.join(graph.outputs)}; not {', '.join(contract.outputs)}")
    for name, typed in contract.outputs.items():
        if graph.outputs[name] != typed or values.get(name) != typed:
            raise GraphError(f"output {name}", f"{_named(values.get(name))}, not {_named(typed)}")


def _shapes(graph: Graph, contract: Contract) -> dict[str, Typed]:
    """Returns type and shape of every value of a graph, in the order in which its nodes give them."""
    values = dict(graph.inputs)
    for name, constant in graph.constants.items():
        values[name] = FLOAT if constant.dtype.kind == "f" else 0, constant.shape
    tensors = products = 0
    for node in graph.nodes:
        shape = _shape(node, graph, values, contract)
        if node.output in values or not node.output:
            raise GraphError(f"{node.operator} {node.output}", "a name that is empty, or given twice")
        if node.operator in _PRODUCTS:
            products += size_of(shape) * size_of(values[node.inputs[0]][1][-1:])
        tensors += size_of(shape)
        if tensors > TENSORS_MAX or products > PRODUCTS_MAX:
            found = f"{tensors} numbers and {products} products with {CANDIDATES_MAX} candidates"
            raise GraphError(f"{node.operator} {node.output}", f"{found}; at most {TENSORS_MAX} and {PRODUCTS_MAX}")
        values[node.output] = FLOAT, shape
    return values


def _shape(node: Node, graph: Graph, values: Mapping[str, Typed], contract: Contract) -> Shape:
    operator = contract.operators.get(node.operator)
    if operator is None:
        raise GraphError("operator", f"{node.operator}, outside {', '.join(sorted(contract.operators))}")
    (least, most), attributes, shape_of = operator
    if not least <= len(node.inputs) <= most:
        raise GraphError(f"{node.operator} {node.output}", f"{len(node.inputs)} inputs")
    for name, value in node.attributes.items():
        allowed = attributes.get(name, ())
        if allowed is not None and value not in allowed:
            raise GraphError(f"{node.operator}.{name}", f"{value}, an attribute or a value that is not allowed")
    missing = [name for name in node.inputs if name not in values]
    if missing:
        raise GraphError(f"{node.operator} {node.output}", f"reads {missing[0]!r}, which nothing gives before it")
    constants = [graph.constants.get(name) for name in node.inputs]
    _check_types(node, values, constants, contract)
    return shape_of([values[name][1] for name in node.inputs], constants, node)


def _check_types(
    node: Node, values: Mapping[str, Typed], constants: list[Constants | None], contract: Contract
) -> None:
    """Everything is float32, but for constant lists of axes or lengths and the rows that `Gather` reads."""
    for place, (name, constant) in enumerate(zip(node.inputs, constants, strict=True)):
        kind, _ = values[name]
        if place == 1 and node.operator == "Gather":
            needed, table = contract.rows.get(name), values[node.inputs[0]][1]
            if kind != INT32 or needed is None or not table or table[0] < needed:
                raise GraphError(f"Gather {node.output}", f"rows {name!r} of a table of the shape {list(table)}")
        elif kind != FLOAT and (place == 0 or constant is None or node.operator not in _WITH_LISTS):
            raise GraphError(f"{node.operator} {node.output}", f"reads {name!r}, which is not float32")


_WITH_LISTS: Final = ("ReduceSum", "Reshape", "Slice", "Squeeze", "Unsqueeze")
_FORMER: Final = {**OPERATORS, **FORMER_OPERATORS}


def size_of(shape: Shape) -> int:
    """Returns how many numbers a shape has, with as many candidates as there may be."""
    size = 1
    for length in shape:
        size *= CANDIDATES_MAX if length == CANDIDATES else length
    return size


def _named(typed: Typed | None) -> str:
    if typed is None:
        return "absent"
    kind, shape = typed
    name = {FLOAT: "float32", INT32: "int32"}.get(kind, f"type {kind}")
    return f"{name} {['candidates' if length == CANDIDATES else length for length in shape]}"


def _inputs(sizes: Sizes, d: int) -> dict[str, Typed]:
    n, k, c = sizes.window, sizes.objectives, CANDIDATES
    return {
        "event_term": (FLOAT, (n, d)),
        "event_scale": (FLOAT, (n, d)),
        "event_fading": (FLOAT, (n, 1)),
        "event_age_s": (FLOAT, (n, 1)),
        "context_row": (FLOAT, (1, d)),
        "query": (FLOAT, (c, d)),
        "readout": (FLOAT, (k, c, d)),
        "counters": (FLOAT, (c, sizes.counter_features)),
    }


def _former_inputs(sizes: Sizes) -> dict[str, Typed]:
    n, k, c = sizes.window, sizes.objectives, CANDIDATES
    return {
        "event_item": (INT32, (n,)),
        "event_kind": (INT32, (n,)),
        "event_age_s": (FLOAT, (n,)),
        "event_value": (FLOAT, (n,)),
        "counters": (FLOAT, (c, sizes.counter_features)),
        "context": (FLOAT, (sizes.context_features,)),
        "candidate": (INT32, (c,)),
        "base_logits": (FLOAT, (c, k)),
        "weights": (FLOAT, (k,)),
    }
