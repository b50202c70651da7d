"""The client's part of embedding.md and its lists of public names agree with the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import edge_sdk.testing
from cloud_export.scene.load import load_scene
from edge_sdk import Client, Engine, RankRequest
from edge_sdk.client.states import ClientState
from tests.support.paths import DOCS
from tests.support.scene import Small

EXAMPLE = (DOCS / "example_client.py").read_text()


def block(label: str) -> str:
    found = re.findall(rf"^```{label}\n(.*?)^```$", (DOCS / "embedding.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_example_is_the_file_and_short() -> None:
    body = EXAMPLE.split('"""')[2]

    assert block("python client") == EXAMPLE
    assert len([line for line in body.splitlines() if line.strip()]) <= 16


def test_the_example_speaks_the_words_of_the_wealth_scene() -> None:
    scene = load_scene("wealth")

    assert set(re.findall(r'record\("(\w+)"', EXAMPLE)) <= set(scene.events.kinds)
    assert scene.events.shown
    assert "click" in scene.events.feedback
    assert "home" in scene.context["surface"]
    assert "active" in scene.context["stage"]


def test_the_states_are_complete() -> None:
    table = (DOCS / "embedding.md").read_text().split("| state | what it means")[1].split("\n\n")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [state.name for state in ClientState]


def listed(name: str) -> list[str]:
    """The names in the first column of the table below `<!-- name -->`."""
    table = (DOCS / "embedding.md").read_text().split(f"<!-- {name} -->\n")[1].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_the_public_names_are_documented_and_no_others() -> None:
    assert sorted(listed("public")) == sorted(edge_sdk.__all__)
    assert sorted(listed("testing")) == sorted(edge_sdk.testing.__all__)


def test_the_public_interface_is_the_decided_one() -> None:
    assert set(edge_sdk.__all__) == {
        "Engine", "Client", "BaseDecision", "Decision", "RankedOffer", "Reason", "Explanation", "Explanations",
        "Contribution", "RankChange", "Suppression", "ClientState", "Hook", "RankRequest", "Problem", "Status",
        "ContextField", "EdgeError", "ErrorCode", "__version__", "utc_offset_of",
    }  # fmt: skip
    assert len(edge_sdk.__all__) == len(set(edge_sdk.__all__))


def test_every_answer_of_a_client_takes_the_arguments_of_rank() -> None:
    rank = inspect.signature(Engine.rank).parameters
    asked = {name: (one.kind, one.default) for name, one in rank.items()}
    for call in (Client.rank, Client.offers):
        parameters = {name: (one.kind, one.default) for name, one in inspect.signature(call).parameters.items()}
        assert {name: parameters[name] for name in asked} == asked
        assert set(parameters) - set(asked) <= {"default"}
    assert list(RankRequest.__slots__) == [name for name in rank if name != "self"]


def test_the_example_runs(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = tmp_path / "build" / "demo"
    demo.mkdir(parents=True)
    (demo / "scene.edge").write_bytes(small.bundle.read_bytes())
    (demo / "scene.pub").write_bytes(small.public_key)
    # The same program in the words of the small scene.
    words = {"item_view": "view", "cash_001": "fund_a", "pension_001": "fund_b", "insurance_001": "fund_c",
             "fund_001": "fund_d"}  # fmt: skip
    code = EXAMPLE
    for ours, theirs in words.items():
        code = code.replace(f'"{ours}"', f'"{theirs}"')
    monkeypatch.chdir(tmp_path)

    left: dict[str, object] = {}
    exec(compile(code, "example_client.py", "exec"), left)

    at_once, then, counts = capsys.readouterr().out.splitlines()
    assert at_once.startswith("at once: ['fund_")
    assert then.startswith("READY NONE ['fund_")
    assert "'lost_events': 0" in counts
    with Engine.open("build/state", bundle=demo / "scene.edge", trusted_keys=[small.public_key]) as engine:
        assert engine.status().events == 5  # the view, three on the screen, the click
    client = left["client"]
    assert isinstance(client, Client)
    assert client.state is ClientState.CLOSED


def test_the_example_of_a_test_passes() -> None:
    exec(block("python testing"), {})
