"""The bench's JSON file reads back equal; damaged files are refused, and a killed writer leaves the former file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.bench.bench_types import Bench, BenchFileError
from tests.support.simulator.bench_files import bench_of, counts_of

_DIES_BEFORE_THE_RENAME = """
import os, sys
from pathlib import Path
from device_sim.bench.bench_types import Bench
os.replace = lambda *_: os._exit(9)
path = Path(sys.argv[1])
Bench.read_json(path).model_copy(update={"conditions": ()}).write_json(path)
"""


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    bench = bench_of(counts=(counts_of(),), unavailable="the kernel has none")
    bench.write_json(tmp_path / "bench.json")
    assert Bench.read_json(tmp_path / "bench.json") == bench
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


def test_a_file_of_an_earlier_version_has_no_first_calls_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    earlier = json.loads(bench_of().model_dump_json())
    del earlier["first_calls"], earlier["processes"]
    path.write_text(json.dumps(earlier))
    bench = Bench.read_json(path)
    assert (bench.first_calls, bench.processes) == ((), ())


def test_a_process_that_dies_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    bench_of().write_json(path)
    before = path.read_bytes()
    run = subprocess.run([sys.executable, "-c", _DIES_BEFORE_THE_RENAME, str(path)], check=False, env=os.environ)
    assert run.returncode == 9
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("{", "["), "the file: Invalid JSON"),
        (('"format": 1', '"format": 2'), "format 2, this program reads 1"),
        (('"window": 32', '"window": "many"'), "bundle.window: Input should be a valid integer"),
        (('"bundle": {', '"bundel": {'), "bundle: Field required"),
    ],
)
def test_what_is_wrong_is_named_with_the_fix(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    path = tmp_path / "old.json"
    bench_of().write_json(path)
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(BenchFileError, match=words) as refused:
        Bench.read_json(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).endswith("or measure again")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchFileError, match="No such file or directory; give a file"):
        Bench.read_json(tmp_path / "none.json")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_typed_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    path.write_bytes(content)
    with pytest.raises(BenchFileError):
        Bench.read_json(path)
