"""Fresh processes report their phases and their memory; a program that fails or is missing is named."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

from device_sim.bench import fresh_process
from device_sim.bench.event_workload import Workload
from device_sim.bench.fresh_process import measure_fresh
from device_sim.bench.programs.report import report, resident
from device_sim.bench.whole_process import Program, bare_interpreter, run_in_turns, whole_processes
from tests.support.scene import Small

_REPORTS = """
import sys, time
from pathlib import Path
from device_sim.bench.programs.report import report
begun = time.perf_counter_ns()
Path(sys.argv[2], "file").write_bytes(b"12345")
report(7000000, start=begun, work=begun + int(sys.argv[1]))
"""


def program(folder: Path, text: str, *arguments: str) -> Program:
    path = folder / "program.py"
    path.write_text(text)
    return Program("own", "a program", path, arguments)


def test_phases_lie_between_the_moments_that_a_program_reports(tmp_path: Path) -> None:
    runs = run_in_turns([bare_interpreter(), program(tmp_path, _REPORTS, "2500000")], processes=2)
    assert [len(found) for found in runs.values()] == [2, 2]
    for run in runs["own"]:
        assert list(run.phases_ms) == ["start", "work"]
        assert run.phases_ms["work"] == 2.5
        assert run.phases_ms["start"] > 0
        assert run.total_ms == pytest.approx(run.phases_ms["start"] + 2.5)
        assert run.cpu_ms == 7.0
        assert run.stored_bytes == 5
        assert run.resident_bytes["rss"] > 1 << 20


def test_programs_take_turns_and_one_of_each_comes_before_those_that_count(tmp_path: Path) -> None:
    told: list[str] = []
    runs = run_in_turns([bare_interpreter()], 2, told.append)
    assert told == ["fresh processes, 0 of 2", "fresh processes, 1 of 2", "fresh processes, 2 of 2"]
    assert len(runs["bare"]) == 2


def test_a_program_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"program\.py failed: SystemExit|program\.py failed: no file"):
        run_in_turns([program(tmp_path, "raise SystemExit('no file')")], processes=1)


def test_a_missing_program_is_not_started_and_is_a_row_with_the_reason(tmp_path: Path) -> None:
    absent = Program("absent", "an absent peer", tmp_path / "none.py", missing="it is not installed; install it")
    programs = [bare_interpreter(), absent]
    bare, missing = whole_processes(programs, run_in_turns(programs, processes=1))
    assert (bare.missing, missing.missing) == ("", "it is not installed; install it")
    assert (missing.total_ms, missing.resident, missing.phases_ms) == (None, None, {})
    assert bare.to_bare is not None
    assert bare.to_bare.median == 1


def test_the_runtime_starts_beside_the_peers_of_its_log(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_process, "find_spec", lambda name: None if name == "lmdb" else object())
    fresh = measure_fresh(Workload.of(small.bundle, small.public_key), processes=1)
    by_key = {one.key: one for one in fresh.processes}
    assert list(by_key) == ["bare", "imports", "edge_sdk", "sqlite", "lmdb"]
    assert "pip install 'edge-sdk[bench]'" in by_key["lmdb"].missing
    phases = by_key["edge_sdk"].phases_ms
    assert list(phases) == ["start", "imports", "open", "record", "rank", "offers"]
    assert fresh.cold_start.import_ms == phases["imports"]
    assert fresh.cold_start.total_ms.median == pytest.approx(
        phases["imports"].median + phases["open"].median + phases["rank"].median
    )
    imports, ours = by_key["imports"].resident, by_key["edge_sdk"].resident
    assert imports is not None
    assert ours is not None
    assert fresh.memory.extra_bytes == ours.rss_bytes.median - imports.rss_bytes.median > 0


def test_a_kernel_without_a_summary_of_the_map_gives_resident_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = builtins.open

    def without_summary(file: str) -> object:
        if file.endswith("smaps_rollup"):
            raise FileNotFoundError(file)
        return opened(file)

    whole = resident()
    assert set(whole) == {"rss", "pss", "private"}
    assert 0 < whole["private"] <= whole["pss"] <= whole["rss"]
    monkeypatch.setattr(builtins, "open", without_summary)
    assert set(resident()) == {"rss"}


def test_a_report_has_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    report(9, start=1, open=4)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == [["moment", "start", "1"], ["moment", "open", "4"]]
    assert lines[2] == ["cpu", "process", "9"]
    assert {words[1] for words in lines[3:]} == {"rss", "pss", "private"}
