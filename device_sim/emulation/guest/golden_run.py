"""Plays the golden decisions (docs/golden.md): `python -m device_sim.emulation.guest.golden_run FILES OUTPUT`.

FILES is a folder as tests/golden is: the bundle, the policies, `decisions/*.json`, and the player and the comparison
that the runtime's own tests use, so that there is one definition of agreement.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

_STEPS = ("base", "model", "adjusted", "boosted", "priced", "bounded", "final")


def main(files: Path, output: Path) -> None:
    """Plays every file; writes the number of decisions, every difference, and the largest difference of a score."""
    sys.path.insert(0, str(files))
    player, compare = importlib.import_module("vector_play"), importlib.import_module("vector_compare")
    played, differences, largest = 0, [], 0.0
    scenarios = sorted((files / "decisions").glob("*.json"))
    for path in scenarios:
        scenario = json.loads(path.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as state:
            device = player.Player(scenario, files, Path(state))
            for request, (_, stated, outcomes) in zip(scenario["requests"], device.play(), strict=True):
                lines = compare.decision_differences(request["expect"], stated)
                lines += compare.differences([act["expect"] for act in request.get("then", ())], outcomes, "then")
                differences += [f"{path.stem}: decision {request['expect']['id']}: {line}" for line in lines]
                largest = max(largest, _largest(request["expect"]["scores"], stated["scores"]))
                played += 1
            differences += [
                f"{path.stem}: {line}" for line in compare.differences(scenario["log"], device.close(), "log")
            ]
    found = {"scenarios": len(scenarios), "decisions": played, "differences": differences, "largest": largest}
    output.write_text(json.dumps(found), encoding="utf-8")


def _largest(expected: dict[str, list[Any]], found: dict[str, list[Any]]) -> float:
    """Returns the largest difference of a score after any step."""
    pairs = [pair for step in _STEPS for pair in zip(expected[step], found[step], strict=True) if None not in pair]
    return max((abs(one - other) for one, other in pairs), default=0.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
