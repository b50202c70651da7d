"""An address belongs to the library that is mapped there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.counts.counts import IMAGES, Image
from device_sim.emulation.images import read_maps

MAPS = """\
5500000000-5500400000 r-xp 00000000 fe:00 11 /cache/root-cortex-a55/usr/bin/python3.11
5501800000-5501803000 rw-p 00000000 00:00 0
5502000000-5502002000 r-xp 00000000 fe:00 12 /cache/root/lib/aarch64-linux-gnu/libc.so.6
5502002000-5502003000 r-xp 00000000 fe:00 13 /cache/site/onnxruntime/capi/onnxruntime_pybind11_state.so
5502003000-5502004000 r-xp 00000000 fe:00 14 /cache/site/numpy.libs/libscipy_openblas64_-1.so
5502004000-5502005000 r-xp 00000000 fe:00 15 /cache/root/usr/lib/python3.11/lib-dynload/_json.so
5502005000-5502006000 r-xp 00000000 fe:00 16 /a folder/libssl.so.3
5502006000-5502007000 r-xp 00000000 fe:00 17 /cache/root/lib/ld-linux-aarch64.so.1
"""


@pytest.mark.parametrize(
    ("address", "image"),
    [
        (0x5500000000, "python"),
        (0x55003FFFFF, "python"),
        (0x5500400000, "other"),
        (0x5501800000, "other"),
        (0x5502001000, "libc"),
        (0x5502002000, "onnxruntime"),
        (0x5502003000, "numpy"),
        (0x5502004000, "python"),
        (0x5502005000, "other"),
        (0x5502006000, "libc"),
        (0, "other"),
        (2**63, "other"),
    ],
)
def test_each_address_has_its_image(address: int, image: Image) -> None:
    assert read_maps(MAPS).image_of(address >> 12) == image


def test_a_path_may_have_spaces() -> None:
    assert read_maps(MAPS).path_of(0x5502005000 >> 12) == "/a folder/libssl.so.3"


@given(st.text(), st.integers(0, 2**52))
def test_any_text_is_read(text: str, page: int) -> None:
    assert read_maps(text).image_of(page) in IMAGES
