"""The types of a `device-sim bench` file: times of one machine, sizes, and counted instructions where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, get_args

from device_sim.counts.counts import BundleCounts
from device_sim.files import Frozen, JsonFile

FORMAT: Final = 1
LADDER: Final = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)  # percentiles that the picture of a distribution is drawn from

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
    """A file of an earlier bench cannot be used; the message names the file, the field and the fix."""


class Spread(Frozen):
    """The median of several rounds or processes, with the lowest and the highest."""

    median: float
    low: float
    high: float


class Latency(Frozen):
    """The distribution of single calls of one operation, all rounds together, in microseconds.

    Attributes:
        calls: Number of timed calls.
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
    """The calls that were timed under one condition of the machine.

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
    """The runtime's own steps in fresh processes, in milliseconds; modules are compiled and in the page cache.

    Attributes:
        import_ms: `from edge_sdk import Engine`, with numpy and onnxruntime.
        open_ms: `Engine.open` on an empty state folder, which plays the bundle's golden vectors.
        first_decision_ms: The first base decision and the first `rank`.
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
        bare_bytes: Resident memory of a process that imports numpy and onnxruntime and does nothing.
        extra_bytes: Resident memory of the runtime beyond that, after 2,000 events and 200 decisions.
        state_bytes: Length of all files of the state folder after the same work.
    """

    bare_bytes: int
    extra_bytes: int
    state_bytes: int


class FirstCall(Frozen):
    """One way to do a task: its first call after other work, with cold caches, beside the repeated, warm call.

    Attributes:
        task: What all contestants of one group do: "record" or "rank".
        missing: Why it was not measured, with the fix; empty = it was.
        reference: Key of the contestant that the ratios are taken against; empty = that one is missing.
        cold_us: Medians of the rounds; each call came directly after `other_work.OtherWork.do`.
        warm_us: Medians of the rounds, nothing between the calls.
        cold_ratio: `cold_us` by that of the reference in the same round.
        warm_ratio: `warm_us` by that of the reference in the same round.
    """

    task: str
    key: str
    label: str
    missing: str = ""
    reference: str = ""
    cold_us: Spread | None = None
    warm_us: Spread | None = None
    cold_ratio: Spread | None = None
    warm_ratio: Spread | None = None


class Resident(Frozen):
    """Resident memory of a process, or its distance from another's.

    Attributes:
        rss_bytes: All pages in memory, those of shared libraries too.
        pss_bytes: A page shared by several processes counts by its share; None = the kernel does not tell.
        private_bytes: Pages that no other process has; None = the kernel does not tell.
    """

    rss_bytes: Spread
    pss_bytes: Spread | None = None
    private_bytes: Spread | None = None


class WholeProcess(Frozen):
    """A program in processes of its own, from the start of the interpreter on.

    Attributes:
        missing: Why it was not measured, with the fix; empty = it was.
        phases_ms: Milliseconds of each phase, in order; the first is the start of the interpreter.
        total_ms: All phases together.
        cpu_ms: CPU time of all threads until then; other processes disturb it much less than `total_ms`.
        to_bare: `total_ms` by that of a bare interpreter in the same turn.
        resident: Memory after all phases and some more of the same work.
        beyond_bare: The same beyond a bare interpreter; numpy, onnxruntime and all else are included.
    """

    key: str
    label: str
    missing: str = ""
    phases_ms: Mapping[str, Spread] = {}
    total_ms: Spread | None = None
    cpu_ms: Spread | None = None
    to_bare: Spread | None = None
    resident: Resident | None = None
    beyond_bare: Resident | None = None


class BundleFacts(Frozen):
    """The bundle's identity; all but the hash and the size must agree for two files to be comparable."""

    scene: str
    items: int
    offers: int
    window: int
    sha256: str
    size_bytes: int


class Workload(Frozen):
    """The measured calls; two files are comparable in time only where all of this agrees."""

    id: str
    candidates: int
    rounds: int
    seconds_a_condition: float


class Machine(Frozen):
    """The machine of a measurement."""

    processor: str
    cpus: int
    system: str
    versions: Mapping[str, str]


class Bench(JsonFile):
    """The result of one `device-sim bench`.

    Attributes:
        first_calls: Cold and warm calls of the runtime and its peers; empty = a file of an earlier version.
        processes: Whole processes of the runtime and its peers; empty = a file of an earlier version.
        counts: Instructions that `device-sim count` counted for this bundle, by core; independent of this machine.
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
    first_calls: tuple[FirstCall, ...] = ()
    processes: tuple[WholeProcess, ...] = ()
    counts: Mapping[str, BundleCounts] = {}

    def latency(self, condition: ConditionName, operation: Timed) -> Latency | None:
        """Returns the timed calls; None if the condition or the operation was not measured."""
        found = (one.operations.get(operation) for one in self.conditions if one.name == condition)
        return next(found, None)
