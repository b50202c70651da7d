"""The count of one operation is 2N − N loops, minus the preparation, minus the cost of probes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.counts.counts import IMAGES, INSTRUCTION_CLASSES, STAGES, Counts
from device_sim.emulation.differences import LEVELS, Loop, MissingLoopError, split, tally

_WIDTH = len(INSTRUCTION_CLASSES) + len(LEVELS)
_ENGINE, _WINDOW, _MODEL = (STAGES.index(stage) for stage in ("engine", "window", "model"))
_ORT, _PYTHON = IMAGES.index("onnxruntime"), IMAGES.index("python")
_INTEGER, _LOAD = INSTRUCTION_CLASSES.index("integer"), INSTRUCTION_CLASSES.index("load")
_L1D = len(INSTRUCTION_CLASSES) + LEVELS.index("l1d_misses")
_NO_ENTRIES: dict[str, int] = dict.fromkeys(STAGES, 0)


def loop(operation: str, name: str, length: int, cells: dict[tuple[int, int, int], float], **entries: int) -> Loop:
    counts = np.zeros((len(STAGES), len(IMAGES), _WIDTH))
    for cell, value in cells.items():
        counts[cell] = value
    return Loop(operation, name, length, {**_NO_ENTRIES, **entries}, counts)


def python(operation: str, name: str, length: int, engine: float, behind: float = 0.0, **entries: int) -> Loop:
    cells = {(_ENGINE, _PYTHON, _INTEGER): engine, (_WINDOW, _PYTHON, _INTEGER): behind}
    return loop(operation, name, length, cells, **entries)


# A start of 1,000; a round of nothing takes 10, without a probe 14; a wrapped one adds 30 around and 20 behind.
PROBE = [
    python("probe", "idle", 4, 1040), python("probe", "idle", 8, 1080),
    python("probe", "plain", 4, 1056), python("probe", "plain", 8, 1112),
    python("probe", "staged", 4, 1176, 80, window=4), python("probe", "staged", 8, 1352, 160, window=8),
]  # fmt: skip
# What goes before takes 50; the operation 400: 300 in the engine, 100 in the window, which is begun twice.
RANK = [
    python("rank", "idle", 2, 500 + 2 * 50), python("rank", "idle", 4, 500 + 4 * 50),
    python("rank", "plain", 2, 500 + 2 * 450), python("rank", "plain", 4, 500 + 4 * 450),
    python("rank", "staged", 2, 500 + 2 * (350 + 60), 2 * (100 + 40), window=4),
    python("rank", "staged", 4, 500 + 4 * (350 + 60), 4 * (100 + 40), window=8),
]  # fmt: skip


def test_an_operation_is_the_difference_of_its_loops_and_its_stages_add_up_to_it() -> None:
    found = split([*PROBE, *RANK])["rank"]
    assert found.operation.total().instructions == 400
    assert found.operation.total(stage="window").instructions == 100
    assert found.operation.total(stage="engine").instructions == 300
    assert found.repetitions == 2
    assert found.left_over == 0.0


def test_the_cost_of_wrapping_is_reported_and_the_total_stays_that_of_the_unwrapped_loop() -> None:
    staged = [
        python("rank", "staged", 2, 500 + 2 * (350 + 60 + 16), 2 * (100 + 40 + 4), window=4),
        python("rank", "staged", 4, 500 + 4 * (350 + 60 + 16), 4 * (100 + 40 + 4), window=8),
    ]
    found = split([*PROBE, *RANK[:4], *staged])["rank"]
    assert found.left_over == pytest.approx(20 / 400)
    assert found.operation.total().instructions == 400
    assert found.operation.total(stage="window").instructions == pytest.approx(400 * 104 / 420, abs=1e-3)


def test_what_no_stage_was_seen_doing_is_the_engines() -> None:
    plain = [
        loop("rank", "plain", length, {(_ENGINE, _ORT, _LOAD): 7.0 * length, (_ENGINE, _PYTHON, _L1D): 3.0 * length})
        for length in (2, 4)
    ]
    idle, staged = ([loop("rank", name, length, {}) for length in (2, 4)] for name in ("idle", "staged"))
    operation = split([*PROBE, *idle, *plain, *staged])["rank"].operation
    assert operation.total(stage="engine", image="onnxruntime").mix["load"] == 7.0
    assert operation.total(stage="engine", image="python").l1d_misses == 3.0
    assert operation.total(stage="model").instructions == 0


def test_a_loop_that_is_missing_is_named() -> None:
    with pytest.raises(MissingLoopError, match="rank, plain loop is missing; run it again"):
        split([*PROBE, *RANK[:3]])
    with pytest.raises(MissingLoopError, match="probe, plain"):
        split(RANK)


def test_a_level_that_was_not_simulated_stays_unknown() -> None:
    without_l3 = {"python": Counts(mix={"load": 5.0}, l1i_misses=1.0, l1d_misses=2.0, l2_misses=3.0)}
    row = tally(without_l3)[_PYTHON]  # type: ignore[arg-type]
    assert row[_LOAD] == 5.0
    assert row[-4:-1].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(row[-1])


_STAGE, _IMAGE, _COLUMN = (st.integers(0, size - 1) for size in (len(STAGES), len(IMAGES), _WIDTH))
_VALUE = st.integers(0, 10**9)


@given(
    st.lists(st.tuples(_STAGE, _IMAGE, _COLUMN, _VALUE), max_size=30),
    st.lists(st.tuples(_IMAGE, _COLUMN, _VALUE), max_size=30),
)
def test_parts_never_are_negative_and_add_up_to_the_unwrapped_total(
    staged: list[tuple[int, int, int, int]], plain: list[tuple[int, int, int]]
) -> None:
    whole = {(_ENGINE, image, column): float(value) for image, column, value in plain}
    whole[_ENGINE, _PYTHON, _INTEGER] = 1.0
    seen = {(stage, image, column): float(value) for stage, image, column, value in staged}
    loops = [
        loop("rank", name, length, {cell: length * value for cell, value in cells.items()})
        for name, cells in (("idle", {}), ("plain", whole), ("staged", seen))
        for length in (1, 2)
    ]
    operation = split([*PROBE, *loops])["rank"].operation
    assert all(value >= 0 for part in operation.parts for value in part.counts.mix.values())
    expected = sum(value for (_, _, column), value in whole.items() if column < len(INSTRUCTION_CLASSES))
    assert operation.total().instructions == pytest.approx(expected, rel=1e-9, abs=0.1)
