"""A log that is cut anywhere, or has any one byte altered, opens with every intact record, and counts the damaged.

Every length and every byte of logs of all sorts: begun, gone round, grown, with erased and expired records, encrypted.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_sdk.errors import WrongKeyError
from tests.support.event_log_rows import HEADER, SMALL, fill, reopened, row
from tests.support.log_images import KEY, NAMES, Image, ScratchLog, image


@pytest.fixture
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Image:
    return image(tmp_path, request.param)


@pytest.fixture
def scratch(log: Image) -> Iterator[ScratchLog]:
    with closing(ScratchLog(log.key)) as opened:
        yield opened


EACH = pytest.mark.parametrize("log", NAMES, indirect=True)


@EACH
def test_a_whole_log_gives_all(log: Image, scratch: ScratchLog) -> None:
    numbers = sorted(set(log.written.values()) - log.blanked)
    expected = {
        "plain": list(range(1, 41)),
        "wrapped": list(range(75, 201)),
        "grown": list(range(175, 306)),
        "thinned": [n for n in range(25, 151) if not 60 <= n < 72 and n not in (30, 31, 149)],
        "encrypted": list(range(1, 41)),
        "encrypted and wrapped": list(range(138, 201)),
    }[log.name]
    assert numbers == expected
    assert scratch.opened(log.content) == ([row(seq) for seq in expected], 0)
    assert scratch.content() == log.content


@EACH
def test_a_log_cut_at_any_length_keeps_the_records_before_the_cut(log: Image, scratch: ScratchLog) -> None:
    for length in range(24, len(log.content)):
        cut = log.content[:length]
        missing_read_as_zeros = cut.ljust(len(log.content), b"\x00")
        assert scratch.opened(cut) == log.left(missing_read_as_zeros), length
        if length >= HEADER:
            assert scratch.content() == missing_read_as_zeros


@pytest.mark.parametrize("length", range(24))
def test_a_log_cut_within_its_header_begins_anew(tmp_path: Path, length: int) -> None:
    path = tmp_path / "events.log"
    fill(path, 3)
    path.write_bytes(path.read_bytes()[:length])
    assert reopened(path) == ([], 1)
    assert path.stat().st_size == SMALL
    assert reopened(path) == ([], 0)


@pytest.mark.parametrize(
    ("log", "patterns"),
    [*((name, "random") for name in NAMES), ("plain", "lowest bit"), ("plain", "all bits")],
    indirect=["log"],
)
def test_any_one_damaged_byte_costs_at_most_its_own_record(log: Image, scratch: ScratchLog, patterns: str) -> None:
    generator = random.Random(1)
    content = bytearray(log.content)
    for at, byte in enumerate(log.content):
        content[at] ^= {"random": generator.randrange(1, 256), "lowest bit": 1, "all bits": 255}[patterns]
        found, damaged = scratch.opened(bytes(content))
        slot = (at - HEADER) // log.slot_bytes if at >= HEADER else -1
        numbers = [seq for place, seq in log.written.items() if place != slot and seq not in log.blanked]
        assert found == [row(seq) for seq in sorted(numbers)], at
        assert damaged == (at >= HEADER), at
        content[at] = byte


def test_no_damage_to_the_header_lets_a_wrong_key_in(tmp_path: Path) -> None:
    encrypted = image(tmp_path, "encrypted")
    for key in (b"x" * 16, None):
        with closing(ScratchLog(key)) as scratch:
            for at in range(HEADER):
                content = bytearray(encrypted.content)
                content[at] ^= 255
                with pytest.raises(WrongKeyError):
                    scratch.opened(bytes(content))
                assert scratch.content() == content
    with closing(ScratchLog(KEY)) as scratch:
        assert len(scratch.opened(encrypted.content)[0]) == 40
