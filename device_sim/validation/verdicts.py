"""Checks the targets of the protocol."""

from __future__ import annotations

from collections.abc import Mapping

from device_sim.validation.protocol import BETTER_THAN_BASELINE_TARGET, HELD_OUT_TARGET, TARGET_CORES, UNSEEN_TARGET
from device_sim.validation.results import CoreScores, Verdict


def verdicts(cores: Mapping[str, CoreScores]) -> tuple[Verdict, ...]:
    """Returns a verdict for every target; a core that could not be scored misses its own."""
    judged = [_held_out(core, cores.get(core)) for core in TARGET_CORES]
    judged += [_unseen(core, scores) for core, scores in cores.items() if scores.unseen_device is not None]
    better = [
        core for core in TARGET_CORES if core in cores and cores[core].median_error < cores[core].baseline.median_error
    ]
    judged.append(
        Verdict(
            target=f"better than the baseline on {BETTER_THAN_BASELINE_TARGET} of {len(TARGET_CORES)}",
            holds=len(better) >= BETTER_THAN_BASELINE_TARGET,
            measured=f"{len(better)}: {', '.join(core.removeprefix('cortex-') for core in better) or 'none'}",
        )
    )
    return tuple(judged)


def _held_out(core: str, scores: CoreScores | None) -> Verdict:
    return Verdict(
        target=f"{core}: held-out models ≤ {HELD_OUT_TARGET:.0%}",
        holds=scores is not None and scores.median_error <= HELD_OUT_TARGET,
        measured="not scored" if scores is None else f"{scores.median_error:.1%}",
    )


def _unseen(core: str, scores: CoreScores) -> Verdict:
    error = scores.unseen_device.median_error if scores.unseen_device else float("inf")
    return Verdict(
        target=f"{core}: unseen devices ≤ {UNSEEN_TARGET:.0%}",
        holds=error <= UNSEEN_TARGET,
        measured=f"{error:.1%}",
    )
