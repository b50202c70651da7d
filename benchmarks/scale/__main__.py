"""Measures how costs grow: `python -m benchmarks.scale [--json FILE] [--html FILE] [--quick]`.

The sizes are events in the window, candidates, items, history, threads, and the length of a log. All times are taken in
one process, the sizes interleaved in rounds; memory and logs are measured in fresh processes.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from benchmarks.output import make_folder, parser, write, write_json
from benchmarks.scale.bundles import Bundles
from benchmarks.scale.candidates import candidates_curve
from benchmarks.scale.curve import Curve, Fit, unit
from benchmarks.scale.history import history_curve
from benchmarks.scale.items import items_curve
from benchmarks.scale.limits import Limit, limits
from benchmarks.scale.log_replay import log_curve
from benchmarks.scale.page import render
from benchmarks.scale.settings import QUICK, Settings
from benchmarks.scale.threads import threads_curve
from benchmarks.scale.window import window_curve
from benchmarks.scale.words import printed
from cloud_export.evaluate.speed import processor
from edge_sdk.model.onnx_runtime import onnxruntime

_QUESTIONS: Final[tuple[Callable[[Settings, Bundles], Curve], ...]] = (
    window_curve,
    candidates_curve,
    items_curve,
    history_curve,
    threads_curve,
    log_curve,
)


def main(words: list[str] | None = None) -> None:
    """Measures, prints, and writes the files that are named."""
    options = parser(__doc__)
    options.add_argument("--html", type=Path, help="write the page into this file")
    options.add_argument("--quick", action="store_true", help="small sizes and few rounds, to see that all works")
    arguments = options.parse_args(words)
    make_folder(arguments.json)
    make_folder(arguments.html)
    curves, found, machine = _measure(QUICK if arguments.quick else Settings(), quick=arguments.quick)
    write_json(arguments.json, as_json(curves, found, machine))
    if arguments.html:
        write(arguments.html, render(curves, found, machine))


def as_json(curves: list[Curve], found: tuple[Limit, ...], machine: Mapping[str, str | int]) -> dict[str, object]:
    """Returns the machine, and for each question its rows, fits and notes; names end in units."""
    answers = {
        curve.name: {
            "over": curve.over,
            "method": curve.method,
            "rows": list(curve.rows),
            "fits": [_fit(fit, curve) for fit in curve.fits],
            "notes": list(curve.notes),
        }
        for curve in curves
    }
    return {"machine": dict(machine), **answers, "limits": [asdict(limit) for limit in found]}


def _fit(fit: Fit, curve: Curve) -> dict[str, str | float]:
    name = {"µs": "us", "MB": "mb"}.get(unit(fit.figure), unit(fit.figure))
    return {
        "figure": fit.figure,
        f"a_{name}": fit.a,
        f"b_{name}_per_{curve.each}": fit.b,
        "largest_deviation_percent": 100 * fit.worst,
    }


def _measure(settings: Settings, *, quick: bool) -> tuple[list[Curve], tuple[Limit, ...], dict[str, str | int]]:
    """Measures every curve and prints each as soon as it is complete."""
    start, load = time.perf_counter(), os.getloadavg()[0]
    curves = []
    with TemporaryDirectory(prefix="edge-scale-") as folder:
        bundles = Bundles(Path(folder))
        for question in _QUESTIONS:
            curves.append(question(settings, bundles))
            print("\n".join(printed(curves[-1])), flush=True)
    by_name = {curve.name: curve for curve in curves}
    found = limits(by_name["items"], by_name["candidates"])
    print("Where growing ends", *(f"  {one.at} {one.what}: {one.happens}" for one in found), sep="\n")
    spent: dict[str, str | int] = {
        "load_average_before": f"{load:.1f} processes",
        "seconds": round(time.perf_counter() - start),
    }
    return curves, found, _machine(quick) | spent


def _machine(quick: bool) -> dict[str, str | int]:
    return {
        "processor": processor(),
        "cpus": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "sizes": "quick: too few rounds to be quoted" if quick else "full",
    }


if __name__ == "__main__":
    main()
