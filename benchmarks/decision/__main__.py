"""What a decision costs, and its explanation: `python -m benchmarks.decision [--bundle DIR] [--json FILE]`.

One process, one thread, two engines on the same trained model and the same events: one under a policy with every sort
of rule in it (full_policy.toml), one under none. 50 candidates in two channels, a full window of 32 events,
the clock a minute on and one new event before each timed decision. In each round each figure is the median of some
calls; printed is the median of the rounds, in microseconds, with the lowest and the highest round beside it.

| key | what is timed |
|---|---|
| `rank_us` | `Engine.rank` under the full policy |
| `rank_without_policy_us` | the same without any rule |
| `model_us` | the ONNX graph alone, its inputs in place |
| `policy_us` | all steps of the full policy by themselves: who may stand, and from the fused logits to the list |
| `policy_adds_us` | `rank_us` - `rank_without_policy_us` |
| `explain_us` | `Engine.explain`: every contribution to every candidate, and each rule that holds one, until when |
| `explain_first_us` | the same, and the first offer's terms and moves read |
| `explain_all_us` | the same, and those of all 50 |
| `explain_words_us` | the first offer's explanation in words, once explained |
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.bench_bundle import bench_bundle
from benchmarks.decision.bundles import Bundles, decision_bundles
from edge_sdk import BaseDecision, Decision, Engine
from edge_sdk.policy.pipeline import apply_policy
from edge_sdk.testing.white_box import internals

_CANDIDATES, _PUSHED = 50, 15
_CONTEXT = {"surface": "home"}
_ATTRIBUTES = {"balance": 1200.0}
_START_MS = 1_790_000_000_000  # 2026-09-21 13:33 UTC: no quiet hours
_STEP_MS = 60_000  # between two events: what was counted an hour ago is out of an hour's cap
_TARGETS_US = {"policy_us": 25.0, "explain_us": 300.0}


class Bench:
    """Two engines that have seen the same events."""

    def __init__(self, bundles: Bundles, folder: Path) -> None:
        self.now_ms = _START_MS
        self.full, self.bare = (
            self._open(path, bundles.public_key, folder / path.stem) for path in (bundles.full, bundles.bare)
        )
        names = self.full._bundle.layout.offers.names()[:_CANDIDATES]
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
        """One event later."""
        kind, item = self._events[self._at % len(self._events)]
        self._at += 1
        self.now_ms += _STEP_MS
        for engine in (self.full, self.bare):
            engine.record(kind, item=item, value=0.005 if kind == "impression" else 1.0)

    def rank(self, engine: Engine) -> Decision:
        """One decision."""
        return engine.rank(self.base, context=_CONTEXT, attributes=_ATTRIBUTES, limit=10)


class Steps:
    """A decision's two halves by themselves, as `DecisionMaker` puts them together."""

    def __init__(self, engine: Engine, decision: Decision) -> None:
        evidence = decision.trace.evidence
        assert evidence is not None
        self._call = internals(engine).session.bound(len(decision.candidates))
        self._inputs, self._stages = evidence.inputs, decision.trace.result.stages
        self._model_weight = decision.trace.model_weight

    def run_model(self) -> None:
        """The graph."""
        self._call.run()

    def arrange(self) -> None:
        """The policy."""
        apply_policy(self._inputs, self._stages.base, self._stages.model, self._model_weight)


def main() -> None:
    """Measure, print, and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", type=Path, help="folder of scene.edge and scene.pub; default: the demo's, or a small one"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=200, help="of each sort in a round")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rounds = measure(*bench_bundle(arguments.bundle), arguments.rounds, arguments.calls)
    result = {key: statistics.median(values) for key, values in rounds.items()}
    for key, values in rounds.items():
        target = f"   target: {_TARGETS_US[key]:g} at most" if key in _TARGETS_US else ""
        print(f"{key:26} {result[key]:8.1f}   ({min(values):.1f} to {max(values):.1f}){target}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(trained: Path, key: bytes, rounds: int, calls: int) -> dict[str, list[float]]:
    """Each figure's value in each round, in microseconds.

    Args:
        trained: a bundle of the scene `wealth`.
        key: who signed it.
        rounds: that count; one before them warms up.
        calls: of each sort in a round.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(decision_bundles(trained, key, Path(folder)), Path(folder))
        found = [_round(bench, calls) for _ in range(rounds + 1)][1:]
    return {key: [one[key] for one in found] for key in found[0]}


def _round(bench: Bench, calls: int) -> dict[str, float]:
    """The median of each figure over some calls, one figure after the other."""
    gc.disable()
    try:
        figures = {
            "rank_us": _median_us(lambda: bench.rank(bench.full), calls, bench.go_on),
            "rank_without_policy_us": _median_us(lambda: bench.rank(bench.bare), calls, bench.go_on),
        }
        decision = bench.rank(bench.full)
        if decision.error or not decision.offers or not decision.dropped:
            raise SystemExit(f"the benchmark's own decision has no offers, or none dropped: {decision.detail}")
        steps = Steps(bench.full, decision)
        explained = bench.full.explain(decision)[0]
        figures |= {
            "model_us": _median_us(steps.run_model, calls),
            "policy_us": _median_us(steps.arrange, calls),
            "explain_us": _median_us(lambda: bench.full.explain(decision), calls),
            "explain_first_us": _median_us(lambda: bench.full.explain(decision)[0], calls),
            "explain_words_us": _median_us(explained.text, calls),
            "explain_all_us": _median_us(lambda: tuple(bench.full.explain(decision)), max(1, calls // 10)),
        }
    finally:
        gc.enable()
    return figures | {"policy_adds_us": figures["rank_us"] - figures["rank_without_policy_us"]}


def _median_us(call: Callable[[], object], calls: int, before: Callable[[], None] | None = None) -> float:
    """Of so many calls, after a few that warm up; `before` each of them something that is not timed."""
    times = []
    for number in range(calls + 5):
        if before is not None:
            before()
        start = time.perf_counter_ns()
        call()
        if number >= 5:
            times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


if __name__ == "__main__":
    main()
