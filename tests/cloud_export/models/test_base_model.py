"""The base model has the stated shapes, and irrelevant inputs leave its scores unchanged."""

from __future__ import annotations

import torch
from torch import Tensor

from cloud_export.models.base_model import BaseModel, BaseModelConfig, BaseModelInputs

CONFIG = BaseModelConfig(
    items=6,
    kinds=3,
    offers=5,
    counter_features=2,
    category_features=3,
    attribute_rows=(4, 2),
    objectives=2,
    dimension=8,
)


def states(rows: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(0, 6, (rows, 4), generator=generator, dtype=torch.int32),
        torch.randint(1, 3, (rows, 4), generator=generator, dtype=torch.int32),
        torch.rand((rows, 4), generator=generator) * 1e5,
        torch.randn((rows, 4), generator=generator),
        torch.rand((rows, 4, 2), generator=generator),
        torch.rand((rows, 3), generator=generator),
        torch.randint(0, 2, (rows, 2), generator=generator, dtype=torch.int32),
    ]


def model() -> BaseModel:
    torch.manual_seed(0)
    return BaseModel(CONFIG).eval()


def test_every_offer_gets_one_logit_per_objective() -> None:
    assert model()(BaseModelInputs(*states(3))).shape == (3, 4, 2)


def test_padding_events_change_nothing() -> None:
    inputs = states(2)
    inputs[1][:, 2:] = 0
    expected = model()(BaseModelInputs(*inputs))
    inputs[0][:, 2:] = 5
    inputs[2][:, 2:] = 7.0
    inputs[3][:, 2:] = 9.0
    assert torch.equal(model()(BaseModelInputs(*inputs)), expected)


def test_attributes_and_events_count() -> None:
    base, inputs = model(), states(2)
    before = base(BaseModelInputs(*inputs))
    inputs[6] = 1 - inputs[6]
    assert not torch.allclose(base(BaseModelInputs(*inputs)), before)
    inputs[6] = 1 - inputs[6]
    inputs[0] = (inputs[0] + 1) % 6
    assert not torch.allclose(base(BaseModelInputs(*inputs)), before)


def test_without_attributes_and_events_it_still_ranks() -> None:
    torch.manual_seed(0)
    config = BaseModelConfig(
        items=2, kinds=2, offers=3, counter_features=1, category_features=0, attribute_rows=(), objectives=1
    )
    none, zeros = torch.zeros(1, 4, dtype=torch.int32), torch.zeros(1, 4)
    inputs = BaseModelInputs(
        none,
        none,
        zeros,
        zeros,
        torch.zeros(1, 2, 1),
        torch.zeros(1, 0),
        torch.zeros(1, 0, dtype=torch.int32),
    )
    assert torch.isfinite(BaseModel(config)(inputs)).all()
