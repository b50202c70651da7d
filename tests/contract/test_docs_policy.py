"""The steps, rules and reasons that policy.md names exist, and its example runs as it is written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from cloud_export.scene.load import load_scene
from cloud_export.scene.policy_sections import Machine, Policy
from edge_sdk import ErrorCode, Reason
from edge_sdk.explain.rank_changes import STEPS
from tests.support.paths import ROOT
from tests.support.scene import packed

DOCS = ROOT / "docs"
PAGE = (DOCS / "policy.md").read_text(encoding="utf-8")
EXAMPLE = (DOCS / "example_policy.py").read_text(encoding="utf-8")
STEPS_TABLE = PAGE.split("## The steps, in their order")[1].split("\n\n")[2]
DAY_S = 86_400

# A scene with the words that the example needs, over the offers and kinds of conftest.
SMALL = """\
variants = ["noticed"]

[scene]
name = "small"
objective_order = ["click", "convert"]

[columns.decisions]
context = { surface = "surface", stage = "stage" }

[columns.offers]
category = "category"

[events]
kinds = ["view", "click", "impression", "dismiss", "convert", "note"]
shown = "impression"

[context]
surface = ["home", "wealth"]
stage = ["new", "growing", "active", "at_risk", "lost"]

[model]
window = 8
window_kinds = ["view", "click", "dismiss", "convert"]
counter_kinds = ["impression", "click", "convert"]
half_lives_s = [60, 3600]
dimension = 8
min_item_count = 1

[objectives]
click = 1.0
convert = 0.5

[[policy.eligibility]]
name = "vouchers"
offers = "coupon_a"
when = { stage = ["new", "growing", "at_risk", "lost"] }

[[policy.cooldowns]]
name = "bought"
kind = "convert"
rest_s = 2592000

[[policy.cooldowns]]
name = "dismissed"
kind = "dismiss"
rest_s = 604800

[[machines]]
name = "stage"
states = ["new", "growing", "active", "at_risk", "lost"]
steps = [
  { from = "new", on = "convert", to = "active" },
  { from = "active", on = "note", to = "active" },
  { from = "active", after_s = 1209600, to = "at_risk" },
]

[texts.en.variant]
noticed = "{offer} is open to you: {event} {age} ago."

[texts.zh.variant]
noticed = "{offer} 现可办理:{age}前{event}。"
"""
# The example's words, and those of the small scene, which has fewer offers: one is a candidate three times.
WORDS = {
    '"deposit_005"': '"fund_a"', '"cash_001"': '"fund_b"', '"credit_005"': '"fund_c"', "'credit_005'": "'fund_c'",
    '"pension_003"': '"fund_d"', '"instalment_003"': '"fund_b"', '"fund_024"': '"coupon_b"',
    '"voucher_004"': '"coupon_a"', '"fund_018"': '"fund_b"', '"item_view"': '"view"', '"session_start"': '"note"',
    "'fund_024'": "'coupon_b'", 'category = "pension"': 'offers = "fund_d"',
}  # fmt: skip


def block(label: str) -> str:
    found = re.findall(rf"^```{label}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, label
    return str(found[0])


def test_the_page_shows_the_script_and_the_edit() -> None:
    assert block("python") == EXAMPLE
    assert EXAMPLE.split('edited = """\\\n')[1].split('"""')[0] == block("toml")


def test_the_edit_fits_the_wealth_scene(tmp_path: Path) -> None:
    shipped = (ROOT / "cloud_export" / "scenes" / "wealth.toml").read_text(encoding="utf-8")
    assert shipped.count("click = 1.0\nconvert = 0.5\n") == 1  # what the script replaces
    (tmp_path / "scene.toml").write_text(
        shipped.replace("click = 1.0\nconvert = 0.5\n", block("toml")), encoding="utf-8"
    )
    scene = load_scene(tmp_path / "scene.toml")

    assert scene.objectives == {"click": 0.1, "convert": 1.0}
    assert (scene.policy.version, load_scene("wealth").policy.version) == (1, 0)
    assert "noticed" in scene.variants
    assert set(re.findall(r'\("(\w+)", "', EXAMPLE)) <= set(scene.events.kinds)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    demo, scenes = tmp_path / "build" / "demo", tmp_path / "cloud_export" / "scenes"
    demo.mkdir(parents=True)
    scenes.mkdir(parents=True)
    small = packed(demo, tomllib.loads(SMALL))
    (demo / "scene.pub").write_bytes(small.public_key)
    (scenes / "wealth.toml").write_text(SMALL, encoding="utf-8")
    code = EXAMPLE
    for ours, theirs in WORDS.items():
        assert ours in code
        code = code.replace(ours, theirs)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    capfd.readouterr()

    exec(compile(code, "example_policy.py", "exec"), {})

    before, after, *sentences, total, why, why_zh, dropped, messages = capfd.readouterr().out.strip().split("\n\n")
    assert [before.splitlines()[0], after.splitlines()[0]] == ["policy 0", "policy 1"]
    assert len(before.splitlines()) == len(after.splitlines()) == 4  # fund_b, fund_d and coupon_b
    assert [text.startswith(("fund_", "coupon_b")) for text in sentences] == [True, True]
    parts = re.fullmatch(r"base (\S+) and \d+ contributions: (\S+); score: (\S+)", total)
    assert parts is not None
    assert float(parts[2]) == pytest.approx(float(parts[3]), abs=2e-4)
    assert "resting after the user's answer: dismissed, for another 7 days." in why
    assert "用户已作出反应" in why_zh
    assert sorted(dropped.splitlines()) == [
        "coupon_a: NOT_ELIGIBLE, vouchers, until 2026-02-03 12:00:00+00:00",
        "fund_a: COOLING_DOWN, bought, until 2026-02-16 12:00:00+00:00",
        "fund_b: OTHER_TREATMENT, no rule, until something happens",
        "fund_b: OTHER_TREATMENT, no rule, until something happens",
        "fund_c: COOLING_DOWN, dismissed, until 2026-01-27 12:09:00+00:00",
    ]
    assert messages.splitlines() == [
        "coupon_b is open to you: you viewed coupon_b 3 min ago.",
        "coupon_b 现可办理:3 分钟前您看过 coupon_b。",
    ]


def test_every_reason_is_named_and_every_name_is_one() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", PAGE))

    assert named <= {*Reason.__members__, *ErrorCode.__members__}
    assert {*Reason.__members__} <= named


def test_every_step_and_field_is_named_and_exists() -> None:
    rows = [line[1:-1].split("|") for line in STEPS_TABLE.splitlines()[2:]]
    fields = set(re.findall(r"\[policy\.(\w+)\]", PAGE)) | set(re.findall(r"`\[policy\] (\w+)`", PAGE))

    assert {step for row in rows for step in re.findall(r"`(\w+)`", row[4])} == set(STEPS)
    assert fields == set(Policy.model_fields) - {"version"}
    headings = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall("^##+ (.*)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= headings
    for module in re.findall(r"`(\w+/\w+\.py)`", PAGE):
        assert (ROOT / "edge_sdk" / module).is_file(), module


def test_the_modes_are_those_of_the_scene() -> None:
    table = PAGE.split("| mode | what it draws |")[1].split("\n\n")[0]
    mode = type(load_scene("wealth").policy.exploration).model_fields["mode"].annotation

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(getattr(mode, "__args__", ()))


@pytest.mark.parametrize("name", ["stage", "holding"])
def test_the_drawings_are_the_machines(name: str) -> None:
    machine = next(machine for machine in load_scene("wealth").machines if machine.name == name)
    drawn = {
        (line.split()[0], kind, int(count or 1), int(days or 0) * DAY_S, target)
        for line in block(f"text {name}").splitlines()
        for count, kind, days, target in re.findall(r"── (?:(?:(\d+) × )?([a-z_]+)|(\d+) days) ─▶ (\w+)", line)
    }

    assert drawn == set(steps_of(machine))


def steps_of(machine: Machine) -> list[tuple[str, str, int, int, str]]:
    """(from, kind or "", count, seconds or 0, to) of every state."""
    return [
        (state, step.on or "", step.count, step.after_s or 0, step.to)
        for step in machine.steps
        for state in step.from_ or machine.states
    ]
