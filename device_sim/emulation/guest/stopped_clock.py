"""Stops the emulated machine's clock, so that nothing in the guest depends on time.

onnxruntime summarises its calls after some seconds, whether or not it reports them (InferenceSession::Run,
`runtime_perf_interval`). Under an emulator the summary falls into a different decision each time. It frees memory, so
that later allocations have other addresses and every later count differs. This is for the emulator only: on a real
processor the instruction cache would have to be invalidated after the code has changed.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import Final

# clock_gettime(clock, timespec *when) of arm64: the seconds of the mark below, no nanoseconds, success.
_CODE: Final = struct.pack(
    "<6I",
    0xD2AD2002,  # movz x2, #0x6900, lsl #16   1,761,607,680 s = 2025-10-27 23:28 UTC
    0xF9000022,  # str  x2, [x1]
    0xF900043F,  # str  xzr, [x1, #8]
    0x52800000,  # mov  w0, #0
    0xD65F03C0,  # ret
    0xD503201F,  # nop
)
_WRITABLE: Final = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC


def stop_clock() -> None:
    """Stops every clock of this process.

    Raises:
        OSError: The C library's code cannot be made writable.
    """
    library = ctypes.CDLL(None, use_errno=True)
    address = ctypes.cast(library.clock_gettime, ctypes.c_void_p).value
    assert address is not None
    page = address & ~(mmap.PAGESIZE - 1)
    length = address + len(_CODE) - page
    if library.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(length), _WRITABLE):
        raise OSError(ctypes.get_errno(), "the emulated clock cannot be stopped")
    ctypes.memmove(address, _CODE, len(_CODE))
