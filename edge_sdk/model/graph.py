"""Reads an ONNX file into plain data before ONNX Runtime sees it, and refuses every field that is not needed.

No file beside the bundle, no function, no graph within a graph: the fields that say so are not among those allowed.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from edge_sdk.limits import NODES_MAX
from edge_sdk.model.protobuf import BYTES, FIXED32, VARINT, Fields, GraphError, message, single, text
from edge_sdk.types import Record

IR_VERSION: Final = 8
OPSET: Final = 18
FLOAT: Final = 1  # element types
INT32: Final = 6
INT64: Final = 7
CANDIDATES: Final = -1  # as a length in a shape: the free number of candidates, named "candidates" in the file
_FREE: Final = "candidates"
_TYPES: Final[dict[int, np.dtype[np.generic]]] = {FLOAT: np.dtype("<f4"), INT64: np.dtype("<i8")}  # of constants
_RANK_MAX: Final = 4
_LENGTH_MAX: Final = 1 << 31

_MODEL: Final[Fields] = {
    1: ("ir_version", VARINT, False),
    2: ("producer_name", BYTES, False),
    3: ("producer_version", BYTES, False),
    7: ("graph", BYTES, False),
    8: ("opset_import", BYTES, True),
}
_OPSET: Final[Fields] = {1: ("domain", BYTES, False), 2: ("version", VARINT, False)}
_GRAPH: Final[Fields] = {
    1: ("node", BYTES, True),
    2: ("name", BYTES, False),
    5: ("initializer", BYTES, True),
    11: ("input", BYTES, True),
    12: ("output", BYTES, True),
}
_NODE: Final[Fields] = {
    1: ("input", BYTES, True),
    2: ("output", BYTES, True),
    3: ("name", BYTES, False),
    4: ("op_type", BYTES, False),
    5: ("attribute", BYTES, True),
    7: ("domain", BYTES, False),
}
_ATTRIBUTE: Final[Fields] = {
    1: ("name", BYTES, False),
    2: ("f", FIXED32, False),
    3: ("i", VARINT, False),
    8: ("ints", VARINT, True),
    20: ("type", VARINT, False),
}
_TENSOR: Final[Fields] = {
    1: ("dims", VARINT, True),
    2: ("data_type", VARINT, False),
    8: ("name", BYTES, False),
    9: ("raw_data", BYTES, False),
}
_VALUE: Final[Fields] = {1: ("name", BYTES, False), 2: ("type", BYTES, False)}
_TYPE: Final[Fields] = {1: ("tensor_type", BYTES, False)}
_TENSOR_TYPE: Final[Fields] = {1: ("elem_type", VARINT, False), 2: ("shape", BYTES, False)}
_SHAPE: Final[Fields] = {1: ("dim", BYTES, True)}
_DIM: Final[Fields] = {1: ("dim_value", VARINT, False), 2: ("dim_param", BYTES, False)}
_ATTRIBUTE_TYPES: Final = {1: "f", 2: "i", 7: "ints"}

T = TypeVar("T")
Shape = tuple[int, ...]
Attribute = float | int | tuple[int, ...]
Constants = npt.NDArray[np.generic]


class Node(Record):
    """One operator of a graph, with one output."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Attribute]


class Graph(Record):
    """A graph as data."""

    nodes: tuple[Node, ...]
    constants: dict[str, Constants]  # float32 or int64, views of the file
    inputs: dict[str, tuple[int, Shape]]  # element type and shape, by name
    outputs: dict[str, tuple[int, Shape]]


def read_graph(raw: memoryview) -> Graph:
    """Returns the graph of an ONNX file.

    Raises:
        GraphError: the file is no ONNX file of opset 18 and IR version 8, or has a field that is not allowed.
    """
    model = message(raw, _MODEL, "file")
    if model.get("ir_version") != IR_VERSION:
        raise GraphError("ir_version", f"{model.get('ir_version')}, not {IR_VERSION}")
    opsets = [message(entry, _OPSET, "opset_import") for entry in model["opset_import"]]
    if [(text(entry.get("domain"), "domain"), entry.get("version")) for entry in opsets] != [("", OPSET)]:
        raise GraphError("opset_import", f"not version {OPSET} of the standard operators alone")
    graph = message(model.get("graph", memoryview(b"")), _GRAPH, "graph")
    if len(graph["node"]) > NODES_MAX:
        raise GraphError("graph.node", f"{len(graph['node'])}, at most {NODES_MAX}")
    return Graph(
        nodes=tuple(_node(entry) for entry in graph["node"]),
        constants=_by_name([_constant(entry) for entry in graph["initializer"]], "graph.initializer"),
        inputs=_by_name([_value(entry) for entry in graph["input"]], "graph.input"),
        outputs=_by_name([_value(entry) for entry in graph["output"]], "graph.output"),
    )


def _by_name(pairs: list[tuple[str, T]], where: str) -> dict[str, T]:
    found = dict(pairs)
    if len(found) < len(pairs) or "" in found:
        raise GraphError(where, "a name that is empty, or given twice")
    return found


def _node(raw: memoryview) -> Node:
    node = message(raw, _NODE, "node")
    operator = text(node.get("op_type"), "node.op_type")
    domain = text(node.get("domain"), "node.domain")
    if domain:
        raise GraphError("node", f"operator {domain}::{operator}, of another domain than the standard one")
    if len(node["output"]) != 1:
        raise GraphError(operator, f"{len(node['output'])} outputs, not 1")
    return Node(
        operator=operator,
        inputs=tuple(text(name, operator) for name in node["input"]),
        output=text(node["output"][0], operator),
        attributes=_by_name([_attribute(entry, operator) for entry in node["attribute"]], operator),
    )


def _attribute(raw: memoryview, operator: str) -> tuple[str, Attribute]:
    found = message(raw, _ATTRIBUTE, f"attribute of {operator}")
    name, kind = text(found.get("name"), operator), _ATTRIBUTE_TYPES.get(found.get("type", 0))
    if kind is None:
        raise GraphError(f"{operator}.{name}", f"an attribute of type {found.get('type', 0)}")
    if kind == "f":
        return name, single(found.get("f", memoryview(bytes(4))))
    return name, tuple(found["ints"]) if kind == "ints" else found.get("i", 0)


def _constant(raw: memoryview) -> tuple[str, Constants]:
    tensor = message(raw, _TENSOR, "initializer")
    name = text(tensor.get("name"), "initializer.name")
    kind, shape = _TYPES.get(tensor.get("data_type", 0)), _shape_of(tensor["dims"], name)
    if kind is None:
        raise GraphError(f"initializer {name}", f"elements of type {tensor.get('data_type', 0)}")
    data = tensor.get("raw_data", memoryview(b""))
    size = kind.itemsize
    for length in shape:
        size *= length
    if len(data) != size or CANDIDATES in shape:
        raise GraphError(f"initializer {name}", f"{len(data)} bytes for the shape {list(shape)}, not {size}")
    array = np.frombuffer(data, kind).reshape(shape)
    if not np.isfinite(array).all():
        raise GraphError(f"initializer {name}", "NaN or infinite")
    return name, array


def _value(raw: memoryview) -> tuple[str, tuple[int, Shape]]:
    value = message(raw, _VALUE, "value")
    name = text(value.get("name"), "value.name")
    kind = message(value.get("type", memoryview(b"")), _TYPE, name)
    tensor = message(kind.get("tensor_type", memoryview(b"")), _TENSOR_TYPE, name)
    dims = message(tensor.get("shape", memoryview(b"")), _SHAPE, name)["dim"]
    return name, (tensor.get("elem_type", 0), _shape_of([_length(dim, name) for dim in dims], name))


def _length(raw: memoryview, name: str) -> int:
    dim = message(raw, _DIM, name)
    if dim.keys() == {"dim_param"} and text(dim["dim_param"], name) == _FREE:
        return CANDIDATES
    length: int = dim.get("dim_value", 0)
    if "dim_param" in dim or length < 0:
        raise GraphError(name, f"a length that is neither a number nor {_FREE!r}")
    return length


def _shape_of(dims: list[int], name: str) -> Shape:
    if len(dims) > _RANK_MAX or not all(CANDIDATES <= length < _LENGTH_MAX for length in dims):
        raise GraphError(name, f"shape {dims[: _RANK_MAX + 1]}: at most {_RANK_MAX} axes, of less than 2^31 each")
    return tuple(dims)
