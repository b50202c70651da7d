"""Measures a decision and its explanation: `python -m benchmarks.decision [--bundle DIR] [--json FILE]`.

One process and one thread run two engines on the same trained model and the same events: one under a policy with every
sort of rule (full_policy.toml), one without any rule. A decision has 50 candidates in two channels and a full window of
32 events; before each timed decision the clock moves by a minute and one event is recorded. In each round a figure is
the median of some calls; printed is the median of the rounds, in microseconds, with the lowest and the highest round.

| key | what is timed |
|---|---|
| `rank_us` | `Engine.rank` under the full policy |
| `rank_without_policy_us` | the same without any rule |
| `model_us` | the ONNX graph alone, its inputs in place |
| `policy_us` | all steps of the full policy alone: eligibility, and everything from the fused logits to the list |
| `policy_adds_us` | `rank_us` - `rank_without_policy_us` |
| `explain_us` | `Engine.explain`: every contribution to every candidate, and each suppression with its end |
| `explain_first_us` | the same, and the first offer's contributions and rank changes read |
| `explain_all_us` | the same for all 50 |
| `explain_words_us` | the first offer's explanation in words, once explained |
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.bench_bundle import bench_bundle
from benchmarks.decision.bundles import Bundles, decision_bundles
from benchmarks.output import make_folder, parser, positive, spread_words, write_json
from benchmarks.rounds import median_us
from benchmarks.targets import targets
from device_sim.bench.first_calls import undisturbed
from edge_sdk import BaseDecision, Decision, Engine
from edge_sdk.policy.pipeline import apply_policy
from edge_sdk.testing.white_box import internals

_CANDIDATES, _PUSHED = 50, 15
_CONTEXT = {"surface": "home"}
_ATTRIBUTES = {"balance": 1200.0}
_START_MS = 1_790_000_000_000  # 2026-09-21 13:33 UTC: no quiet hours
_STEP_MS = 60_000  # between two events: what was counted an hour ago is out of an hour's cap
_WARM_UP_CALLS = 5


class Bench:
    """Two engines with the same events and different policies."""

    def __init__(self, bundles: Bundles, folder: Path) -> None:
        self.now_ms = _START_MS
        self.full, self.bare = (
            self._open(path, bundles.public_key, folder / path.stem) for path in (bundles.full, bundles.bare)
        )
        names = internals(self.full).bundle.layout.offers.names()[:_CANDIDATES]
        channels = [""] * (_CANDIDATES - _PUSHED) + ["push"] * _PUSHED
        self.base = BaseDecision(names, np.linspace(2.0, 0.0, _CANDIDATES), channels=channels)
        random = np.random.default_rng(11)
        kinds = ["item_view", "click", "impression", "page_view", "dismiss", "due_date"]
        shares = [0.3, 0.1, 0.4, 0.17, 0.002, 0.028]
        self._events = [
            (str(kind), str(item))
            for kind, item in zip(random.choice(kinds, 4096, p=shares), random.choice(names, 4096), strict=True)
        ]
        self._at = 0
        for _ in range(400):
            self.go_on()

    def _open(self, bundle: Path, key: bytes, state: Path) -> Engine:
        return Engine.open(
            state, bundle=bundle, trusted_keys=[key], clock=lambda: self.now_ms, utc_offset_s=lambda _: 0, seed=7
        )

    def go_on(self) -> None:
        """Moves the clock and records the next event in both engines."""
        kind, item = self._events[self._at % len(self._events)]
        self._at += 1
        self.now_ms += _STEP_MS
        for engine in (self.full, self.bare):
            engine.record(kind, item=item, value=0.005 if kind == "impression" else 1.0)

    def rank(self, engine: Engine) -> Decision:
        """Returns one decision of an engine."""
        return engine.rank(self.base, context=_CONTEXT, attributes=_ATTRIBUTES, limit=10)


class Steps:
    """The two halves of a decision, model and policy, each callable alone."""

    def __init__(self, engine: Engine, decision: Decision) -> None:
        evidence = decision.trace.evidence
        assert evidence is not None
        self._call = internals(engine).session.bound_inputs(len(decision.candidates))
        self._inputs, self._stages = evidence.inputs, decision.trace.result.stages
        self._model_weight = decision.trace.model_weight

    def run_model(self) -> None:
        """Runs the graph."""
        self._call.run()

    def apply_policy(self) -> None:
        """The policy."""
        apply_policy(self._inputs, self._stages.base, self._stages.model, self._model_weight)


def main() -> None:
    """Measures, prints, and writes the JSON file if one is named."""
    options = parser(__doc__, bundle=True)
    options.add_argument("--rounds", type=positive, default=9)
    options.add_argument("--calls", type=positive, default=200, help="of each sort in a round")
    arguments = options.parse_args()
    make_folder(arguments.json)
    rounds = measure(*bench_bundle(arguments.bundle), arguments.rounds, arguments.calls)
    result, wanted = {key: statistics.median(values) for key, values in rounds.items()}, targets("decision")
    for key, values in rounds.items():
        verdict = wanted[key].verdict(result[key]) if key in wanted else ""
        print(f"{key:26} {spread_words(values, 1):40} {verdict}".rstrip())
    write_json(arguments.json, result)


def measure(trained: Path, key: bytes, rounds: int, calls: int) -> dict[str, list[float]]:
    """Returns each figure's value in each round, in microseconds.

    Args:
        trained: a bundle of the scene `wealth`.
        key: the public key that signed it.
        rounds: number of rounds that count; one before them warms up.
        calls: number of calls of each sort in a round.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(decision_bundles(trained, key, Path(folder)), Path(folder))
        found = [_round(bench, calls) for _ in range(rounds + 1)][1:]
    return {key: [one[key] for one in found] for key in found[0]}


def _round(bench: Bench, calls: int) -> dict[str, float]:
    """Returns the median of each figure over some calls, one figure after the other."""
    with undisturbed():
        figures = {
            "rank_us": median_us(lambda: bench.rank(bench.full), calls, bench.go_on, _WARM_UP_CALLS),
            "rank_without_policy_us": median_us(lambda: bench.rank(bench.bare), calls, bench.go_on, _WARM_UP_CALLS),
        }
        decision = bench.rank(bench.full)
        if decision.error or not decision.offers or not decision.dropped:
            raise SystemExit(f"the benchmark's own decision has no offers, or none dropped: {decision.detail}")
        steps = Steps(bench.full, decision)
        explained = bench.full.explain(decision)[0]
        figures |= {
            "model_us": median_us(steps.run_model, calls, warm_up=_WARM_UP_CALLS),
            "policy_us": median_us(steps.apply_policy, calls, warm_up=_WARM_UP_CALLS),
            "explain_us": median_us(lambda: bench.full.explain(decision), calls, warm_up=_WARM_UP_CALLS),
            "explain_first_us": median_us(lambda: bench.full.explain(decision)[0], calls, warm_up=_WARM_UP_CALLS),
            "explain_words_us": median_us(explained.text, calls, warm_up=_WARM_UP_CALLS),
            "explain_all_us": median_us(
                lambda: tuple(bench.full.explain(decision)), max(1, calls // 10), warm_up=_WARM_UP_CALLS
            ),
        }
    return figures | {"policy_adds_us": figures["rank_us"] - figures["rank_without_policy_us"]}


if __name__ == "__main__":
    main()
