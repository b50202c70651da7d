"""Prints a validation as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from cloud_export.console import print_line, print_table
from device_sim.validation.points import ANY
from device_sim.validation.protocol import WITHIN
from device_sim.validation.published import Exclusion
from device_sim.validation.results import Compared, CoreScores, FurtherTable, GivenScores, Score, Validation, Variant


def print_outcome(console: Console, validation: Validation) -> None:
    """Prints the results on the main published table."""
    print_line(
        console,
        f"{validation.published} ({', '.join(validation.sources)}): {len(validation.models)} models on "
        f"{len(validation.devices)} devices.\nFigures are |predicted/published − 1| in %: median / 90th percentile. "
        "Baseline: x86 time × one constant.",
    )
    print_table(console, _held_out("Held-out models, the same device", validation.cores))
    print_table(console, _unseen("Held-out devices", validation.cores))
    print_table(console, _devices(validation))
    for variant in validation.variants.values():
        print_table(console, _held_out(f"{variant.title}: held-out models", variant.cores))
        print_table(console, _unseen(f"{variant.title}: held-out devices", variant.cores))
    print_table(console, _given("Scored apart: runs that the table itself warns of", validation.noted))
    print_table(console, _transferred(validation.transferred))
    print_table(console, _exclusions("Not fitted, and why", validation.exclusions))
    print_table(console, _targets(validation))
    for variant in validation.variants.values():
        print_line(console, _missed(variant))


def print_further(console: Console, scored: FurtherTable) -> None:
    """Prints the scores of a further table."""
    title = f"{scored.file}, coefficients {scored.calibration}, nothing fitted here"
    print_table(console, _given(f"{title}: cores", scored.cores))
    print_table(console, _given(f"{title}: devices", scored.devices))
    print_table(console, _exclusions(f"{scored.file}: not scored, and why", scored.exclusions))


def _held_out(title: str, cores: Mapping[str, CoreScores]) -> Table:
    table = Table("core", "devices", "model", "baseline", "published runs\ndiffer by", title=title)
    for core, scores in cores.items():
        count = str(len(scores.devices))
        table.add_row(core, count, _errors(scores), _errors(scores.baseline), _errors(scores.noise))
    return table


def _unseen(title: str, cores: Mapping[str, CoreScores]) -> Table:
    table = Table(
        "core",
        "device\nunseen",
        f"within\n×{WITHIN:g}",
        "baseline",
        "device and\nmodel unseen",
        "baseline",
        title=title,
    )
    for core, scores in cores.items():
        device, neither = scores.unseen_device, scores.neither_seen
        if device is not None and neither is not None:
            share = f"{device.within_1_5:.0%}"
            table.add_row(
                core, _errors(device), share, _errors(device.baseline), _errors(neither), _errors(neither.baseline)
            )
    return table


def _devices(validation: Validation) -> Table:
    table = Table("device", "core", "GHz", "models", "model\nunseen", "baseline", "device\nunseen", title="Devices")
    for name, scores in validation.devices.items():
        table.add_row(
            name,
            scores.core,
            f"{scores.clock_ghz:g}",
            str(scores.models),
            _errors(scores),
            _errors(scores.baseline),
            _errors(scores.unseen_device),
        )
    return table


def _given(title: str, scored: Mapping[str, GivenScores]) -> Table:
    table = Table(title=title)
    table.add_column("what", overflow="fold")
    for heading in ("core", "points", "error", f"within\n×{WITHIN:g}", "baseline", ""):
        table.add_column(heading, no_wrap=True)
    for name, scores in scored.items():
        core = scores.core.removeprefix("cortex-")
        lender = f" by {scores.coefficients_of.removeprefix('cortex-')}" if scores.transferred else ""
        labels = ["transferred"] * scores.transferred + ["also fitted on"] * scores.fitted_on
        labels += ["noted"] * (scores.note is not None)
        table.add_row(
            name,
            core + lender,
            str(scores.points),
            _errors(scores),
            f"{scores.within_1_5:.0%}",
            _errors(scores.baseline),
            "\n".join(labels),
        )
    return table


def _transferred(scored: Mapping[str, Compared]) -> Table:
    table = Table("core by whose coefficients", "error", "baseline", title="Transferred coefficients")
    for name, scores in scored.items():
        table.add_row(name, _errors(scores), _errors(scores.baseline))
    return table


def _exclusions(title: str, exclusions: Iterable[Exclusion]) -> Table:
    places: dict[str, list[str]] = {}
    for exclusion in exclusions:
        place = " on ".join(part for part in (exclusion.model, exclusion.entry) if part and part != ANY)
        places.setdefault(exclusion.reason, []).append(place)
    table = Table("what", "why", title=title, show_lines=True)
    for reason, of_reason in places.items():
        table.add_row(", ".join(of_reason), reason)
    return table


def _targets(validation: Validation) -> Table:
    table = Table("target", "measured", "holds", title="Targets, for medians")
    for verdict in validation.targets:
        table.add_row(verdict.target, verdict.measured, _yes(verdict.holds))
    return table


def _missed(variant: Variant) -> str:
    missed = [f"{verdict.target} ({verdict.measured})" for verdict in variant.targets if not verdict.holds]
    return f"{variant.title}: {len(missed)} of {len(variant.targets)} missed{': ' if missed else ''}{'; '.join(missed)}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"


def _errors(score: Score | None) -> str:
    return "–" if score is None else f"{100 * score.median_error:.1f}/{100 * score.p90_error:.1f}"
