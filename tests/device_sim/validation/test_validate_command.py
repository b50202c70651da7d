"""`device-sim validate` fits, scores and writes from the command line, on made-up runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from device_sim.cli import app
from device_sim.estimate.cycle_model import read_calibration
from device_sim.validation import command as validate_command
from device_sim.validation import validate as validation
from device_sim.validation.points import References
from device_sim.validation.scored_points import read_points
from tests.support.simulator.made_up_runs import MODELS, entry, full_table, write_references, write_table


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> References:
    """References in a folder, the main table beside it; few halvings, so that a run is quick."""
    monkeypatch.setattr(validation.validate, "__kwdefaults__", {"halving_count": 2})
    (tmp_path / "counts").mkdir()
    made = write_references(tmp_path / "counts")
    write_table(tmp_path / "main.json", full_table(made))
    return made


def _run(folder: Path, *arguments: str | Path) -> Result:
    told = ["validate", "--counts", folder / "counts", *arguments]
    return CliRunner().invoke(app, [str(argument) for argument in told])


def _error(result: Result) -> str:
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def test_the_json_contains_the_errors_of_each_core_and_device(made: References, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = _run(tmp_path, "--published", tmp_path / "main.json", "--json", out)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert len(found["cores"]) == 6
    assert len(found["devices"]) == 11
    for scores in [*found["cores"].values(), *found["devices"].values()]:
        assert {"median_error", "p90_error", "points", "baseline", "unseen_device"} <= set(scores)
    assert found["cores"]["cortex-a76"]["noise"]["points"] == 2 * len(MODELS)
    assert found["targets"][0] == {
        "target": "cortex-a53: held-out models ≤ 10%",
        "holds": True,
        "measured": "0.0%",
    }
    assert found["exclusions"] == found["tables"] == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_mad_further_table_changes_nothing_in_the_main_figures(made: References, tmp_path: Path) -> None:
    main = tmp_path / "main.json"
    mad = entry(made, "mad", "cortex-a76")
    mad["ms_min_max_avg"] = {model: [599_999.0, 599_999.0, 599_999.0] for model in MODELS}
    write_table(tmp_path / "mad.json", [mad, {"device": "odd"}, None])
    further: list[str | Path] = ["--table", tmp_path / "mad.json"]
    for name, tables in (("alone", []), ("with", further)):
        outputs: list[str | Path] = [
            "--json",
            tmp_path / f"{name}.json",
            "--write-calibration",
            tmp_path / f"{name}.calibration",
        ]
        assert _run(tmp_path, "--published", main, *outputs, *tables).exit_code == 0
    assert (tmp_path / "alone.calibration").read_text() == (tmp_path / "with.calibration").read_text()
    alone, both = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("alone", "with"))
    (table,) = both.pop("tables")
    assert alone.pop("tables") == []
    assert alone == both
    assert table["devices"]["mad"]["median_error"] > 0.9
    assert [exclusion["entry"] for exclusion in table["exclusions"]] == ["odd", "entry 2"]


def test_further_tables_are_scored_with_the_shipped_calibration_where_the_main_one_is_not(
    made: References, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate_command, "DEFAULT_PUBLISHED", tmp_path / "absent.json")
    first = write_table(tmp_path / "first.json", [entry(made, "one", "cortex-a76")])
    second = write_table(tmp_path / "second.json", [entry(made, "two", "cortex-a53")])
    result = _run(tmp_path, "--table", first, "--table", second, "--json", tmp_path / "out.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert [(table["file"], table["calibration"]) for table in found["tables"]] == [
        ("first.json", "shipped"),
        ("second.json", "shipped"),
    ]
    assert set(found) == {"tables"}
    assert found["tables"][0]["devices"]["one"]["points"] == len(MODELS)


def test_without_any_table_the_message_names_the_option(
    made: References, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate_command, "DEFAULT_PUBLISHED", tmp_path / "absent.json")
    error = _error(_run(tmp_path))
    assert error.count("\n") == 1
    assert "absent.json: the file: path: is not there; give --published FILE, or --table FILE" in error


def test_what_is_written_is_read_again(made: References, tmp_path: Path) -> None:
    calibration, points = tmp_path / "calibration.json", tmp_path / "points.json"
    arguments: list[str | Path] = ["--write-calibration", calibration, "--write-points", points]
    assert _run(tmp_path, "--published", tmp_path / "main.json", *arguments).exit_code == 0
    assert read_calibration(calibration).cores["cortex-a76"].devices == ("cortex-a76-one", "cortex-a76-two")
    assert read_calibration(calibration).counted_with == {"made": "up"}
    assert len(read_points(points).points) == 11 * len(MODELS)


def test_strict_fails_on_a_missed_target_alone(made: References, tmp_path: Path) -> None:
    main = tmp_path / "main.json"
    assert _run(tmp_path, "--published", main, "--strict").exit_code == 0
    write_table(main, [one for one in full_table(made) if one["core"] != "a53"])
    assert _run(tmp_path, "--published", main).exit_code == 0
    result = _run(tmp_path, "--published", main, "--strict")
    assert result.exit_code == 1
    assert "not scored" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "main.json: the file: JSON: "),
        ("[]", "an empty list"),
        ('[{"device": "x"}]', "no device can be scored: core: Field required"),
        ("[null, null]", "no device can be scored: "),
    ],
)
def test_a_bad_table_is_one_line(made: References, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "main.json").write_text(content)
    error = _error(_run(tmp_path, "--published", tmp_path / "main.json"))
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("ncnn.x86_64.json", None, "ncnn.x86_64.json: No such file or directory; give a file"),
        ("ncnn.x86_64.json", "{}", "ncnn.x86_64.json: processor: Field required; give a file"),
        ("ncnn.cortex-a53.json", "{}", "ncnn.cortex-a53.json: core: Field required"),
    ],
)
def test_bad_references_are_one_line(
    made: References, tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    path = tmp_path / "counts" / file
    path.unlink() if content is None else path.write_text(content)
    error = _error(_run(tmp_path, "--published", tmp_path / "main.json"))
    assert message in error
    assert error.count("\n") == 1


def test_an_empty_counts_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "counts").mkdir()
    assert "counts: no ncnn.cortex-*.json; give --counts a folder" in _error(_run(tmp_path))


def test_a_wrong_output_is_refused_before_the_work(made: References, tmp_path: Path) -> None:
    result = _run(tmp_path, "--published", tmp_path / "main.json", "--json", tmp_path / "absent" / "out.json")
    assert result.exit_code == 2
    assert "not a file in a folder that is there" in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""
