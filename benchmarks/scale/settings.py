"""The sizes of `benchmarks.scale`: full, or as small as a test needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes and repetitions of each question."""

    rounds: int = 15
    ranks: int = 100  # of a size and round
    new_bases: int = 20  # of a size and round
    records: int = 2048  # of a size and round: memory takes events in twice
    windows: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    candidates: tuple[int, ...] = (5, 10, 20, 50, 100, 200, 500, 1000)
    items: tuple[int, ...] = (100, 1000, 10_000, 100_000, 1_000_000)
    histories: tuple[int, ...] = (0, 1000, 10_000, 100_000, 1_000_000)
    opens: int = 3  # of a size and round
    open_rounds: int = 5
    fresh_processes: int = 3  # of a size
    threads: tuple[int, ...] = (1, 2, 4, 8)
    thread_rounds: int = 5
    thread_decisions: int = 4000  # of all threads together, in a round
    log_users: tuple[int, ...] = (20, 200, 2000, 20_000)  # two weeks of them: 10 thousand to 10 million events
    log_days: int = 14
    log_rounds: int = 3
    log_once_above_users: int = 5000  # a log this long is read once


QUICK = Settings(
    rounds=2,
    ranks=10,
    new_bases=3,
    records=64,
    windows=(16, 32),
    candidates=(5, 20, 50),
    items=(100, 2000),
    histories=(0, 100, 1000),
    opens=1,
    open_rounds=2,
    fresh_processes=1,
    threads=(1, 2),
    thread_rounds=2,
    thread_decisions=40,
    log_users=(3, 12),
    log_days=3,
    log_rounds=1,
)
