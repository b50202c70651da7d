"""The models and tables of an open bundle are read-only views into one copy of the file, which is read once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import BundleUnreadableError
from tests.support.scene import Small


def test_the_model_is_a_view_into_the_one_copy(small: Small) -> None:
    view = open_container(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False)
    assert isinstance(view.obj, bytes)
    assert view.readonly
    file = np.frombuffer(view.obj, np.uint8)
    bundle = read_bundle(small.bundle, view)
    for graph, content in ((bundle.model, small.content.model), (bundle.explainer, small.content.explainer)):
        array = np.frombuffer(graph, np.uint8)
        assert np.shares_memory(array, file)
        assert file.ctypes.data <= array.ctypes.data <= file.ctypes.data + len(file) - len(content)
        assert array.tobytes() == content
        assert graph.readonly


def test_the_tables_are_views_into_the_one_copy(small: Small) -> None:
    view = open_container(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False)
    file = np.frombuffer(view, np.uint8)
    bundle = read_bundle(small.bundle, view)
    tables = bundle.tables
    assert tables is not None
    for name, table, content in zip(tables._fields, tables, small.content.tables, strict=True):
        assert np.shares_memory(table, file), name
        assert not table.flags.writeable
        assert table.ctypes.data % 4 == 0
        assert table.shape == content.shape
        assert table.tobytes() == content.tobytes()
    assert bundle.stand_ins is not None  # made at opening, as the only rows that are not in the file
    assert bundle.stand_ins.shape == (len(bundle.categories), tables.dimension)
    categories = bundle.layout.offers.row_category
    for row, found in enumerate(bundle.stand_ins, 1):
        np.testing.assert_array_equal(
            found, tables.offers[categories == row].astype(np.float64).mean(0).astype(np.float32)
        )


def test_a_bundle_that_is_changed_or_cut_after_opening_changes_nothing(small: Small, tmp_path: Path) -> None:
    path = tmp_path / "app.edge"
    path.write_bytes(small.bundle.read_bytes())
    view = open_container(path, trusted_keys=[small.public_key], allow_unsigned=False)
    before, bundle = bytes(view), read_bundle(path, view)
    with path.open("r+b") as file:
        file.write(bytes(4096))
        file.truncate(4096)
    assert bytes(view) == before
    assert bytes(bundle.model) == small.content.model
    assert bundle.text_tables.languages == read_bundle(small.bundle, memoryview(before)).text_tables.languages


def test_what_is_no_ordinary_file_is_no_bundle_and_nobody_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "app.edge"
    os.mkfifo(path)
    for odd in (path, tmp_path, Path("/dev/zero")):
        with pytest.raises(BundleUnreadableError):
            open_container(odd, trusted_keys=[], allow_unsigned=True)
