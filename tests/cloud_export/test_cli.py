"""What a person types and reads: exit codes, and messages that name the place and the fix."""

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from cloud_export.cli import app
from cloud_export.export.container_writer import development_key, public_bytes
from cloud_export.report.inspect import policy_rows
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
    """All that was printed, without the line breaks of the terminal's width."""
    return " ".join(result.output.split())


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


def test_a_wrong_scene_field_is_named_with_the_mend(events: Path, tmp_path: Path) -> None:
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


def test_a_log_too_short_to_split_says_so(events: Path, tmp_path: Path) -> None:
    pl.read_csv(events, infer_schema=False).filter(pl.col("case") == "7").write_csv(events)
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "[split]" in words(result)


def test_a_key_of_another_kind_is_refused(events: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    result = call("run", "loan", "--events", events, "--out", tmp_path / "out", "--key", key)
    assert result.exit_code == 2
    assert "openssl genpkey -algorithm ed25519" in words(result).replace("│ ", "").replace("│", "")


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


def test_policy_says_that_a_device_takes_a_higher_version_only(tmp_path: Path, small: Small) -> None:
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
    said = words(result).replace("│", "")
    assert "eligibility eligibility[0]" in " ".join(said.split())
    assert "caps caps[0], caps[1]" in " ".join(said.split())
    assert "texts en, zh" in " ".join(said.split())


def test_inspect_says_every_rule_in_short(tmp_path: Path) -> None:
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
