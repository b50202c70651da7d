"""Fits the base model and the device model: seeded, bit-repeatable on one machine, early stop on held-out users.

Shapes: D decisions, S states, C candidates, O offers, K objectives.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cloud_export.features.examples import F32, I32, BaseStates, Examples
from cloud_export.models.base_model import BaseModel, BaseModelConfig, BaseModelInputs
from cloud_export.models.device_model import DeviceModel, DeviceModelConfig

Loss = Literal["binary", "softmax"]
Indices = npt.NDArray[np.int64]
Model = TypeVar("Model", bound=nn.Module)

PREDICTION_ROWS = 1024  # of every prediction batch: logits differ in the last bits between batch sizes


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The settings of a fit. docs/adr/0003-device-model.md has the measurements behind the defaults."""

    loss: Loss
    epochs: int = 12
    batch_rows: int = 1024
    max_learning_rate: float = 8e-3
    weight_decay: float = 1e-4
    gradient_norm: float = 1.0
    item_dropout: float = 0.01  # share of training events whose item becomes row 0, which trains the unknown item
    patience_epochs: int = 3  # early stop after so many epochs without a better validation loss


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One pass over the training decisions. Losses in nats, summed over objectives."""

    epoch: int  # 1 = first
    training_loss: float
    validation_loss: float | None  # None without validation rows


Progress = Callable[[EpochReport], None]


def fit_device_model(
    examples: Examples,
    config: DeviceModelConfig,
    training: TrainingConfig,
    *,
    seed: int,
    training_rows: Indices | None = None,
    validation_rows: Indices | None = None,
    progress: Progress | None = None,
) -> tuple[DeviceModel, tuple[EpochReport, ...]]:
    """Fits the device model on decisions whose base logits come from a base model fitted without their outcomes.

    Args:
        examples: decisions; the base logits must be cross-fitted by user, or the residual trusts them too much.
        config: sizes of the model.
        training: settings of the fit.
        seed: same seed, same machine, same thread count: the same weights, bit for bit.
        training_rows: int64, decisions to fit on; all but the validation rows if not given.
        validation_rows: int64, decisions of users that are not in `training_rows`, for the early stop.
        progress: called after each epoch.

    Returns:
        The model with the weights of its best epoch (the last one without validation), in evaluation mode, and one
        report an epoch.

    Raises:
        ValueError: there is no decision to fit on.
    """
    inputs = device_model_inputs(examples)
    outcomes = torch.from_numpy(examples.outcomes)
    weights = torch.ones(config.objectives)

    def loss_of(model: DeviceModel, rows: Tensor) -> Tensor:
        batch = [array[rows] for array in inputs]
        if model.training:
            batch[0] = _forget_items(batch[0], training.item_dropout)
        _, logits = model(*batch, weights)
        return objective_loss(logits, outcomes[rows], batch[6] > 0, training.loss)

    with _repeatable(seed):
        model = DeviceModel(config)
        fit_rows, check_rows = _split(len(outcomes), training_rows, validation_rows)
        history = _fit(model, loss_of, fit_rows, check_rows, training, progress)
    return model, history


def predict_device_model(model: DeviceModel, examples: Examples) -> F32:
    """Returns the logits of every decision, float32 (D, C, K), computed at one fixed batch shape."""
    weights = torch.ones(model.config.objectives)
    return _predict(model, lambda batch: model(*batch, weights)[1], device_model_inputs(examples))


def device_model_inputs(examples: Examples) -> list[Tensor]:
    """Returns the inputs of `DeviceModel.forward` without the weights; they share the memory of the examples."""
    events = (examples.event_item, examples.event_kind, examples.event_age_s, examples.event_value)
    arrays = (*events, examples.counters, examples.context, examples.candidate, examples.base_logits)
    return [torch.from_numpy(array) for array in arrays]


def fit_base(
    states: BaseStates,
    state_of_example: Indices,
    candidate: I32,
    outcomes: F32,
    *,
    config: BaseModelConfig,
    training: TrainingConfig,
    seed: int,
    training_rows: Indices | None = None,
    validation_rows: Indices | None = None,
    progress: Progress | None = None,
) -> BaseModel:
    """Fits the base model on the user's state at the refresh before each decision.

    Args:
        states: the state of each user at each refresh.
        state_of_example: int64 (D,), row of `states` at the refresh before each decision.
        candidate: int32 (D, C), row of the offer table; 0 = padding.
        outcomes: float32 (D, C, K), 1 or 0; NaN where unknown.
        config: sizes of the model.
        training: settings of the fit.
        seed, training_rows, validation_rows, progress: as for `fit_device_model`.

    Returns:
        The model with the weights of its best epoch, in evaluation mode.

    Raises:
        ValueError: there is no decision to fit on.
    """
    inputs = _state_inputs(states)
    state_row, offer_row, target = (torch.from_numpy(array) for array in (state_of_example, candidate, outcomes))

    def loss_of(model: BaseModel, rows: Tensor) -> Tensor:
        # Decisions of one user on one day share a state: each distinct state is scored once per batch.
        unique, position = torch.unique(state_row[rows], return_inverse=True)
        batch = [array[unique] for array in inputs]
        if model.training:
            batch[0] = _forget_items(batch[0], training.item_dropout)
        every_offer = model(BaseModelInputs(*batch))[position]  # (rows, O, K)
        candidates = offer_row[rows].long()
        index = (candidates - 1).clamp_min(0).unsqueeze(-1).expand(-1, -1, target.shape[-1])
        return objective_loss(every_offer.gather(1, index), target[rows], candidates > 0, training.loss)

    with _repeatable(seed):
        model = BaseModel(config)
        fit_rows, check_rows = _split(len(candidate), training_rows, validation_rows)
        model.start_from(offer_row[fit_rows], target[fit_rows], exclusive=training.loss == "softmax")
        _fit(model, loss_of, fit_rows, check_rows, training, progress)
    return model


def predict_base(model: BaseModel, states: BaseStates) -> F32:
    """Returns the logits of every offer for every state, float32 (S, O, K), computed at one fixed batch shape."""
    return _predict(model, lambda batch: model(BaseModelInputs(*batch)), _state_inputs(states))


def objective_loss(logits: Tensor, outcomes: Tensor, is_candidate: Tensor, loss: Loss) -> Tensor:
    """Returns the mean loss per objective in nats, summed over the objectives.

    Args:
        logits: float32 (rows, C, K).
        outcomes: float32 (rows, C, K), 1, 0, or NaN where unknown, which the loss leaves out.
        is_candidate: bool (rows, C), false for padding.
        loss: "binary", cross-entropy of each known outcome; "softmax", cross-entropy over the candidates of each
            decision that has a positive (several positives share it evenly).

    Returns:
        A scalar; 0 where nothing is known.
    """
    if loss == "binary":
        known = (~torch.isnan(outcomes)) & is_candidate.unsqueeze(-1)
        cells = nn.functional.binary_cross_entropy_with_logits(logits, outcomes.nan_to_num(0.0), reduction="none")
        return ((cells * known).sum((0, 1)) / known.sum((0, 1)).clamp_min(1)).sum()
    positive = outcomes.nan_to_num(0.0) * is_candidate.unsqueeze(-1)
    positives = positive.sum(1)  # (rows, K)
    log_probability = logits.masked_fill(~is_candidate.unsqueeze(-1), -1e9).log_softmax(1)
    surprise = -(positive * log_probability).sum(1) / positives.clamp_min(1.0)
    return (surprise.sum(0) / (positives > 0).sum(0).clamp_min(1)).sum()


def _fit(
    model: Model,
    loss_of: Callable[[Model, Tensor], Tensor],
    rows: Tensor,
    validation_rows: Tensor,
    training: TrainingConfig,
    progress: Progress | None,
) -> tuple[EpochReport, ...]:
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=training.weight_decay)
    steps = training.epochs * math.ceil(len(rows) / training.batch_rows)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.max_learning_rate, total_steps=max(steps, 2))
    history: list[EpochReport] = []
    best, best_weights, stale = math.inf, copy.deepcopy(model.state_dict()), 0
    for epoch in range(1, training.epochs + 1):
        training_loss = _train_epoch(model, loss_of, rows, training, optimizer, schedule)
        validation_loss = _mean_loss(model, loss_of, validation_rows) if len(validation_rows) else None
        history.append(EpochReport(epoch=epoch, training_loss=training_loss, validation_loss=validation_loss))
        if progress is not None:
            progress(history[-1])
        if validation_loss is None or validation_loss < best:
            best = math.inf if validation_loss is None else validation_loss
            best_weights, stale = copy.deepcopy(model.state_dict()), 0
        else:
            stale += 1
        if stale >= training.patience_epochs:
            break
    model.load_state_dict(best_weights)
    model.eval()
    return tuple(history)


def _train_epoch(
    model: Model,
    loss_of: Callable[[Model, Tensor], Tensor],
    rows: Tensor,
    training: TrainingConfig,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    model.train()
    total = 0.0
    for batch in torch.split(rows[torch.randperm(len(rows))], training.batch_rows):
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), training.gradient_norm)
        optimizer.step()
        schedule.step()
        total += float(loss.detach()) * len(batch)
    return total / len(rows)


@torch.no_grad()
def _mean_loss(model: Model, loss_of: Callable[[Model, Tensor], Tensor], rows: Tensor) -> float:
    model.eval()
    total = sum(float(loss_of(model, batch)) * len(batch) for batch in torch.split(rows, PREDICTION_ROWS))
    return total / len(rows)


@torch.no_grad()
def _predict(model: nn.Module, logits_of: Callable[[list[Tensor]], Tensor], inputs: list[Tensor]) -> F32:
    model.eval()
    parts: list[F32] = []
    rows = len(inputs[0])
    for start in range(0, rows, PREDICTION_ROWS):
        # The last batch is padded with copies of row 0, so that every batch has one shape.
        take = torch.arange(start, start + PREDICTION_ROWS)
        take[take >= rows] = 0
        parts.append(logits_of([array[take] for array in inputs]).numpy()[: rows - start])
    return np.concatenate(parts) if parts else logits_of(inputs).numpy()


def _forget_items(item: Tensor, share: float) -> Tensor:
    return item * (torch.rand(item.shape) >= share).to(item.dtype)


def _split(rows: int, training: Indices | None, validation: Indices | None) -> tuple[Tensor, Tensor]:
    held_out = np.zeros(0, dtype=np.int64) if validation is None else validation
    chosen = np.setdiff1d(np.arange(rows), held_out) if training is None else training
    if len(chosen) == 0:
        raise ValueError(f"no decision to fit on ({rows} decisions, {len(held_out)} held out): bring a longer log")
    return torch.from_numpy(chosen), torch.from_numpy(held_out)


def _state_inputs(states: BaseStates) -> list[Tensor]:
    events = (states.event_item, states.event_kind, states.event_age_s, states.event_value)
    arrays = (*events, states.counters, states.category_counters, states.attributes)
    return [torch.from_numpy(array) for array in arrays]


@contextlib.contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seeds torch and selects deterministic kernels; restores the caller's settings at the end."""
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
