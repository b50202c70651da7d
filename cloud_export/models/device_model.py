"""The device model: a gated, exactly decomposable residual on the base logit; the same module is trained and exported.

Shapes: N window events (newest first), C candidates, K objectives, F counter features, X context features, d dimension.
Every input may carry leading batch dimensions; the exported graph has none.

An event is embedded in two steps, because a device computes them at two times: `project_events` when the event is new
(from tables, edge_sdk/model/projection.py), `embed_events` at each decision (in the graph).

    logit_k(c) = base_k(c) + Σₙ g(c, n) · <r_k(c), h(n)> + <w_k, counters(c)>      g(c, n) = sigmoid(<q(c), h(n)> + b)

h(n) depends on one event and the context alone, so deleting an event changes no other event's contribution: a
contribution is the change that a deletion makes. There is no constant term: a padding event has h(n) = 0, so without
events and counters the residual is 0.0 to the bit, in every context.
docs/adr/0003-device-model.md gives the reasons and the measurements of the alternatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


class DeviceModelInputs(NamedTuple):
    """The inputs of `DeviceModel.contributions`; `DeviceModel.forward` takes the weights after them."""

    event_item: Tensor  # int32 (..., N), row of the item table; 0 = unknown item, or no event. Newest first
    event_kind: Tensor  # int32 (..., N), row of the kind table; 0 = no event, whatever the other three arrays contain
    event_age_s: Tensor  # float32 (..., N), seconds before the decision, finite and ≥ 0
    event_value: Tensor  # float32 (..., N), finite
    counters: Tensor  # float32 (..., C, F), raw decayed counts; 0 for the unknown offer
    context: Tensor  # float32 (..., X), one-hot
    candidate: Tensor  # int32 (..., C), row of the offer table; 0 = unknown offer, whose logits stay the base logits
    base_logits: Tensor  # float32 (..., C, K)


# The inputs of `DeviceModel.forward`, in its order. The shipped graph takes projected events: export/onnx_graphs.py.
INPUT_NAMES = (*DeviceModelInputs._fields, "weights")
OUTPUT_NAMES = ("fused", "logits")

# (1 + age_s)^-p: from "this second" (p = 4) over minutes and hours to a slope that hardly bends within a year (1/30).
AGE_EXPONENTS = (4.0, 1.0, 1 / 3, 1 / 8, 1 / 30)
VALUE_SCALE = 0.1  # asinh of an amount of money is about 10: brought to the size of the age features
COUNTER_SCALE = 0.1  # a decayed count of 10 is a busy offer
# An event fades as exp(-age / τ); τ is learned for each kind and starts at this value. The oldest places of the window
# then hardly matter, so deleting an event has the effect that its contribution states, although an older event enters
# the window: Spearman with true deletion .93 (wealth) and .99 (loan), against .69 and .88 without fading; with a start
# of half an hour .79, of two hours .87 (wealth).
FADING_S = 28_800.0
OWN_DEVIATION = 0.1  # initial deviation of an item's own vector beside its category's, a fifth of that
GATE_BIAS = -1.0  # gates start at sigmoid(−1) ≈ 0.27


@dataclass(frozen=True, slots=True)
class DeviceModelConfig:
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
    """The additive parts of the logits: logits = base + event.sum(-2) + counters.sum(-2)."""

    base: Tensor  # (..., C, K)
    event: Tensor  # (..., C, N, K)
    counters: Tensor  # (..., C, F, K)


class DeviceModel(nn.Module):
    """Adds the contributions of recent events and counters to the base logits (formula: docstring of the module)."""

    def __init__(self, config: DeviceModelConfig) -> None:
        super().__init__()
        self.config = config
        size = config.dimension
        # The vector of an item is its category's vector plus its own; offers use the same category vectors, so interest
        # in one fund is evidence for all funds. The sums are folded into tables at export.
        item_category = config.item_category or (0,) * config.items
        offer_category = config.offer_category or (0,) * config.offers
        self.category = _table(max(*item_category, *offer_category, 1), size)
        self.item_own = _table(config.items, size, OWN_DEVIATION if any(item_category) else 0.5)
        # Row 0 of these three is no parameter, so it cannot become non-zero by training, decay or loading.
        self.kind_scale = nn.Parameter(torch.ones(config.kinds - 1, size))
        self.kind_shift = _table(config.kinds - 1, size, deviation=0.1)
        self.offer_own = _table(config.offers - 1, size, OWN_DEVIATION if any(offer_category) else 0.5)
        self.feature = _table(len(AGE_EXPONENTS) + 1, size)
        # Not `context`: an exported graph may not have an input and a parameter of one name.
        self.context_table = nn.Parameter(torch.zeros(config.context_features, size))
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

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Scores the candidates.

        Args:
            inputs: the fields of `DeviceModelInputs` in their order, then `weights`, float32 (K,): the operator's
                weight of each objective. Separate tensors, because exporters and tracers take no record.

        Returns:
            fused float32 (..., C) = logits @ weights, and logits float32 (..., C, K).
        """
        *arrays, weights = inputs
        given = DeviceModelInputs(*arrays)
        events = self._events(given)  # first: the order decides the last bits of the summed gradients
        queries, readouts = self.queries(given.candidate), self.readouts(given.candidate)
        logits = self.score(events, queries, readouts, given.counters, given.base_logits)
        # Not `logits @ weights`: that product with a vector takes ONNX Runtime 6 µs more than these two nodes.
        return (logits * weights).sum(-1), logits

    def contributions(self, inputs: DeviceModelInputs) -> Contributions:
        """Splits the logits into the contributions of the base, of each event and of each counter.

        Returns:
            Parts that sum to the logits within float32 rounding (1e-5).
        """
        events = self._events(inputs)
        values = self.readouts(inputs.candidate) @ events.unsqueeze(-3).transpose(-1, -2)  # (..., C, K, N)
        event = (values * self.gates(self.queries(inputs.candidate), events).unsqueeze(-2)).transpose(-1, -2)
        counters = inputs.counters.unsqueeze(-1) * self.counter_weights()
        return Contributions(base=inputs.base_logits, event=event, counters=counters)

    def project_events(self, item: Tensor, kind: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the parts of an event that do not depend on its age.

        The kind scales and shifts the sum of the item, value, age and context rows: a viewed item has another meaning
        than a bought one, and scale = shift = 0 (kind row 0) removes a padding event without a mask.

        Returns:
            term and scale (..., N, d), fading (..., N, 1) per second.
        """
        scale = _rows(self.kind_scales(), kind)
        row = _rows(self.items(), item) + torch.asinh(value).unsqueeze(-1) * self.value_row()
        return row * scale + _rows(self.kind_shifts(), kind), scale, _rows(self.kind_fadings(), kind)

    def embed_events(self, term: Tensor, scale: Tensor, fading: Tensor, age_s: Tensor, context_row: Tensor) -> Tensor:
        """Returns one vector per event, float32 (..., N, d); 0 where there is no event, since no layer has a bias.

        Faded events count through the cloud's base decision and the decayed counters.

        Args:
            term: (..., N, d), from `project_events`.
            scale: (..., N, d), from `project_events`.
            fading: (..., N, 1), from `project_events`.
            age_s: (..., N, 1)
            context_row: (..., 1, d), the context's row, added to every event.
        """
        ages = torch.exp(torch.log(age_s + 1.0) * self.exponents)
        events = torch.tanh((ages @ self.feature[:-1] + context_row) * scale + term)
        events = (events + torch.relu(events @ self.hidden_in) @ self.hidden_out) * torch.exp(age_s * fading)
        return nn.functional.dropout(events, self.config.dropout, self.training)

    def score(self, events: Tensor, queries: Tensor, readouts: Tensor, counters: Tensor, base_logits: Tensor) -> Tensor:
        """Returns the logits (..., C, K) of candidates from their queries (..., C, d) and readouts (..., C, K, d)."""
        evidence = self.gates(queries, events) @ events
        residual = (evidence.unsqueeze(-2) * readouts).sum(-1)
        return base_logits + (residual + counters @ self.counter_weights())

    def gates(self, queries: Tensor, events: Tensor) -> Tensor:
        """Returns the gate of each candidate for each event, float32 (..., C, N) in 0…1; each gate is independent."""
        return torch.sigmoid(queries @ events.transpose(-1, -2) + self.gate_bias)

    def queries(self, candidate: Tensor) -> Tensor:
        """Returns the query vector of each candidate, float32 (..., C, d)."""
        return _rows(self.offers() @ self.query_weights(), candidate)

    def readouts(self, candidate: Tensor) -> Tensor:
        """Returns each candidate's readout vector per objective, float32 (..., C, K, d); 0 for the unknown offer."""
        rows = _rows(self.offers() @ self.readout, candidate)
        return torch.unflatten(rows, -1, (self.config.objectives, self.config.dimension))

    def items(self) -> Tensor:
        """Returns the item table, float32 (items, d); row 0 is the unknown item."""
        return self.item_own + _rows(_behind_zero(self.category), self.item_category)

    def offers(self) -> Tensor:
        """Returns the offer table, float32 (offers, d); row 0, the unknown offer, is 0."""
        return _behind_zero(self.offer_own + _rows(_behind_zero(self.category), self.offer_category[1:]))

    def counter_weights(self) -> Tensor:
        """Returns the logit per unit of a raw decayed counter, float32 (F, K)."""
        return self.counter * COUNTER_SCALE

    def value_row(self) -> Tensor:
        """Returns the factor of asinh(value), float32 (d,)."""
        return self.feature[-1] * VALUE_SCALE

    def kind_scales(self) -> Tensor:
        """Returns the scale of each kind, float32 (kinds, d); row 0 (no event) is 0."""
        return _behind_zero(self.kind_scale)

    def kind_shifts(self) -> Tensor:
        """Returns the shift of each kind, float32 (kinds, d); row 0 (no event) is 0."""
        return _behind_zero(self.kind_shift)

    def kind_fadings(self) -> Tensor:
        """Returns the rate at which events of a kind fade, float32 (kinds, 1), per second, below 0; row 0 is 0."""
        return _behind_zero(-torch.exp(-self.fading) / FADING_S)

    def query_weights(self) -> Tensor:
        """Returns the matrix from an offer's row to its query, float32 (d, d)."""
        return self.query * (1.0 / math.sqrt(self.config.dimension))

    def _events(self, inputs: DeviceModelInputs) -> Tensor:
        term, scale, fading = self.project_events(inputs.event_item, inputs.event_kind, inputs.event_value)
        context_row = inputs.context.unsqueeze(-2) @ self.context_table
        return self.embed_events(term, scale, fading, inputs.event_age_s.unsqueeze(-1), context_row)


def parameter_count(model: nn.Module) -> int:
    """Returns the number of trained parameters, the embedding tables included."""
    return sum(parameter.numel() for parameter in model.parameters())


def _table(rows: int, columns: int, deviation: float = 0.5) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns) * deviation)


def _rows(table: Tensor, index: Tensor) -> Tensor:
    return nn.functional.embedding(index, table)


def _behind_zero(rows: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, rows.shape[1]), rows])
