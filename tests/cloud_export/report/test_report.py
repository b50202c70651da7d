"""The report claims no more than its figures, renders without any block, and loads nothing."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from cloud_export.report import plots
from cloud_export.report.report import JsonValue, Report, render_html, summary_table, write_report
from cloud_export.report.words import clean, headline, plain, share, size

VOID = {"meta", "br", "path", "use", "rect"}


def interval(mean: float, width: float = 0.003) -> dict[str, JsonValue]:
    return {"mean": mean, "low": mean - width, "high": mean + width}


def ranking(ndcg5: float, hr1: float, gauc: float) -> dict[str, JsonValue]:
    return {"ndcg5": interval(ndcg5), "hr1": interval(hr1), "gauc": interval(gauc)}


FULL: dict[str, JsonValue] = {
    "scene": "wealth",
    "created_with": {"edge_sdk": "0.1.0", "seed": 1, "command": "cloud-export <scene> --seed 1"},
    "data": {
        "events": 1_500_000,
        "first": "2026-01-05T00:00:12",
        "bad_rows": 0,
        "test_users": 400,
        "test_decisions": 12_400,
        "split": "other users and a later time",
    },
    "quality": {
        "random": ranking(0.231, 0.101, 0.5),
        "base": ranking(0.412, 0.254, 0.643),
        "device": ranking(0.498, 0.331, 0.712),
        "house_rule": ranking(0.3, 0.2, 0.6),
        "oracle": ranking(0.622, 0.452, 0.801),
        "device_minus_base": ranking(0.086, 0.077, 0.069),
    },
    "oracle_gap_closed": 0.41,
    "oracle_gap_closed_60s_late": 0.14,
    "empty_log_is_base_order": {"decisions": 1000, "identical": 1000},
    "quality_by_events": [
        {"events": "0", "base": 0.41, "device": 0.418, "decisions": 2100},
        {"events": "1", "base": 0.411, "device": float("nan"), "decisions": 0},
    ],
    "parameters": 12_000,
    "parity_max_abs": 1.1e-6,
    "bundle_bytes": 120_000,
    "train_seconds": 61.2,
    "explanation_faithfulness": 0.95,
    "explanation_examples": [
        {
            "offer": "fund_017",
            "base_logit": -1.2,
            "score": -0.4,
            "base_place": 9,
            "place": 1,
            "contributions": [
                {"label": "item_view fund_017, 12 s ago", "value": 0.8},
                {"label": "recent counters", "value": -0.1},
            ],
        },
        {"offer": "稳健理财 $5 off $10"},
    ],
    "training": [{"epoch": 1, "loss": 0.4, "validation_loss": 0.41}, {"epoch": 2, "loss": 0.3}],
    "calibration": {
        "click": [{"predicted": 0.1, "observed": 0.12, "low": 0.1, "high": 0.14, "count": 900}],
        "convert": [],
    },
    "speed": {
        "record_us_p50": 1.9,
        "rank_us_p50": 96.1,
        "open_ms": 61.2,
        "machine": "a server core",
        "targets": {"record_us_p50": 3, "open_ms": 50, "bundle_bytes": 300_000},
    },
    "notes": ["The users are simulated."],
    "seconds": {"read": 1.0, "train": 61.2},
}


class Page(HTMLParser):
    """Checks that elements close in order, and collects the loaded resources, the headings and the displayed text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.headings: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [f"{tag} {name}={value}" for name, value in attrs if name in {"src", "srcset", "href", "data"}]
        self.loads += [
            f"{name}={value}" for name, value in attrs if "href" in name and not (value or "").startswith("#")
        ]
        self.loads += [tag] if tag in {"script", "link", "img", "iframe", "object", "image"} else []

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title"} and data.strip():
            self.texts.append(" ".join(data.split()))
            self.headings += [data] if self.open[-1] == "h2" else []

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def text_of(page: str) -> str:
    without_style = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_style))


def with_change(mean: float, low: float, high: float) -> Report:
    change: JsonValue = {"ndcg5": {"mean": mean, "low": low, "high": high}}
    quality: JsonValue = {"base": ranking(0.4, 0.2, 0.6), "device": ranking(0.4 + mean, 0.2, 0.6)}
    assert isinstance(quality, dict)
    return {"quality": {**quality, "device_minus_base": change}}


def test_headline_of_a_gain() -> None:
    assert headline(FULL) == (
        "In 12,400 decisions by 400 users, held back from training, the phone-sized model (12,000 parameters, 120 KB) "
        "lifts NDCG@5 from 0.412 to 0.498 (+0.086, 95% interval +0.083 to +0.089) over yesterday's cloud ranking."
    )


def test_headline_claims_no_more_than_the_interval() -> None:
    unclear, worse = headline(with_change(0.01, -0.02, 0.04)), headline(with_change(-0.05, -0.08, -0.02))
    assert "no difference was shown" in unclear
    assert unclear.endswith("(+0.010, 95% interval −0.020 to +0.040). The interval includes zero.")
    assert "makes the ranking worse: NDCG@5 falls from 0.400" in worse
    assert worse.endswith("Do not release this bundle.")
    for sentence in (unclear, worse):
        assert "lifts" not in sentence
    edge = headline(with_change(0.01, 0.0, 0.02))
    assert "includes zero" in edge


def test_headline_without_figures() -> None:
    assert "claims nothing" in headline({})
    bare: Report = {"quality": {"base": {"ndcg5": {"mean": 0.4}}, "device": {"ndcg5": {"mean": 0.5}}}}
    assert "no interval" in headline(bare)


def test_the_full_page_shows_every_block() -> None:
    shown = text_of(render_html(FULL))
    for words in (
        "Edge SDK report: wealth",
        "0.498 (0.495 to 0.501)",
        "Device − base, paired by user",
        "house rule",
        "41%",
        "14%",
        "1,000 of 1,000",
        "item_view fund_017, 12 s ago",
        "all other contributions together",
        "from place 9 to place 1",
        "1.90 µs ≤ 3 µs ✓ met",
        "61.2 ms ≤ 50 ms ✗ missed",
        "120 KB ≤ 300 KB ✓ met",
        "Calibration: click",
        "The users are simulated.",
        "cloud-export &lt;scene&gt; --seed 1",
        "other users and a later time",
        "稳健理财 $5 off $10",
        "1.1 × 10⁻⁶",
        "Edge SDK 0.1.0 · Seed 1",
    ):
        assert words in shown, words
    assert "Calibration: convert" not in shown
    assert "nan" not in shown.lower()


def test_the_page_loads_nothing() -> None:
    page = render_html(FULL)
    assert Page(page).loads == []
    assert "http" not in page
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_the_page_is_the_same_each_time() -> None:
    assert render_html(FULL) == render_html(FULL)


def test_plots_take_the_theme_colours() -> None:
    page = render_html(FULL)
    assert "var(--accent)" in page
    assert re.findall(r"#(0[1-8])\1\1", page) == []


# What the page displays of each block of the report, and of no other.
WORDS_OF = {
    "scene": "Edge SDK report: wealth",
    "created_with": "Make this page again cloud-export <scene> --seed 1",
    "data": "What was held back. other users and a later time",
    "quality": "How good the rankings are",
    "oracle_gap_closed": "Events count at once (device) 41%",
    "oracle_gap_closed_60s_late": "The same model, events 60 s late 14%",
    "empty_log_is_base_order": "1,000 of 1,000",
    "quality_by_events": "Quality by events in the session",
    "parameters": "Parameters 12,000",
    "parity_max_abs": "Exported against trained model, at most 1.1 × 10⁻⁶",
    "bundle_bytes": "120 KB on the phone, model and policy together",
    "train_seconds": "Training 61.2 s",
    "explanation_faithfulness": "rank correlation 0.95",
    "explanation_examples": "Why an offer's rank changed",
    "training": "Training loss by epoch",
    "calibration": "Calibration: click",
    "speed": "61.2 ms ≤ 50 ms ✗ missed",
    "notes": "Limits and notes The users are simulated.",
    "seconds": "Read 1 s Train 61.2 s",
}


def test_the_full_page_has_the_words_of_every_block() -> None:
    shown = Page(render_html(FULL)).text
    assert WORDS_OF.keys() == FULL.keys()
    assert [key for key, words in WORDS_OF.items() if words not in shown] == []


@pytest.mark.parametrize("key", sorted(FULL))
def test_a_page_without_a_block_lacks_the_words_of_that_block_alone(key: str) -> None:
    shown = Page(render_html({name: value for name, value in FULL.items() if name != key})).text
    along = {"explanation_examples": ["explanation_faithfulness"]}  # its figure is displayed beside the examples
    lacking = [name for name, words in WORDS_OF.items() if words not in shown]
    assert sorted(lacking) == sorted([key, *along.get(key, [])])
    assert "None" not in shown


NOT_COMPARED = "This ranking was not compared with the cloud's, so this page claims nothing about its quality."
# The headings under which an odd value is still displayed, by key and value; any other odd value is left out.
ODD_HEADINGS: dict[str, dict[str, str]] = {
    "3": {
        "bundle_bytes": "The facts",
        "oracle_gap_closed": "What fresh events are worth",
        "oracle_gap_closed_60s_late": "What fresh events are worth",
        "parameters": "The facts",
        "parity_max_abs": "The facts",
        "train_seconds": "The facts",
    },
    "[{}]": {
        "explanation_examples": "Why an offer's rank changed",
        "notes": "How it was measured",
        "quality_by_events": "Quality by events in the session",
        "training": "Calibration and training",
    },
    "{'a': {}}": {"created_with": "How it was measured", "data": "The facts", "quality": "How it was measured"},
}
ODD_TITLES = {"None": "", "{}": ": {}", "[]": ": []", "odd": ": odd", "3": ": 3", "[{}]": ": [{}]",
              "{'a': {}}": ": {'a': {}}"}  # fmt: skip


@pytest.mark.parametrize("key", sorted(FULL))
@pytest.mark.parametrize("value", [None, {}, [], "odd", 3, [{}], {"a": {}}])
def test_an_odd_block_is_displayed_as_far_as_it_can_be_read(key: str, value: JsonValue) -> None:
    page = Page(render_html({"scene": "loan", key: value}))
    title = "Edge SDK report" + (ODD_TITLES[str(value)] if key == "scene" else ": loan")
    heading = ODD_HEADINGS.get(str(value), {}).get(key)
    assert page.texts[:2] == [title, NOT_COMPARED]
    assert page.headings == ([] if heading is None else [heading])
    assert (len(page.texts) > 2) == (heading is not None)


def test_nearly_empty_reports() -> None:
    assert "claims nothing" in render_html({})
    assert "<section>" not in render_html({"scene": "loan"})


HOSTILE = "<script>alert('x')</script>&\"'[bold]"


def hostile(value: JsonValue) -> JsonValue:
    """Replaces every text and every free name of a report by hostile text."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, list):
        return [hostile(inner) for inner in value]
    return {key: hostile(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def test_every_text_is_escaped() -> None:
    report = hostile(FULL)
    assert isinstance(report, dict)
    for block in ("quality", "calibration", "data", "seconds", "created_with"):
        inner = report[block]
        assert isinstance(inner, dict)
        inner[HOSTILE] = next(iter(inner.values()))
    page = render_html(report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    Page(page)
    assert HOSTILE[:20] in shown_in_terminal(report).replace("\n", "")


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=40))
def test_any_label_is_listed_as_it_is(label: str) -> None:
    example: Report = {"offer": label, "contributions": [{"label": label, "value": 1.0}]}
    page = Page(render_html({"explanation_examples": [example]}))
    assert page.headings == ["Why an offer's rank changed"]
    assert page.texts[-1] == "From –, the cloud's logit, to –, the score on the phone. Strongest first."
    assert page.texts[-2] == (" ".join(label.split()) or "Raised by")


def test_waterfall_steps_end_at_the_score() -> None:
    example: Report = {"base_logit": -1.0, "score": 0.5, "contributions": [{"label": "view", "value": 1.2}]}
    steps = plots.waterfall_steps(example)
    assert [label for label, _, _ in steps] == [
        "Cloud's ranking (base logit)",
        "view",
        "all other contributions together",
        "Score on the phone",
    ]
    assert [start for _, start, _ in steps] == pytest.approx([0, -1.0, 0.2, 0])
    assert [end for _, _, end in steps] == pytest.approx([-1.0, 0.2, 0.5, 0.5])


def test_files_are_written_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    write_report(FULL, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    content = (folder / "report.json").read_text(encoding="utf-8")
    read = json.loads(content)
    assert list(read) == sorted(read)
    assert read["quality_by_events"][1]["device"] is None
    assert content.startswith('{\n  "bundle_bytes": 120000,')
    assert (folder / "report.html").read_text(encoding="utf-8") == render_html(FULL)


def test_a_failed_write_leaves_the_old_report(tmp_path: Path) -> None:
    write_report({"scene": "old"}, tmp_path)
    with pytest.raises(TypeError, match="contains a set"):
        write_report({"scene": {1, 2}}, tmp_path)  # type: ignore[dict-item]
    assert json.loads((tmp_path / "report.json").read_text()) == {"scene": "old"}
    assert len(list(tmp_path.iterdir())) == 2


def test_clean_turns_numpy_and_nan_into_json() -> None:
    mixed: dict[str, JsonValue] = {"a": float(np.float64(1.5)), "b": [float("inf"), True, None], "c": (1, "x")}
    assert clean(mixed) == {"a": 1.5, "b": [None, True, None], "c": [1, "x"]}
    assert clean(np.float32(0.5)) == 0.5  # type: ignore[arg-type]
    assert clean(np.int64(3)) == 3  # type: ignore[arg-type]


def shown_in_terminal(report: Report) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary_table(report))
    return console.export_text()


def test_summary_table() -> None:
    shown = shown_in_terminal(FULL)
    for words in (
        "Scene wealth",
        "Device − base",
        "+0.083 to +0.089",
        "0.495 to 0.501",
        "Gap to the oracle closed: 41%",
    ):
        assert words in shown
    assert "was not compared" in shown_in_terminal({"scene": "loan"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (1.9, "1.90"),
        (96.14, "96.1"),
        (1234567, "1,234,567"),
        (1.1e-6, None),
        (0.00412, "0.00412"),
        (None, "–"),
    ],
)
def test_plain_numbers(value: float | None, expected: str | None) -> None:
    assert plain(value) == (expected or "1.1\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻⁶")


def test_sizes_and_shares() -> None:
    assert [size(value) for value in (12, 120_000, 1_500_000, None)] == ["12 B", "120 KB", "1.50 MB", "–"]
    assert [share(value) for value in (0.412, -0.05, -0.001, None)] == ["41%", "−5%", "0%", "–"]
