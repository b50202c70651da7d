"""The checked reader gives what flatc's code gives, and refuses offsets out of the file and parts shared too often."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from edge_sdk.bundle import checked_tables
from edge_sdk.bundle.checked_tables import CheckedTexts, MalformedFileError, unpacked
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.format.generated.edge_fields import FIELDS
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import EdgeError
from edge_sdk.limits import READS_A_BYTE
from edge_sdk.log.record import RECORD
from tests.support import schema_fields
from tests.support.bundle_refusals import payload as payload
from tests.support.paths import GOLDEN

BUNDLES = sorted(path.name for path in GOLDEN.glob("*.edge"))
STRUCTS = {"Event": RECORD}


def payload_of(name: str) -> memoryview:
    return open_container(GOLDEN / name, trusted_keys=[], allow_unsigned=True)


def test_the_fields_are_those_of_the_schema() -> None:
    assert schema_fields.GENERATED.read_text(encoding="utf-8") == schema_fields.generated(), "run `make format`"
    for table, fields in FIELDS.items():
        assert set(vars(getattr(fb, f"{table}T")())) == {attribute for attribute, _, _ in fields}


def assert_equal(mine: Any, theirs: Any, path: str) -> None:
    if isinstance(mine, CheckedTexts):
        assert [text.encode() for text in mine.read()] == theirs, path
    elif isinstance(mine, np.ndarray) and mine.dtype == RECORD:
        columns = ("seq", "kind", "value", "decision")
        assert [tuple(row[name] for name in columns) for row in mine] == [
            tuple(getattr(event, name) for name in columns) for event in theirs
        ], path
    elif isinstance(mine, memoryview):
        assert (mine.format, bytes(mine)) == ("B", theirs.tobytes()), path
    elif isinstance(mine, np.ndarray):
        assert (mine.dtype, mine.tobytes()) == (theirs.dtype, theirs.tobytes()), path
    elif isinstance(mine, list):
        assert len(mine) == len(theirs), path
        for index, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            assert_equal(one, other, f"{path}[{index}]")
    elif type(mine).__name__.endswith("T"):
        assert type(mine).__name__ == type(theirs).__name__, path
        for name, value in vars(theirs).items():
            assert_equal(getattr(mine, name), value, f"{path}.{name}")
    else:
        assert (type(mine), mine) == (type(theirs), theirs), path


@pytest.mark.parametrize("name", BUNDLES)
def test_the_tree_is_that_of_the_generated_code(name: str) -> None:
    view = payload_of(name)
    assert_equal(unpacked(view, "Bundle", STRUCTS), fb.BundleT.InitFromPackedBuf(view), "bundle")


@pytest.mark.parametrize("name", BUNDLES)
def test_a_truncated_payload_is_malformed_at_every_length(name: str) -> None:
    whole = bytes(payload_of(name))
    for length in [*range(64), *range(64, len(whole) - 4, 101)]:
        with pytest.raises(MalformedFileError):
            unpacked(memoryview(whole[:length]), "Bundle", STRUCTS)


# ---- shared parts ----


def shared(width: int, text: int) -> bytes:
    """A policy file whose rules are one rule, whose conditions are one condition, whose values are one text."""
    builder = flatbuffers.Builder(0)

    def vector(of: int) -> int:
        builder.StartVector(4, width, 4)
        for _ in range(width):
            builder.PrependUOffsetTRelative(of)
        return int(builder.EndVector())

    values = vector(builder.CreateString("x" * text))
    fb.ConditionStart(builder)
    fb.ConditionAddValues(builder, values)
    conditions = vector(fb.ConditionEnd(builder))
    fb.EligibilityRuleStart(builder)
    fb.EligibilityRuleAddWhen(builder, conditions)
    rules = vector(fb.EligibilityRuleEnd(builder))
    fb.PolicyStart(builder)
    fb.PolicyAddRules(builder, rules)
    policy = fb.PolicyEnd(builder)
    fb.PolicyFileStart(builder)
    fb.PolicyFileAddPolicy(builder, policy)
    builder.Finish(fb.PolicyFileEnd(builder))
    return bytes(builder.Output())


def test_parts_that_many_places_share_cost_no_more_than_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [0]
    take = checked_tables._Unpacker._take  # noqa: SLF001

    def counted(unpacker: Any, start: int, count: int, what: str) -> None:
        take(unpacker, start, count, what)
        taken[0] += count

    monkeypatch.setattr(checked_tables._Unpacker, "_take", counted)  # noqa: SLF001
    for width, text in ((1000, 3), (2, 1000), (30, 100_000)):
        raw, taken[0] = shared(width, text), 0
        with pytest.raises(MalformedFileError, match="its parts are shared so often"):
            unpacked(memoryview(raw), "PolicyFile", {})
        assert taken[0] <= READS_A_BYTE * len(raw)
    assert unpacked(memoryview(shared(1, 40)), "PolicyFile", {}).policy.rules[0].when[0].values == [b"x" * 40]


def test_more_tables_than_the_bound_are_malformed() -> None:
    raw = memoryview(shared(1, 40))
    unpacked(raw, "PolicyFile", {}, tables_max=4)  # file, policy, rule, condition
    with pytest.raises(MalformedFileError, match="more than 3 tables"):
        unpacked(raw, "PolicyFile", {}, tables_max=3)


# ---- altered bytes ----


def test_altered_words_give_typed_errors_alone(payload: bytes, tmp_path: Path) -> None:
    """Offsets, lengths and numbers of every table, set to extremes: refused with a typed error, or harmless."""
    chance = random.Random(14)
    model = payload.index(b"edge-sdk")  # where the graphs begin: they have a test of their own
    outcomes = {"refused": 0, "taken": 0}
    for _ in range(1500):
        place = chance.randrange(0, len(payload) - 4)
        if model - 16 <= place < model + 8000:
            continue
        word = chance.choice((0, 1, 3, 4, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, chance.getrandbits(32)))
        altered = payload[:place] + struct.pack("<I", word) + payload[place + 4 :]
        try:
            bundle = read_bundle(tmp_path / "altered.edge", memoryview(altered))
        except EdgeError:
            outcomes["refused"] += 1
        else:
            outcomes["taken"] += 1
            for language in bundle.languages:
                bundle.texts(language)
    assert min(outcomes.values()) > 50, outcomes
