"""Texts of numbers, times, places and suppressions, in English and Chinese; no value is read as a template."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.explain.contribution import Contribution, ContributionSource, age_in_words
from edge_sdk.explain.explanation import Explanation
from edge_sdk.explain.rank_changes import STEPS, RankChange
from edge_sdk.explain.wording import ENGLISH, SLOT, Phrasebook, fill, plain, signed
from edge_sdk.policy.suppressions import Suppression
from edge_sdk.reasons import Reason


def flat(table: dict[str, object], before: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, entry in table.items():
        texts |= flat(entry, f"{before}{key}.") if isinstance(entry, dict) else {before + key: str(entry)}
    return texts


def shipped(language: str) -> dict[str, str]:
    file = resources.files("cloud_export") / "texts" / f"{language}.toml"
    return flat(tomllib.loads(file.read_text(encoding="utf-8")))


def slots(text: str) -> list[str]:
    return sorted(slot[0] for slot in SLOT.finditer(text))


EN, ZH = Phrasebook(shipped("en")), Phrasebook(shipped("zh"))
BARE = Phrasebook(ENGLISH)
SCENE = Phrasebook(
    shipped("en")
    | {
        "offer.fund_017": "Harvest Fund",
        "kind.swap": "a swap",
        "rule.daily_cap": "twice a day",
        "state.stage.new": "newcomer",
    }
)

EXPLANATION = Explanation(
    offer="fund_017",
    channel="",
    variant="",
    place=1,
    base_place=4,
    base=0.70,
    score=1.43,
    contributions=(
        Contribution(
            "item_view fund_017, 5 min ago", 0.62, ContributionSource.EVENT, 0, "item_view", "fund_017", 300.0
        ),
        Contribution("click fund_017, 3 h ago", 0.31, ContributionSource.EVENT, 3, "click", "fund_017", 10_800.0),
        Contribution("cost", -0.20, ContributionSource.POLICY),
    ),
    rank_changes=(RankChange("events", 4, 2), RankChange("pins", 2, 1)),
    suppressions=(),
    time_ms=0,
    phrasebook=lambda _: BARE,
)


def test_an_explanation_in_english() -> None:
    assert EN.explanation(EXPLANATION) == (
        "fund_017 stands 1st (4th in the cloud's order). Its way: 4th → 2nd by recent events; 2nd → 1st by a rule for "
        "its place. +0.62 because you viewed fund_017 5 min ago; +0.31 because you tapped fund_017 3 h ago; −0.20 for "
        "its cost. Score 1.43 = 0.70 + 0.73."
    )


def test_an_explanation_in_chinese() -> None:
    assert ZH.explanation(EXPLANATION) == (
        "fund_017 排在第 1 位(云端排序:第 4 位)。位置变化:第 4 位 → 第 2 位(近期行为);第 2 位 → 第 1 位"
        "(固定位置的规则)。+0.62:5 分钟前您看过 fund_017;+0.31:3 小时前您点击了 fund_017;−0.20:展示成本。"
        "得分 1.43 = 0.70 + 0.73。"
    )


def test_the_scenes_texts_are_used() -> None:
    assert SCENE.explanation(EXPLANATION).startswith("Harvest Fund stands 1st")
    assert SCENE.item("fund_017") == "Harvest Fund"
    assert SCENE.state("stage", "new") == "newcomer"
    assert SCENE.state("stage", "lost") == "lost"
    assert SCENE.category("fund") == "fund"
    assert SCENE.offer("fund_017", "push") == "Harvest Fund (push)"
    assert SCENE.event("swap", "fund_017") == "of a swap of Harvest Fund"
    assert SCENE.event("swap", "") == "of a swap"


def test_an_explanation_is_in_english_without_texts() -> None:
    assert EXPLANATION.text("zh").startswith("fund_017 stands 1st (4th in the cloud's order).")
    assert "+0.62 because of item_view of fund_017 5 min ago;" in EXPLANATION.text()


def test_the_text_of_a_dropped_offer() -> None:
    dropped = Explanation(
        "fund_017", "push", "", 0, 4, 0.7, 0.7, (), (), (
            Suppression(Reason.CAPPED, "daily_cap", 10_800_000), Suppression(Reason.BLOCKED, "", None)
        ), 0, lambda _: BARE,
    )  # fmt: skip
    assert EN.explanation(dropped) == (
        "fund_017 (push) is not shown (4th in the cloud's order): shown often enough: daily_cap, for another 3 h; "
        "blocked by the operator. Score 0.70 = 0.70 + 0.00."
    )
    assert ZH.explanation(dropped) == (
        "fund_017(push) 未展示(云端排序:第 4 位):展示次数已够(规则“daily_cap”),还有 3 小时;被运营规则移除。"
        "得分 0.70 = 0.70 + 0.00。"
    )
    assert SCENE.suppression(dropped.suppressions[0], 10_790_000) == "shown often enough: twice a day, for another 10 s"


@pytest.mark.parametrize(
    ("age_s", "english", "chinese"),
    [
        (0.0, "0 s", "0 秒"),
        (12.4, "12 s", "12 秒"),
        (300.0, "5 min", "5 分钟"),
        (10_800.0, "3 h", "3 小时"),
        (172_800.0, "2 days", "2 天"),
        (8_640_000.0, "100 days", "100 天"),
    ],
)
def test_ages(age_s: float, english: str, chinese: str) -> None:
    assert (age_in_words(age_s), EN.age(age_s), BARE.age(age_s), ZH.age(age_s)) == (english, english, english, chinese)


def test_places() -> None:
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)
    expected = ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]
    assert [EN.place(number) for number in numbers] == expected
    assert [Phrasebook({}).place(number) for number in numbers] == expected
    assert ZH.place(21) == "第 21 位"
    assert Phrasebook({"place.any": "{number}e", "place.1": "1er"}).place(1) == "1er"


def test_numbers() -> None:
    assert [signed(value) for value in (0.625, -0.2, 0.0, -0.001)] == ["+0.62", "−0.20", "+0.00", "+0.00"]
    assert [plain(value) for value in (1.434, -1.434)] == ["1.43", "−1.43"]
    assert [EN.number(value) for value in (1200.0, -0.5, 3.25, -0.001, 0.0)] == ["1200", "−0.5", "3.25", "0", "0"]


def test_the_other_contributions() -> None:
    sources = [
        Contribution("2 other events", 0.1, ContributionSource.EVENT),
        Contribution("earlier events", 0.1, ContributionSource.COUNTER),
        Contribution("earlier click of the offer", 0.1, ContributionSource.COUNTER, kind="click"),
        Contribution(
            "earlier click of the offer's category", 0.1, ContributionSource.COUNTER, kind="click", item="fund"
        ),
        Contribution("summer", 0.1, ContributionSource.BIAS),
        Contribution("score_bound", 0.1, ContributionSource.POLICY),
    ]
    assert [EN.contribution(contribution) for contribution in sources] == [
        "+0.10 from the other events",
        "+0.10 from what happened earlier",
        "+0.10 from earlier click of the offer",
        "+0.10 from earlier click of fund",
        "+0.10 by the rule summer",
        "+0.10 because the model's adjustment is limited",
    ]
    assert ZH.contribution(sources[4]) == "+0.10:规则“summer”"


def test_the_printed_sum_adds_up() -> None:
    odd = Explanation("a", "", "", 1, 1, 0.704, 1.427, (), (), (), 0, lambda _: BARE)
    assert EN.explanation(odd).endswith("Score 1.43 = 0.70 + 0.73.")
    falling = Explanation("a", "", "", 1, 1, 0.7, -0.5, (), (), (), 0, lambda _: BARE)
    assert EN.explanation(falling).endswith("Score −0.50 = 0.70 − 1.20.")


def test_every_language_has_every_text_with_the_same_slots() -> None:
    """A text with a slot that its key does not have would show the raw slot."""
    english, chinese = shipped("en"), shipped("zh")
    assert {key: english[key] for key in ENGLISH} == ENGLISH
    assert set(chinese) == set(english) - {"place.x1", "place.x2", "place.x3"}
    for key, text in chinese.items():
        assert sorted(slot[0] for slot in SLOT.finditer(text)) == sorted(
            slot[0] for slot in SLOT.finditer(english[key])
        ), key
    assert {f"step.{step}" for step in STEPS} <= set(english)
    assert {f"reason.{reason.name}" for reason in Reason} <= set(english)


def test_a_language_falls_back_to_its_parent_and_to_english() -> None:
    texts = {"zh": shipped("zh")}
    assert Phrasebook.of(lambda language: texts.get(language, {}), "zh-CN").age(5.0) == "5 秒"
    assert Phrasebook.of(lambda language: texts.get(language, {}), "fr").age(5.0) == "5 s"


@given(st.text(), st.text())
def test_a_value_is_never_read_as_a_template(item: str, kind: str) -> None:
    assert fill("{kind} {item} {other}", {"item": item, "kind": kind}) == f"{kind} {item} {{other}}"
    assert BARE.event("click", f"{{kind}}{item}") == f"of click of {{kind}}{item}"


@given(st.text(alphabet="{}:.!_abc%s0[]\\"))
def test_only_known_slots_of_a_template_are_replaced(template: str) -> None:
    expected = template.replace("{a}", "1").replace("{abc}", "\\1")
    assert fill(template, {"a": "1", "abc": "\\1"}) == expected
    phrases = Phrasebook({"event.click": template, "age.s": template})
    assert phrases.event("click", "x") == (template or "of click of x")  # no slot of these letters is known here
    assert phrases.age(5.0) == template


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{a} {abc}", "1 \\1"),
        ("{{a}}", "{1}"),
        ("{a", "{a"),
        ("a}", "a}"),
        ("{}", "{}"),
        ("{a:b} {b} {a.b} {a!s} {a[0]} %(a)s", "{a:b} {b} {a.b} {a!s} {a[0]} %(a)s"),
    ],
)
def test_a_template_with_odd_braces_is_text(template: str, text: str) -> None:
    assert fill(template, {"a": "1", "abc": "\\1"}) == text
