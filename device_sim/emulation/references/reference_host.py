"""Times ncnn's benchmark models natively on this machine, with one thread.

    python -m device_sim.emulation.references.reference_host --params FOLDER --ncnn FOLDER --out FILE

`--ncnn` is the folder of the host's wheel: `pip install --no-deps --target FOLDER ncnn==VERSION`. Nothing else needs
ncnn, so it is not among the project's packages. In each round every model runs in a process of its own, so that a busy
moment of the machine does not fall on one model alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import PathDistribution, distributions
from pathlib import Path
from typing import Final

from device_sim.counts.host_times import HostTimes, ModelTime
from device_sim.emulation.errors import EmulationError, GuestFailedError, MissingToolsError
from device_sim.emulation.references.reference_models import GUEST, INPUT_SIZES
from device_sim.emulation.staging import tree

ROUNDS: Final = 7
RUNS_PER_ROUND: Final = 3


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; errors are one line and exit code 1."""
    parser = argparse.ArgumentParser(description="Time ncnn's benchmark models natively.")
    parser.add_argument("--params", type=Path, required=True, help="folder of .param graphs")
    parser.add_argument("--ncnn", type=Path, required=True, help="folder of the host's ncnn wheel")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    try:
        time_all(options.params, options.ncnn, options.rounds).write_json(options.out)
    except EmulationError as error:
        raise SystemExit(f"reference_host: {error}") from None


def time_all(params: Path, site: Path, rounds: int) -> HostTimes:
    """Times every model of INPUT_SIZES whose graph is in the folder.

    Raises:
        MissingToolsError: `site` has no ncnn.
        GuestFailedError: A model did not run.
    """
    version = _ncnn_version(site)
    models = [model for model in INPUT_SIZES if (params / f"{model}.param").is_file()]
    taken_ms: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for model in models:
            taken_ms[model] += _run(params / f"{model}.param", INPUT_SIZES[model], site)
    times = {
        model: ModelTime(median_ms=statistics.median(values), min_ms=min(values)) for model, values in taken_ms.items()
    }
    versions = {"ncnn": version, "python": platform.python_version()}
    return HostTimes(
        processor=processor_name(), rounds=rounds, runs_per_round=RUNS_PER_ROUND, models=times, versions=versions
    )


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the processor's name from Linux, else the machine's architecture."""
    text = cpuinfo.read_text(errors="replace") if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _run(graph: Path, input_size: int, site: Path) -> list[float]:
    search = os.pathsep.join([str(tree()), str(site / "ncnn")])
    done = subprocess.run(
        [sys.executable, str(GUEST), str(graph), str(input_size), str(RUNS_PER_ROUND)],
        env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise GuestFailedError(f"{GUEST.name} {graph.stem}", done.returncode, done.stderr)
    return [float(line) for line in done.stdout.split()]


def _ncnn_version(site: Path) -> str:
    found = [one for one in distributions(path=[str(site)]) if isinstance(one, PathDistribution) and one.name == "ncnn"]
    if not found:
        raise MissingToolsError([f"{site} holds no ncnn; run: pip install --no-deps --target {site} ncnn"])
    return found[0].version


if __name__ == "__main__":
    main()
