"""The promises of the device model are kept for any weights, trained or not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cloud_export.models.device_model import DeviceModel, DeviceModelConfig, DeviceModelInputs, parameter_count

CONFIG = DeviceModelConfig(
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
SEEDS = st.integers(0, 2**31 - 1)
WEIGHTS = torch.tensor([1.0, 0.5])


def random_model(seed: int, config: DeviceModelConfig = CONFIG) -> DeviceModel:
    torch.manual_seed(seed)
    model = DeviceModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model.eval()


def random_inputs(seed: int, config: DeviceModelConfig = CONFIG, batch: tuple[int, ...] = ()) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    window, candidates = (*batch, config.window), (*batch, 4)
    return [
        torch.randint(0, config.items, window, generator=generator, dtype=torch.int32),
        torch.randint(1, config.kinds, window, generator=generator, dtype=torch.int32),
        torch.rand(window, generator=generator) * 1e5,
        torch.randn(window, generator=generator) * 1e3,
        torch.rand((*candidates, config.counter_features), generator=generator) * 5.0,
        torch.randn((*batch, config.context_features), generator=generator),
        torch.randint(1, config.offers, candidates, generator=generator, dtype=torch.int32),
        torch.randn((*candidates, config.objectives), generator=generator),
    ]


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_without_events_and_counters_the_logits_are_the_base_logits_to_the_bit(seed: int) -> None:
    model, inputs = random_model(seed), random_inputs(seed)
    inputs[1] = torch.zeros(5, dtype=torch.int32)  # items, ages and values stay: only the kind means "no event"
    inputs[4] = torch.zeros(4, 3)
    _, logits = model(*inputs, WEIGHTS)
    assert torch.equal(logits, inputs[7])


@given(seed=SEEDS, present=st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_padding_contributes_exactly_nothing(seed: int, present: int) -> None:
    model, inputs = random_model(seed), random_inputs(seed)
    inputs[1][present:] = 0
    _, padded = model(*inputs, WEIGHTS)
    assert torch.equal(
        model.contributions(DeviceModelInputs(*inputs)).event[:, present:], torch.zeros(4, 5 - present, 2)
    )
    for array in inputs[:4]:
        array[present:] = 0
    _, clean = model(*inputs, WEIGHTS)
    assert torch.equal(padded, clean)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_an_unknown_offer_keeps_its_base_logit_to_the_bit(seed: int) -> None:
    model, inputs = random_model(seed), random_inputs(seed)
    inputs[6][2] = 0
    inputs[4][2] = 0.0  # the device keeps no counters of it
    _, logits = model(*inputs, WEIGHTS)
    assert torch.equal(logits[2], inputs[7][2])
    assert not torch.equal(logits[1], inputs[7][1])


def test_an_unknown_item_keeps_the_effect_of_its_kind() -> None:
    model, inputs = random_model(1), random_inputs(1)
    inputs[0][:] = 0
    _, as_kind_1 = model(*inputs[:1], torch.full((5,), 1, dtype=torch.int32), *inputs[2:], WEIGHTS)
    _, as_kind_2 = model(*inputs[:1], torch.full((5,), 2, dtype=torch.int32), *inputs[2:], WEIGHTS)
    assert (as_kind_1 - as_kind_2).abs().min() > 1e-3


@given(seed=SEEDS, order=st.permutations(range(4)))
@settings(max_examples=25, deadline=None)
def test_permuting_the_candidates_permutes_the_logits(seed: int, order: list[int]) -> None:
    model, inputs = random_model(seed), random_inputs(seed)
    _, logits = model(*inputs, WEIGHTS)
    permuted = [array[order] if place in (4, 6, 7) else array for place, array in enumerate(inputs)]
    _, found = model(*permuted, WEIGHTS)
    torch.testing.assert_close(found, logits[order], rtol=1e-5, atol=1e-5)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_batch_gives_what_its_decisions_give_alone(seed: int) -> None:
    model, inputs = random_model(seed), random_inputs(seed, batch=(2, 3))
    fused, logits = model(*inputs, WEIGHTS)
    assert (fused.shape, logits.shape) == ((2, 3, 4), (2, 3, 4, 2))
    alone_fused, alone_logits = model(*(array[1, 2] for array in inputs), WEIGHTS)
    torch.testing.assert_close(fused[1, 2], alone_fused, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(logits[1, 2], alone_logits, rtol=1e-5, atol=1e-4)


@given(seed=SEEDS, batch=st.sampled_from([(), (3,)]))
@settings(max_examples=25, deadline=None)
def test_the_contributions_sum_to_the_logits(seed: int, batch: tuple[int, ...]) -> None:
    torch.manual_seed(seed)
    model, inputs = DeviceModel(CONFIG).eval(), random_inputs(seed, batch=batch)
    parts = model.contributions(DeviceModelInputs(*inputs))
    assert (parts.event.shape, parts.counters.shape) == ((*batch, 4, 5, 2), (*batch, 4, 3, 2))
    _, logits = model(*inputs, WEIGHTS)
    total = parts.base + parts.event.sum(-2) + parts.counters.sum(-2)
    torch.testing.assert_close(total, logits, rtol=0.0, atol=1e-5)


def test_the_counter_terms_are_linear_in_the_counters() -> None:
    model, inputs = random_model(2), random_inputs(2)
    inputs[1][:] = 0
    _, logits = model(*inputs, WEIGHTS)
    doubled = [*inputs[:4], inputs[4] * 2.0, *inputs[5:]]
    _, found = model(*doubled, WEIGHTS)
    torch.testing.assert_close(found - inputs[7], (logits - inputs[7]) * 2.0, rtol=1e-5, atol=1e-5)


def test_fused_is_the_weighted_sum_of_the_logits() -> None:
    model, inputs = random_model(3), random_inputs(3)
    fused, logits = model(*inputs, WEIGHTS)
    torch.testing.assert_close(fused, logits[:, 0] + logits[:, 1] * 0.5, rtol=1e-6, atol=1e-5)


def test_a_scene_without_context_needs_none() -> None:
    config = DeviceModelConfig(
        items=3,
        kinds=2,
        offers=3,
        counter_features=1,
        context_features=0,
        objectives=1,
        window=2,
        dimension=4,
        dropout=0.0,
    )
    fused, _ = random_model(4, config)(*random_inputs(4, config), torch.ones(1))
    assert fused.shape == (4,)


@pytest.mark.parametrize(
    ("items", "kinds", "offers", "counter_features", "objectives", "dimension"),
    [(25, 4, 25, 4, 1, 32), (361, 11, 61, 24, 2, 16)],
)
def test_both_scenes_stay_below_the_size_limit(
    items: int, kinds: int, offers: int, counter_features: int, objectives: int, dimension: int
) -> None:
    config = DeviceModelConfig(
        items=items,
        kinds=kinds,
        offers=offers,
        counter_features=counter_features,
        context_features=8,
        objectives=objectives,
        window=32,
        dimension=dimension,
        dropout=0.1,
    )
    assert parameter_count(DeviceModel(config)) < 20_000


@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_summed_in_the_order_that_trained_the_shipped_figures(seed: int) -> None:
    """Offers and items share category vectors. Another order of the calls gives other last bits, and another model."""
    config = replace(CONFIG, item_category=(0, *[1, 2] * 4), offer_category=(0, *[1, 2] * 3))
    model, inputs = random_model(seed, config), random_inputs(seed, config, batch=(64,))
    given = DeviceModelInputs(*inputs)

    def gradients(logits: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(torch.tanh(logits).square().sum(), list(model.parameters())))

    def logits_by_hand() -> Tensor:
        term, scale, fading = model.project_events(given.event_item, given.event_kind, given.event_value)
        context_row = given.context.unsqueeze(-2) @ model.context_table
        events = model.embed_events(term, scale, fading, given.event_age_s.unsqueeze(-1), context_row)
        queries, readouts = model.queries(given.candidate), model.readouts(given.candidate)
        return model.score(events, queries, readouts, given.counters, given.base_logits)

    by_hand, by_forward = gradients(logits_by_hand()), gradients(model(*inputs, WEIGHTS)[1])
    assert len(by_hand) > 5
    assert all(torch.equal(one, other) for one, other in zip(by_hand, by_forward, strict=True))
