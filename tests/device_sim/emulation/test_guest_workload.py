"""The guest's programs run natively with the stated probes, decisions and loops."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from device_sim.counts.counts import STAGES
from device_sim.emulation import markers
from device_sim.emulation.guest import probes, workload
from device_sim.emulation.guest.workload import Workload, WorkloadError
from device_sim.emulation.workload_plan import Plan, WorkloadRefusedError, make_plan
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from tests.support.paths import ROOT
from tests.support.scene import Small

_GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def bundle(small: Small) -> Bundle:
    return read_bundle(
        small.bundle, open_container(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False)
    )


@pytest.fixture(scope="module")
def plan(small: Small, bundle: Bundle) -> Plan:
    return make_plan(bundle, public_key=small.public_key, repetitions=8)


@pytest.fixture(autouse=True)
def nothing_is_counted() -> None:
    probes.enter(probes.ELSEWHERE)


@pytest.fixture
def app(small: Small, plan: Plan, tmp_path: Path) -> Workload:
    return Workload(plan.model_dump(), small.bundle, tmp_path / "state")


def test_the_stages_are_those_of_the_counts() -> None:
    assert probes.STAGES == STAGES
    assert probes.region_of("engine") < markers.REGIONS


def test_every_probe_names_a_function_of_the_runtime() -> None:
    gone = []
    for probe in probes.PROBES:
        try:
            probes.holder_of(probe)
        except probes.ProbeTargetError as problem:
            gone.append(str(problem))
    assert not gone, "\n".join(gone)


@pytest.mark.parametrize("probe", probes.PROBES, ids=lambda probe: probe.name)
def test_each_probed_function_is_called_once_at_each_decision(app: Workload, probe: probes.Probe) -> None:
    with app.engine, probes.wrapped([probe]) as entries:
        probes.enter(probes.region_of("engine"))
        for _ in range(3):
            app.go_on()
            app.rank()
        probes.enter(probes.ELSEWHERE)
    expected = {stage: 3 * (stage == probe.stage) for stage in STAGES}
    assert entries.times == expected, f"{probe}: not one call for each decision; fix this row of PROBES"


def test_no_probed_function_calls_another(app: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[int] = []
    monkeypatch.setattr(markers, "enter", entered.append)
    app.go_on()
    with app.engine, probes.wrapped(probes.PROBES):
        probes.enter(probes.region_of("engine"))
        app.rank()
    stages = [probes.STAGES[region - 1] for region in entered]
    assert stages == [
        "engine", "window", "engine", "window", "engine", "model", "engine", "policy", "engine", "result", "engine",
        "result", "engine",
    ]  # fmt: skip


def test_calls_elsewhere_are_not_counted(app: Workload) -> None:
    with app.engine, probes.wrapped(probes.PROBES) as entries:
        app.go_on_and_rank()
    assert entries.times == dict.fromkeys(STAGES, 0)


def test_wrapping_is_undone() -> None:
    before = [probes.holder_of(probe)[2] for probe in probes.PROBES]
    with probes.wrapped(probes.PROBES):
        assert all(probes.holder_of(probe)[2] is not known for probe, known in zip(probes.PROBES, before, strict=True))
    assert [probes.holder_of(probe)[2] for probe in probes.PROBES] == before


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("edge_sdk.decision.maker", "DecisionMaker.no_such"),
        ("edge_sdk.decision.maker", "NoSuch.decide"),
        ("edge_sdk.decision.maker", "no_such"),
        ("edge_sdk.no_such", "decide"),
    ],
)
def test_a_row_whose_function_is_gone_is_named(module: str, name: str) -> None:
    row = f'Probe("policy", "{module}", "{name}")'
    with pytest.raises(probes.ProbeTargetError) as caught:
        probes.holder_of(probes.Probe("policy", module, name))
    assert str(caught.value).startswith(f"{module} has no {name}: fix the row {row} of the table in ")


def test_every_decision_has_a_full_window_and_offers_and_every_kind_takes_part(
    app: Workload, plan: Plan, bundle: Bundle
) -> None:
    in_window = {name for name, number in bundle.kind_ids.items() if bundle.layout.kinds[number].in_window}
    assert in_window <= {kind for kind, _ in plan.events}
    with app.engine:
        for _ in range(100):
            app.go_on()
            assert app.ask().offers


def test_an_empty_window_and_an_empty_slate_are_refused(small: Small, plan: Plan, tmp_path: Path) -> None:
    few = {**plan.model_dump(), "first_events": 2}
    with pytest.raises(WorkloadError, match="the window holds 2 of 8 events"):
        Workload(few, small.bundle, tmp_path / "few")
    strange = {**plan.model_dump(), "context": {"surface": "nowhere"}}
    with pytest.raises(WorkloadError, match="a decision failed"):
        Workload(strange, small.bundle, tmp_path / "strange")


def test_a_bundle_without_events_for_its_window_is_refused_by_name(small: Small, bundle: Bundle) -> None:
    noted = bundle._replace(kind_ids={"note": bundle.kind_ids["note"]})
    with pytest.raises(WorkloadRefusedError, match=r"scene\.edge: the window holds 0 of 8 events"):
        make_plan(noted, public_key=small.public_key, repetitions=8)
    with pytest.raises(WorkloadRefusedError, match=r"scene\.edge: no event kind can be recorded"):
        make_plan(bundle._replace(kind_ids={}), public_key=small.public_key, repetitions=8)


def run_guest(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "ORT_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", f"device_sim.emulation.guest.{name}", *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(small: Small, plan: Plan, tmp_path: Path) -> Path:
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    shutil.copyfile(small.bundle, tmp_path / "bundle.edge")
    return tmp_path


def test_each_operation_runs_in_loops_of_both_lengths(folder: Path) -> None:
    done = run_guest("counting_run", str(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    loops: list[dict[str, Any]] = json.loads((folder / "loops.json").read_text())
    found = [(loop["operation"], loop["loop"], loop["length"]) for loop in loops]
    lengths = {"probe": 8, "record": 2048, "rank": 8, "rank_new_base": 8, "rank_cold": 8, "explain": 8, "open_close": 1}
    assert found == [
        (name, loop, times * length)
        for name, length in lengths.items()
        for loop in ("idle", "plain", "staged")
        for times in (1, 2)
    ]
    staged = {loop["operation"]: loop["entries"] for loop in loops if loop["loop"] == "staged"}
    assert staged["rank"] == {"window": 32, "model": 16, "policy": 16, "result": 32, "engine": 0}
    assert staged["record"] == {"window": 4, "model": 0, "policy": 0, "result": 0, "engine": 0}
    assert staged["probe"] == {"window": 16, "model": 0, "policy": 0, "result": 0, "engine": 0}


def test_a_full_disk_ends_the_guest_with_the_reason(folder: Path) -> None:
    (folder / "loops.json").symlink_to("/dev/full")
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "operations": []}))
    done = run_guest("counting_run", str(folder), cwd=folder)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr


def test_two_runs_make_the_same_decisions(folder: Path) -> None:
    for name in ("one", "other"):
        done = run_guest("decisions_run", str(folder), name, cwd=folder)
        assert done.returncode == 0, done.stderr
    assert (folder / "one").read_bytes() == (folder / "other").read_bytes()
    assert len(json.loads((folder / "one").read_text())["decisions"]) == 64


def test_the_golden_decisions_are_played_without_the_clouds_packages(tmp_path: Path) -> None:
    done = run_guest("golden_run", str(_GOLDEN), "golden.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "golden.json").read_text())
    assert found["differences"] == []
    assert found["decisions"] == 134
    assert found["scenarios"] == 17
    assert found["largest"] <= 1e-5


def test_a_workload_error_is_one_line(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "first_events": 0}))
    done = run_guest("decisions_run", str(folder), "out", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["the window holds 0 of 8 events; let more kinds enter it in the scene"]


def test_guests_import_only_the_runtime_numpy_and_the_standard_library() -> None:
    folder = Path(workload.__file__).parent
    allowed = {"numpy", "onnxruntime", "edge_sdk", "device_sim", *sys.stdlib_module_names}
    imported = {
        line.split()[1].split(".")[0]
        for path in folder.glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported <= allowed
