"""The base model: gives every offer a logit from a user's state at the last refresh. The model stays in the cloud.

Shapes: S states, N window events (newest first), O offers, K objectives, F counter features, G category counters,
A user attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

PRIOR_IMPRESSIONS = 20.0  # impressions at the overall rate that are added to each offer's own
DECAY_EXPONENTS = (0.0, 0.25, 1.0)  # initial p of the learned decays (1 + age_s)^-p: all history, days, minutes


@dataclass(frozen=True, slots=True)
class BaseModelConfig:
    """Sizes of the model. Tables count row 0 (unknown) too."""

    items: int
    kinds: int
    offers: int
    counter_features: int
    category_features: int
    attribute_rows: tuple[int, ...]  # codes of each user attribute, 0 = unknown included
    objectives: int
    dimension: int = 32
    hidden: int = 96
    dropout: float = 0.1


class BaseModelInputs(NamedTuple):
    """The inputs of `BaseModel.forward`."""

    event_item: Tensor  # int32 (S, N), row of the item table
    event_kind: Tensor  # int32 (S, N), row of the kind table; 0 = no event
    event_age_s: Tensor  # float32 (S, N), seconds before the time of the state
    event_value: Tensor  # float32 (S, N)
    counters: Tensor  # float32 (S, O, F), decayed counters in offer-row order (row 1 first)
    category_counters: Tensor  # float32 (S, G)
    attributes: Tensor  # int32 (S, A), code of each attribute


class BaseModel(nn.Module):
    """A two-tower model: user vector · offer vector + offer bias + counters. The device model adds to its logits."""

    def __init__(self, config: BaseModelConfig) -> None:
        super().__init__()
        self.config = config
        size, offers = config.dimension, config.offers - 1
        self.item = nn.Embedding(config.items, size)
        self.kind = nn.Embedding(config.kinds, size)
        self.value = nn.Parameter(torch.randn(size) * 0.1)
        self.decay = nn.Parameter(torch.tensor(DECAY_EXPONENTS))
        self.attributes = nn.ModuleList(nn.Embedding(rows, 8) for rows in config.attribute_rows)
        width = (len(DECAY_EXPONENTS) + 1) * size + 3 + config.category_features + 8 * len(config.attribute_rows)
        self.user = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.objectives * size),
        )
        # Small, so that the fit starts at the offers' overall rates.
        self.offer = nn.Parameter(torch.randn(offers, size) * 0.1 * size**-0.5)
        self.bias = nn.Parameter(torch.zeros(offers, config.objectives))
        self.counter = nn.Parameter(torch.zeros(config.counter_features, config.objectives))

    def forward(self, inputs: BaseModelInputs) -> Tensor:
        """Scores every offer for every state.

        Returns:
            Logits, float32 (S, O, K).
        """
        history = self._history(inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)
        known = [table(inputs.attributes[:, column]) for column, table in enumerate(self.attributes)]
        user = self.user(torch.cat([history, torch.log1p(inputs.category_counters), *known], -1))
        user = torch.unflatten(user, -1, (self.config.objectives, self.config.dimension))
        affinity = (user @ self.offer.T).transpose(1, 2)  # (S, O, K)
        logits: Tensor = affinity + self.bias + torch.log1p(inputs.counters) @ self.counter
        return logits

    def start_from(self, offer_row: Tensor, outcomes: Tensor, *, exclusive: bool) -> None:
        """Sets the offers' biases to their smoothed overall rates, where the fit starts.

        Args:
            offer_row: int32 (D, C), 0 = padding.
            outcomes: float32 (D, C, K), 1 or 0; NaN where unknown.
            exclusive: exactly one offer of a decision is positive (softmax loss).
        """
        known = (~torch.isnan(outcomes)) & (offer_row > 0).unsqueeze(-1)
        row = offer_row.long().unsqueeze(-1).expand_as(outcomes).flatten(0, 1)
        empty = torch.zeros(self.config.offers, self.config.objectives)
        shown = empty.scatter_add(0, row, known.flatten(0, 1).to(torch.float32))[1:]
        positive = empty.scatter_add(0, row, (outcomes.nan_to_num(0.0) * known).flatten(0, 1))[1:]
        overall = positive.sum(0) / shown.sum(0).clamp_min(1.0)
        rate = (positive + PRIOR_IMPRESSIONS * overall) / (shown + PRIOR_IMPRESSIONS)
        rate = rate.clamp(1e-6, 1 - 1e-6)
        self.bias.data.copy_(torch.log(rate) if exclusive else torch.logit(rate))

    def _history(self, item: Tensor, kind: Tensor, age_s: Tensor, value: Tensor) -> Tensor:
        present = (kind > 0).to(torch.float32).unsqueeze(-1)  # (S, N, 1)
        log_age = torch.log1p(age_s)
        amounts = torch.asinh(value).unsqueeze(-1) * 0.1
        events = torch.tanh(self.item(item) + self.kind(kind) + amounts * self.value) * present  # (S, N, d)
        decays = torch.exp(-log_age.unsqueeze(-1) * torch.relu(self.decay)) * present  # (S, N, decays)
        count = present.sum(1)
        pooled = (decays.transpose(1, 2) @ events) / torch.sqrt(count + 1.0).unsqueeze(-1)
        summary = [log_age[:, :1] * 0.1 * present[:, 0], torch.log1p(count) * 0.3, amounts[:, 0] * present[:, 0]]
        return torch.cat([pooled.flatten(1), events[:, 0], *summary], -1)
