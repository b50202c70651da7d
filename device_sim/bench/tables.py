"""Prints a bench and a comparison to a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cloud_export.console import print_line, print_table
from device_sim.bench.bench_types import TIMED, Bench, FirstCall, Latency, Spread, WholeProcess
from device_sim.bench.bench_words import CONDITION_LABELS, OPERATION_LABELS, duration
from device_sim.bench.compare import Comparison, Line, Outcome
from device_sim.bench.other_work import WALK_BYTES

PHASE_LABELS: Final[Mapping[str, str]] = {
    "start": "start",
    "imports": "import",
    "open": "open",
    "record": "1st record",
    "rank": "1st decision",
    "offers": "offers read",
}
_MISSING: Final = "missing"
NOISE: Final = "A shared machine's times move by themselves: compare within this table."

_VERDICTS: Final[Mapping[Outcome, Text]] = {
    "same": Text("ok"),
    "rose": Text("WORSE", style="red"),
    "fell": Text("lower", style="green"),
    "shown": Text("shown only", style="dim"),
}


def print_bench(console: Console, bench: Bench) -> None:
    """Prints latencies by condition, first calls, whole processes, then sizes and counts."""
    print_table(console, _latencies(bench))
    if bench.first_calls or bench.processes:
        print_startup(console, bench.first_calls, bench.processes)
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


def print_startup(console: Console, first_calls: Sequence[FirstCall], processes: Sequence[WholeProcess]) -> None:
    """Prints first calls, whole processes and their memory, then the reason and the fix for all that is missing."""
    print_table(console, _first_calls(first_calls))
    print_table(console, _processes(processes))
    print_table(console, _memory(processes))
    reasons = {one.label: one.missing for one in first_calls} | {one.label: one.missing for one in processes}
    for label, reason in reasons.items():
        if reason:
            print_line(console, f"{label}: missing: {reason}")


def print_comparison(console: Console, compared: Comparison) -> None:
    """Prints every figure of both files, the verdict, and the notes."""
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


def _first_calls(found: Sequence[FirstCall]) -> Table:
    """Returns cold and warm calls of all contestants, one group a task."""
    table = Table("task", "contestant", title="first call after other work, beside the same call repeated")
    table.caption = (
        f"First: after a walk over {WALK_BYTES >> 20} MiB of other memory and about 2 ms of unrelated Python. "
        f"Medians of rounds (lowest to highest); ÷ within a round. {NOISE}"
    )
    for head in ("first", "÷", "repeated", "÷"):
        table.add_column(head, justify="right")
    task = ""
    for one in found:
        if one.task != task:
            table.add_section()
        shown, task = ("" if one.task == task else one.task), one.task
        if one.missing:
            table.add_row(shown, one.label, _MISSING)
            continue
        times = (
            _between(one.cold_us, "µs"),
            _ratio(one.cold_ratio),
            _between(one.warm_us, "µs"),
            _ratio(one.warm_ratio),
        )
        table.add_row(shown, one.label, *times)
    return table


def _processes(found: Sequence[WholeProcess]) -> Table:
    """Returns start-up by phase of all programs, in milliseconds."""
    table = Table("fresh process", title="whole process, ms: medians (lowest to highest)")
    table.caption = f"start: from the call that starts the process to its first line. CPU: of all threads. {NOISE}"
    names = list(dict.fromkeys(name for one in found for name in one.phases_ms))
    for head in (*(PHASE_LABELS.get(name, name) for name in names), "total", "÷ bare", "CPU"):
        table.add_column(head, justify="right")
    for one in found:
        if one.missing:
            table.add_row(one.label, _MISSING)
            continue
        phases = [f"{one.phases_ms[name].median:.3g}" if name in one.phases_ms else "" for name in names]
        table.add_row(one.label, *phases, _between(one.total_ms), _ratio(one.to_bare), _between(one.cpu_ms))
    return table


def _memory(found: Sequence[WholeProcess]) -> Table:
    """Returns the resident memory of all programs, in megabytes."""
    table = Table("fresh process", title="whole process, MB beyond a bare interpreter: medians (lowest to highest)")
    table.caption = (
        "RSS counts shared library pages in full, PSS by their share, private pages belong to no other process."
    )
    for head in ("RSS", "PSS", "private", "RSS in all"):
        table.add_column(head, justify="right")
    for one in found:
        if one.beyond_bare is None or one.resident is None:
            table.add_row(one.label, _MISSING)
            continue
        beyond = one.beyond_bare
        sizes = (beyond.rss_bytes, beyond.pss_bytes, beyond.private_bytes, one.resident.rss_bytes)
        table.add_row(one.label, *(_between(size, scale=1e-6) for size in sizes))
    return table


def _between(found: Spread | None, unit: str = "", scale: float = 1.0) -> str:
    """Median with the lowest and the highest: "1.2 µs (1.1 to 1.4)"."""
    if found is None:
        return "not known"
    median, low, high = (f"{value * scale:.3g}" for value in (found.median, found.low, found.high))
    return f"{median}{unit and ' ' + unit} ({low} to {high})"


def _ratio(found: Spread | None) -> str:
    return "" if found is None else f"{found.median:.2f}"


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
