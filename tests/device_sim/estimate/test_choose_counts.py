"""The counts for a bundle are its own or the nearest, and a remark names the difference."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from device_sim.cores import COUNTS_CORE
from device_sim.counts.counts import BundleCounts, Operation
from device_sim.estimate.choose_counts import (
    INSTEAD,
    BundleIdentity,
    NoCountsError,
    choose_counts,
    identify,
    shipped_counts,
)
from tests.support.scene import Small
from tests.support.simulator.estimate_cases import bundle_counts, python_part

MINE = BundleIdentity(Path("mine.edge"), "wealth", "a" * 64, 1000)


def counted(core: str = "cortex-a55", scene: str = "wealth", sha256: str = "a" * 64, size: int = 1000) -> BundleCounts:
    return bundle_counts({"rank": Operation(parts=(python_part(1.0),))}, core=core, scene=scene, sha256=sha256,
                         size_bytes=size)  # fmt: skip


def test_the_bundles_own_counts_need_no_remark() -> None:
    chosen = choose_counts(MINE, "cortex-a55", [counted(sha256="b" * 64), counted(), counted("cortex-a76")])
    assert (chosen.counts.core, chosen.is_of_bundle, chosen.remarks) == ("cortex-a55", True, ())


@pytest.mark.parametrize(
    ("core", "kernels"),
    [("cortex-a73", "cortex-a72"), ("cortex-x4", "cortex-a76"), ("cortex-a57", "cortex-a72"),
     ("cortex-a35", "cortex-a53")],
)  # fmt: skip
def test_a_core_is_served_by_the_kernels_that_it_runs(core: str, kernels: str) -> None:
    all_four = [counted(name) for name in ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")]
    chosen = choose_counts(MINE, core, all_four)
    assert (chosen.counts.core, chosen.remarks) == (kernels, ())


def test_another_bundle_of_the_scene_is_used_and_named() -> None:
    near, far = counted(sha256="b" * 64, size=1100), counted(sha256="c" * 64, size=9000)
    chosen = choose_counts(MINE, "cortex-a55", [far, near])
    assert chosen.counts is near
    assert not chosen.is_of_bundle
    (remark,) = chosen.remarks
    assert remark.startswith("COUNTS OF ANOTHER BUNDLE: wealth, 1,100 bytes, 10 items, window 32, 50 candidates")
    assert "count yours with `device-sim count`" in remark


def test_other_kernels_of_the_bundle_go_before_the_right_kernels_of_another() -> None:
    chosen = choose_counts(MINE, "cortex-a55", [counted("cortex-a76"), counted(sha256="b" * 64)])
    assert chosen.counts.core == "cortex-a76"
    assert chosen.remarks == (
        "COUNTS OF ANOTHER CORE'S KERNELS: cortex-a76; this core runs those of cortex-a55",
    )  # fmt: skip


def test_no_counts_of_the_scene_tells_how_to_make_them() -> None:
    with pytest.raises(NoCountsError) as caught:
        choose_counts(MINE, "cortex-a55", [counted(scene="loan", sha256="b" * 64)])
    assert str(caught.value) == (
        "mine.edge: scene wealth: there are counts of loan; count it with `device-sim count mine.edge` and give the "
        "files with --counts"
    )
    with pytest.raises(NoCountsError, match="there are no counts"):
        choose_counts(MINE, "cortex-a55", [])


def test_counts_that_were_given_by_name_may_be_of_another_scene() -> None:
    chosen = choose_counts(MINE, "cortex-a55", [counted(scene="loan", sha256="b" * 64)], any_scene=True)
    assert "COUNTS OF ANOTHER BUNDLE: loan" in chosen.remarks[0]


def test_there_is_an_order_for_every_core_that_is_counted() -> None:
    assert set(INSTEAD) == set(COUNTS_CORE.values())
    for core, others in INSTEAD.items():
        assert {core, *others} == set(INSTEAD)


def test_shipped_counts_are_read_from_their_folder(tmp_path: Path) -> None:
    counted().write_json(tmp_path / "wealth.cortex-a55.json")
    for other in ("lzma.json", "ncnn.cortex-a55.json"):  # what else lies there is not of a bundle
        (tmp_path / other).write_text("{}", encoding="utf-8")
    assert [found.core for found in shipped_counts(tmp_path)] == ["cortex-a55"]
    assert shipped_counts(tmp_path / "none") == ()


def test_a_bundle_gives_its_scene_and_its_hash(small: Small) -> None:
    found = identify(small.bundle)
    assert found.scene == "small"
    assert found.size_bytes == small.bundle.stat().st_size
    assert found.sha256 == hashlib.sha256(small.bundle.read_bytes()).hexdigest()


def test_what_is_shipped_can_be_read() -> None:
    for found in shipped_counts():
        assert {"record", "rank"} <= set(found.operations)
        assert found.operations["rank"].total().instructions > 0
