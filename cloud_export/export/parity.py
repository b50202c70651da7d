"""Compares the exported graphs and tables with torch, on real decisions and on edge cases.

Rows become the graphs' inputs through the device's own code (edge_sdk/model/projection.py), so the comparison covers
that code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from cloud_export.errors import CloudError
from cloud_export.features.examples import F32, Examples
from cloud_export.models.device_model import EdgeModel
from edge_sdk.model.inputs import ModelInputs, graph_inputs
from edge_sdk.model.onnx_runtime import onnxruntime
from edge_sdk.model.projection import ModelTables, Projection
from edge_sdk.policy.scoring import fused

TOLERANCE = 1e-4  # logits; gaps below it are ties


class ParityError(CloudError):
    """ONNX Runtime and torch compute different scores."""

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
    tables: ModelTables,
    examples: Examples,
    *,
    weights: F32 | None = None,
    decisions: int = 200,
    tolerance: float = TOLERANCE,
) -> ParityResult:
    """Compares the exported ranker with torch on real decisions and on the edge cases.

    Args:
        model: the module that was exported.
        onnx_bytes: the result of `export_ranker`.
        tables: the result of `export_tables`.
        examples: real decisions; an even sample is taken.
        weights: float32 (K,); None = ones.
        decisions: size of the sample. Three edge cases are added: an empty window, one candidate, all columns.
        tolerance: largest allowed absolute difference, in logits.

    Returns:
        The largest differences found.

    Raises:
        ParityError: a logit or a fused logit differs by more than the tolerance, or is not finite on one side.
    """
    session, projection = _session(onnx_bytes), Projection(tables)
    fusion = np.ones(model.config.objectives, dtype=np.float32) if weights is None else weights
    largest = np.zeros(model.config.objectives + 1)
    count = 0
    model.eval()
    for row, inputs in _parity_cases(examples, fusion, decisions):
        with torch.no_grad():
            torch_fused, logits = model(*(torch.from_numpy(array) for array in inputs.named().values()))
        found: F32 = _run(session, projection, inputs)[0].T
        worst = np.abs(found - logits.numpy()).max(0)
        worst = np.append(worst, np.abs(fused(found, fusion) - torch_fused.numpy()).max())
        for column, difference in enumerate(worst):
            if not difference <= tolerance:  # NaN fails too
                name = "fused" if column == model.config.objectives else f"logit {column}"
                raise ParityError(name, row, float(difference), tolerance)
        largest, count = np.maximum(largest, worst), count + 1
    return ParityResult(objectives=tuple(map(float, largest[:-1])), fused=float(largest[-1]), decisions=count)


def check_explainer(
    ranker_bytes: bytes,
    explainer_bytes: bytes,
    tables: ModelTables,
    examples: Examples,
    *,
    weights: F32,
    decisions: int = 50,
    tolerance: float = TOLERANCE,
) -> float:
    """Checks that the explainer's contributions sum to the ranker's fused logits.

    Args:
        ranker_bytes: the result of `export_ranker`.
        explainer_bytes: the result of `export_explainer`.
        tables: the result of `export_tables`.
        examples: real decisions; an even sample is taken, with the edge cases of `check_parity`.
        weights: float32 (K,).
        decisions: size of the sample.
        tolerance: largest allowed absolute difference, in fused logits.

    Returns:
        The largest difference found.

    Raises:
        ParityError: the contributions of a decision do not sum to its fused logits.
    """
    ranker, explainer, projection = _session(ranker_bytes), _session(explainer_bytes), Projection(tables)
    largest = 0.0
    for row, inputs in _parity_cases(examples, weights, decisions):
        logits = _run(ranker, projection, inputs)[0].T
        events, counters = _run(explainer, projection, inputs)
        total = fused(inputs.base_logits, weights) + events.sum(0) + counters.sum(1)
        difference = float(np.abs(total - fused(logits, weights)).max())
        if not difference <= tolerance:
            raise ParityError("the sum of the contributions", row, difference, tolerance)
        largest = max(largest, difference)
    return largest


def _session(onnx_bytes: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, projection: Projection, inputs: ModelInputs) -> list[F32]:
    given = graph_inputs(projection, inputs)
    outputs: list[F32] = session.run(None, {wanted.name: given[wanted.name] for wanted in session.get_inputs()})
    return outputs


def _parity_cases(examples: Examples, weights: F32, decisions: int) -> Iterator[tuple[int, ModelInputs]]:
    """(row, inputs): an even sample without its padding, then edge cases made from real rows."""
    last = len(examples.candidate) - 1
    for row in np.unique(np.linspace(0, last, min(decisions, last + 1)).astype(int)):
        yield int(row), _decision(examples, weights, int(row), max(1, int((examples.candidate[row] > 0).sum())))
    every = _decision(examples, weights, last, examples.candidate.shape[1])
    yield last, every
    yield last, _decision(examples, weights, last, 1)
    none, zeros = every.event_item * 0, every.event_value * 0
    yield last, every._replace(event_item=none, event_kind=none, event_age_s=zeros, event_value=zeros)


def _decision(examples: Examples, weights: F32, row: int, candidates: int) -> ModelInputs:
    # A decision's candidates come first in its row, padding last.
    return ModelInputs(
        event_item=examples.event_item[row],
        event_kind=examples.event_kind[row],
        event_age_s=examples.event_age_s[row],
        event_value=examples.event_value[row],
        counters=examples.counters[row, :candidates],
        context=examples.context[row],
        candidate=examples.candidate[row, :candidates],
        base_logits=examples.base_logits[row, :candidates],
        weights=weights,
    )
