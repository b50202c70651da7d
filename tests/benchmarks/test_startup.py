"""`benchmarks.startup` measures every contestant in the stated way; nothing here depends on time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers import all_peers
from benchmarks.startup import __main__ as startup
from benchmarks.startup.__main__ import Startup, as_json, measure, print_tables
from benchmarks.startup.contestants import REFERENCES
from benchmarks.work import Work, make_work
from device_sim.bench import log_peers
from device_sim.bench.bench_types import FirstCall, WholeProcess
from device_sim.bench.first_calls import COLD_CALLS
from device_sim.bench.other_work import OtherWork
from tests.support.scene import HOME, SCENE, Small

IN_THE_TEST_ENVIRONMENT = {"rank", "rank_five", "rank_all", "rank_new_event", "model", "naive_run", "numpy", "typical"}


class CountedWork(OtherWork):
    """Other work on little memory that counts how often it was done."""

    def __init__(self) -> None:
        super().__init__(walk_bytes=1 << 12)
        self.done = 0

    def do(self) -> None:
        self.done += 1
        super().do()


@pytest.fixture(scope="module")
def work(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The small scene as a task."""
    return make_work(
        model=small.model, bundle=small.bundle, public_key=small.public_key, scene=SCENE, context=HOME,
        folder=tmp_path_factory.mktemp("startup"), events=60,
    )  # fmt: skip


@pytest.fixture(scope="module")
def other_work() -> CountedWork:
    return CountedWork()


@pytest.fixture(scope="module")
def found(work: Work, other_work: CountedWork) -> Startup:
    """One round that counts, and two processes of each program."""
    return measure(work, rounds=1, processes=2, other_work=other_work)


def test_all_contestants_of_both_tasks_are_there(found: Startup) -> None:
    assert [one.key for one in found.first_calls if one.task == "record"] == ["edge_sdk", "sqlite", "lmdb"]
    ranked = {one.key for one in found.first_calls if one.task == "rank"}
    assert ranked == {peer.key for peer in all_peers.ALL} - {"onnx_one", "onnx_nodes", "c_call"}
    measured = {one.key for one in found.first_calls if one.task == "rank" and not one.missing}
    assert measured >= IN_THE_TEST_ENVIRONMENT


def test_each_first_call_came_after_other_work(found: Startup, other_work: CountedWork) -> None:
    measured = [one for one in found.first_calls if not one.missing]
    assert other_work.done == 2 * COLD_CALLS * len(measured)  # the round that warms up, and the one that counts


def test_a_measured_row_has_cold_and_warm_figures_and_ratios_to_its_reference(found: Startup) -> None:
    for one in found.first_calls:
        figures = (one.cold_us, one.warm_us, one.cold_ratio, one.warm_ratio)
        if one.missing:
            assert figures == (None, None, None, None)
            continue
        assert one.reference == REFERENCES[one.task]
        for figure in figures:
            assert figure is not None
            assert 0 < figure.low <= figure.median <= figure.high


def test_a_reference_is_one_time_itself(found: Startup) -> None:
    for task, key in REFERENCES.items():
        (one,) = (one for one in found.first_calls if (one.task, one.key) == (task, key))
        assert one.cold_ratio is not None
        assert one.warm_ratio is not None
        assert (one.cold_ratio.median, one.warm_ratio.median) == (1, 1)


@pytest.mark.parametrize(
    ("key", "phases"),
    [
        ("bare", ["start"]),
        ("imports", ["start", "imports"]),
        ("edge_sdk", ["start", "imports", "open", "record", "rank", "offers"]),
        ("sqlite", ["start", "imports", "open", "record"]),
        ("naive_onnx", ["start", "imports", "open", "rank"]),
    ],
)
def test_a_process_reports_its_phases_in_order(found: Startup, key: str, phases: list[str]) -> None:
    one = process(found, key)
    assert one.missing == ""
    assert list(one.phases_ms) == phases
    assert all(phase.low > 0 for phase in one.phases_ms.values())
    assert one.total_ms is not None
    assert one.cpu_ms is not None
    assert one.cpu_ms.low > 0
    assert one.total_ms.high >= sum(phase.low for phase in one.phases_ms.values())


def test_memory_is_of_the_whole_process_and_beyond_a_bare_interpreter(found: Startup) -> None:
    beyond = {}
    bare = process(found, "bare").resident
    assert bare is not None
    for key in ("bare", "imports", "naive_onnx", "edge_sdk"):
        one = process(found, key)
        assert one.beyond_bare is not None
        assert one.resident is not None
        beyond[key] = one.beyond_bare.rss_bytes.median
        assert one.resident.rss_bytes.median == pytest.approx(beyond[key] + bare.rss_bytes.median, rel=0.02)
    assert beyond["bare"] == 0
    assert 0 < beyond["imports"] < beyond["naive_onnx"]
    assert beyond["imports"] < beyond["edge_sdk"]


def test_the_json_has_the_machine_the_disturbance_and_all_rows(found: Startup) -> None:
    written = json.loads(json.dumps(as_json(found)))
    assert set(written) == {"machine", "other_work", "first_calls", "processes"}
    assert written["other_work"]["walk_bytes"] == 64 << 20
    assert {"processor", "cpus", "load_average", "sqlite", "lmdb"} <= set(written["machine"])
    assert [FirstCall(**one) for one in written["first_calls"]] == list(found.first_calls)
    assert [WholeProcess(**one) for one in written["processes"]] == list(found.processes)


def test_a_missing_peer_is_a_row_with_the_reason_and_the_fix(
    found: Startup, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "lmdb cannot be imported (gone); install it: pip install 'edge-sdk[bench]'"
    first = FirstCall(task="record", key="lmdb", label="LMDB, writemap, sync=False", missing=reason)
    alone = WholeProcess(key="lmdb", label="LMDB alone", missing=reason)
    print_tables(Startup((*found.first_calls[:2], first), (process(found, "bare"), alone)))
    printed = capsys.readouterr().out
    assert f"LMDB, writemap, sync=False: missing: {reason}" in printed
    assert f"LMDB alone: missing: {reason}" in printed
    rows = [line for line in printed.splitlines() if "LMDB" in line and "│" in line]
    assert len(rows) == 3  # first calls, start-up, memory
    assert all("missing" in row for row in rows)


def test_a_peer_that_is_not_installed_is_missing_and_the_others_are_measured(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_peers, "import_module", _absent)
    monkeypatch.setattr(startup, "ALL", ())
    monkeypatch.setattr(startup, "model_programs", lambda _: [])
    found = measure(replace(work), rounds=1, processes=1, other_work=CountedWork())
    by_key = {one.key: one for one in found.first_calls}
    assert "No module named 'lmdb'" in by_key["lmdb"].missing
    assert "pip install 'edge-sdk[bench]'" in by_key["lmdb"].missing
    assert by_key["sqlite"].cold_us is not None


def test_a_file_in_no_folder_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "trained_scene", lambda: pytest.fail("it was measured"))
    with pytest.raises(SystemExit, match="is a folder: name a file"):
        startup.main(["--json", str(tmp_path)])


def process(found: Startup, key: str) -> WholeProcess:
    (one,) = (one for one in found.processes if one.key == key)
    return one


def _absent(name: str) -> object:
    raise ImportError(f"No module named '{name}'")
