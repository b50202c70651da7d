"""The reference models are timed by the guest program that is also counted, here with a stand-in for ncnn."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_sim.emulation.errors import GuestFailedError, MissingToolsError
from device_sim.emulation.references.reference_host import RUNS_PER_ROUND, processor_name, time_all

_NCNN = """
import sys
class UnlockedPoolAllocator: pass
class PoolAllocator: pass
class Option: pass
def DataReaderFromEmpty(): return None
class Mat:
    def __init__(self, *size): pass
    def fill(self, value): pass
class Extractor:
    def input(self, name, picture): pass
    def extract(self, name): pass
class Net:
    def __init__(self): self.opt = Option()
    def load_param(self, path): return int("broken" in open(path).read())
    def load_model(self, reader): pass
    def create_extractor(self): return Extractor()
    def input_names(self): return ["in"]
    def output_names(self): return ["out"]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "ncnn").mkdir(parents=True)
    (folder / "ncnn" / "ncnn.py").write_text(_NCNN)
    (folder / "ncnn-1.0.dist-info").mkdir()
    (folder / "ncnn-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ncnn\nVersion: 1.0\n")
    return folder


@pytest.fixture
def params(tmp_path: Path) -> Path:
    folder = tmp_path / "params"
    folder.mkdir()
    for model in ("blazeface", "squeezenet", "no-benchmark-model"):
        (folder / f"{model}.param").write_text("7767517\n")
    return folder


def test_every_known_model_is_timed(site: Path, params: Path) -> None:
    times = time_all(params, site, rounds=2)
    assert set(times.models) == {"blazeface", "squeezenet"}
    assert (times.rounds, times.runs_per_round, times.versions["ncnn"]) == (2, RUNS_PER_ROUND, "1.0")


def test_a_model_that_ncnn_cannot_read_is_named(site: Path, params: Path) -> None:
    (params / "squeezenet.param").write_text("broken")
    with pytest.raises(GuestFailedError, match=r"squeezenet.*ncnn cannot read this graph"):
        time_all(params, site, rounds=1)


def test_a_folder_without_ncnn_is_told_how_to_get_it(tmp_path: Path, params: Path) -> None:
    with pytest.raises(MissingToolsError, match="holds no ncnn; run: pip install --no-deps"):
        time_all(params, tmp_path, rounds=1)


def test_the_processors_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n")
    assert processor_name(tmp_path / "cpuinfo") == "Some CPU @ 3 GHz"
    assert processor_name(tmp_path / "none")
