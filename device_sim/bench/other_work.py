"""Work that an app does between two calls of the runtime: it leaves the processor's caches cold.

`OtherWork.do` does two things, in this order:

1. It reads every byte of WALK_BYTES of memory that nothing else uses (`bytearray.find`, one pass, in C). That is more
   than the data caches of most processors hold, so data and code of the timed call have to come from main memory again.
2. It runs Python that has nothing to do with the runtime, about 2 ms: JSON written and read, a regular expression over
   the text, words counted and sorted, exact fractions summed. So the interpreter itself is as warm as in a busy app.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from fractions import Fraction
from typing import Final

WALK_BYTES: Final = 64 << 20
_ABSENT: Final = 0  # a byte that the walked memory does not have
_RECORDS: Final = 100


class OtherWork:
    """The memory that is walked, and the Python that is run."""

    def __init__(self, walk_bytes: int = WALK_BYTES) -> None:
        # Written once: pages that were never written are all one and the same page of the kernel.
        self._memory = bytearray(b"\x01") * walk_bytes

    def do(self) -> None:
        """Walks the memory, then runs the unrelated Python."""
        self.walk()
        unrelated_python()

    def walk(self) -> int:
        """Reads the whole memory; returns how many bytes that were."""
        if self._memory.find(_ABSENT) >= 0:
            raise RuntimeError("the walk ended early: something wrote to its memory")
        return len(self._memory)


def unrelated_python() -> str:
    """Returns a summary of some made-up records, the same each time."""
    records = [{"name": f"entry {number:03}", "sizes": [number, number * 7 % 13]} for number in range(_RECORDS)]
    text = re.sub(r"entry (\d)", r"record \1", json.dumps(records))
    read = json.loads(text)
    counted = Counter(size for record in read for size in record["sizes"])
    share = sum((Fraction(count, size + 1) for size, count in sorted(counted.items())), Fraction(0))
    names = sorted((str(record["name"]) for record in read), key=lambda name: name[::-1])
    return f"{names[0]}, {names[-1]}, {share.limit_denominator(1000)}"
