"""The shipped counts of bundles are readable and whole, and their core made the expected decisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_sim.counts import counts as counts_module
from device_sim.counts.counts import IMAGES, STAGES, BundleCounts
from device_sim.emulation import machine
from device_sim.emulation.counting import LEFT_OVER_MAX
from device_sim.emulation.workload_plan import OPERATIONS

SHIPPED = Path(counts_module.__file__).with_name("shipped")
FILES = sorted(file for file in SHIPPED.glob("*.cortex-*.json") if not file.name.startswith("ncnn."))
WEALTH_CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")


def test_wealth_is_there_for_every_core() -> None:
    assert {f"wealth.{core}.json" for core in WEALTH_CORES} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_they_are_whole(file: Path) -> None:
    counts = BundleCounts.read_json(file)
    assert file.name == f"{counts.scene}.{counts.core}.json"
    assert counts.caches == machine.core_named(counts.core).caches
    assert tuple(counts.operations) == OPERATIONS
    for operation in counts.operations.values():
        total = operation.total()
        assert total.instructions > 1000
        assert total.l1i_misses is not None
        by_stage = sum(operation.total(stage=stage).instructions for stage in STAGES)
        by_image = sum(operation.total(image=image).instructions for image in IMAGES)
        assert by_stage == pytest.approx(total.instructions) == by_image
    assert counts.operations["rank"].total(stage="model").instructions > 10_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_core_decided_as_it_should_and_the_stages_added_up(file: Path) -> None:
    found = BundleCounts.read_json(file).conformance
    assert found["golden_differences"] == 0
    assert found["golden_decisions"] == 127
    assert found["workload_same_order"] == found["workload_decisions"] == 64
    # 2**-16 is one unit in the last place of the loan bundle's scores.
    assert float(found["workload_largest_score_difference"]) <= (2.0**-16 if file.name.startswith("loan.") else 1e-5)
    assert abs(float(found["stages_left_over_rank"])) <= LEFT_OVER_MAX
