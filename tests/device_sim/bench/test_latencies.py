"""The summary of single calls equals literal figures, and every timed call is a real one."""

from __future__ import annotations

import pytest

from device_sim.bench.bench_types import TIMED
from device_sim.bench.event_workload import Workload
from device_sim.bench.latencies import CALLS_AT_LEAST, HISTORY, Stopwatch, latency, percentile, spread
from tests.support.scene import Small


def test_percentiles_lie_between_the_two_nearest_values() -> None:
    values = [40.0, 10.0, 30.0, 20.0]
    assert [percentile(values, share) for share in (0, 50, 75, 100)] == [10.0, 25.0, 32.5, 40.0]
    assert percentile([7.0], 99) == 7.0


def test_a_latency_pools_the_rounds() -> None:
    found = latency([[1.0, 2.0], [3.0, 4.0, 90.0]], None)
    assert (found.calls, found.mean_us, found.p50_us, found.max_us) == (5, 20.0, 3.0, 90.0)
    assert found.p95_us == pytest.approx(72.8)
    assert found.p99_us == pytest.approx(86.56)
    assert found.ladder_us == pytest.approx((1.04, 1.2, 2.0, 3.0, 4.0, 72.8, 86.56))
    assert found.to_quiet == {}


def test_a_ratio_is_taken_within_each_round() -> None:
    quiet = [[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]
    found = latency([[3.0, 3.0], [4.0, 4.0], [4.0, 4.0]], quiet)
    assert found.to_quiet["p50"] == spread([3.0, 2.0, 1.0])
    assert found.to_quiet["mean"].median == 2.0


def test_every_operation_is_called_on_a_full_window(small: Small) -> None:
    work = Workload.of(small.bundle, small.public_key)
    with Stopwatch.of(work) as stopwatch:
        timed = stopwatch.time(0.0)
    assert {name: len(values) for name, values in timed.items()} == dict.fromkeys(TIMED, CALLS_AT_LEAST)
    assert all(value > 0 for values in timed.values() for value in values)
    assert small.scene.model.window < HISTORY
