"""The benchmark of growth measures every figure it names; no test here depends on time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale.__main__ import main
from benchmarks.scale.curve import Curve, fit_line, fitted, unit
from benchmarks.scale.limits import colliding_pairs, limits
from benchmarks.scale.made_up_log import item_names
from benchmarks.scale.rounds import interleaved, row
from benchmarks.scale.settings import QUICK
from benchmarks.scale.words import amount, cell, line, printed

QUESTIONS = ("window", "candidates", "items", "history", "threads", "log")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """One quick run: its JSON and its page."""
    folder = tmp_path_factory.mktemp("scale")
    main(["--quick", "--json", str(folder / "new" / "scale.json"), "--html", str(folder / "scale.html")])
    return json.loads((folder / "new" / "scale.json").read_text()), (folder / "scale.html").read_text()


@pytest.mark.parametrize(
    ("question", "over", "sizes", "figures"),
    [
        ("window", "events_in_window", QUICK.windows, {"rank_us"}),
        ("candidates", "candidates", QUICK.candidates, {"rank_us", "rank_new_base_us"}),
        (
            "items",
            "items_in_bundle",
            QUICK.items,
            {"rank_us", "record_us", "open_ms", "bundle_mb", "resident_mb", "peak_mb", "imported_mb", "pack_s"},
        ),
        ("history", "events_recorded_before", QUICK.histories, {"rank_us", "record_us", "open_ms"}),
        (
            "threads",
            "threads",
            QUICK.threads,
            {"ranks_per_s", "records_per_s", "rank_p50_us", "rank_p99_us", "record_p50_us", "record_p99_us"},
        ),
    ],
)
def test_every_size_has_every_figure_between_its_lowest_and_its_highest_round(
    written: tuple[dict[str, Any], str], question: str, over: str, sizes: tuple[int, ...], figures: set[str]
) -> None:
    rows = written[0][question]["rows"]
    assert written[0][question]["over"] == over
    assert [one[over] for one in rows] == list(sizes)
    for one in rows:
        assert figures <= set(one)
        for figure in figures:
            low, high = one.get(f"{figure}_low", one[figure]), one.get(f"{figure}_high", one[figure])
            assert 0 < low <= one[figure] <= high


def test_a_log_of_more_users_has_more_events_and_each_is_replayed(written: tuple[dict[str, Any], str]) -> None:
    rows = written[0]["log"]["rows"]
    assert len(rows) == len(QUICK.log_users)
    assert rows[0]["events_in_log"] < rows[-1]["events_in_log"]
    for one in rows:
        assert 0 < one["decisions"] < one["events_in_log"]
        spent_s = one["read_s"] + one["replay_s"]
        assert one["events_per_s"] == pytest.approx(one["events_in_log"] / spent_s)
        assert one["imported_mb"] < one["read_peak_mb"] <= one["peak_mb"]


def test_the_machine_and_the_units_are_in_the_file(written: tuple[dict[str, Any], str]) -> None:
    found = written[0]
    assert set(found) == {"machine", "limits", *QUESTIONS}
    assert {"processor", "cpus", "python", "onnxruntime", "seconds"} <= set(found["machine"])
    assert "quick" in found["machine"]["sizes"]
    fit = found["window"]["fits"][0]
    assert set(fit) == {"figure", "a_us", "b_us_per_event", "largest_deviation_percent"}
    first, last = found["window"]["rows"][0], found["window"]["rows"][-1]
    assert fit["a_us"] + fit["b_us_per_event"] * first["events_in_window"] == pytest.approx(first["rank_us"])
    assert fit["a_us"] + fit["b_us_per_event"] * last["events_in_window"] == pytest.approx(last["rank_us"])
    assert {one["figure"] for one in found["items"]["fits"]} >= {"rank_us", "open_ms", "bundle_mb", "resident_mb"}


def test_each_limit_has_the_answer_of_the_program(written: tuple[dict[str, Any], str]) -> None:
    answers = {(one["what"], one["at"]): one["happens"] for one in written[0]["limits"]}
    assert answers["candidates of one decision", "4,096"].startswith("ranked by the device")
    assert "TOO_MANY_CANDIDATES" in answers["candidates of one decision", "4,097"]
    assert "model.window = 1025" in answers["events in the window", "1,025"]
    assert answers["offers", "65,535"] == "laid out: 65,535 offers"
    assert "65535 at most" in answers["offers", "65,536"]


def test_the_page_loads_nothing_and_shows_every_question(written: tuple[dict[str, Any], str]) -> None:
    _, page = written
    without_names = page.replace("http://www.w3.org/", "")  # namespaces, which nothing loads
    assert not re.search(r"https?:|src=|<script|<link|<img|@import|url\((?!#)", without_names)
    titles = (
        "Events in the window", "Candidates of a decision", "Items in the bundle", "Events recorded before",
        "Threads on one engine", "Log size in the cloud", "Where growing ends", "Measured on",
    )  # fmt: skip
    assert re.findall(r"<h2>(.*?)</h2>", page) == list(titles)
    assert page.count('<svg class="plot"') == 11
    assert page.count("</table>") == len(QUESTIONS)
    assert not re.search(r"\bnan\b|\binf\b", page)


def test_a_line_through_points_on_a_line_is_that_line() -> None:
    fit = fit_line("rank_us", [16, 128, 1024], [22 + 0.18 * size for size in (16, 128, 1024)])
    assert fit.a == pytest.approx(22)
    assert fit.b == pytest.approx(0.18)
    assert fit.worst == pytest.approx(0, abs=1e-9)


def test_sizes_up_to_a_million_cost_the_fit_no_digits() -> None:
    sizes = [0, 100, 10_000, 1_000_000]
    fit = fit_line("open_ms", sizes, [15 + 7e-7 * size for size in sizes])
    assert fit.a == pytest.approx(15, rel=1e-9)
    assert fit.b == pytest.approx(7e-7, rel=1e-6)


def test_the_fit_weighs_relative_errors() -> None:
    # Minimises ((a − 1)² + (a − 2)²/4): d/da = 0 at a = (1 + 2/4) / (1 + 1/4) = 1.2; the plain mean would be 1.5.
    fit = fit_line("rank_us", [7, 7], [1.0, 2.0])
    assert fit.a + 7 * fit.b == pytest.approx(1.2)
    assert fit.worst == pytest.approx(0.4)  # (2 − 1.2) / 2


def test_one_row_gets_no_line() -> None:
    assert fitted([{"threads": 1, "rank_us": 5.0}], "threads", ["rank_us"]) == ()


def test_rounds_go_up_and_down_and_the_first_does_not_count() -> None:
    asked: list[tuple[int, int]] = []

    def of(size: int, answers: Iterator[float]) -> Callable[[int], dict[str, float]]:
        def measure(number: int) -> dict[str, float]:
            asked.append((number, size))
            return {"rank_us": next(answers)}

        return measure

    rows = interleaved({5: of(5, iter([99, 1, 2, 6])), 10: of(10, iter([99, 4, 4, 5]))}, "candidates", 3)
    assert asked == [(0, 10), (0, 5), (1, 5), (1, 10), (2, 10), (2, 5), (3, 5), (3, 10)]
    assert rows == (
        {"candidates": 5, "rank_us": 2, "rank_us_low": 1, "rank_us_high": 6},
        {"candidates": 10, "rank_us": 4, "rank_us_low": 4, "rank_us_high": 5},
    )


def test_names_are_many_sorted_and_different() -> None:
    names = item_names(20_000)
    assert len(set(names)) == len(names) == 20_000
    assert list(names) == sorted(names)


def test_collisions_to_be_expected_are_pairs_over_ids() -> None:
    assert colliding_pairs(2) == 1 / 2**48
    assert colliding_pairs(1_000_000) == pytest.approx(0.001776, abs=1e-6)


@pytest.mark.parametrize(
    ("figure", "expected"), [("rank_us", "µs"), ("open_ms", "ms"), ("peak_mb", "MB"), ("records_per_s", "per s")]
)
def test_units_are_read_off_the_name(figure: str, expected: str) -> None:
    assert unit(figure) == expected


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (0.00017, "1.7e-04"), (0.1898, "0.19"), (136.4, "136"), (1_234_567, "1,230,000")]
)
def test_three_digits_are_enough(value: float, words: str) -> None:
    assert amount(value) == words


def test_a_table_has_rows_lines_and_notes() -> None:
    rows = tuple(row("events_in_window", size, [{"rank_us": 10 + size + extra} for extra in (0, 1)]) for size in (1, 3))
    curve = Curve(
        name="window", title="Events", over="events_in_window", each="event", figures=("rank_us",), rows=rows,
        fits=fitted(rows, "events_in_window", ["rank_us"]), notes=("A note.",), method="How.",
    )  # fmt: skip
    assert cell(rows[0], "rank_us") == "11.5 (11 to 12)"
    assert line(curve.fits[0], curve) == "rank = 10.5 µs + 1 µs for each event (every row within 0.0%)"
    assert [" ".join(text.split()) for text in printed(curve)] == [
        "Events", "How.", "events_in_window rank, µs", "1 11.5 (11 to 12)", "3 13.5 (13 to 14)",
        "rank = 10.5 µs + 1 µs for each event (every row within 0.0%)", "A note.", "",
    ]  # fmt: skip


def test_where_a_file_ends_is_computed_from_the_two_largest_bundles() -> None:
    rows = tuple({"items_in_bundle": size, "bundle_mb": 5 + size / 1000} for size in (10.0, 1000.0))
    items = Curve(name="items", title="", over="items_in_bundle", each="item", figures=(), rows=rows)
    candidates = Curve(name="candidates", title="", over="candidates", each="candidate", figures=(), rows=())
    last = limits(items, candidates)[-1]
    assert last.at == "about 2,150,000"  # (2³¹ − 1) bytes at 1,000 bytes an item


def test_a_file_in_no_folder_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="name another file"):
        main(["--json", str(tmp_path / "file" / "scale.json")])
    with pytest.raises(SystemExit, match="is a folder: name a file"):
        main(["--html", str(tmp_path)])
