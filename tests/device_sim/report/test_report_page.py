"""The report page has its pictures and placeholders, and loads no external resources."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import pytest

from device_sim.report.estimate_section import span
from device_sim.report.estimate_types import Interval
from device_sim.report.instructions_section import short_count
from device_sim.report.page import Inputs, render
from tests.support.simulator.bench_files import bench_of, counts_of
from tests.support.simulator.report_inputs import (
    all_inputs,
    calibration_of_another_table,
    estimates_of,
    fleet_of,
    points_of,
)

HOSTILE = "<script>alert(1)</script>&\"' $x^2$ 手机"
SECTIONS = [
    "Estimated latency on phones",
    "Where the instructions go",
    "How far to trust the estimates",
    "A simulated fleet in closed loop",
    "Timed on the benched machine",
    "What this page does not say",
]
VOID = {"meta", "br", "path", "use", "rect"}


@pytest.fixture(scope="module")
def full() -> str:
    """The page of everything."""
    return render(all_inputs())


def test_every_section_is_there_in_order(full: str) -> None:
    assert re.findall(r"<h2>(.*?)</h2>", full) == SECTIONS
    assert re.findall(r"<h2>(.*?)</h2>", render(Inputs())) == SECTIONS


def test_every_picture_has_its_sentence(full: str) -> None:
    page = Page(full)
    assert len(page.captions) == page.pictures == 8
    assert all(caption.strip().endswith(".") for caption in page.captions)


def test_the_headline_is_an_interval_and_is_marked_as_estimated(full: str) -> None:
    [headline] = re.findall(r"<h1>(.*?)</h1>", full)
    assert headline == (
        "Estimated: a decision takes 2 to 4 ms on Entry phone (cortex-a55) "
        "and 400 to 800 µs on Fast phone (cortex-a76)."
    )
    assert "measured on a phone" not in full


def test_the_words_of_every_picture_are_text(full: str) -> None:
    words = Page(full).words
    for expected in (
        "Entry phone", "2 to 4 ms", "20 to 40 µs",  # estimates
        "cortex-a76", "1 M", "ONNX Runtime", "rest of the call",  # instructions
        "published (across) and predicted (up), milliseconds", "75% of the points",  # validation
        "+30.0%", "120 simulated phones over 3 days", "60% (50% to 70%)",  # fleet
        "on the same CPU", "not available there (the kernel has none)", "100 µs",  # bench
    ):  # fmt: skip
        assert expected in words, expected


@pytest.mark.parametrize("inputs", [Inputs(), all_inputs()], ids=["nothing", "everything"])
def test_it_loads_nothing_and_closes_what_it_opens(inputs: Inputs) -> None:
    drawn = render(inputs)
    assert Page(drawn).loads == []
    assert "<script" not in drawn.lower()
    assert "@import" not in drawn
    assert not re.search(r"url\(\s*['\"]?(?!#)", drawn)


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("estimates", "device-sim estimate scene.edge --device all --json estimates.json"),
        ("counts", "device-sim count scene.edge --core cortex-a55"),
        ("points", "device-sim validate --write-points validation.json"),
        ("fleet", "device-sim fleet --json fleet.json"),
        ("bench", "device-sim bench scene.edge --json bench.json"),
    ],
)
def test_a_missing_input_is_displayed_with_the_command_that_makes_it(full: str, without: str, words: str) -> None:
    assert words not in full
    everything = {field.name: getattr(all_inputs(), field.name) for field in fields(Inputs)}
    del everything[without]
    partial = render(Inputs(**everything))
    assert words in partial
    assert re.findall(r"<h2>(.*?)</h2>", partial)[-1] == SECTIONS[-1]
    assert Page(partial).pictures in {6, 7}


def test_without_estimates_no_latency_is_claimed() -> None:
    drawn = render(Inputs(why_no_estimates="scene loan: there are counts of wealth."))
    assert "No latency was estimated, so this page claims none." in drawn
    assert "scene loan: there are counts of wealth." in drawn


def test_errors_of_another_table_are_not_shown_beside_the_points() -> None:
    inputs = all_inputs()
    assert "Errors by core" not in render(inputs)
    assert "<th>Both new</th>" in render(inputs)
    other = render(replace(inputs, calibration=calibration_of_another_table()))
    assert "<th>Both new</th>" not in other
    assert "fitted on another published table" in other


def test_errors_are_shown_without_points() -> None:
    assert "<th>Both new</th>" in render(replace(all_inputs(), points=None))


def test_hostile_names_are_text() -> None:
    points = points_of("0" * 64)
    point = points.points[0].model_copy(update={"core": HOSTILE, "device": HOSTILE, "model": HOSTILE})
    bench = bench_of(scene=HOSTILE, unavailable=HOSTILE)
    hostile = Inputs(
        estimates=estimates_of(title=HOSTILE, scene=HOSTILE),
        counts=(counts_of(HOSTILE),),
        points=points.model_copy(update={"points": (point,), "sources": (HOSTILE,)}),
        fleet=fleet_of(arm=HOSTILE),
        bench=bench.model_copy(update={"machine": bench.machine.model_copy(update={"processor": HOSTILE})}),
    )
    drawn = render(hostile)
    page = Page(drawn)
    assert "<script" not in drawn.lower()
    assert page.loads == []
    assert page.words.count("<script>alert(1)</script>&\"' $x^2$ 手机") >= 6


def test_the_same_inputs_give_the_same_page(full: str) -> None:
    assert render(all_inputs()) == full


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (332.4, 597.1, "330 to 600 µs"),
        (816.0, 1470.0, "820 µs to 1.5 ms"),
        (9000.0, 16_234.0, "9 to 16 ms"),
        (3.32, 5.97, "3.3 to 6 µs"),
        (999.9, 1000.1, "1 to 1 ms"),
    ],
)
def test_an_interval_has_two_digits(low: float, high: float, words: str) -> None:
    assert span(Interval(operation="rank", scenario="typical", low_us=low, high_us=high)) == words


def test_counts_are_shortened() -> None:
    assert [short_count(value) for value in (0, 812, 20_140, 999_999, 1_254_000, 2.5e9)] == [
        "0", "812", "20.1 k", "1 M", "1.25 M", "2.5 G",
    ]  # fmt: skip


class Page(HTMLParser):
    """Checks that elements close in order, and gathers words, captions and what the page loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.captions: list[str] = []
        self.pictures = 0
        self._words: list[str] = []
        self.feed(page)
        assert self.open == []

    @property
    def words(self) -> str:
        return " ".join(self._words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.pictures += tag == "svg"
        if tag == "figcaption":
            self.captions.append("")
        self.loads += [f"{tag} {name}" for name, value in attrs if name in {"src", "srcset", "data", "action"}]
        self.loads += [
            f"{name}={value}" for name, value in attrs if "href" in name and not (value or "").startswith("#")
        ]
        self.loads += [tag] if tag in {"script", "link", "img", "iframe", "object", "image"} else []
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self._words.append(data)
        if "figcaption" in self.open:
            self.captions[-1] += data
