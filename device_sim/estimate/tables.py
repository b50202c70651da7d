"""Prints the estimates: devices × operations, the scenarios, then the evidence of each interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from cloud_export.console import print_line, print_table
from device_sim.estimate.device_estimates import CAUTION, OPERATIONS, Answer, CoreAnswer, DeviceAnswer
from device_sim.estimate.estimate import KERNELS, Estimate, PartEstimate
from device_sim.estimate.profile import Core, Profile

EVIDENCE_DEVICES: Final = 4  # with more of them, the tables would scroll out of sight


def profile_table(profiles: Sequence[Profile]) -> Table:
    """Returns the table of `--list`."""
    table = Table(title="device profiles")
    table.add_column("device", no_wrap=True)  # the user gives it to --device
    for column in ("what it is", "class", "core, GHz", "little core, GHz"):
        table.add_column(column)
    for profile in profiles:
        little = "" if profile.little is None else _core(profile.little)
        table.add_row(profile.name, profile.title, profile.device_class, _core(profile.main), little)
    return table


def show_answer(answer: Answer, console: Console) -> None:
    """Prints remarks, tables, scenarios and evidence."""
    for remark in answer.remarks:
        print_line(console, remark, style="bold red")
    print_table(console, _typical_table(answer))
    others = [scenario for scenario in answer.scenarios if scenario.name != "typical"]
    if others:
        print_table(console, _scenario_table(answer))
    for scenario in answer.scenarios:
        print_line(console, f"{scenario.name}: assumes {scenario.assumption}")
    for line in _evidence_lines(answer):
        print_line(console, line)
    print_line(console, CAUTION, style="bold")


def interval(estimate: Estimate | None) -> str:
    """Returns an interval with two digits at each end, or that the operation was not counted."""
    return "not counted" if estimate is None else f"{_two_digits(estimate.low_us)}–{_two_digits(estimate.high_us)}"


def _typical_table(answer: Answer) -> Table:
    title = f"{answer.bundle.path.name}: estimated µs, scenario typical"
    table = Table(title=title)
    for column in ("device", "core, GHz", *(name.removeprefix("rank_").replace("_", " ") for name in OPERATIONS)):
        table.add_column(column, no_wrap=True)
    for device in answer.devices:
        estimates = [device.estimate(name, "typical") for name in OPERATIONS]
        table.add_row(device.profile.name, _core(device.profile.main), *map(interval, estimates))
    return table


def _scenario_table(answer: Answer) -> Table:
    others = [scenario.name for scenario in answer.scenarios if scenario.name != "typical"]
    table = Table(title="rank: estimated µs in other scenarios")
    table.add_column("device", no_wrap=True)
    for name in others:
        table.add_column(name)
    for device in answer.devices:
        shown = [
            "no other core"
            if name == "little-core" and device.profile.little is None
            else interval(device.estimate("rank", name))
            for name in others
        ]
        table.add_row(device.profile.name, *shown)
    return table


def _core(core: Core) -> str:
    """Returns the core and its clock, short enough for a line of figures: A55 1.8."""
    return f"{core.core.value.removeprefix('cortex-').upper()} {core.clock_ghz}"


def _evidence_lines(answer: Answer) -> list[str]:
    if len(answer.devices) > EVIDENCE_DEVICES:
        return [f"what each figure rests on: ask for at most {EVIDENCE_DEVICES} devices, or add --json FILE"]
    return [line for device in answer.devices for line in _evidence(device)]


def _evidence(device: DeviceAnswer) -> list[str]:
    lines = [f"{device.profile.name}: {device.profile.title}. {device.profile.description}"]
    for core in device.cores:
        lines += [f"  {line}" for line in _core_evidence(core)]
    return lines


def _core_evidence(core: CoreAnswer) -> list[str]:
    cost, counts, facts = core.cost, core.chosen.counts, core.cost.core
    fitted = ", ".join(cost.model.devices)
    lines = [
        f"{facts.core.value}: clock {facts.clock_ghz} GHz ({facts.clock_ghz.source})",
        f"counts: {counts.scene} on {counts.core}, {counts.candidates} candidates, window {counts.window}",
        f"onnxruntime: cycle model of {cost.model.core}, fitted on {fitted}; ± {cost.error:.0%} ({cost.error_source})",
        f"all else: {cost.scalar_ipc} instructions a cycle ({cost.scalar_ipc.source})",
    ]
    for estimate in core.estimates:
        if estimate.operation == "rank" and estimate.scenario in ("typical", "little-core"):
            lines += _stage_lines(estimate)
    if any(estimate.widened for estimate in core.estimates):
        lines.append("figures below 100 µs are widened to a factor of two both ways")
    return lines


def _stage_lines(estimate: Estimate) -> list[str]:
    """Returns a line for onnxruntime's kernels with their method, and a line for all else by stage."""
    kernels = [part for part in estimate.parts if part.name == ": ".join(KERNELS)]
    rest = [part for part in estimate.parts if part not in kernels]
    stages = dict.fromkeys(part.name.partition(":")[0] for part in rest)
    sums = ", ".join(f"{stage} {_sum(part for part in rest if part.name.startswith(stage))}" for stage in stages)
    lines = [f"rank, onnxruntime's kernels: {_sum([part])} µs, {part.method}" for part in kernels]
    return [*lines, f"rank, all else: {_sum(rest)} µs ({sums})"]


def _sum(parts: Iterable[PartEstimate]) -> str:
    found = list(parts)
    return f"{_two_digits(sum(one.low_us for one in found))}–{_two_digits(sum(one.high_us for one in found))}"


def _two_digits(us: float) -> str:
    """Returns a figure with two digits, such as 4.7, 47, 470: the estimates are not more precise."""
    if us >= 100:
        magnitude = 10 ** (len(str(int(us))) - 2)
        return f"{round(us / magnitude) * magnitude:,}"
    return f"{us:.2g}" if us < 10 else f"{us:.0f}"
