"""The command line returns exit codes, prints plain output, and names the place and the fix of each error."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer import Typer
from typer.testing import CliRunner, Result

import edge_sdk
from cloud_export.cli import app
from cloud_export.export.container_writer import development_key, public_bytes
from cloud_export.report.inspect import policy_rows
from device_sim.cli import app as device_sim_app
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.policy_reader import read_policy_file
from edge_sdk.bundle.reader import read_bundle
from tests.support.paths import ROOT
from tests.support.policy_scene import POLICY_SCENE
from tests.support.scene import Small, packed

EVENTS = """case,ts,lifecycle,activity,amount_req
7,2011-10-01 09:00:00.000+00:00,COMPLETE,A_SUBMITTED,5000
7,2011-10-01 09:00:01.000+00:00,SCHEDULE,W_CALL,5000
8,2011-10-02 10:00:00.000+00:00,COMPLETE,A_SUBMITTED,9000
8,2011-10-02 10:00:09.000+00:00,COMPLETE,A_DECLINED,9000
"""


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(result: Result) -> str:
    """All that was printed, in one line."""
    return " ".join(result.output.split())


def cells(result: Result) -> dict[str, str]:
    """Label -> value of the printed tables of two columns."""
    rows = [line.strip("│ ").split("│") for line in result.output.splitlines() if line.startswith("│")]
    return {row[0].strip(): row[1].strip() for row in rows}


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


def test_check_counts_a_clean_log(events: Path) -> None:
    result = call("check", "loan", "--events", events)
    assert result.exit_code == 0
    assert "events 4" in words(result).replace("│", "").replace("  ", " ").replace("  ", " ")


def test_check_names_each_bad_row_and_fails(events: Path) -> None:
    events.write_text(EVENTS + "9,yesterday,COMPLETE,A_SUBMITTED,1\n9,2011-10-03 10:00:00+00:00,DONE,A_SUBMITTED,1\n")
    result = call("check", "loan", "--events", events)
    assert result.exit_code == 1
    assert "events.csv, row 5:" in words(result)
    assert "events.csv, row 6:" in words(result)
    assert "2 bad rows" in words(result)


def test_run_stops_at_bad_rows_before_it_trains(events: Path, tmp_path: Path) -> None:
    events.write_text(EVENTS + "9,2011-10-03 10:00:00+00:00,COMPLETE,,1\n")
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "events.csv" in words(result)
    assert "row 5" in words(result)
    assert not (tmp_path / "out" / "scene.edge").exists()


def test_a_wrong_scene_field_is_named_with_the_fix(events: Path, tmp_path: Path) -> None:
    shipped = ROOT / "cloud_export" / "scenes" / "loan.toml"
    scene = tmp_path / "mine.toml"
    scene.write_text(shipped.read_text().replace("window = 32", "windows = 32"))
    result = call("check", scene, "--events", events)
    assert result.exit_code == 2
    assert "model.windows" in words(result)
    assert "window" in words(result).split("model.windows", 1)[1]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("check", "loan", "--events", "absent.csv"), "absent.csv"),
        (("check", "lone", "--events", "absent.csv"), "loan"),
        (("inspect", "absent.edge"), "absent.edge"),
        (("inspect", __file__), "file identifier"),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], found: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert found in words(result)


def test_a_log_too_short_to_split_is_refused(events: Path, tmp_path: Path) -> None:
    pl.read_csv(events, infer_schema=False).filter(pl.col("case") == "7").write_csv(events)
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "[split]" in words(result)


def test_a_key_of_another_kind_is_refused(events: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out", "--key", key)
    assert result.exit_code == 2
    assert f"Error: Invalid value: {key}: " in result.output
    assert result.output.endswith("; make one with: openssl genpkey -algorithm ed25519\n")


@pytest.mark.parametrize("command", ["check", "run"])
def test_help_shows_the_names_of_sections(command: str) -> None:
    assert "derived by [decisions] of the scene." in words(call(command, "--help"))


@pytest.mark.parametrize("folder", ["[v2]", "[/old]", "[bold]x[/bold]", "a[0]\\[1]"])
def test_square_brackets_of_paths_are_printed(tmp_path: Path, small: Small, folder: str) -> None:
    scene, out = tmp_path / folder / "[red]small.toml", tmp_path / folder / "small.policy"
    bundle = out.with_name("small.edge")
    out.parent.mkdir(parents=True)
    scene.write_text(POLICY_TOML, encoding="utf-8")
    bundle.write_bytes(small.bundle.read_bytes())

    written = call("policy", scene, "--out", out, "--bundle", bundle)
    inspected = call("inspect", bundle)
    refused = call("inspect", out)

    assert written.exit_code == 0, written.output
    assert f"wrote {out}: " in written.output
    assert f", which fits {bundle}\n" in written.output
    assert inspected.exit_code == 0, inspected.output
    assert inspected.output.startswith(f"{bundle}\n")
    assert refused.exit_code == 2
    assert str(out) in refused.output


def test_square_brackets_of_names_are_printed(tmp_path: Path) -> None:
    folder = tmp_path / "[" / "shop]"  # "[/shop]"
    folder.mkdir(parents=True)
    scene, events = folder / "shop.toml", folder / "[e].csv"
    scene.write_text(BRACKETS_TOML, encoding="utf-8")
    events.write_text(
        "user,time,kind,item\nu,2026-01-17T12:00:00Z,[view],a\nu,2026-01-17T12:01:00Z,[/click],a\n", encoding="utf-8"
    )
    result = call("check", scene, "--events", events)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{scene}: the log\n")
    assert (cells(result)["events [view]"], cells(result)["events [/click]"]) == ("1", "1")

    events.write_text(events.read_text().replace("[view]", "[red]"), encoding="utf-8")
    result = call("run", scene, "--events", events, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f'{events} row 1: kind is not in events.kinds of the scene: "[red]"\n' in result.output


def test_output_that_is_no_terminal_is_not_wrapped(tmp_path: Path) -> None:
    folder, kind = tmp_path / ("a long folder name " * 10).strip(), "viewed a fund " * 10
    folder.mkdir()
    scene, events = folder / "shop.toml", folder / "events.csv"
    scene.write_text(BRACKETS_TOML.replace("[view]", kind), encoding="utf-8")
    events.write_text(
        f"user,time,kind,item\nu,2026-01-17T12:00:00Z,{kind},a\nu,2026-01-17T12:01:00Z,[/click],a\n", encoding="utf-8"
    )
    result = call("check", scene, "--events", events)
    assert result.output.startswith(f"{scene}: the log\n")
    assert cells(result)[f"events {kind}".strip()] == "1"

    events.write_text(events.read_text() + f"u,yesterday,{kind},a\n", encoding="utf-8")
    result = call("check", scene, "--events", events)
    assert f'{events}, row 3: time is not a time: "yesterday"\n' in result.output

    result = call("check", scene, "--events", folder / "absent.csv")
    assert f"LogFileError: {folder / 'absent.csv'}: there is no such file or folder; " in result.output


@pytest.mark.parametrize(("program", "name"), [(app, "cloud-export"), (device_sim_app, "device-sim")])
def test_version(program: Typer, name: str) -> None:
    result = CliRunner().invoke(program, ["--version"])
    assert (result.exit_code, result.output) == (0, f"{name} {edge_sdk.__version__}\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_without_some_characters_shows_replacements(small: Small, encoding: str) -> None:
    program = "from cloud_export.entry import main; main()"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        [sys.executable, "-c", program, "inspect", small.bundle], env=environment, capture_output=True, check=False
    )
    assert printed.returncode == 0, printed.stderr.decode()
    assert ("click × 1" if encoding == "latin-1" else "click ? 1") in printed.stdout.decode(encoding)


def test_policy_writes_a_signed_file_that_fits_the_bundle(tmp_path: Path, small: Small) -> None:
    scene, out = tmp_path / "small.toml", tmp_path / "small.policy"
    scene.write_text(POLICY_TOML, encoding="utf-8")

    result = call("policy", scene, "--out", out, "--bundle", small.bundle)

    assert result.exit_code == 0, result.output
    assert "category 'fnud' is not in the bundle: rules about it match nothing" in words(result)
    assert "offer 'fund_z' is not in the bundle: rules about it match nothing" in words(result)
    assert "version 3, which fits" in words(result)
    assert "signed with the development key" in words(result)
    assert out.read_bytes()[4:8] == b"EDGP"
    opened = read_bundle(small.bundle, open_container(small.bundle, trusted_keys=(), allow_unsigned=True))
    key = public_bytes(development_key("small"))
    read = read_policy_file(
        "a", out.read_bytes(), opened.scene, opened.symbols, trusted_keys=[key], allow_unsigned=False
    )
    assert (read.version, [rule.name for rule in read.drops]) == (3, ["blocks[0]", "no z"])


def test_policy_prints_that_a_device_takes_a_higher_version_only(tmp_path: Path, small: Small) -> None:
    scene = tmp_path / "small.toml"
    scene.write_text(POLICY_TOML.replace("version = 3", "version = 0"), encoding="utf-8")
    result = call("policy", scene, "--out", tmp_path / "small.policy", "--bundle", small.bundle)
    assert "policy.version is 0 and the bundle's is 0: a device takes a higher one only" in words(result)


def test_a_policy_of_another_scene_is_refused_and_not_written(tmp_path: Path, small: Small) -> None:
    out = tmp_path / "wealth.policy"
    result = call("policy", "wealth", "--out", out, "--bundle", small.bundle)
    assert result.exit_code == 2
    assert "scene: 'wealth', and the bundle is of 'small'" in words(result)
    assert not out.exists()


def test_inspect_names_the_rules(small: Small) -> None:
    result = call("inspect", small.bundle)
    assert result.exit_code == 0
    printed = words(result).replace("│", "")
    assert "eligibility eligibility[0]" in " ".join(printed.split())
    assert "caps caps[0], caps[1]" in " ".join(printed.split())
    assert "texts en, zh" in " ".join(printed.split())


def test_inspect_prints_every_rule_in_short(tmp_path: Path) -> None:
    scene = packed(tmp_path, POLICY_SCENE)
    bundle = read_bundle(scene.bundle, open_container(scene.bundle, trusted_keys=(), allow_unsigned=True))
    assert policy_rows(bundle) == {
        "policy version": "7",
        "eligibility": "eligibility[0], calm",
        "blocks": "no pushes, not this",
        "caps": "caps[0], few pushes, few pushes, caps[2]",
        "cooldowns": "cooldowns[0]",
        "quiet hours": "night 22:00–08:30",
        "weights": "at home",
        "boosts": "boosts[0] -0.5",
        "pins": "pins[0] at 2",
        "numbers": (
            "2 to 8 events for the model's full weight, max score change 0.75, max rank change 3, cost weight 0.5, "
            "budget 10 in 86400 s, diversity 0.125, category limits, minimum score -1.5, epsilon 0.25"
        ),
    }


BRACKETS_TOML = """
[scene]
name = "shop"
objective_order = ["click"]

[events]
kinds = ["[view]", "[/click]"]

[decisions]
positive_kinds = ["[/click]"]
objective = "click"
"""

POLICY_TOML = """
[scene]
name = "small"
objective_order = ["click", "convert"]

[events]
kinds = ["view"]

[policy]
version = 3

[[policy.blocks]]
category = ["coupon", "fnud"]

[[policy.blocks]]
name = "no z"
offers = "fund_z"
"""
