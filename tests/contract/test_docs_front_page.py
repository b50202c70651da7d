"""Every instruction of the front page works as it is written: scene, columns, commands, policy and client."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from cloud_export.cli import app
from cloud_export.scene.load import load_scene
from edge_sdk import BaseDecision, Engine
from tests.support.paths import ROOT
from tests.support.scene import SettableClock, Small

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
SCENE, POLICY = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
CHECK, RUN, INSPECT = re.findall(r"^(cloud-export .*)$", PAGE, re.MULTILINE)
PACK = re.findall(r"`(cloud-export policy .*?)`", PAGE)[0]
MONDAY_MS = 1_767_578_400_000  # 2026-01-05 02:00 UTC
USERS, VISITS = 24, 6


def table(name: str) -> tuple[list[str], list[str]]:
    """Column names and the example row of a table, as the page shows them."""
    _, columns, row = re.findall(rf"^\| `{name}` (\|.*)\|$", PAGE, re.MULTILINE)[0].split("|")[:3]
    return re.findall(r"`(.+?)`", columns), re.findall(r"`(.+?)`", row)


def write(path: Path, rows: list[list[object]]) -> None:
    """The page's columns and row, and more rows below."""
    columns, first = table(path.name)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, first, *rows])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's scene, and a log of users who click what each of them likes."""
    folder, random = tmp_path_factory.mktemp("shop"), Random(1)
    offers, events, decisions = ["tea", "mug", "lamp"], [], []
    for user in (f"user_{number}" for number in range(USERS)):
        likes, time_ms = random.choice(offers), MONDAY_MS + random.randrange(86_400_000)
        for visit in range(VISITS):
            time_ms += random.randrange(3_600_000, 40_000_000)
            events.append([user, time_ms - 60_000, "view", likes if random.random() < 0.7 else random.choice(offers)])
            clicks = [int(offer == likes) for offer in offers]
            decisions.append([f"{user}/{visit}", user, time_ms, json.dumps(offers), json.dumps([[n] for n in clicks])])
            events += [[user, time_ms + 10, "impression", offer] for offer in offers]
            events.append([user, time_ms + 5_000, "click", likes])
    write(folder / "events.csv", [list(row) for row in events])
    write(folder / "decisions.csv", decisions)
    (folder / "shop.toml").write_text(SCENE, encoding="utf-8")
    return folder


def call(command: str) -> str:
    """What a command of the page prints."""
    result = CliRunner().invoke(app, shlex.split(command, comments=True)[1:])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_a_scene_of_ones_own(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)

    assert "decisions │ 145" in call(CHECK)
    assert "wrote build/shop/scene.edge" in call(RUN)
    assert "scene │ shop" in call(INSPECT)

    # Other rules on the same bundle: the page's command, and the sentence that it quotes.
    (shop / "shop.toml").write_text(SCENE + POLICY, encoding="utf-8")
    assert "version 1, which fits build/shop/scene.edge" in call(PACK)
    base, key = BaseDecision(["tea", "mug"], [2.0, 1.0]), (shop / "build" / "shop" / "scene.pub").read_bytes()
    bundle = shop / "build" / "shop" / "scene.edge"
    with Engine.open(shop / "state", bundle=bundle, trusted_keys=[key], clock=SettableClock()) as engine:
        engine.install_policy((shop / "new.policy").read_bytes())
        for _ in range(2):
            engine.shown(engine.rank(base, limit=1))
        why = engine.explain(engine.rank(base, limit=1)).of("tea").text("en")
    quoted = re.findall(r'\*"(.*?)"\*', PAGE, re.DOTALL)[0]
    assert why.startswith(" ".join(quoted.split()))


def test_the_columns_are_those_that_a_scene_reads_unmapped(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(SCENE, encoding="utf-8")
    columns = load_scene(tmp_path / "shop.toml").columns

    for name, section in (("events.csv", columns.events), ("decisions.csv", columns.decisions)):
        read = [column for column in section.model_dump().values() if isinstance(column, str)]
        assert table(name)[0] == read


def test_the_client_runs(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = tmp_path / "build" / "demo"
    demo.mkdir(parents=True)
    (demo / "scene.edge").write_bytes(small.bundle.read_bytes())
    (demo / "scene.pub").write_bytes(small.public_key)
    code = PYTHON
    words = {"item_view": "view", "cash_001": "fund_a", "pension_001": "fund_b", "insurance_001": "fund_c"}
    for ours, theirs in (words | {"fund_001": "fund_d"}).items():
        assert f'"{ours}"' in code
        code = code.replace(f'"{ours}"', f'"{theirs}"')
    monkeypatch.chdir(tmp_path)

    exec(compile(code, "README.md", "exec"), {})

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    with Engine.open("build/state", bundle=demo / "scene.edge", trusted_keys=[small.public_key]) as engine:
        assert engine.status().events == 5  # the view, three shown, the click


def test_the_client_fits_on_a_screen() -> None:
    code = [line for line in PYTHON.splitlines() if line.strip() and not line.startswith("#")]

    assert len(code) <= 15


def test_the_client_speaks_the_words_of_the_wealth_scene() -> None:
    scene = load_scene("wealth")

    assert set(re.findall(r'record\("(\w+)"', PYTHON)) <= set(scene.events.kinds)
    assert "click" in scene.events.feedback
    assert "home" in scene.context["surface"]
    assert "active" in scene.context["stage"]
