"""The cycle model computes with given coefficients, and unusable calibration files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_sim.counts.counts import Counts
from device_sim.estimate.cycle_model import Calibration, CalibrationError, CoreModel, features, read_calibration

MODEL = CoreModel(
    core="cortex-a55", counts_core="cortex-a55",
    cycles_per={"fma": 2.0, "memory": 0.5, "rest": 0.25, "l1_miss": 3.0, "l2_miss": 40.0},
    cycles_per_x86_ms=1e6, held_out_median=0.1, held_out_p90=0.2, unseen_device_median=None, unseen_device_p90=None,
    neither_seen_median=None, neither_seen_p90=None, devices=("a board",),
)  # fmt: skip
CALIBRATION = Calibration(
    cores={"cortex-a55": MODEL}, transferred_median=None, transferred_p90=None, published_sha256="", counted_with={}
)
COUNTS = Counts(
    mix={"fma": 100.0, "dot": 10.0, "load": 40.0, "integer": 8.0, "system": 7.0},
    l1i_misses=1.0, l1d_misses=5.0, l2_misses=2.0, l3_misses=1.0,
)  # fmt: skip


def test_cycles_by_hand() -> None:
    """110 × 2 + 40 × 0.5 + 8 × 0.25 + 5 × 3 + 2 × 40; the 7 `system` cost nothing."""
    assert MODEL.cycles(COUNTS) == 220.0 + 20.0 + 2.0 + 15.0 + 80.0


def test_features_by_hand() -> None:
    assert features(COUNTS) == {
        "fma": 110.0, "memory": 40.0, "rest": 8.0, "other": 55.0, "l1_miss": 5.0, "l2_miss": 2.0, "l3_miss": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cycles_per": {"fma": -1.0}}, "cores.cortex-a55.cycles_per: Value error, unknown features"),
        ({"cycles_per": {}}, "cores.cortex-a55.cycles_per"),
        ({"cycles_per": {"luck": 1.0}}, "unknown features ['luck']"),
        ({"devices": 3}, "cores.cortex-a55.devices: Input should be a valid array"),
        ({"core": None}, "cores.cortex-a55.core: Input should be a valid string"),
    ],
)
def test_an_unusable_calibration_is_refused_with_file_field_and_fix(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    content = CALIBRATION.model_dump(mode="json")
    content["cores"]["cortex-a55"] |= change
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(content))
    with pytest.raises(
        CalibrationError, match="write it again with `device-sim validate --write-calibration`"
    ) as caught:
        read_calibration(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_an_absent_calibration_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"calibration.json: No such file or directory; write it again"):
        read_calibration(tmp_path / "calibration.json")


def test_a_calibration_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(CALIBRATION.model_dump_json())
    assert read_calibration(path) == CALIBRATION
