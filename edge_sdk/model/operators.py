"""The operators that a graph may have, their attributes, and the shape of what each gives: the one list.

The device checks both graphs of a bundle against it before ONNX Runtime sees them; packing checks the same.
docs/format.md has the list for ports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from edge_sdk.model.graph import CANDIDATES, Attribute, Constants, Node, Shape
from edge_sdk.model.protobuf import GraphError

# Shapes of the inputs, their constants (None = computed), the node -> shape of the output.
ShapeOf = Callable[[list[Shape], list[Constants | None], Node], Shape]
Operator = tuple[tuple[int, int], Mapping[str, tuple[Attribute, ...] | None], ShapeOf]


_FREE: Final = "candidates"
_RANK_MAX: Final = 4


def _fail(node: Node, shapes: list[Shape]) -> GraphError:
    found = ", ".join(str([_FREE if length == CANDIDATES else length for length in shape]) for shape in shapes)
    return GraphError(f"{node.operator} {node.output}", f"does not take the shapes {found}")


def _broadcast(one: Shape, other: Shape, node: Node) -> Shape:
    rank = max(len(one), len(other))
    longer = ((1,) * (rank - len(shape)) + shape for shape in (one, other))
    shape = []
    for mine, its in zip(*longer, strict=True):
        if mine != its and 1 not in (mine, its):
            raise _fail(node, [one, other])
        shape.append(its if mine == 1 else mine)
    return tuple(shape)


def _elementwise(shapes: list[Shape], _: list[Constants | None], node: Node) -> Shape:
    return shapes[0] if len(shapes) == 1 else _broadcast(shapes[0], shapes[1], node)


def _matmul(shapes: list[Shape], _: list[Constants | None], node: Node) -> Shape:
    one, other = shapes
    if not one or not other:
        raise _fail(node, shapes)
    left, right = one if len(one) > 1 else (1, *one), other if len(other) > 1 else (*other, 1)
    if left[-1] != right[-2]:
        raise _fail(node, shapes)
    batch = _broadcast(left[:-2], right[:-2], node)
    return (*batch, *((left[-2],) if len(one) > 1 else ()), *((right[-1],) if len(other) > 1 else ()))


def _gemm(shapes: list[Shape], _: list[Constants | None], node: Node) -> Shape:
    if len(shapes[0]) != 2 or len(shapes[1]) != 2:
        raise _fail(node, shapes)
    rows, inner = shapes[0]
    second = shapes[1][::-1] if node.attributes.get("transB", 0) else shapes[1]
    shape = (rows, second[1])
    if inner != second[0] or (len(shapes) == 3 and _broadcast(shapes[2], shape, node) != shape):
        raise _fail(node, shapes)
    return shape


def _axes(constant: Constants | None, rank: int, node: Node) -> list[int]:
    """Returns the axes that a constant lists, from 0 on, each once."""
    if constant is None or constant.dtype.kind != "i" or constant.ndim != 1:
        raise GraphError(f"{node.operator} {node.output}", "its list of axes or lengths is no constant of int64")
    axes = [int(axis) + rank if axis < 0 else int(axis) for axis in constant]
    if len(set(axes)) < len(axes) or not all(0 <= axis < rank for axis in axes):
        raise GraphError(f"{node.operator} {node.output}", f"axes {constant.tolist()} of {rank}")
    return axes


def _reduce_sum(shapes: list[Shape], constants: list[Constants | None], node: Node) -> Shape:
    axes = _axes(constants[1], len(shapes[0]), node)
    if not axes:
        raise GraphError(f"{node.operator} {node.output}", "no axes")
    keeps = node.attributes.get("keepdims", 1)
    kept = [1 if axis in axes else length for axis, length in enumerate(shapes[0]) if keeps or axis not in axes]
    return tuple(kept)


def _unsqueeze(shapes: list[Shape], constants: list[Constants | None], node: Node) -> Shape:
    count = 0 if constants[1] is None else constants[1].size
    axes = _axes(constants[1], len(shapes[0]) + count, node)
    lengths = iter(shapes[0])
    return tuple(1 if axis in axes else next(lengths) for axis in range(len(shapes[0]) + count))


# ---- of former formats ----


def _slice(shapes: list[Shape], constants: list[Constants | None], node: Node) -> Shape:
    shape = list(shapes[0])
    if any(constant is None or constant.dtype.kind != "i" or constant.ndim != 1 for constant in constants[1:]):
        raise GraphError(f"{node.operator} {node.output}", "its list of axes or lengths is no constant of int64")
    starts, ends, *rest = ([int(number) for number in constant] for constant in constants[1:] if constant is not None)
    axes = _axes(constants[3], len(shape), node) if rest else list(range(len(starts)))
    steps = rest[1] if len(rest) > 1 else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) <= len(shape) or 0 in steps:
        raise _fail(node, shapes)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if shape[axis] == CANDIDATES:
            raise _fail(node, shapes)
        shape[axis] = len(range(*slice(start, end, step).indices(shape[axis])))
    return tuple(shape)


def _squeeze(shapes: list[Shape], constants: list[Constants | None], node: Node) -> Shape:
    axes = _axes(constants[1], len(shapes[0]), node)
    if any(shapes[0][axis] != 1 for axis in axes):
        raise _fail(node, shapes)
    return tuple(length for axis, length in enumerate(shapes[0]) if axis not in axes)


def _concat(shapes: list[Shape], _: list[Constants | None], node: Node) -> Shape:
    rank, axis = len(shapes[0]), node.attributes.get("axis")
    if not isinstance(axis, int) or not -rank <= axis < rank or any(len(shape) != rank for shape in shapes):
        raise _fail(node, shapes)
    joined = [shape[axis] for shape in shapes]
    rests = {shape[: axis % rank] + shape[axis % rank + 1 :] for shape in shapes}
    if len(rests) > 1 or CANDIDATES in joined:
        raise _fail(node, shapes)
    return (*shapes[0][: axis % rank], sum(joined), *shapes[0][axis % rank + 1 :])


def _gather(shapes: list[Shape], _: list[Constants | None], node: Node) -> Shape:
    if not shapes[0]:
        raise _fail(node, shapes)
    return (*shapes[1], *shapes[0][1:])


def _transpose(shapes: list[Shape], _: list[Constants | None], node: Node) -> Shape:
    perm = node.attributes.get("perm", tuple(range(len(shapes[0])))[::-1])
    if not isinstance(perm, tuple) or sorted(perm) != list(range(len(shapes[0]))):
        raise _fail(node, shapes)
    return tuple(shapes[0][axis] for axis in perm)


def _reshape(shapes: list[Shape], constants: list[Constants | None], node: Node) -> Shape:
    """Only an axis of candidates may be left to -1, and it is the first one, before and after."""
    wanted = constants[1]
    if wanted is None or wanted.dtype.kind != "i" or wanted.ndim != 1 or len(wanted) > _RANK_MAX:
        raise GraphError(f"{node.operator} {node.output}", "its list of axes or lengths is no constant of int64")
    lengths = tuple(int(length) for length in wanted)
    fixed = [shape[1:] if shape[:1] == (CANDIDATES,) else shape for shape in (shapes[0], lengths)]
    products = [_product(shape) for shape in fixed]
    if lengths[:1] != shapes[0][:1] and CANDIDATES in (*lengths[:1], *shapes[0][:1]):
        raise _fail(node, shapes)
    if min((0, *fixed[0], *fixed[1])) < 0 or products[0] != products[1]:
        raise _fail(node, shapes)
    return lengths


def _product(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


_TWO: Final[Operator] = ((2, 2), {}, _elementwise)
_ONE: Final[Operator] = ((1, 1), {}, _elementwise)
_BOOL: Final = (0, 1)

# Operator -> least and most inputs; attributes, with their values (None = the shape decides); shape of the output.
OPERATORS: Final[Mapping[str, Operator]] = {
    "Add": _TWO,
    "Exp": _ONE,
    "Gemm": ((2, 3), {"transA": (0,), "transB": _BOOL, "alpha": (1.0,), "beta": (1.0,)}, _gemm),
    "Log": _ONE,
    "MatMul": ((2, 2), {}, _matmul),
    "Mul": _TWO,
    "ReduceSum": ((2, 2), {"keepdims": _BOOL, "noop_with_empty_axes": _BOOL}, _reduce_sum),
    "Relu": _ONE,
    "Sigmoid": _ONE,
    "Tanh": _ONE,
    "Unsqueeze": ((2, 2), {}, _unsqueeze),
}
# What graphs of bundles up to format 2 may have besides.
FORMER_OPERATORS: Final[Mapping[str, Operator]] = {
    "Asinh": _ONE,
    "Concat": ((1, 8), {"axis": None}, _concat),
    "Gather": ((2, 2), {"axis": (0,)}, _gather),
    "Reshape": ((2, 2), {"allowzero": _BOOL}, _reshape),
    "Slice": ((3, 5), {}, _slice),
    "Squeeze": ((2, 2), {}, _squeeze),
    "Sub": _TWO,
    "Transpose": ((1, 1), {"perm": None}, _transpose),
}
