"""Counts of the real emulator repeat to the last instruction, are linear in the work, and survive failing guests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from device_sim.counts.counts import Counts
from device_sim.emulation import machine, qemu
from device_sim.emulation.errors import GuestFailedError, GuestTimeoutError
from device_sim.emulation.installation import Installation
from device_sim.emulation.qemu import GuestRun
from tests.support.paths import ROOT, SIMULATOR
from tests.support.simulator import emulator_fixtures

arm64 = emulator_fixtures.arm64

GUESTS = SIMULATOR / "guests"
TIMEOUT_S = 300.0


def counted(
    name: str, *arguments: str, arm64: Installation, core: str = "cortex-a55", caches: bool = False
) -> GuestRun:
    return qemu.count(
        GUESTS / name,
        arguments,
        core_name=core,
        installation=arm64,
        python_path=[ROOT],
        caches=machine.core_named(core).caches if caches else None,
        timeout_s=TIMEOUT_S,
    )


def loops(run: GuestRun) -> tuple[Counts, Counts, Counts]:
    """Nothing, N and 2N."""
    last = run.dumps[-1]
    return last.region(1).total(), last.region(2).total(), last.region(3).total()


@pytest.mark.parametrize("caches", [False, True])
def test_two_runs_count_the_same(arm64: Installation, caches: bool) -> None:
    first, second = (loops(counted("loop.py", "500", arm64=arm64, caches=caches)) for _ in range(2))
    assert first == second


def test_twice_the_work_is_twice_the_instructions(arm64: Installation) -> None:
    _, once, twice = loops(counted("loop.py", "20000", arm64=arm64))
    _, more_once, more_twice = loops(counted("loop.py", "40000", arm64=arm64))
    # By differences: the first 256 numbers are cheaper, because the interpreter keeps those.
    added = twice.instructions - once.instructions
    assert added > 5_000_000
    assert more_once.instructions == pytest.approx(twice.instructions, rel=1e-3)
    assert more_twice.instructions - more_once.instructions == pytest.approx(2 * added, rel=1e-3)


def test_simulating_caches_changes_no_instruction(arm64: Installation) -> None:
    plain = loops(counted("loop.py", "500", arm64=arm64))
    simulated = loops(counted("loop.py", "500", arm64=arm64, caches=True))
    assert [counts.mix for counts in plain] == [counts.mix for counts in simulated]


def test_a_loop_of_python_runs_in_python(arm64: Installation) -> None:
    run = counted("loop.py", "20000", arm64=arm64)
    split = run.dumps[-1].region(2).by_image(run.images)
    whole = run.dumps[-1].region(2).total()
    assert split["python"].instructions > 0.95 * whole.instructions
    assert sum(part.instructions for part in split.values()) == whole.instructions
    assert whole.of("fma", "dot", "vector_float") == 0


def test_a_dump_starts_anew(arm64: Installation) -> None:
    run = counted("loop.py", "10", arm64=arm64)
    assert run.stdout == "done"
    first, last = run.dumps
    assert first.region(1).visits == 3
    assert last.region(1).visits == 1
    assert first.region(2).visits == 0
    # An empty visit is the two halves of the marker's own call.
    assert 0 < last.region(1).total().instructions < 20_000


@pytest.mark.parametrize("caches", [False, True])
def test_no_instruction_of_other_threads_is_lost(arm64: Installation, caches: bool) -> None:
    regions = counted("threads.py", arm64=arm64, caches=caches).dumps[-1]
    in_turn, at_once = regions.region(1).total(), regions.region(2).total()
    assert in_turn.instructions > 10_000_000
    assert at_once.instructions == pytest.approx(in_turn.instructions, rel=5e-3)


def test_caches_keep_what_fits_until_they_are_emptied(arm64: Installation) -> None:
    run = counted("memory.py", arm64=arm64, core="cortex-a53", caches=True).dumps[-1]
    warm, emptied, again, large, large_again = (run.region(number).total() for number in (1, 2, 3, 4, 5))
    lines = 16 * 1024 // 64
    # The marker's own Python passes through the first level as well, but all of it fits the second.
    for counts in (warm, again):
        assert counts.l2_misses is not None
        assert counts.l2_misses < lines / 4
    assert emptied.l1d_misses is not None
    assert emptied.l2_misses is not None
    assert emptied.l1d_misses >= lines
    assert emptied.l2_misses >= lines
    assert emptied.l3_misses is None
    # 8 MiB do not fit into 512 KiB: read for the second time, every line misses again.
    for counts in (large, large_again):
        assert counts.l2_misses is not None
        assert counts.l2_misses >= 8 * 1024 * 1024 / 64


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raise", "failing.py under the emulator ended with exit code 1: .*the guest's own words"),
        ("exit", "ended with exit code 7: it wrote nothing to stderr"),
        ("signal", "was ended by signal 11"),
        ("region", "the guest marked a region whose number is too high"),
    ],
)
def test_a_guest_that_fails_is_told(arm64: Installation, how: str, words: str) -> None:
    with pytest.raises(GuestFailedError) as caught:
        counted("failing.py", how, arm64=arm64)
    assert caught.match("(?s)" + words)


def test_a_guest_that_does_not_end_is_ended(arm64: Installation) -> None:
    with pytest.raises(GuestTimeoutError, match=r"failing\.py under the emulator did not end within 2 s"):
        qemu.count(
            GUESTS / "failing.py",
            ["forever"],
            core_name="cortex-a55",
            installation=arm64,
            python_path=[ROOT],
            timeout_s=2,
        )


def test_a_forked_child_does_not_write_over_the_counts(arm64: Installation) -> None:
    (dump,) = counted("failing.py", "fork", arm64=arm64).dumps
    assert dump.region(1).visits == 1
    assert dump.region(1).total().instructions > 0


def test_two_cores_at_once_do_not_disturb_each_other(arm64: Installation) -> None:
    cores = ("cortex-a53", "cortex-a76")
    alone = [loops(counted("loop.py", "500", arm64=arm64, core=core)) for core in cores]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda core: loops(counted("loop.py", "500", arm64=arm64, core=core)), cores))
    assert together == alone


@pytest.mark.parametrize("core", list(machine.CORES))
def test_onnxruntime_starts_on_every_core(arm64: Installation, core: str, tmp_path: Path) -> None:
    script = tmp_path / "start.py"
    script.write_text("import onnxruntime\nprint(onnxruntime.get_available_providers())\n")
    printed = qemu.run(script, core_name=core, installation=arm64, timeout_s=TIMEOUT_S)
    assert "CPUExecutionProvider" in printed
