"""Training is deterministic, stops early, computes the stated losses, and both models learn a learnable rule."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from cloud_export.features.examples import BaseStates, Examples
from cloud_export.models.base_model import BaseModelConfig
from cloud_export.models.device_model import DeviceModelConfig
from cloud_export.models.training import (
    EpochReport,
    Loss,
    TrainingConfig,
    fit_base,
    fit_device_model,
    objective_loss,
    predict_base,
    predict_device_model,
)

NAN = math.nan
EDGE = DeviceModelConfig(
    items=5,
    kinds=3,
    offers=5,
    counter_features=2,
    context_features=0,
    objectives=1,
    window=3,
    dimension=8,
    dropout=0.0,
)
BASE = BaseModelConfig(
    items=5, kinds=3, offers=5, counter_features=2, category_features=1, attribute_rows=(3,), objectives=1, dimension=8
)
FAST = TrainingConfig(loss="softmax", epochs=6, batch_rows=64, max_learning_rate=2e-2, item_dropout=0.0)


def follow_the_last_item(rows: int = 600) -> Examples:
    """The positive among the offers 1…4 is the item of the newest event."""
    random = np.random.default_rng(0)
    item = random.integers(1, 5, (rows, 3)).astype(np.int32)
    candidate = np.tile(np.arange(1, 6, dtype=np.int32) % 5, (rows, 1))  # the last column is padding
    outcomes = (candidate == item[:, :1]).astype(np.float32)[..., None]
    outcomes[:, 4] = NAN
    return Examples(
        event_item=item,
        event_kind=np.ones((rows, 3), np.int32),
        event_age_s=np.tile(np.array([0, 100, 10_000], np.float32), (rows, 1)),
        event_value=np.zeros((rows, 3), np.float32),
        counters=np.zeros((rows, 5, 2), np.float32),
        context=np.zeros((rows, 0), np.float32),
        candidate=candidate,
        base_logits=np.zeros((rows, 5, 1), np.float32),
        outcomes=outcomes,
    )


def states_of(examples: Examples) -> BaseStates:
    rows = len(examples.candidate)
    return BaseStates(
        event_item=examples.event_item,
        event_kind=examples.event_kind,
        event_age_s=examples.event_age_s,
        event_value=examples.event_value,
        counters=np.zeros((rows, 4, 2), np.float32),
        category_counters=np.zeros((rows, 1), np.float32),
        attributes=np.ones((rows, 1), np.int32),
    )


def test_binary_loss_is_the_mean_over_known_outcomes_of_each_objective() -> None:
    logits = torch.tensor([[[0.0, 9.0], [2.0, -1.0]]])
    outcomes = torch.tensor([[[1.0, NAN], [0.0, 0.0]]])
    expected = (math.log(2) + math.log1p(math.exp(2))) / 2 + math.log1p(math.exp(-1))
    assert objective_loss(logits, outcomes, torch.ones(1, 2, dtype=torch.bool), "binary").item() == pytest.approx(
        expected
    )


def test_softmax_loss_runs_over_the_candidates_and_not_over_padding() -> None:
    logits = torch.tensor([[[1.0], [0.0], [50.0]], [[3.0], [2.0], [1.0]]])
    outcomes = torch.tensor([[[1.0], [NAN], [NAN]], [[0.0], [NAN], [0.0]]])  # the second decision has no positive
    is_candidate = torch.tensor([[True, True, False], [True, True, True]])
    expected = math.log1p(math.exp(-1))
    assert objective_loss(logits, outcomes, is_candidate, "softmax").item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["binary", "softmax"])
def test_unknown_outcomes_send_no_gradient(loss: Loss) -> None:
    logits = torch.zeros(1, 3, 1, requires_grad=True)
    outcomes = torch.tensor([[[NAN], [NAN], [NAN]]])
    objective_loss(logits, outcomes, torch.ones(1, 3, dtype=torch.bool), loss).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros(1, 3, 1))


@pytest.mark.parametrize("loss", ["binary", "softmax"])
def test_the_device_model_learns_the_rule(loss: Loss) -> None:
    examples = follow_the_last_item()
    model, history = fit_device_model(examples, EDGE, replace(FAST, loss=loss), seed=1)
    logits = predict_device_model(model, examples)
    hits = logits[:, :4, 0].argmax(1) + 1 == examples.event_item[:, 0]
    assert (logits.shape, [report.epoch for report in history]) == ((600, 5, 1), [1, 2, 3, 4, 5, 6])
    assert hits.mean() > 0.95


def test_the_base_model_learns_the_rule() -> None:
    examples = follow_the_last_item()
    states = states_of(examples)
    training = replace(FAST, epochs=10)
    model = fit_base(
        states, np.arange(600), examples.candidate, examples.outcomes, config=BASE, training=training, seed=1
    )
    logits = predict_base(model, states)
    assert logits.shape == (600, 4, 1)
    assert (logits[:, :, 0].argmax(1) + 1 == examples.event_item[:, 0]).mean() > 0.95


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    examples, training = follow_the_last_item(200), replace(FAST, epochs=2, item_dropout=0.1)
    config = replace(EDGE, dropout=0.1)
    torch.manual_seed(5)
    first, _ = fit_device_model(examples, config, training, seed=3)
    torch.manual_seed(6)  # the caller's generator must not matter …
    before = torch.get_rng_state()
    second, _ = fit_device_model(examples, config, training, seed=3)
    assert torch.equal(torch.get_rng_state(), before)  # … and is unchanged
    other, _ = fit_device_model(examples, config, training, seed=4)
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert not torch.equal(first.item_own, other.item_own)


def test_predictions_do_not_depend_on_how_many_are_asked_for() -> None:
    examples = follow_the_last_item(300)
    model, _ = fit_device_model(examples, EDGE, replace(FAST, epochs=1), seed=1)
    few = Examples(**{field.name: getattr(examples, field.name)[:7] for field in fields(Examples)})
    assert np.array_equal(predict_device_model(model, few), predict_device_model(model, examples)[:7])


def test_early_stop_keeps_the_best_epoch() -> None:
    examples = follow_the_last_item(300)
    # Held-out decisions whose positives contradict the rule: the better the fit, the worse the validation loss.
    contrary = examples.outcomes.copy()
    contrary[200:, :4] = np.roll(contrary[200:, :4], 1, axis=1)
    seen: list[EpochReport] = []
    training = replace(FAST, epochs=20, patience_epochs=2)
    model, history = fit_device_model(
        replace(examples, outcomes=contrary),
        EDGE,
        training,
        seed=1,
        validation_rows=np.arange(200, 300),
        progress=seen.append,
    )
    losses = [report.validation_loss or 0.0 for report in history]
    assert seen == list(history)
    assert len(history) == losses.index(min(losses)) + 1 + 2 < 20
    held_out = torch.from_numpy(predict_device_model(model, examples)[200:])
    is_candidate = torch.from_numpy(examples.candidate[200:] > 0)
    found = objective_loss(held_out, torch.from_numpy(contrary[200:]), is_candidate, "softmax")
    assert found.item() == pytest.approx(min(losses), abs=1e-4)


def test_nothing_to_fit_on_is_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match="bring a longer log"):
        fit_device_model(follow_the_last_item(3), EDGE, FAST, seed=1, validation_rows=np.arange(3))
