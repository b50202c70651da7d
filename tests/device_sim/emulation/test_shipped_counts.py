"""The shipped counts of reference models are readable, of the same versions, and close to those of the study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_sim.counts import counts as counts_module
from device_sim.counts.counts import CountsFileError, ReferenceCounts
from device_sim.counts.host_times import HostTimes
from device_sim.counts.lzma import LzmaCounts
from device_sim.emulation import machine
from device_sim.emulation.references.reference_models import INPUT_SIZES
from tests.support.paths import SHARED

SHIPPED = Path(counts_module.__file__).with_name("shipped")
STUDY = SHARED / "reference" / "device_sim" / "ncnn_counts.json"
CORES = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")


@pytest.mark.parametrize("core", CORES)
def test_reference_counts(core: str) -> None:
    reference = ReferenceCounts.read_json(SHIPPED / f"ncnn.{core}.json")
    assert reference.core == core
    assert reference.caches == machine.core_named(core).caches
    assert set(reference.models) <= set(INPUT_SIZES)
    assert len(reference.models) >= 26
    for counts in reference.models.values():
        assert counts.instructions > 1e6
        assert counts.l2_misses is not None
        assert counts.l1d_misses is not None
        assert 0 < counts.l2_misses < counts.l1d_misses + (counts.l1i_misses or 0)


def test_all_cores_were_counted_with_one_make() -> None:
    shipped = [ReferenceCounts.read_json(SHIPPED / f"ncnn.{core}.json") for core in CORES]
    assert len({tuple(one.versions.items()) for one in shipped}) == 1


@pytest.mark.skipif(not STUDY.is_file(), reason=f"the study's counts are not at {STUDY}; put them there")
@pytest.mark.parametrize("core", CORES)
def test_reference_counts_agree_with_the_study(core: str) -> None:
    study = json.loads(STUDY.read_text())[core.removeprefix("cortex-")]
    reference = ReferenceCounts.read_json(SHIPPED / f"ncnn.{core}.json").models
    both = [model for model in reference if model in study]
    assert len(both) >= 26
    ratios = sorted(reference[model].instructions / study[model]["insn"] for model in both)
    assert ratios[len(ratios) // 2] == pytest.approx(1, abs=0.01)
    loads = sorted(reference[model].of("load") / study[model]["ld"] for model in both)
    assert loads[len(loads) // 2] == pytest.approx(1, abs=0.02)


def test_host_times_are_of_the_same_models() -> None:
    times = HostTimes.read_json(SHIPPED / "ncnn.x86_64.json")
    assert set(times.models) == set(INPUT_SIZES)
    assert times.rounds * times.runs_per_round >= 5
    assert all(0 < time.min_ms <= time.median_ms for time in times.models.values())
    assert times.versions["ncnn"] == ReferenceCounts.read_json(SHIPPED / "ncnn.cortex-a53.json").versions["ncnn"]


def test_lzma_is_scalar_work_in_one_make() -> None:
    lzma = LzmaCounts.read_json(SHIPPED / "lzma.json")
    assert lzma.versions["7-zip"] == "16.02"
    assert lzma.encode.instructions > 10 * lzma.decode.instructions > 0
    for counts in (lzma.encode, lzma.decode):
        assert counts.of("fma", "dot", "vector_float", "scalar_float") == 0


def test_another_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"format": 1}')
    with pytest.raises(CountsFileError, match=r"x\.json: processor: Field required; give a file that"):
        HostTimes.read_json(tmp_path / "x.json")
    with pytest.raises(CountsFileError, match=r"x\.json: encode: Field required; give a file that"):
        LzmaCounts.read_json(tmp_path / "x.json")
    with pytest.raises(CountsFileError, match=r"y\.json: No such file or directory; give a file that"):
        LzmaCounts.read_json(tmp_path / "y.json")
    later = (SHIPPED / "lzma.json").read_text().replace('"format": 1', '"format": 2')
    (tmp_path / "z.json").write_text(later)
    with pytest.raises(CountsFileError, match="format 2, this program reads 1"):
        LzmaCounts.read_json(tmp_path / "z.json")
