"""The device model: a gated, exactly decomposable residual on the base logit. One module trains and exports.

Shapes: N window events (newest first), C candidates, K objectives, F counter features, X context features, d dimension.
Every input may carry leading batch dimensions; the exported graph has none.

An event is embedded in two steps, because a device does them at two times: `project_events` when it is new (from
tables, edge_sdk/model/projection.py), `embed_events` at each decision (in the graph).

    logit_k(c) = base_k(c) + Σₙ g(c, n) · <r_k(c), h(n)> + <w_k, counters(c)>      g(c, n) = sigmoid(<q(c), h(n)> + b)

h(n) is made of one event and the context alone, so taking an event away changes no other event's term: a contribution
is what a deletion changes. There is no constant term: a padding event has h(n) = 0, so without events and counters the
residual is 0.0 to the bit, whatever the context.
The reasons, and what the alternatives measured: docs/adr/0003-device-model.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

# Of `EdgeModel.forward`, in its order. The shipped graph takes what the device has projected: export/onnx_graphs.py.
INPUT_NAMES = (
    "event_item",
    "event_kind",
    "event_age_s",
    "event_value",
    "counters",
    "context",
    "candidate",
    "base_logits",
    "weights",
)
OUTPUT_NAMES = ("fused", "logits")

# (1 + age_s)^-p: from "this second" (p = 4) over minutes and hours to a slope that hardly bends within a year (1/30).
AGE_EXPONENTS = (4.0, 1.0, 1 / 3, 1 / 8, 1 / 30)
VALUE_SCALE = 0.1  # asinh of an amount of money is about 10: brought to the size of the age features
COUNTER_SCALE = 0.1  # a decayed count of 10 is a busy offer
# An event fades as exp(-age / τ), τ learned for each kind from here on. The window's last places then hardly matter, so
# that removing an event does what its contribution says although an older one moves in: Spearman with true deletion .93
# (wealth) and .99 (loan), against .69 and .88 without; from half an hour on .79, from two hours .87 (wealth).
FADING_S = 28_800.0
OWN_DEVIATION = 0.1  # of an item's own vector at the start, a fifth of its category's where it has one
GATE_BIAS = -1.0  # gates start a quarter open: an event has to earn its influence


@dataclass(frozen=True, slots=True)
class EdgeModelConfig:
    """Sizes of the model. Tables count row 0 too (unknown item, no event, unknown offer)."""

    items: int
    kinds: int
    offers: int
    counter_features: int
    context_features: int
    objectives: int
    window: int
    dimension: int
    dropout: float
    item_category: tuple[int, ...] = ()  # category row of each item row, row 0's included, 0 = none; () = none at all
    offer_category: tuple[int, ...] = ()  # the same for the offer table; both read one table of categories


class Contributions(NamedTuple):
    """What the logits are made of; `base + event.sum(-2) + counters.sum(-2)` is the logits."""

    base: Tensor  # (..., C, K)
    event: Tensor  # (..., C, N, K)
    counters: Tensor  # (..., C, F, K)


class EdgeModel(nn.Module):
    """Base logits plus what the last events and the fresh counters say. See the module's page for the formula."""

    def __init__(self, config: EdgeModelConfig) -> None:
        super().__init__()
        self.config = config
        size = config.dimension
        # An item is its category plus what is its own; so is an offer, with the same categories: interest in one fund
        # is evidence for all of them before any has been seen often. The sums are folded into tables at export.
        item_category = config.item_category or (0,) * config.items
        offer_category = config.offer_category or (0,) * config.offers
        self.category = _table(max(*item_category, *offer_category, 1), size)
        self.item_own = _table(config.items, size, OWN_DEVIATION if any(item_category) else 0.5)
        # Row 0 of these three is no parameter: what does not exist cannot be trained, decayed or loaded to non-zero.
        self.kind_scale = nn.Parameter(torch.ones(config.kinds - 1, size))
        self.kind_shift = _table(config.kinds - 1, size, deviation=0.1)
        self.offer_own = _table(config.offers - 1, size, OWN_DEVIATION if any(offer_category) else 0.5)
        self.feature = _table(len(AGE_EXPONENTS) + 1, size)
        self.context = nn.Parameter(torch.zeros(config.context_features, size))
        self.hidden_in = _table(size, 2 * size, deviation=size**-0.5)
        self.hidden_out = _table(2 * size, size, deviation=0.5 * (2 * size) ** -0.5)
        self.query = _table(size, size, deviation=size**-0.5)
        self.fading = nn.Parameter(torch.zeros(config.kinds - 1, 1))
        self.gate_bias = nn.Parameter(torch.tensor(GATE_BIAS))
        self.readout = _table(size, config.objectives * size, deviation=0.1 * size**-0.5)
        self.counter = nn.Parameter(torch.zeros(config.counter_features, config.objectives))
        self.item_category: Tensor
        self.offer_category: Tensor
        self.register_buffer("item_category", torch.tensor(item_category), persistent=False)
        self.register_buffer("offer_category", torch.tensor(offer_category), persistent=False)
        self.exponents: Tensor
        self.register_buffer("exponents", -torch.tensor(AGE_EXPONENTS), persistent=False)

    def forward(
        self,
        event_item: Tensor,
        event_kind: Tensor,
        event_age_s: Tensor,
        event_value: Tensor,
        counters: Tensor,
        context: Tensor,
        candidate: Tensor,
        base_logits: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Scores the candidates.

        Args:
            event_item: int32 (..., N), row of the item table; 0 = unknown item, or no event. Newest first.
            event_kind: int32 (..., N), row of the kind table; 0 = no event, whatever the other three arrays hold.
            event_age_s: float32 (..., N), seconds before the decision, finite and ≥ 0.
            event_value: float32 (..., N), finite.
            counters: float32 (..., C, F), raw decayed counts.
            context: float32 (..., X), one-hot.
            candidate: int32 (..., C), row of the offer table; 0 = unknown offer, whose logits stay the base logits: its
                counters are 0, as the device keeps none of it.
            base_logits: float32 (..., C, K).
            weights: float32 (K,), the operator's weight of each objective.

        Returns:
            fused float32 (..., C) = logits @ weights, and logits float32 (..., C, K).
        """
        events = self._events(event_item, event_kind, event_age_s, event_value, context)
        logits = self.score(events, self.queries(candidate), self.readouts(candidate), counters, base_logits)
        # Not `logits @ weights`: that product with a vector takes ONNX Runtime 6 µs more than these two nodes.
        return (logits * weights).sum(-1), logits

    def contributions(
        self,
        event_item: Tensor,
        event_kind: Tensor,
        event_age_s: Tensor,
        event_value: Tensor,
        counters: Tensor,
        context: Tensor,
        candidate: Tensor,
        base_logits: Tensor,
    ) -> Contributions:
        """Splits the logits of the same inputs into what the base, each event and each counter brought.

        Args: as `forward`, without the weights.

        Returns:
            Shares that sum to the logits within float32 rounding (1e-5).
        """
        events = self._events(event_item, event_kind, event_age_s, event_value, context)
        values = self.readouts(candidate) @ events.unsqueeze(-3).transpose(-1, -2)  # (..., C, K, N)
        event = (values * self.gates(self.queries(candidate), events).unsqueeze(-2)).transpose(-1, -2)
        return Contributions(base=base_logits, event=event, counters=counters.unsqueeze(-1) * self.counter_weights())

    def project_events(self, item: Tensor, kind: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What of an event does not change as it ages: term and scale (..., N, d), fading (..., N, 1) per second.

        The kind scales and shifts what item, value, age and context say: an item means something else when it is viewed
        than when it is bought, and scale = shift = 0 (kind row 0) removes a padding event without a mask.
        """
        scale = _rows(self.kind_scales(), kind)
        said = _rows(self.items(), item) + torch.asinh(value).unsqueeze(-1) * self.value_row()
        return said * scale + _rows(self.kind_shifts(), kind), scale, _rows(self.kind_fadings(), kind)

    def embed_events(self, term: Tensor, scale: Tensor, fading: Tensor, age_s: Tensor, context_row: Tensor) -> Tensor:
        """One vector per event, float32 (..., N, d); 0 where there is no event: no layer has a bias.

        What has faded belongs to the cloud's base decision and to the decayed counters.

        Args:
            term: (..., N, d), as `project_events` gives it; so are
            scale: (..., N, d), and
            fading: (..., N, 1).
            age_s: (..., N, 1)
            context_row: (..., 1, d), what the context says of every event.
        """
        ages = torch.exp(torch.log(age_s + 1.0) * self.exponents)
        events = torch.tanh((ages @ self.feature[:-1] + context_row) * scale + term)
        events = (events + torch.relu(events @ self.hidden_in) @ self.hidden_out) * torch.exp(age_s * fading)
        return nn.functional.dropout(events, self.config.dropout, self.training)

    def score(self, events: Tensor, queries: Tensor, readouts: Tensor, counters: Tensor, base_logits: Tensor) -> Tensor:
        """Logits (..., C, K) of candidates, by their queries (..., C, d) and readouts (..., C, K, d)."""
        evidence = self.gates(queries, events) @ events
        residual = (evidence.unsqueeze(-2) * readouts).sum(-1)
        return base_logits + (residual + counters @ self.counter_weights())

    def gates(self, queries: Tensor, events: Tensor) -> Tensor:
        """How much a candidate listens to an event, float32 (..., C, N) in 0…1. No softmax: events do not compete."""
        return torch.sigmoid(queries @ events.transpose(-1, -2) + self.gate_bias)

    def queries(self, candidate: Tensor) -> Tensor:
        """What each candidate asks of events, float32 (..., C, d)."""
        return _rows(self.offers() @ self.query_weights(), candidate)

    def readouts(self, candidate: Tensor) -> Tensor:
        """How each objective of a candidate reads an event vector, float32 (..., C, K, d); 0 for the unknown offer."""
        rows = _rows(self.offers() @ self.readout, candidate)
        return torch.unflatten(rows, -1, (self.config.objectives, self.config.dimension))

    def items(self) -> Tensor:
        """The item table, float32 (items, d); row 0 is the unknown item."""
        return self.item_own + _rows(_behind_zero(self.category), self.item_category)

    def offers(self) -> Tensor:
        """The offer table, float32 (offers, d); row 0, the unknown offer, is 0."""
        return _behind_zero(self.offer_own + _rows(_behind_zero(self.category), self.offer_category[1:]))

    def counter_weights(self) -> Tensor:
        """Logit per unit of a raw decayed counter, float32 (F, K)."""
        return self.counter * COUNTER_SCALE

    def value_row(self) -> Tensor:
        """What asinh(value) is multiplied with, float32 (d,)."""
        return self.feature[-1] * VALUE_SCALE

    def kind_scales(self) -> Tensor:
        """float32 (kinds, d); row 0, no event, is 0; so in the next two."""
        return _behind_zero(self.kind_scale)

    def kind_shifts(self) -> Tensor:
        """float32 (kinds, d)."""
        return _behind_zero(self.kind_shift)

    def kind_fadings(self) -> Tensor:
        """Rate at which events of a kind fade, float32 (kinds, 1), per second, below 0."""
        return _behind_zero(-torch.exp(-self.fading) / FADING_S)

    def query_weights(self) -> Tensor:
        """From an offer's row to its query, float32 (d, d)."""
        return self.query * (1.0 / math.sqrt(self.config.dimension))

    def _events(self, item: Tensor, kind: Tensor, age_s: Tensor, value: Tensor, context: Tensor) -> Tensor:
        term, scale, fading = self.project_events(item, kind, value)
        return self.embed_events(term, scale, fading, age_s.unsqueeze(-1), context.unsqueeze(-2) @ self.context)


def parameter_count(model: nn.Module) -> int:
    """Trained numbers of a model, its embedding tables included."""
    return sum(parameter.numel() for parameter in model.parameters())


def _table(rows: int, columns: int, deviation: float = 0.5) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * deviation)


def _rows(table: Tensor, index: Tensor) -> Tensor:
    return nn.functional.embedding(index, table)


def _behind_zero(rows: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, rows.shape[1]), rows])
