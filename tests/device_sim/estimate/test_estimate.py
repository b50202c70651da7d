"""Estimates from counts equal figures that can be computed in the head, and keep their properties."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.cores import UnknownCoreError
from device_sim.counts.counts import IMAGES, INSTRUCTION_CLASSES, STAGES, Counts, Operation, Part
from device_sim.estimate.estimate import (
    FLOOR_FACTOR,
    FLOOR_US,
    CountsWithoutCachesError,
    Estimate,
    core_cost,
    estimate_device,
    estimate_operation,
)
from device_sim.estimate.scalar_ipc import ScalarIpcError
from device_sim.estimate.scenarios import SCENARIOS, UnknownScenarioError, find_scenarios
from tests.support.simulator.estimate_cases import (
    bundle_counts,
    calibration,
    core_model,
    counts,
    kernel_part,
    profile,
    python_part,
    scalar_ipc,
)


def estimated(
    operation: Operation, scenario: str = "typical", *, clock_ghz: float = 2.0, cold: Operation | None = None
) -> Estimate:
    device = profile(clock_ghz=clock_ghz)
    counted = bundle_counts({"rank": operation} | ({} if cold is None else {"rank_cold": cold}))
    cost = core_cost(device.main, calibration(), scalar_ipc())
    found = estimate_operation("rank", counted, device, cost, SCENARIOS[scenario])
    assert found is not None
    return found


def test_scalar_code_is_instructions_over_the_range_over_the_clock() -> None:
    """2,000,000 instructions at 0.5 to 1 a cycle are 2 to 4 million cycles: 1,000 to 2,000 µs at 2 GHz."""
    found = estimated(Operation(parts=(python_part(2e6),)))
    assert (found.low_us, found.high_us, found.widened) == (1000.0, 2000.0, False)
    (part,) = found.parts
    assert (part.name, part.method) == ("policy: python", "instructions / 0.5–1 a cycle")


def test_kernels_are_the_cycle_model_and_its_error() -> None:
    """600,000 fma + 0.5 × 600,000 + 100 × 1,000 misses are a million cycles: 500 µs at 2 GHz, off by a quarter."""
    found = estimated(Operation(parts=(kernel_part(6e5, 6e5, l2=1000),)))
    assert found.low_us == pytest.approx(500 / 1.25)
    assert found.high_us == pytest.approx(500 / 0.75)
    assert found.parts[0].method == "cycle model of cortex-a55 ± 25%"


def test_bookkeeping_within_onnxruntime_gets_an_interval_over_both_methods() -> None:
    """A tenth of a million are fma: 0.1 + 0.45 million cycles by one method, 1 to 2 million by the other."""
    part = Part(stage="model", image="onnxruntime", counts=counts({"fma": 1e5, "integer": 9e5}))
    found = estimated(Operation(parts=(part,)))
    assert found.low_us == pytest.approx(0.55e6 / 1.25 / 2000)
    assert found.high_us == pytest.approx(1000)
    assert found.parts[0].method.endswith("or instructions / 0.5–1 a cycle: only 10% are vector instructions")


def test_onnxruntime_outside_the_model_is_scalar_code() -> None:
    part = Part(stage="engine", image="onnxruntime", counts=counts({"integer": 2e6}))
    assert (estimated(Operation(parts=(part,))).low_us, estimated(Operation(parts=(part,))).high_us) == (1000.0, 2000.0)


def test_the_parts_are_the_whole() -> None:
    found = estimated(Operation(parts=(python_part(3e5), kernel_part(1e5, 2e5), python_part(7e4))))
    assert found.low_us == math.fsum(part.low_us for part in found.parts)
    assert found.high_us == math.fsum(part.high_us for part in found.parts)
    assert len(found.parts) == 3


def test_below_a_hundred_microseconds_nothing_is_better_than_a_factor_of_two() -> None:
    """40,000 instructions take 20 to 40 µs: the middle is 28, so the interval is 14 to 57."""
    found = estimated(Operation(parts=(python_part(4e4),)))
    assert found.widened
    assert found.low_us == pytest.approx(math.sqrt(20 * 40) / 2)
    assert found.high_us == pytest.approx(math.sqrt(20 * 40) * 2)


def test_half_clock_is_a_stretch_of_0_4_to_0_6() -> None:
    typical = estimated(Operation(parts=(python_part(2e6),)))
    slow = estimated(Operation(parts=(python_part(2e6),)), "half-clock")
    assert slow.low_us == pytest.approx(typical.low_us / 0.6)
    assert slow.high_us == pytest.approx(typical.high_us / 0.4)


def test_busy_keeps_the_fast_end_and_doubles_the_slow_one() -> None:
    typical = estimated(Operation(parts=(python_part(2e6),)))
    busy = estimated(Operation(parts=(python_part(2e6),)), "busy")
    assert (busy.low_us, busy.high_us) == (typical.low_us, 2 * typical.high_us)


def test_cold_adds_each_line_from_memory() -> None:
    """3,000 lines: 100 to 200 ns each, two at once at best, beside the instructions."""
    cold = Operation(parts=(python_part(2e6, l1i=9000, l2=5000, l3=3000),))
    found = estimated(Operation(parts=(python_part(1.0),)), "cold", cold=cold)
    assert found.low_us == pytest.approx(1000 + 3000 * 100 / 2 / 1000)
    assert found.high_us == pytest.approx(2000 + 3000 * 200 / 1000)
    assert found.parts[-1].name == "cold caches"


def test_cold_counts_no_line_twice() -> None:
    """Of 500 lines beyond L2, 200 come from memory: the cycle model pays for the other 300."""
    cold = Operation(parts=(kernel_part(6e5, 6e5, l2=500, l3=200),))
    kernels, memory = estimated(cold, "cold", cold=cold).parts
    assert kernels.low_us == pytest.approx((6e5 + 3e5 + 300 * 100) / 1.25 / 2000)
    assert memory.high_us == pytest.approx(200 * 200 / 1000)


def test_a_working_set_beyond_the_caches_slows_the_slow_end() -> None:
    """1,000 to 2,000 µs of instructions; 9,000 reads of 200 ns on top of the fast end are 2,800."""
    found = estimated(Operation(parts=(python_part(2e6, l2=20000, l3=9000),)))
    assert (found.low_us, found.high_us) == (1000.0, 2800.0)
    assert found.parts[0].method.endswith("; at the slow end 9,000 lines read from memory")
    few = estimated(Operation(parts=(python_part(2e6, l2=20000, l3=4000),)))
    assert (few.low_us, few.high_us) == (1000.0, 2000.0)


def test_without_a_third_cache_what_the_second_misses_comes_from_memory() -> None:
    device = profile(l3=False)
    cost = core_cost(device.main, calibration(), scalar_ipc())
    counted = bundle_counts({"rank": Operation(parts=(python_part(2e6, l2=9000),))})
    found = estimate_operation("rank", counted, device, cost, SCENARIOS["typical"])
    assert found is not None
    assert (found.low_us, found.high_us) == (1000.0, 2800.0)


def test_what_was_not_counted_has_no_estimate() -> None:
    device = profile()
    cost = core_cost(device.main, calibration(), scalar_ipc())
    counted = bundle_counts({"rank": Operation(parts=(python_part(2e6),))})
    assert estimate_operation("record", counted, device, cost, SCENARIOS["typical"]) is None
    assert estimate_operation("rank", counted, device, cost, SCENARIOS["cold"]) is None
    all_of_it = estimate_device(device, counted, cost, [SCENARIOS["typical"], SCENARIOS["cold"]], ("record", "rank"))
    assert [(found.operation, found.scenario) for found in all_of_it] == [("rank", "typical")]


def test_counts_without_caches_cannot_be_given_to_the_cycle_model() -> None:
    bare = Part(stage="model", image="onnxruntime", counts=Counts(mix={"fma": 1e6}))
    with pytest.raises(CountsWithoutCachesError, match="count again with `device-sim count`"):
        estimated(Operation(parts=(bare,)))


@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        (core_model("cortex-a55"), 0.25, "new model on a new device"),
        (core_model("cortex-a55", held_out_p90=0.4), 0.4, "new model on a known device"),
        (core_model("cortex-a55", unseen=0.3), 0.3, "known model on a new device"),
        (core_model("cortex-a55", unseen=None, neither=None), 0.35, "the worst of the other cores"),
    ],
)
def test_the_widest_error_that_applies_is_taken(model: object, error: float, kind: str) -> None:
    known = calibration(a55=model, a76=core_model("cortex-a76", neither=0.35))  # type: ignore[arg-type]
    cost = core_cost(profile().main, known, scalar_ipc())
    assert cost.error == error
    assert kind in cost.error_source


def test_a_transferred_model_is_allowed_the_error_of_transfers() -> None:
    known = calibration(a78=core_model("cortex-a78"))
    cost = core_cost(profile(core="cortex-x4").main, known, scalar_ipc())
    assert (cost.model.core, cost.error) == ("cortex-a78", 0.6)


def test_a_core_that_nothing_is_known_of_is_refused() -> None:
    with pytest.raises(UnknownCoreError):
        core_cost(profile(core="cortex-x4").main, calibration(), scalar_ipc())
    known = calibration(a78=core_model("cortex-a78"))
    with pytest.raises(ScalarIpcError, match=r"cortex-a78: no range .* give one in the profile, as scalar_ipc"):
        core_cost(profile(core="cortex-a78").main, known, scalar_ipc())


def test_scenarios_are_found_by_name_with_typical_first() -> None:
    assert [one.name for one in find_scenarios(["busy", "cold"])] == ["typical", "cold", "busy"]
    assert [one.name for one in find_scenarios([])] == list(SCENARIOS)
    with pytest.raises(UnknownScenarioError, match="bussy: no such scenario; did you mean busy"):
        find_scenarios(["bussy"])


# ---- properties of all counts ----

AMOUNTS = st.floats(min_value=1.0, max_value=1e8)
MISSES = st.floats(min_value=0.0, max_value=1e5)
COUNTS = st.builds(
    lambda mix, l1i, l2, l3: counts(mix, l1i=l1i, l2=l2, l3=l3),
    st.dictionaries(st.sampled_from(INSTRUCTION_CLASSES), AMOUNTS, min_size=1), MISSES, MISSES, MISSES,
)  # fmt: skip
PARTS = st.builds(lambda stage, image, one: Part(stage=stage, image=image, counts=one),
                  st.sampled_from(STAGES), st.sampled_from(IMAGES), COUNTS)  # fmt: skip
OPERATIONS = st.builds(lambda parts: Operation(parts=tuple(parts)), st.lists(PARTS, min_size=1, max_size=6))
NAMES = st.sampled_from([name for name in SCENARIOS if name != "cold"])


def more(operation: Operation, factor: float) -> Operation:
    """The same work, `factor` times."""

    def scaled(one: Counts) -> Counts:
        assert one.l2_misses is not None
        mix = {name: factor * value for name, value in one.mix.items()}
        return one.model_copy(update={"mix": mix, "l2_misses": factor * one.l2_misses})

    parts = [part.model_copy(update={"counts": scaled(part.counts)}) for part in operation.parts]
    return operation.model_copy(update={"parts": tuple(parts)})


@given(OPERATIONS, NAMES)
def test_low_is_not_above_high_and_the_parts_sum(operation: Operation, scenario: str) -> None:
    found = estimated(operation, scenario)
    assert 0 < found.low_us <= found.high_us
    assert all(0 <= part.low_us <= part.high_us * (1 + 1e-12) for part in found.parts)
    assert found.low_us == math.fsum(part.low_us for part in found.parts)


@given(OPERATIONS, NAMES, st.floats(min_value=1.0, max_value=1e3))
def test_more_work_never_takes_less_time(operation: Operation, scenario: str, factor: float) -> None:
    less, most = estimated(operation, scenario), estimated(more(operation, factor), scenario)
    assert most.low_us >= less.low_us * (1 - 1e-9)
    assert most.high_us >= less.high_us * (1 - 1e-9)


@given(OPERATIONS, NAMES, st.floats(min_value=0.5, max_value=4.0), st.floats(min_value=0.5, max_value=4.0))
def test_a_higher_clock_never_takes_more_time(operation: Operation, scenario: str, one: float, other: float) -> None:
    slow = estimated(operation, scenario, clock_ghz=min(one, other))
    fast = estimated(operation, scenario, clock_ghz=max(one, other))
    assert fast.low_us <= slow.low_us * (1 + 1e-9)
    assert fast.high_us <= slow.high_us * (1 + 1e-9)


@given(OPERATIONS, NAMES)
def test_no_figure_below_the_floor_is_better_than_its_factor(operation: Operation, scenario: str) -> None:
    found = estimated(operation, scenario)
    middle = math.sqrt(found.low_us * found.high_us)
    if middle < FLOOR_US * 0.99:
        assert found.low_us <= middle / FLOOR_FACTOR * (1 + 1e-9)
        assert found.high_us >= middle * FLOOR_FACTOR * (1 - 1e-9)


@given(OPERATIONS, st.sampled_from(["half-clock", "busy"]))
def test_no_other_scenario_is_faster_than_typical(operation: Operation, scenario: str) -> None:
    typical, other = estimated(operation), estimated(operation, scenario)
    assert other.low_us >= typical.low_us * (1 - 1e-9)
    assert other.high_us >= typical.high_us * (1 - 1e-9)


@given(OPERATIONS)
def test_cold_is_never_faster_than_the_same_work_warm(operation: Operation) -> None:
    work = scalar(operation)
    cold, warm = estimated(work, "cold", cold=work), estimated(work)
    assert cold.low_us >= warm.low_us * (1 - 1e-9)
    assert cold.high_us >= warm.high_us * (1 - 1e-9)


def scalar(operation: Operation) -> Operation:
    """All of it as Python's: the cycle model has a price of its own for a miss."""
    parts = [part.model_copy(update={"image": "python"}) for part in operation.parts]
    return operation.model_copy(update={"parts": tuple(parts)})


def test_a_slower_range_is_a_slower_estimate() -> None:
    device = profile()
    cost = core_cost(device.main, calibration(), scalar_ipc())
    slower = replace(cost, scalar_ipc=cost.scalar_ipc.model_copy(update={"low": 0.25}))
    counted = bundle_counts({"rank": Operation(parts=(python_part(2e6),))})
    found = estimate_operation("rank", counted, device, slower, SCENARIOS["typical"])
    assert found is not None
    assert (found.low_us, found.high_us) == (1000.0, 4000.0)
