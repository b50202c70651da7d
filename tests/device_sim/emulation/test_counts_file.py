"""Counts files read back equal, and other files are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_sim.counts.counts import (
    IMAGES,
    INSTRUCTION_CLASSES,
    STAGES,
    BundleCounts,
    Caches,
    Counts,
    CountsFileError,
    Operation,
    Part,
)

_AMOUNTS = st.floats(0, 1e12, allow_nan=False)
_MISSES = st.none() | _AMOUNTS
_COUNTS = st.builds(
    Counts,
    mix=st.dictionaries(st.sampled_from(INSTRUCTION_CLASSES), _AMOUNTS),
    l1i_misses=_MISSES,
    l1d_misses=_MISSES,
    l2_misses=_MISSES,
    l3_misses=_MISSES,
)
_PARTS = st.builds(Part, stage=st.sampled_from(STAGES), image=st.sampled_from(IMAGES), counts=_COUNTS)
_SIZES = st.tuples(st.integers(1, 4096), st.integers(1, 16))
_BUNDLES = st.builds(
    BundleCounts,
    core=st.text(max_size=12),
    scene=st.text(max_size=12),
    bundle_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    bundle_bytes=st.integers(0, 2**40),
    items=st.integers(0, 2**31),
    candidates=st.integers(0, 4096),
    window=st.integers(1, 4096),
    caches=st.none() | st.builds(Caches, l1i=_SIZES, l1d=_SIZES, l2=_SIZES, l3=st.none() | _SIZES),
    operations=st.dictionaries(
        st.text(max_size=8), st.builds(Operation, parts=st.lists(_PARTS, max_size=4).map(tuple)), max_size=3
    ),
    repetitions=st.dictionaries(st.text(max_size=8), st.integers(1, 500), max_size=3),
    versions=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    conformance=st.dictionaries(st.text(max_size=8), st.integers(-(2**53), 2**53) | st.text(max_size=8), max_size=3),
)


@given(_BUNDLES)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read(tmp_path: Path, counts: BundleCounts) -> None:
    path = tmp_path / "counts.json"
    counts.write_json(path)
    assert BundleCounts.read_json(path) == counts


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_file_is_refused_with_a_fix(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts.json"
    path.write_bytes(content)
    with pytest.raises(CountsFileError, match="device-sim count"):
        BundleCounts.read_json(path)
