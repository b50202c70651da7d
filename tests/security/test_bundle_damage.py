"""An altered `.edge` file is refused with a typed error, or the alteration was harmless.

Cut, flipped, spliced and made-up files never give another payload, any error but the runtime's own, or more work than
a sound file; foreign, missing and damaged files leave the state folder as it was.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_export.export.container_writer import sign_container
from edge_sdk import EdgeError
from edge_sdk.bundle import checked_tables
from edge_sdk.bundle.container import open_container
from edge_sdk.errors import BundleDamagedError, BundleUnreadableError
from tests.support.bundle_refusals import KEY, Refuser, written
from tests.support.bundle_refusals import payload as payload
from tests.support.bundle_refusals import refuser as refuser
from tests.support.bundle_refusals import whole as whole
from tests.support.scene import Small


@pytest.fixture(scope="module")
def outside(whole: bytes, payload: bytes) -> list[int]:
    """The positions of the file's own tables: everything that is not payload."""
    at = whole.index(payload)
    return [place for place in range(len(whole)) if not at <= place < at + len(payload)]


class Taker:
    """Opens files that may be damaged."""

    def __init__(self, path: Path, payload: bytes, key: bytes) -> None:
        self.path, self.payload, self.key = path, payload, key

    def take(self, content: bytes) -> type[EdgeError] | None:
        """Why it was refused; None when the very same payload came out. Anything else fails the test."""
        try:
            view = open_container(written(self.path, content), trusted_keys=[self.key], allow_unsigned=False)
        except EdgeError as problem:
            return type(problem)
        assert bytes(view) == self.payload
        return None


@pytest.fixture(scope="module")
def taker(small: Small, payload: bytes, tmp_path_factory: pytest.TempPathFactory) -> Taker:
    return Taker(tmp_path_factory.mktemp("damage") / "damaged.edge", payload, small.public_key)


# ---- altered bytes ----


def test_the_whole_file_is_taken(taker: Taker, whole: bytes) -> None:
    assert taker.take(whole) is None


def test_every_truncation_is_refused(taker: Taker, whole: bytes) -> None:
    lengths = [*range(200), *range(200, len(whole), 97), *range(len(whole) - 200, len(whole))]
    found = {length: taker.take(whole[:length]) for length in lengths}
    assert found[0] is found[15] is BundleDamagedError
    harmless = [length for length in found if found[length] is None]
    assert not any(whole[min(harmless, default=len(whole)) :])  # nothing but padding was cut
    assert len(harmless) <= 4


def test_every_bit_of_the_tables_around_the_payload(taker: Taker, whole: bytes, outside: list[int]) -> None:
    assert 150 < len(outside) < 400
    for place in outside:
        for bit in range(8):
            taker.take(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])


@pytest.mark.parametrize("number", [0, 1, 4, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF])
def test_every_word_of_the_tables_set_to_an_extreme(
    taker: Taker, whole: bytes, outside: list[int], number: int
) -> None:
    for place in outside:
        if place % 4 == 0:
            taker.take(whole[:place] + struct.pack("<I", number) + whole[place + 4 :])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_payload_is_damage(taker: Taker, whole: bytes, where: float, bit: int) -> None:
    place = whole.index(taker.payload) + int(where * len(taker.payload))
    assert taker.take(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]) is BundleDamagedError


@settings(max_examples=300, deadline=None, derandomize=True)
@given(where=st.floats(0, 1), gone=st.integers(0, 64), new=st.binary(max_size=64))
def test_a_spliced_file_is_refused_or_harmless(taker: Taker, whole: bytes, where: float, gone: int, new: bytes) -> None:
    place = int(where * len(whole))
    taker.take(whole[:place] + new + whole[place + gone :])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(content=st.binary(max_size=400), identified=st.booleans())
def test_noise_is_refused(taker: Taker, content: bytes, identified: bool) -> None:
    if identified:
        content = content[:4] + b"EDGE" + content[8:]
    assert taker.take(content) is not None


def test_bytes_after_the_end_are_harmless(taker: Taker, whole: bytes) -> None:
    assert taker.take(whole + b"rest") is None


def test_a_damaged_length_costs_no_more_work_than_a_right_one(
    tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word of the tables altered, around a megabyte that reads as plausible lengths and offsets."""
    words = struct.pack("<I", 0x10000) * (1 << 18)
    raw = sign_container(words, [KEY])
    at = raw.index(words)
    taker = Taker(tmp_path / "damaged.edge", words, small.public_key)
    reads = [0]
    take = checked_tables._Unpacker._take  # noqa: SLF001 - every part that is read passes here

    def counted(unpacker: Any, start: int, count: int, what: str) -> None:
        reads[0] += 1
        take(unpacker, start, count, what)

    monkeypatch.setattr(checked_tables._Unpacker, "_take", counted)  # noqa: SLF001
    most = 0
    for place in [*range(0, at, 4), *range(at + len(words), len(raw) - 3, 4)]:
        right = struct.unpack_from("<I", raw, place)[0]
        for number in (right + 0x10000, right - 0x10000, 0x10000, 0xFFFFFFFF):
            reads[0] = 0
            taker.take(raw[:place] + struct.pack("<I", number & 0xFFFFFFFF) + raw[place + 4 :])
            most = max(most, reads[0])
    assert 0 < most < 80


# ---- through Engine.open, which leaves the state folder alone ----


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "size: 0 bytes"),
        (b"EDGE", "size: 4 bytes"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64), r"file identifier: b'\r\n\x1a\n' instead of b'EDGE'"),
        (b"[scene]\nname = 'small'\n", "file identifier: b'ne]\\n' instead of b'EDGE'"),
        (b"\x08\0\0\0EDGE" + bytes(64), "container: not readable (Container: a vtable of 0 bytes at 8 of 72)"),
    ],
    ids=["empty", "short", "png", "text", "hollow"],
)
def test_a_foreign_file_is_damaged(refuser: Refuser, content: bytes, words: str) -> None:
    refuser.refuse(content, BundleDamagedError, words, "cloud-export run")


def test_a_missing_file_and_a_folder_are_unreadable(refuser: Refuser, tmp_path: Path) -> None:
    refuser.refuse(tmp_path / "none.edge", BundleUnreadableError, "No such file")
    refuser.refuse(tmp_path, BundleUnreadableError, "it is no ordinary file but a folder, ", "ship the .edge file")


def test_a_truncated_and_an_altered_file_are_damaged(refuser: Refuser, whole: bytes, payload: bytes) -> None:
    refuser.refuse(whole[:-100], BundleDamagedError)
    middle = whole.index(payload) + len(payload) // 2
    altered = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    refuser.refuse(altered, BundleDamagedError, "sha256: the payload has changed")
    refuser.refuse(altered, BundleDamagedError, "sha256: the payload has changed", allow_unsigned=True)
