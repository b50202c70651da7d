"""Published tables give their usable entries, and each exclusion and error has its reason."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.validation.published import LARGEST_FILE_BYTES, PublishedTable, PublishedTableError, read_published

GOOD: dict[str, object] = {
    "device": "RPi4",
    "core": "a72",
    "clock_ghz": 1.8,
    "threads": 1,
    "source": "a page",
    "ms_min_max_avg": {"squeezenet": [60.1, 62.0, 60.9]},
}


def _read(folder: Path, content: object) -> PublishedTable:
    path = folder / "table.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_published(path)


def test_a_run_is_read_with_its_core_spelled_in_one_way_and_its_least_time(tmp_path: Path) -> None:
    table = _read(tmp_path, [GOOD])
    (run,) = table.runs
    assert (run.device, run.core, run.clock_ghz, run.note) == ("RPi4", "cortex-a72", 1.8, None)
    assert dict(run.least_ms) == {"squeezenet": 60.1}
    assert table.sources == ("a page",)
    assert table.exclusions == ()


@pytest.mark.parametrize("spelling", ["a76", "A76", "Cortex-A76", "cortex_a76", "ARM Cortex-A76", "a76ae"])
def test_spellings_of_a_core(tmp_path: Path, spelling: str) -> None:
    (run,) = _read(tmp_path, [GOOD | {"core": spelling}]).runs
    assert run.core == "cortex-a76"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"core": "denver/a57"}, "core 'denver/a57': unknown or mixed"),
        ({"core": "zen4"}, "core 'zen4': unknown or mixed"),
        ({"core": 76}, "core: Input should be a valid string"),
        ({"clock_ghz": None}, "clock_ghz: Input should be a valid number"),
        ({"clock_ghz": -1.0}, "clock_ghz: Input should be greater than or equal to 0.1"),
        ({"clock_ghz": 1800}, "clock_ghz: Input should be less than or equal to 6"),
        ({"clock_ghz": "1.8"}, "clock_ghz: Input should be a valid number"),
        ({"clock_ghz": True}, "clock_ghz: Input should be a valid number"),
        ({"threads": 4}, "threads: 4, and only single-thread runs can be compared"),
        ({"threads": 1.5}, "threads: Input should be a valid integer"),
        ({"device": " "}, "device: String should match pattern"),
        ({"ms_min_max_avg": []}, "ms_min_max_avg: Input should be a valid dictionary"),
        ({"ms_min_max_avg": {}}, "ms_min_max_avg: no usable figure"),
        ({"ms_min_max_avg": {"squeezenet": [1.0, 2.0]}}, "ms_min_max_avg: no usable figure"),
    ],
)
def test_an_unusable_run_is_left_out_with_its_reason(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    table = _read(tmp_path, [GOOD | {"device": "other"}, GOOD | change])
    assert [run.device for run in table.runs] == ["other"]
    (exclusion,) = table.exclusions
    assert exclusion.model is None
    assert exclusion.reason.startswith(reason)


@pytest.mark.parametrize("field", ["device", "core", "clock_ghz", "threads", "ms_min_max_avg"])
def test_a_missing_field_leaves_the_run_out(tmp_path: Path, field: str) -> None:
    table = _read(tmp_path, [{key: value for key, value in GOOD.items() if key != field}])
    assert table.runs == ()
    assert table.exclusions[0].reason == f"{field}: Field required; fix this field of the entry"


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ([1.0, 2.0], "not three figures"),
        ([1.0, 2.0, 1.5, 1.6], "not three figures"),
        (1.0, "not three figures"),
        (None, "not three figures"),
        (["1", 2.0, 1.5], "a figure that is no number"),
        ([True, 2.0, 1.5], "a figure that is no number"),
        ([0.0, 2.0, 1.5], "not between"),
        ([-1.0, 2.0, 1.5], "not between"),
        ([1.0, 1e9, 1.5], "not between"),
        ([1.0, 10**400, 1.5], "not between"),
        ([float("nan"), 2.0, 1.5], "not between"),
        ([1.0, float("inf"), 1.5], "not between"),
        ([2.0, 1.0, 1.5], "are not in order"),
        ([1.0, 2.0, 2.5], "are not in order"),
    ],
)
def test_an_unusable_figure_is_left_out_with_its_reason(tmp_path: Path, figures: object, reason: str) -> None:
    table = _read(tmp_path, [GOOD | {"ms_min_max_avg": {"alexnet": figures, "vgg16": [5.0, 6.0, 5.5]}}])
    assert dict(table.runs[0].least_ms) == {"vgg16": 5.0}
    (exclusion,) = table.exclusions
    assert (exclusion.entry, exclusion.model) == ("RPi4", "alexnet")
    assert reason in exclusion.reason


def test_a_device_is_listed_once_for_each_core(tmp_path: Path) -> None:
    table = _read(tmp_path, [GOOD, GOOD | {"core": "a53"}, GOOD | {"clock_ghz": 1.5}])
    assert [(run.core, run.clock_ghz) for run in table.runs] == [("cortex-a72", 1.8), ("cortex-a53", 1.8)]
    assert table.exclusions[0].reason.startswith("device: a second run of RPi4 on cortex-a72")


def test_entries_that_are_no_objects_are_left_out_by_their_place(tmp_path: Path) -> None:
    table = _read(tmp_path, [GOOD, None, 3, "x", [GOOD]])
    assert [exclusion.entry for exclusion in table.exclusions] == ["entry 1", "entry 2", "entry 3", "entry 4"]


@pytest.mark.parametrize("text", ["\ud800", "a\x1b[31mred", "a\nb"])
def test_texts_that_cannot_be_printed_are_left_out_and_shown_printable(tmp_path: Path, text: str) -> None:
    entries = [GOOD | {"device": text}, GOOD | {"core": text}, GOOD | {"ms_min_max_avg": {text: [1.0, 1.0, 1.0]}}]
    table = _read(tmp_path, entries)
    assert table.runs == ()
    assert len(table.exclusions) == 3
    assert all((exclusion.entry + exclusion.reason).isprintable() for exclusion in table.exclusions)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("{}", "a dict, not a list"),
        ("7", "a int, not a list"),
        ("[]", "an empty list"),
        ('[{"device": "a", "device": "b"}]', "'device' stands twice in one object"),
        ("[" * 100_000, "nested too deep"),
        ("[" + "9" * 5000 + "]", "JSON"),
    ],
)
def test_an_unusable_file_is_one_clear_error(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(PublishedTableError, match=r"table.json: the file: .*; give a JSON list") as caught:
        _read(tmp_path, content)
    assert problem in str(caught.value)


def test_bytes_that_are_no_text_absent_files_and_folders(tmp_path: Path) -> None:
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe[]")
    for path in (binary, tmp_path / "absent.json", tmp_path):
        with pytest.raises(PublishedTableError, match="; give a JSON list"):
            read_published(path)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    with pytest.raises(PublishedTableError, match="size: more than 16 MiB"):
        read_published(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "device": _JSON | st.sampled_from(["RPi4", "RPi5"]),
        "core": _JSON | st.sampled_from(["a53", "a76", "cortex-x1", "denver/a57"]),
        "clock_ghz": _JSON | st.floats(0.1, 6.0),
        "threads": _JSON | st.just(1),
        "note": _JSON,
        "source": _JSON | st.just("a page"),
        "ms_min_max_avg": _JSON
        | st.dictionaries(st.text(max_size=8), st.lists(_JSON | st.floats(1.0, 9.0), max_size=4)),
    },
)


@settings(max_examples=150, deadline=None)
@given(entries=st.lists(_JSON | _FIELDS, max_size=4) | _JSON)
def test_every_entry_of_any_file_is_either_read_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, entries: object
) -> None:
    path = tmp_path_factory.mktemp("any") / "table.json"
    path.write_text(json.dumps(entries))
    if not isinstance(entries, list) or not entries:
        with pytest.raises(PublishedTableError):
            read_published(path)
        return
    table = read_published(path)
    whole = [exclusion for exclusion in table.exclusions if exclusion.model is None]
    assert len(table.runs) + len(whole) == len(entries)
    assert all(0.001 <= time <= 600_000.0 for run in table.runs for time in run.least_ms.values())
    assert all(0.1 <= run.clock_ghz <= 6.0 for run in table.runs)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_random_bytes_never_give_anything_but_a_table_or_the_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "table.json"
    path.write_bytes(content)
    table: PublishedTable | None = None
    with suppress(PublishedTableError):
        table = read_published(path)
    assert table is None or len(table.runs) + len(table.exclusions) > 0
