"""No operation takes more instructions on an emulated core than the committed baseline; the gate can fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from device_sim.bench.compare import NotComparableError
from device_sim.counts.counts import BundleCounts, Operation, Stage
from device_sim.emulation import installation
from device_sim.emulation.workload_plan import OPERATIONS
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from tests.support.simulator.golden_count import BUNDLE, CORE, golden_count, golden_counts_elsewhere
from tests.support.simulator.instruction_gate import BASELINE, RENEW, judged, lowest, other_versions


@pytest.fixture(scope="module")
def baseline() -> BundleCounts:
    return BundleCounts.read_json(BASELINE)


@pytest.mark.skipif(
    bool(installation.problems()), reason=f"not set up, run device-sim setup: {'; '.join(installation.problems())}"
)
def test_no_operation_takes_more_instructions(
    baseline: BundleCounts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = golden_count().counts
    changed = other_versions(baseline, now)
    verdict = judged(baseline, now)
    with capsys.disabled():  # a fall passes: without this nobody would come to know
        sys.stdout.write("\n".join(("", f"instructions on {CORE}:", *verdict.lines, "")))
    if changed:
        pytest.skip(f"the baseline was counted with other versions, so nothing is decided: {changed}; {RENEW}")
    if verdict.risen:
        verdict = judged(baseline, lowest([now, *golden_counts_elsewhere(tmp_path)]))
    if verdict.risen:
        pytest.fail("\n".join(verdict.risen), pytrace=False)


def test_the_baseline_has_every_operation_of_a_bundle_like_the_golden_one(baseline: BundleCounts) -> None:
    bundle = read_bundle(BUNDLE, open_container(BUNDLE, trusted_keys=(), allow_unsigned=True))
    assert tuple(baseline.operations) == OPERATIONS, RENEW
    shape = (baseline.scene, baseline.items, baseline.window)
    assert shape == (bundle.scene, len(bundle.layout.items), bundle.layout.window), RENEW
    assert (baseline.core, baseline.caches) == (CORE, None)
    assert baseline.conformance["golden_differences"] == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_rise_of_one_percent_fails_and_is_named(baseline: BundleCounts, operation: str) -> None:
    now = changed_by(0.01, operation, baseline)
    then, later = (one.operations[operation].total().instructions for one in (baseline, now))
    stage = largest(baseline.operations[operation])
    before, after = (one.operations[operation].total(stage=stage).instructions for one in (baseline, now))
    assert judged(baseline, now).risen == (
        f"{operation} takes 1.00% more instructions: {then:,.0f} → {later:,.0f}, at most 0.5% more pass; what grew: "
        f"{stage} by {after - before:,.0f} ({before:,.0f} → {after:,.0f}). If it is meant, run `make instructions` "
        "and commit tests/golden/instructions.json",
    )


def test_stages_that_grew_are_named_the_largest_growth_first(baseline: BundleCounts) -> None:
    parts = baseline.operations["rank"].parts
    factors = {"engine": 1.1, "window": 1.2, "model": 0.99}
    now = with_factors(baseline, "rank", [factors.get(part.stage, 1.0) for part in parts])
    [line_of_rise] = judged(baseline, now).risen
    assert line_of_rise.index("window by") < line_of_rise.index("engine by")
    assert "model by" not in line_of_rise


@pytest.mark.parametrize(("change", "is_reported"), [(0.004, False), (-0.004, False), (-0.01, True)])
def test_a_small_rise_and_a_fall_pass_and_a_fall_is_reported(
    baseline: BundleCounts, change: float, is_reported: bool
) -> None:
    verdict = judged(baseline, changed_by(change, "rank", baseline))
    assert not verdict.risen
    [line] = [line for line in verdict.lines if line.startswith("rank:")]
    assert f"{change:+.2%} of the baseline's" in line
    assert line.endswith(f"it fell: {RENEW}") == is_reported


def test_a_rise_that_is_not_there_elsewhere_passes(baseline: BundleCounts) -> None:
    here, elsewhere = changed_by(0.01, "rank", baseline), changed_by(0.002, "rank", baseline)
    assert judged(baseline, here).risen
    assert not judged(baseline, lowest([here, elsewhere])).risen
    worse = changed_by(0.008, "rank", baseline)
    [line_of_rise] = judged(baseline, lowest([here, worse])).risen
    assert line_of_rise.startswith("rank takes 0.80% more")


def test_versions_of_others_are_named_and_ours_may_change(baseline: BundleCounts) -> None:
    ours = baseline.model_copy(update={"versions": {**baseline.versions, "edge_sdk": "99"}})
    assert other_versions(baseline, ours) == ""
    theirs = baseline.model_copy(update={"versions": {**baseline.versions, "numpy": "99"}})
    assert other_versions(baseline, theirs) == f"numpy {baseline.versions['numpy']} → 99"


def test_another_bundle_is_reported_and_another_workload_is_refused(baseline: BundleCounts) -> None:
    other = baseline.model_copy(update={"bundle_sha256": "0" * 64})
    assert judged(baseline, other).lines[-1] == f"the golden bundle is another than the baseline's: {RENEW}"
    with pytest.raises(NotComparableError, match=r"candidates was .* renew the baseline"):
        judged(baseline, baseline.model_copy(update={"candidates": baseline.candidates + 1}))
    less = baseline.model_copy(update={"operations": {"rank": baseline.operations["rank"]}})
    with pytest.raises(NotComparableError, match="record was counted and is missing"):
        judged(baseline, less)


def largest(operation: Operation) -> Stage:
    """The stage of its largest part."""
    return max(operation.parts, key=lambda part: part.counts.instructions).stage


def changed_by(share: float, name: str, counts: BundleCounts) -> BundleCounts:
    """As if one operation's largest part took more (less), by this share of the whole operation."""
    parts = counts.operations[name].parts
    sizes = [part.counts.instructions for part in parts]
    factors = [1 + share * sum(sizes) / size if size == max(sizes) else 1.0 for size in sizes]
    return with_factors(counts, name, factors)


def with_factors(counts: BundleCounts, name: str, factors: list[float]) -> BundleCounts:
    """As if each part of one operation took so many times its instructions."""
    parts = []
    for part, factor in zip(counts.operations[name].parts, factors, strict=True):
        mix = {kind: number * factor for kind, number in part.counts.mix.items()}
        parts.append(part.model_copy(update={"counts": part.counts.model_copy(update={"mix": mix})}))
    return counts.model_copy(update={"operations": {**counts.operations, name: Operation(parts=tuple(parts))}})
