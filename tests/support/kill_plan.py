"""A recorder records these events before it is killed, and reports the acknowledged ones by these messages.

An event identifies its recorder: its decision is the thread's number plus 1, its value the thread's own count, and its
time the place in the order of all events of all threads.
"""

from __future__ import annotations

import struct
from typing import Final

THREADS: Final = 3
KINDS: Final = ("view", "click", "impression", "dismiss", "convert", "note")
ITEMS: Final = ("coupon_a", "fund_a", "fund_b", "fund_d", "page_home", "never heard of")
ERASED_ITEM: Final = "page_home"
KEYS: Final = (None, b"a" * 16, b"b" * 32)
RENUMBER_AT: Final = 380  # of a ring of 126: numbers are lowered by 126

# Act, thread, the thread's count, sequence number, place in the order (of a change: 0, 0, the key then, its place).
# What is recorded or changed is announced with the engine's lock held, and acknowledged when the method returns.
MESSAGE: Final = struct.Struct("<5I")
RECORDING, RECORDING_MANY, RECORDED, RECORDED_MANY, BEGUN, DONE = range(6)

START_MS: Final = 1_768_000_000_000
STEP_MS: Final = 997
OF_MANY: Final = 100  # is added to the decision of events that came by `record_many`


def event(thread: int, count: int) -> tuple[str, str]:
    """Kind and item of a thread's `count`-th event."""
    return KINDS[(count + thread) % len(KINDS)], ITEMS[(count * (thread + 2) + count // 7) % len(ITEMS)]


def many(count: int) -> int:
    """How many events go into the `record_many` after a thread's `count`-th event: often more than a ring of 126."""
    return (200, 3, 126, 70, 40)[count % 5]


def many_time_ms(count: int) -> int:
    """The time of an event that came by `record_many`."""
    return START_MS - 86_400_000 + count * 13
