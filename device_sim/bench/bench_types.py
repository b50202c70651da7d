"""The JSON file of `device-sim bench`: times of this machine, sizes, and counts if there are any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, get_args

from device_sim.counts.counts import BundleCounts
from device_sim.files import Frozen, JsonFile

FORMAT: Final = 1
LADDER: Final = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)  # the percentiles of a drawn distribution

Timed = Literal["record", "rank", "rank_new_base"]
TIMED: Final[tuple[Timed, ...]] = get_args(Timed)

ConditionName = Literal["quiet", "neighbour", "same_cpu", "quota"]
CONDITIONS: Final[Mapping[ConditionName, str]] = {
    "quiet": "nothing else started",
    "neighbour": "one process burns CPU, wherever the system puts it",
    "same_cpu": "one process burns the CPU that the runtime is bound to",
    "quota": "a cgroup grants half of one CPU, 5 ms in every 10",
}


class BenchFileError(Exception):
    """A file of an earlier bench is not usable; the message names the file, the field and the fix."""


class Spread(Frozen):
    """The median of several rounds or processes, with the lowest and the highest."""

    median: float
    low: float
    high: float


class Latency(Frozen):
    """Single calls of one operation, all rounds together, in microseconds.

    Attributes:
        calls: How many calls were timed.
        ladder_us: The percentiles named in LADDER.
        to_quiet: This condition's figure divided by that of `quiet` in the same round: `p50`, `p99` and `mean`;
            empty for `quiet` itself.
    """

    calls: int
    mean_us: float
    p50_us: float
    p95_us: float
    p99_us: float
    max_us: float
    ladder_us: tuple[float, ...]
    to_quiet: Mapping[str, Spread]


class Condition(Frozen):
    """The condition of the machine during timed calls, and the times.

    Attributes:
        unavailable: Why this machine cannot make the condition; empty = it was measured.
        operations: The times by operation of TIMED; empty where the condition is not available.
        throttled_share: The share of the quota's periods that ended with the process waiting; None = no quota.
    """

    name: ConditionName
    unavailable: str = ""
    operations: Mapping[Timed, Latency] = {}
    throttled_share: float | None = None


class ColdStart(Frozen):
    """Start times of fresh processes in milliseconds, with compiled modules and a warm page cache.

    Attributes:
        import_ms: `import edge_sdk`, with numpy and onnxruntime.
        open_ms: `Engine.open` on an empty state folder, which plays the bundle's golden vectors.
        first_decision_ms: The first `rank`.
        total_ms: The three together.
    """

    processes: int
    import_ms: Spread
    open_ms: Spread
    first_decision_ms: Spread
    total_ms: Spread


class Memory(Frozen):
    """Medians over fresh processes that made the same calls.

    Attributes:
        bare_bytes: Resident, of a process that imports numpy and onnxruntime and does nothing.
        extra_bytes: Resident beyond that, after 2,000 events and 200 decisions.
        state_bytes: Length of all files of the state folder then.
    """

    bare_bytes: int
    extra_bytes: int
    state_bytes: int


class BundleFacts(Frozen):
    """The measured bundle; two files are comparable if all but the hash and the size agree."""

    scene: str
    items: int
    offers: int
    window: int
    sha256: str
    size_bytes: int


class Workload(Frozen):
    """The measured workload; times are comparable only where all of it agrees."""

    id: str
    candidates: int
    rounds: int
    seconds_a_condition: float


class Machine(Frozen):
    """The machine of the measurement."""

    processor: str
    cpus: int
    system: str
    versions: Mapping[str, str]


class Bench(JsonFile):
    """One run of `device-sim bench`.

    Attributes:
        counts: The counts of `device-sim count` for this bundle, by core; they do not depend on this machine.
    """

    file_error: ClassVar = BenchFileError
    file_fix: ClassVar = "give a file that `device-sim bench --json` wrote, or measure again"
    file_format: ClassVar = FORMAT

    format: int = FORMAT
    bundle: BundleFacts
    workload: Workload
    machine: Machine
    conditions: tuple[Condition, ...]
    cold_start: ColdStart
    memory: Memory
    counts: Mapping[str, BundleCounts] = {}

    def latency(self, condition: ConditionName, operation: Timed) -> Latency | None:
        """Returns the times of an operation, if it was timed under the condition."""
        found = (one.operations.get(operation) for one in self.conditions if one.name == condition)
        return next(found, None)
