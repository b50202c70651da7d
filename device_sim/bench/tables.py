"""Prints a bench and a comparison as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cloud_export.console import print_line, print_table
from device_sim.bench.bench_types import TIMED, Bench, Latency
from device_sim.bench.bench_words import CONDITION_LABELS, OPERATION_LABELS, duration
from device_sim.bench.compare import Comparison, Line, Outcome

_VERDICTS: Final[Mapping[Outcome, Text]] = {
    "same": Text("ok"),
    "rose": Text("WORSE", style="red"),
    "fell": Text("lower", style="green"),
    "shown": Text("shown only", style="dim"),
}


def print_bench(console: Console, bench: Bench) -> None:
    """Prints latencies by condition, then the other measurements."""
    print_table(console, _latencies(bench))
    cold, memory = bench.cold_start, bench.memory
    rows = {
        f"cold start, median of {cold.processes} fresh processes": f"{cold.total_ms.median:.0f} ms "
        f"({cold.total_ms.low:.0f} to {cold.total_ms.high:.0f}): import {cold.import_ms.median:.0f}, "
        f"open {cold.open_ms.median:.1f}, first decision {cold.first_decision_ms.median:.2f}",
        "memory beyond numpy + onnxruntime": f"{memory.extra_bytes / 1e6:.1f} MB",
        "state folder": f"{memory.state_bytes:,} bytes",
        "bundle": f"{bench.bundle.size_bytes:,} bytes",
        "counted": ", ".join(
            f"{core}: {counted.operations['rank'].total().instructions:,.0f} instructions a rank"
            if "rank" in counted.operations
            else core
            for core, counted in bench.counts.items()
        )
        or "nothing: give --counts FILE of `device-sim count`",
    }
    table = Table("", "", show_header=False)
    for label, words in rows.items():
        table.add_row(label, words)
    print_table(console, table)


def print_comparison(console: Console, compared: Comparison) -> None:
    """Prints every figure of both files, the verdicts, and the notes."""
    table = Table("figure", "then", "now", "change", "verdict", title="against the earlier file")
    for line in compared.lines:
        table.add_row(
            line.name,
            _figure(line, line.old),
            _figure(line, line.new),
            f"{line.change:+.2%}",
            _VERDICTS[line.outcome],
        )
    print_table(console, table)
    for note in compared.notes:
        print_line(console, note, style="bold yellow")
    if worse := compared.regressions:
        names = ", ".join(line.name for line in worse)
        print_line(console, f"WORSE beyond the tolerance: {names}", style="bold red")


def _latencies(bench: Bench) -> Table:
    machine = bench.machine
    table = Table(
        "condition",
        title=f"{bench.bundle.scene} on {machine.processor}, {machine.cpus} CPUs",
        caption="× is by the quiet condition's figure of the same round, median of the rounds.",
    )
    table.add_column("operation", no_wrap=True)
    for head in ("p50", "p95", "p99", "× p50", "× p99"):
        table.add_column(head, justify="right", no_wrap=True)
    for condition in bench.conditions:
        label = CONDITION_LABELS[condition.name]
        table.add_section()
        if condition.unavailable:
            table.add_row(label, f"not available here: {condition.unavailable}")
        for name, latency in sorted(condition.operations.items(), key=lambda pair: TIMED.index(pair[0])):
            table.add_row(label, OPERATION_LABELS[name], *_figures(latency))
            label = ""
    missing = [words for name, words in CONDITION_LABELS.items() if name not in {one.name for one in bench.conditions}]
    if missing:
        table.caption = f"Not asked for: {'; '.join(missing)}."
    return table


def _figures(latency: Latency) -> list[str]:
    ratios = [latency.to_quiet[part].median for part in ("p50", "p99") if part in latency.to_quiet]
    return [
        *(duration(value) for value in (latency.p50_us, latency.p95_us, latency.p99_us)),
        *(f"{ratio:.2f}" for ratio in ratios),
    ]


def _figure(line: Line, value: float) -> str:
    return f"{value:,.2f} {line.unit}" if line.unit in ("µs", "ms") else f"{value:,.0f} {line.unit}"
