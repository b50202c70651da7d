"""`device-sim estimate` prints its output, writes its files and names its errors."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from device_sim.cli import app
from device_sim.counts.counts import Operation
from device_sim.emulation.count_command import CountRequest
from device_sim.estimate.profile import SHIPPED, profile_names
from device_sim.estimate.scenarios import SCENARIOS
from tests.support.scene import Small
from tests.support.simulator.estimate_cases import bundle_counts, kernel_part, python_part

RANK = Operation(parts=(python_part(6e5, l1i=100), kernel_part(5e4, 1e5, l2=20)))
COLD = Operation(parts=(python_part(6e5, l1i=4000, l3=900), kernel_part(5e4, 1e5, l2=500)))
NEW_BASE = Operation(parts=(python_part(2e6), kernel_part(5e4, 1e5, l2=20)))


def estimate(*arguments: str | Path) -> Result:
    runner = CliRunner(env={"COLUMNS": "80"})
    return runner.invoke(app, ["estimate", *map(str, arguments)])


@pytest.fixture
def counted(small: Small, tmp_path: Path) -> Path:
    """Counts of the small scene's very bundle."""
    sha256 = hashlib.sha256(small.bundle.read_bytes()).hexdigest()
    operations = {"record": Operation(parts=(python_part(1e4),)), "rank": RANK, "rank_new_base": NEW_BASE,
                  "rank_cold": COLD}  # fmt: skip
    file = tmp_path / "counts.json"
    bundle_counts(operations, core="cortex-a76", sha256=sha256).write_json(file)
    return file


def test_the_list_shows_every_profile() -> None:
    done = estimate("--list")
    assert done.exit_code == 0, done.output
    assert [name for name in profile_names() if name not in done.output] == []


def test_devices_in_all_scenarios_with_evidence(small: Small, counted: Path, tmp_path: Path) -> None:
    out = tmp_path / "estimate.json"
    arguments = ("--device", "pi-5", "--device", "snapdragon-865", "--counts", counted, "--json", out)
    done = estimate(small.bundle, *arguments)
    assert done.exit_code == 0, done.output
    assert "estimated µs, scenario typical" in done.output
    for scenario in SCENARIOS.values():
        assert f"{scenario.name}: assumes {scenario.assumption}" in done.output
    assert "Estimated from counted instructions, not measured on a phone" in done.output
    assert "rank, onnxruntime's kernels: " in done.output
    assert "µs (policy " in done.output
    assert "no other core" in done.output


def test_square_brackets_in_a_file_name_are_kept(small: Small, counted: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "[red]scene[1].edge"
    bundle.write_bytes(small.bundle.read_bytes())
    done = estimate(bundle, "--device", "pi-5", "--counts", counted, "--json", tmp_path / "[bold].json")
    assert done.exit_code == 0, done.output
    assert "[red]scene[1].edge: estimated µs, scenario typical" in done.output.splitlines()
    assert f"written: {tmp_path / '[bold].json'}" in done.output.splitlines()


def test_the_json_contains_the_figures_and_their_evidence(small: Small, counted: Path, tmp_path: Path) -> None:
    out = tmp_path / "estimate.json"
    assert estimate(small.bundle, "--device", "snapdragon-865", "--counts", counted, "--json", out).exit_code == 0
    table = json.loads(out.read_text(encoding="utf-8"))
    assert (table["format"], table["kind"]) == (1, "estimated")
    (device,) = table["devices"]
    assert device["profile"]["class"] == "flagship"
    assert device["profile"]["main"]["clock_ghz"]["source"].startswith("ThomasKaiser/sbc-bench results/49kx.txt")
    main, little = device["cores"]
    assert main["core"] == "cortex-a77"
    assert main["counts"]["is_of_bundle"] is True
    assert main["counts"]["remarks"] == []
    assert little["counts"]["remarks"] == [
        "COUNTS OF ANOTHER CORE'S KERNELS: cortex-a76; this core runs those of cortex-a55"
    ]
    assert main["cycle_model"]["error"] > 0
    found = {(one["operation"], one["scenario"]): one for core in device["cores"] for one in core["estimates"]}
    assert ("rank", "cold") in found
    assert ("record", "cold") not in found
    assert ("rank", "little-core") in found
    for one in found.values():
        assert one["low_us"] == math.fsum(part["low_us"] for part in one["parts"])
        assert one["high_us"] == math.fsum(part["high_us"] for part in one["parts"])
        assert 0 < one["low_us"] < one["high_us"]


def test_only_the_scenarios_that_were_asked_for(small: Small, counted: Path, tmp_path: Path) -> None:
    out = tmp_path / "estimate.json"
    arguments = ("--device", "pi-5", "--counts", counted, "--scenario", "busy", "--json", out)
    assert estimate(small.bundle, *arguments).exit_code == 0
    table = json.loads(out.read_text(encoding="utf-8"))
    assert list(table["scenarios"]) == ["typical", "busy"]


def test_counts_of_another_bundle_are_called_that(small: Small, counted: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(counted.read_text("utf-8").replace('"scene": "small"', '"scene": "shop"'), encoding="utf-8")
    text = other.read_text("utf-8")
    sha256 = hashlib.sha256(small.bundle.read_bytes()).hexdigest()
    other.write_text(text.replace(sha256, "f" * 64), encoding="utf-8")
    out = tmp_path / "estimate.json"
    done = estimate(small.bundle, "--device", "pi-5", "--counts", other, "--json", out)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("COUNTS OF ANOTHER BUNDLE: shop")
    assert json.loads(out.read_text("utf-8"))["remarks"][0].startswith("COUNTS OF ANOTHER BUNDLE: shop")


def test_all_devices_fit_on_a_page(small: Small, counted: Path) -> None:
    done = estimate(small.bundle, "--device", "all", "--counts", counted)
    assert done.exit_code == 0, done.output
    assert "ask for at most 4 devices, or add --json FILE" in done.output
    assert [name for name in profile_names() if done.output.count(name) < 2] == []


def test_a_cheaper_phone_is_slower(small: Small, counted: Path, tmp_path: Path) -> None:
    out = tmp_path / "estimate.json"
    assert estimate(small.bundle, "--device", "all", "--counts", counted, "--json", out).exit_code == 0
    table = json.loads(out.read_text(encoding="utf-8"))
    rank = {
        device["profile"]["name"]: next(
            (one["low_us"], one["high_us"]) for one in device["cores"][0]["estimates"] if one["operation"] == "rank"
        )
        for device in table["devices"]
    }
    for cheap, dear in (("unisoc-sc9863a", "pi-5"), ("pi-3b-plus", "qcm6490"), ("rk3566", "snapdragon-8-gen-3")):
        assert rank[cheap][0] > rank[dear][0]
        assert rank[cheap][1] > rank[dear][1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "pi6"), "UnknownDeviceError: pi6: no such device; did you mean pi-"),
        (("--device", "pi-5", "--scenario", "hot"), "UnknownScenarioError: hot: no such scenario"),
        (("--device", "none.toml"), "ProfileFileError: none.toml: the file: No such file or directory"),
        (("--device", "pi-5", "--counts", "none.json"), "CountsFileError: none.json: No such file or directory"),
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments: tuple[str, ...], message: str, small: Small) -> None:
    done = estimate(small.bundle, *arguments)
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_scene_that_was_never_counted_is_refused_with_the_command_that_counts(small: Small) -> None:
    done = estimate(small.bundle, "--device", "pi-5")
    assert done.exit_code == 2
    assert "scene small: there are counts of" in done.output or "there are no counts" in done.output
    assert "count it with `device-sim count" in done.output


def test_something_that_is_no_bundle(tmp_path: Path) -> None:
    file = tmp_path / "no.edge"
    file.write_bytes(b"not a bundle")
    done = estimate(file, "--device", "pi-5")
    assert done.exit_code == 2
    assert "BundleDamagedError" in done.output


def test_a_bundle_and_a_device_are_needed() -> None:
    done = estimate()
    assert done.exit_code == 2
    assert "give a bundle and --device NAME" in " ".join(done.output.replace("│", " ").split())


def test_a_profile_of_ones_own(small: Small, counted: Path, tmp_path: Path) -> None:
    file = tmp_path / "till.toml"
    file.write_text((SHIPPED / "pi-5.toml").read_text("utf-8").replace('"pi-5"', '"till"'), encoding="utf-8")
    done = estimate(small.bundle, "--device", file, "--counts", counted)
    assert done.exit_code == 0, done.output
    assert "till" in done.output


def test_counting_first_counts_what_the_devices_run(
    small: Small, counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Snapdragon 865 runs A76's kernels on its main cores, A55's on the little ones."""
    asked: list[tuple[str, ...]] = []

    def count_here(request: CountRequest) -> None:
        asked.append(request.cores)
        for core in request.cores:
            text = counted.read_text("utf-8").replace('"core": "cortex-a76"', f'"core": "{core}"')
            Path(f"small.{core}.json").write_text(text, encoding="utf-8")

    monkeypatch.setattr("device_sim.emulation.count_command.run_count", count_here)
    monkeypatch.chdir(tmp_path)
    done = estimate(small.bundle, "--device", "snapdragon-865", "--count")
    assert done.exit_code == 0, done.output
    assert "COUNTS OF ANOTHER" not in done.output
    done = estimate(small.bundle, "--device", "pi-5", "--scenario", "busy", "--count")
    assert done.exit_code == 0, done.output
    assert asked == [("cortex-a55", "cortex-a76"), ("cortex-a76",)]


def test_counting_first_and_counts_exclude_each_other(small: Small, counted: Path) -> None:
    done = estimate(small.bundle, "--device", "pi-5", "--count", "--counts", counted)
    assert done.exit_code == 2
    assert "give --count or --counts FILE, not both" in done.output


def test_an_absent_folder_is_refused_before_the_work(small: Small, tmp_path: Path) -> None:
    done = estimate(small.bundle, "--device", "pi-5", "--json", str(tmp_path / "none" / "out.json"))
    assert done.exit_code == 2
    assert "no folder" in done.output
    assert "estimated" not in done.output.lower()


def test_devices_may_follow_one_another(small: Small) -> None:
    done = estimate(small.bundle, "--device", "pi-5", "no-such-phone")
    assert done.exit_code == 2
    assert "no-such-phone: no such device" in done.output
