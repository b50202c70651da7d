"""The report's section on the bench: times of the benched machine, quiet and disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from cloud_export.html.markup import definitions, figure, section, table
from cloud_export.report.words import size
from device_sim.bench.bench_types import CONDITIONS, TIMED, Bench, Latency
from device_sim.bench.bench_words import CONDITION_LABELS, OPERATION_LABELS, duration
from device_sim.bench.plot import latencies_svg
from device_sim.report.placeholder import missing

TITLE: Final = "Timed on the benched machine"


def bench_section(bench: Bench | None) -> str:
    """Returns the section: one picture, the percentiles, and the other measurements.

    Args:
        bench: The result of `device-sim bench --json`; None = there is none.
    """
    if bench is None:
        return missing(
            TITLE,
            "No bench was given.",
            "device-sim bench scene.edge --json bench.json\ndevice-sim report --bench bench.json --out report.html",
        )
    machine = bench.machine
    words = (
        f"These are real times, of {machine.processor} with {machine.cpus} CPUs, not of a phone. What they tell about "
        "any machine is the ratio: what a busy neighbour or half a CPU does to a call."
    )
    unavailable = [
        f"{CONDITION_LABELS[one.name]}: not available there ({one.unavailable})."
        for one in bench.conditions
        if one.unavailable
    ]
    notes = "".join(f"<p class=note>{escape(line)}</p>" for line in unavailable)
    return section(
        TITLE,
        f'<p>{escape(words)}</p><div class="charts two">'
        + figure(
            "Single calls, by condition",
            "Thick from the 5th to the 95th percentile, thin from the 1st to the 99th: a disturbance reaches the tail "
            "long before the median.",
            latencies_svg(bench),
        )
        + f"<div>{_facts(bench)}{_conditions(bench)}</div></div>{notes}"
        + table(
            ["Condition and call", "p50", "p95", "p99", "× p50", "× p99"],
            list(_rows(bench)),
        ),
    )


def _facts(bench: Bench) -> str:
    cold, memory = bench.cold_start, bench.memory
    facts = [
        ("Cold start, fresh process", f"{cold.total_ms.median:.0f} ms"),
        ("of which imports", f"{cold.import_ms.median:.0f} ms"),
        ("of which Engine.open", f"{cold.open_ms.median:.1f} ms"),
        ("Memory beyond numpy and onnxruntime", size(memory.extra_bytes)),
        ("State folder", size(memory.state_bytes)),
        ("Bundle", size(bench.bundle.size_bytes)),
    ]
    return definitions("Besides", facts, kind="facts")


def _conditions(bench: Bench) -> str:
    shown = [one.name for one in bench.conditions]
    return definitions("Conditions", [(CONDITION_LABELS[name], CONDITIONS[name]) for name in shown])


def _rows(bench: Bench) -> Iterator[list[str]]:
    for condition in bench.conditions:
        for name in TIMED:
            latency = condition.operations.get(name)
            if latency is not None:
                label = f"{CONDITION_LABELS[condition.name]}: {OPERATION_LABELS[name]}"
                times = [duration(value) for value in (latency.p50_us, latency.p95_us, latency.p99_us)]
                yield [label, *times, _ratio(latency, "p50"), _ratio(latency, "p99")]


def _ratio(latency: Latency, figure_: str) -> str:
    found = latency.to_quiet.get(figure_)
    return "–" if found is None else f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
