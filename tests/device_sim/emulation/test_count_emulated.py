"""Counts of the real arm64 runtime repeat under the emulator, and its decisions are those of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_sim.emulation import installation, qemu
from device_sim.emulation.counting import LEFT_OVER_MAX, Counted
from tests.support.simulator.golden_count import CORE, golden_count, golden_count_again

pytestmark = pytest.mark.skipif(
    bool(installation.problems()), reason=f"not set up, run device-sim setup: {'; '.join(installation.problems())}"
)


@pytest.fixture(scope="module")
def counted() -> Counted:
    return golden_count()


def test_the_core_decides_as_this_machine_and_as_the_golden_decisions(counted: Counted) -> None:
    agreement = counted.conformance
    assert agreement.golden_differences == ()
    assert agreement.golden_decisions == 134
    assert agreement.golden_largest <= 1e-5
    assert agreement.same_order == agreement.decisions == 64
    assert agreement.beyond == 0
    assert counted.counts.versions["machine"] == "aarch64"


def test_two_counts_are_the_same_within_a_thousandth(counted: Counted) -> None:
    again = golden_count_again().counts.operations
    assert set(again) == {"record", "rank"}
    for name, operation in again.items():
        instructions = counted.counts.operations[name].total().instructions
        assert operation.total().instructions == pytest.approx(instructions, rel=1e-3)


def test_stages_add_up_and_the_model_runs_in_onnxruntime(counted: Counted) -> None:
    rank = counted.counts.operations["rank"]
    assert abs(counted.left_over["rank"]) < LEFT_OVER_MAX
    assert rank.total(stage="policy").instructions > 0
    assert rank.total().instructions > 100_000
    assert rank.total(stage="model", image="onnxruntime").of("fma") > 0
    assert rank.total(image="onnxruntime").instructions < rank.total().instructions
    assert counted.counts.operations["record"].total(image="onnxruntime").instructions == 0


def test_onnxruntime_starts_no_thread_that_wakes_by_the_clock(tmp_path: Path) -> None:
    script = tmp_path / "threads.py"
    script.write_text(
        "import os\nbefore = len(os.listdir('/proc/self/task'))\nimport numpy, onnxruntime\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    assert qemu.run(script, core_name=CORE, installation=installation.installed()).strip() == "0"
