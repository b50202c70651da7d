"""The cloud's ranker: from what was known at the last refresh to a logit for every offer. It never leaves the cloud.

Shapes: S states, N window events (newest first), O offers, K objectives, F counter features, G category counters,
A user attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

PRIOR_IMPRESSIONS = 20.0  # an offer's own rate counts from about so many impressions on
DECAY_EXPONENTS = (0.0, 0.25, 1.0)  # where the learned decays (1 + age_s)^-p start: all history, days, minutes


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


class BaseModel(nn.Module):
    """User vector · offer vector + offer bias + counters: the strong, ordinary ranker that the device model refines."""

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
        # Small: the fit starts at the offers' overall rates, and a user's own taste has to earn its influence.
        self.offer = nn.Parameter(torch.randn(offers, size) * 0.1 * size**-0.5)
        self.bias = nn.Parameter(torch.zeros(offers, config.objectives))
        self.counter = nn.Parameter(torch.zeros(config.counter_features, config.objectives))

    def forward(
        self,
        event_item: Tensor,
        event_kind: Tensor,
        event_age_s: Tensor,
        event_value: Tensor,
        counters: Tensor,
        category_counters: Tensor,
        attributes: Tensor,
    ) -> Tensor:
        """Scores every offer for every state.

        Args:
            event_item: int32 (S, N), row of the item table.
            event_kind: int32 (S, N), row of the kind table; 0 = no event.
            event_age_s: float32 (S, N), seconds before the state's moment.
            event_value: float32 (S, N).
            counters: float32 (S, O, F), decayed counters in offer-row order (row 1 first).
            category_counters: float32 (S, G).
            attributes: int32 (S, A), code of each attribute.

        Returns:
            Logits, float32 (S, O, K).
        """
        history = self._history(event_item, event_kind, event_age_s, event_value)
        known = [table(attributes[:, column]) for column, table in enumerate(self.attributes)]
        user = self.user(torch.cat([history, torch.log1p(category_counters), *known], -1))
        user = torch.unflatten(user, -1, (self.config.objectives, self.config.dimension))
        affinity = (user @ self.offer.T).transpose(1, 2)  # (S, O, K)
        logits: Tensor = affinity + self.bias + torch.log1p(counters) @ self.counter
        return logits

    def start_from(self, offer_row: Tensor, outcomes: Tensor, *, exclusive: bool) -> None:
        """Set the offers' biases to their smoothed overall rates: where every user starts.

        Args:
            offer_row: int32 (D, C), 0 = padding.
            outcomes: float32 (D, C, K), 1 or 0; NaN where unknown.
            exclusive: one offer of a decision is positive (softmax), not each by itself.
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
