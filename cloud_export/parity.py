"""The proof that the exported graphs say what torch says, on real decisions and on the edge cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from cloud_export.edge_model import INPUT_NAMES, OUTPUT_NAMES, EdgeModel
from cloud_export.errors import CloudError
from cloud_export.examples import F32, Examples
from edge_sdk.onnx_runtime import onnxruntime

TOLERANCE = 1e-4  # logits; gaps below it are ties

Array = npt.NDArray[np.float32] | npt.NDArray[np.int32]


class ParityError(CloudError):
    """ONNX Runtime and torch disagree about a score."""

    def __init__(self, output: str, decision: int, difference: float, tolerance: float) -> None:
        self.output, self.decision, self.difference, self.tolerance = output, decision, difference, tolerance
        super().__init__(
            f"{output} of decision {decision} differs by {difference:.3g} between torch and ONNX Runtime "
            f"(allowed {tolerance:.3g}); look for non-finite inputs in that decision, else export the model again"
        )


@dataclass(frozen=True, slots=True)
class ParityResult:
    """Largest absolute differences between torch and ONNX Runtime, in logits."""

    objectives: tuple[float, ...]  # one per objective
    fused: float
    decisions: int  # compared ones, the constructed edge cases included


def check_parity(
    model: EdgeModel,
    onnx_bytes: bytes,
    examples: Examples,
    *,
    weights: F32 | None = None,
    decisions: int = 200,
    tolerance: float = TOLERANCE,
) -> ParityResult:
    """Compares the exported ranker with torch on real decisions and on the edge cases.

    Args:
        model: the module that was exported.
        onnx_bytes: what `export_ranker` gave, or a quantised version of it.
        examples: real decisions; an even sample is taken.
        weights: float32 (K,), ones if not given.
        decisions: size of the sample. Three cases come on top: an empty window, one candidate, all columns.
        tolerance: largest allowed absolute difference, in logits.

    Returns:
        The largest differences found.

    Raises:
        ParityError: a logit or a fused logit differs by more than the tolerance, or is not finite on one side.
    """
    session = _session(onnx_bytes)
    fusion = np.ones(model.config.objectives, dtype=np.float32) if weights is None else weights
    largest = np.zeros(model.config.objectives + 1)
    count = 0
    model.eval()
    for row, arrays in _parity_cases(examples, decisions):
        inputs = (*arrays, fusion)
        with torch.no_grad():
            fused, logits = model(*(torch.from_numpy(array) for array in inputs))
        found_fused, found_logits = session.run(list(OUTPUT_NAMES), _feed(inputs))
        worst = np.append(np.abs(found_logits - logits.numpy()).max(0), np.abs(found_fused - fused.numpy()).max())
        for column, difference in enumerate(worst):
            if not difference <= tolerance:  # NaN fails too
                name = "fused" if column == model.config.objectives else f"logit {column}"
                raise ParityError(name, row, float(difference), tolerance)
        largest, count = np.maximum(largest, worst), count + 1
    return ParityResult(objectives=tuple(map(float, largest[:-1])), fused=float(largest[-1]), decisions=count)


def check_explainer(
    ranker_bytes: bytes,
    explainer_bytes: bytes,
    examples: Examples,
    *,
    weights: F32,
    decisions: int = 50,
    tolerance: float = TOLERANCE,
) -> float:
    """Checks that the explainer's contributions sum to what the ranker says.

    Args:
        ranker_bytes: what `export_ranker` gave.
        explainer_bytes: what `export_explainer` gave.
        examples: real decisions; an even sample is taken, with the edge cases of `check_parity`.
        weights: float32 (K,).
        decisions: size of the sample.
        tolerance: largest allowed absolute difference, in fused logits.

    Returns:
        The largest difference found.

    Raises:
        ParityError: the contributions of a decision do not sum to its fused logits.
    """
    ranker, explainer = _session(ranker_bytes), _session(explainer_bytes)
    largest = 0.0
    for row, arrays in _parity_cases(examples, decisions):
        inputs = (*arrays, weights)
        (fused,) = ranker.run(["fused"], _feed(inputs))
        events, counters = explainer.run(None, _feed(inputs))
        difference = float(np.abs(arrays[7] @ weights + events.sum(0) + counters.sum(1) - fused).max())
        if not difference <= tolerance:
            raise ParityError("the sum of the contributions", row, difference, tolerance)
        largest = max(largest, difference)
    return largest


def _session(onnx_bytes: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])


def _feed(inputs: tuple[Array, ...]) -> dict[str, Array]:
    return dict(zip(INPUT_NAMES, inputs, strict=True))


def _parity_cases(examples: Examples, decisions: int) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """(row, inputs without the weights): an even sample without its padding, then edge cases made from real rows."""
    last = len(examples.candidate) - 1
    for row in np.unique(np.linspace(0, last, min(decisions, last + 1)).astype(int)):
        yield int(row), _decision(examples, int(row), max(1, int((examples.candidate[row] > 0).sum())))
    every_column = examples.candidate.shape[1]
    yield last, _decision(examples, last, every_column)
    yield last, _decision(examples, last, 1)
    item, kind, age_s, value, *rest = _decision(examples, last, every_column)
    yield last, (item * 0, kind * 0, age_s * 0, value * 0, *rest)


def _decision(examples: Examples, row: int, candidates: int) -> tuple[Array, ...]:
    # A decision's candidates come first in its row, padding last.
    return (
        examples.event_item[row],
        examples.event_kind[row],
        examples.event_age_s[row],
        examples.event_value[row],
        examples.counters[row, :candidates],
        examples.context[row],
        examples.candidate[row, :candidates],
        examples.base_logits[row, :candidates],
    )
