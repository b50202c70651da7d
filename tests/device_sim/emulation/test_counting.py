"""`count_on` counts with a stand-in for the emulated core; the real core is in test_count_emulated.py."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_sim.counts.counts import BundleCounts
from device_sim.emulation import counting
from device_sim.emulation.conformance import GuestAnswerError, PlayedDecision, PlayedWorkload, compare
from device_sim.emulation.counting import Prepared, count_on, prepared
from device_sim.emulation.differences import MissingLoopError
from device_sim.emulation.errors import GuestFailedError
from edge_sdk.errors import BundleDamagedError, BundleUnreadableError, BundleUntrustedError
from tests.support.scene import Small
from tests.support.simulator.native_runner import NativeRunner


@pytest.fixture(scope="module")
def ready(small: Small) -> Iterator[Prepared]:
    with prepared(
        small.bundle, public_key=small.public_key, golden=None, repetitions=8, operations=("record", "rank")
    ) as found:
        yield found


def test_counts_are_of_the_operations_their_stages_and_images(ready: Prepared, small: Small, tmp_path: Path) -> None:
    found = count_on(ready, "cortex-a55", None, NativeRunner())
    rank = found.counts.operations["rank"]
    assert rank.total().instructions == 420
    assert {stage: rank.total(stage=stage).instructions for stage in ("window", "model", "policy", "result")} == {
        "window": 30, "model": 200, "policy": 40, "result": 50,
    }  # fmt: skip
    assert rank.total(image="onnxruntime").instructions == 200
    assert rank.total().l1d_misses is None
    counts = found.counts
    assert counts.repetitions == {"record": 2048, "rank": 8}
    assert counts.bundle_sha256 == hashlib.sha256(small.bundle.read_bytes()).hexdigest()
    assert (counts.scene, counts.core, counts.candidates, counts.window) == ("small", "cortex-a55", 6, 8)
    assert set(counts.versions) == {"python", "numpy", "onnxruntime", "machine", "edge_sdk", "qemu"}
    counts.write_json(tmp_path / "counts.json")
    assert BundleCounts.read_json(tmp_path / "counts.json") == counts


def test_conformance_names_what_agreed_and_what_was_not_played(ready: Prepared) -> None:
    runner = NativeRunner()
    found = count_on(ready, "cortex-a55", None, runner)
    assert found.conformance.holds
    assert found.conformance.figures() == {
        "self_test_vectors_passed": 3,
        "golden": "not played: no folder of golden decisions",
        "workload_decisions": 64,
        "workload_same_order": 64,
        "workload_largest_score_difference": 0.0,
        "workload_scores_beyond_tolerance": 0,
    }
    assert runner.ran == ["decisions_run", "counting_run"]


def test_golden_decisions_are_played_where_they_are(small: Small) -> None:
    golden = counting.golden_folder()
    assert golden is not None
    with prepared(small.bundle, public_key=None, golden=golden, repetitions=8, operations=("rank",)) as ready:
        figures = count_on(ready, "cortex-a55", None, NativeRunner()).counts.conformance
    assert figures["golden_decisions"] == 134
    assert figures["golden_differences"] == 0


def test_another_order_there_is_no_conformance(ready: Prepared) -> None:
    def swap(output: Path, name: str) -> None:
        if name == "decisions_run":
            found = json.loads(output.read_text())
            first = found["decisions"][0]
            first["order"] = [*first["order"][1:], first["order"][0]]
            first["scores"][0] += 0.25
            output.write_text(json.dumps(found))

    found = count_on(ready, "cortex-a55", None, NativeRunner(swap)).conformance
    assert (found.same_order, found.decisions, found.holds) == (63, 64, False)
    assert found.largest == pytest.approx(0.25)
    assert found.beyond == 1


def test_large_scores_may_differ_in_their_last_places() -> None:
    def played(score: float) -> PlayedWorkload:
        return PlayedWorkload(decisions=(PlayedDecision(order=(0,), scores=(score,)),), golden_vectors=3, versions={})

    last_place = 2.0**-16  # of a float32 between 128 and 256
    assert compare(played(130.0), played(130.0 + last_place), None).holds
    assert not compare(played(1.0), played(1.0 + last_place), None).holds
    assert not compare(played(130.0), played(130.0 + 8 * last_place), None).holds


@pytest.mark.parametrize("content", ["", "{", '{"decisions": 3}', "[]"])
def test_an_answer_that_is_cut_off_is_named(ready: Prepared, content: str) -> None:
    def cut(output: Path, name: str) -> None:
        output.write_text(content)

    with pytest.raises(GuestAnswerError, match=r"there.json of the guest: .*; run it again, and look whether the disk"):
        count_on(ready, "cortex-a55", None, NativeRunner(cut))


def test_loops_that_are_not_all_there_are_named(ready: Prepared) -> None:
    def drop(output: Path, name: str) -> None:
        if name == "counting_run":
            rows = json.loads((output / "loops.json").read_text())
            (output / "loops.json").write_text(json.dumps(rows[:-1]))

    with pytest.raises(MissingLoopError, match="rank, staged loop"):
        count_on(ready, "cortex-a55", None, NativeRunner(drop))


def test_a_failing_guest_is_reported_with_its_reason(ready: Prepared) -> None:
    class Failing(NativeRunner):
        def run(self, name: str, *arguments: str) -> None:
            super().run(name, "/no/such/folder", *arguments[1:])

    with pytest.raises(GuestFailedError, match="No such file"):
        count_on(ready, "cortex-a55", None, Failing())


def refusals(small: Small, tmp_path: Path) -> dict[str, tuple[Path, bytes, type[Exception]]]:
    text = tmp_path / "text.edge"
    text.write_text("this is no bundle, but it is long enough to be one")
    return {
        "absent": (tmp_path / "absent.edge", small.public_key, BundleUnreadableError),
        "no bundle": (text, small.public_key, BundleDamagedError),
        "another key": (small.bundle, bytes(32), BundleUntrustedError),
    }


@pytest.mark.parametrize("case", ["absent", "no bundle", "another key"])
def test_a_wrong_file_is_refused_before_anything_runs(small: Small, tmp_path: Path, case: str) -> None:
    path, key, error = refusals(small, tmp_path)[case]
    with pytest.raises(error), prepared(path, public_key=key, golden=None, repetitions=8):
        pytest.fail("it was taken")
