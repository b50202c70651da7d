"""The models and tables of an open bundle are read-only views into the mapped file, never copies."""

from __future__ import annotations

import mmap

import numpy as np

from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from tests.support.scene import Small


def test_the_model_is_a_view_into_the_mapped_file(small: Small) -> None:
    view = open_container(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False)
    assert isinstance(view.obj, mmap.mmap)
    assert view.readonly
    file = np.frombuffer(view.obj, np.uint8)
    bundle = read_bundle(small.bundle, view)
    for graph, content in ((bundle.model, small.content.model), (bundle.explainer, small.content.explainer)):
        array = np.frombuffer(graph, np.uint8)
        assert np.shares_memory(array, file)
        assert file.ctypes.data <= array.ctypes.data <= file.ctypes.data + len(file) - len(content)
        assert array.tobytes() == content
        assert graph.readonly


def test_the_tables_are_views_into_the_mapped_file(small: Small) -> None:
    view = open_container(small.bundle, trusted_keys=[small.public_key], allow_unsigned=False)
    file = np.frombuffer(view, np.uint8)
    tables = read_bundle(small.bundle, view).tables
    assert tables is not None
    for name, table, content in zip(tables._fields, tables, small.content.tables, strict=True):
        assert np.shares_memory(table, file), name
        assert not table.flags.writeable
        assert table.ctypes.data % 4 == 0
        assert table.shape == content.shape
        assert table.tobytes() == content.tobytes()
