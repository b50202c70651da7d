"""Writes the golden decisions: the bundle, the policies, and one JSON file a scenario. docs/golden.md explains them.

python -m tests.golden.make_decisions
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.vector_compare import fragile
from tests.golden.vector_play import BUNDLE, Player, Scenario
from tests.golden.vector_scenarios import scenarios
from tests.golden.vector_scene import bundle_file, policy_files
from tests.support.paths import GOLDEN

_WIDTH = 118


def write_all(folder: Path) -> None:
    """Writes the bundle, the policies and the decisions to this folder."""
    (folder / BUNDLE).write_bytes(bundle_file())
    for name, content in policy_files().items():
        (folder / name).write_bytes(content)
    (folder / "decisions").mkdir(exist_ok=True)
    for name, scenario in scenarios().items():
        stated = with_expectations(scenario, folder)
        text = laid_out(stated) + "\n"
        (folder / "decisions" / f"{name}.json").write_text(text, encoding="utf-8")


def with_expectations(scenario: Scenario, files: Path) -> Scenario:
    """Returns a scenario with the decisions of an engine.

    Raises:
        ValueError: two scores that decide an order are so close that a port might order them the other way.
    """
    requests = []
    with tempfile.TemporaryDirectory() as state:
        player = Player(scenario, files, Path(state))
        for request, (decision, expect, outcomes) in zip(scenario["requests"], player.play(), strict=True):
            minimum_score = player.minimum_score if decision.trace.evidence is not None else None
            if near := fragile(expect, minimum_score):
                raise ValueError(f"{scenario['about']} decision {expect['id']}: {near}")
            acts = [{**act, "expect": found} for act, found in zip(request.get("then", ()), outcomes, strict=True)]
            given = {field: value for field, value in request.items() if value is not None and field != "then"}
            requests.append({**given, "expect": expect, "then": acts})
        log = player.close()
    return {**scenario, "requests": requests, "log": log}


def laid_out(value: Any, indent: int = 0) -> str:
    """Returns JSON in which each value that fits is on one line; a list of numbers is always on one line."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if indent + len(flat) <= _WIDTH or not isinstance(value, dict | list):
        return flat
    if isinstance(value, list) and not any(isinstance(entry, dict | list) for entry in value):
        return flat
    inner = " " * (indent + 1)
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {laid_out(item, indent + 1)}" for key, item in value.items()]
    else:
        lines = [laid_out(item, indent + 1) for item in value]
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return f"{opening}\n{inner}" + f",\n{inner}".join(lines) + f"\n{' ' * indent}{closing}"


if __name__ == "__main__":
    write_all(GOLDEN)
