"""Makes the counted workload of a bundle, from the bundle's own kinds, items and context; every machine plays it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from device_sim.emulation.errors import EmulationError
from device_sim.emulation.guest.workload import Workload, WorkloadError
from device_sim.files import Frozen
from edge_sdk.bundle.bundle import Bundle

OPERATIONS: Final = ("record", "rank", "rank_new_base", "rank_cold", "explain", "open_close")
CANDIDATES_MAX: Final = 50
_SHOWN: Final = 5  # the limit of a decision
_EVENTS: Final = 64  # then the events repeat
_STEPS_MS: Final = (10_000, 1_000, 60_000)  # between two events
_START_MS: Final = 1_768_478_400_000  # 2026-01-15 12:00 UTC, for a bundle that does not say how old it is
_CONTEXTS_TRIED: Final = 64
_DECISIONS: Final = 64  # compared between this machine and the emulated core


class WorkloadRefusedError(EmulationError):
    """No workload was found in which every decision has a full window and at least one offer."""

    def __init__(self, bundle: Path, reason: str) -> None:
        super().__init__(f"{bundle}: {reason}")


class Plan(Frozen):
    """The workload, in the bundle's own names.

    Attributes:
        operations: The counted operations, in order.
        repetitions: N of the 2N − N difference, of every operation but `record` and `open_close`.
        decisions: How many decisions are made to compare machines.
        events: (kind, item), in order; after the last the first follows.
        first_events: How many events are recorded before anything is counted: the window is full then.
        candidates: The candidates of the base decision, best first.
        context: The context of every decision.
        limit: The limit of every decision.
        start_ms: The clock's first time, milliseconds since 1970.
        step_ms: How far the clock advances at each event.
        public_key: The key that must have signed the bundle, in hex; empty = the signature is not checked.
    """

    operations: tuple[str, ...]
    repetitions: int
    decisions: int
    events: tuple[tuple[str, str], ...]
    first_events: int
    candidates: tuple[str, ...]
    context: dict[str, str]
    limit: int
    start_ms: int
    step_ms: int
    public_key: str


def make_plan(bundle: Bundle, *, public_key: bytes | None, repetitions: int) -> Plan:
    """Finds a context, a pace and events under which the bundle's rules leave offers eligible.

    Each possibility is played on this machine. The first in which every candidate of every decision is eligible is
    taken, else the one whose worst decision has most eligible candidates.

    Args:
        bundle: The bundle as read.
        public_key: The key that must have signed the bundle, 32 bytes; None = the signature is not checked.
        repetitions: N of the 2N − N difference.

    Raises:
        WorkloadRefusedError: In every possibility some decision has no offer, or its window is not full.
    """
    best: tuple[int, Plan] | None = None
    refusal = "no event kind can be recorded; declare kinds in the scene"
    for plan in _possible(bundle, (public_key or b"").hex(), repetitions):
        try:
            fewest = _fewest_eligible(bundle, plan)
        except WorkloadError as problem:
            refusal = str(problem)
            continue
        if best is None or fewest > best[0]:
            best = (fewest, plan)
        if fewest == len(plan.candidates):
            break
    if best is None:
        raise WorkloadRefusedError(bundle.path, refusal)
    return best[1]


def _possible(bundle: Bundle, public_key: str, repetitions: int) -> Iterator[Plan]:
    if not bundle.kind_ids:
        return
    fields = bundle.policy.context
    contexts = itertools.product(*(field.values for field in fields))
    for values in itertools.islice(contexts, _CONTEXTS_TRIED):
        for step_ms, ruled_items in itertools.product(_STEPS_MS, (_spare_items(bundle), ("",))):
            yield Plan(
                operations=OPERATIONS,
                repetitions=repetitions,
                decisions=_DECISIONS,
                events=_events(bundle, ruled_items),
                first_events=max(_EVENTS, 2 * bundle.layout.window),
                candidates=_candidates(bundle),
                context=dict(zip((field.name for field in fields), values, strict=True)),
                limit=_SHOWN,
                start_ms=bundle.known_until_ms or _START_MS,
                step_ms=step_ms,
                public_key=public_key,
            )


def _candidates(bundle: Bundle) -> tuple[str, ...]:
    return tuple(bundle.layout.offers.names()[:CANDIDATES_MAX])


def _events(bundle: Bundle, ruled_items: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Returns events of all kinds in turn, each about one item after the other.

    The kinds are those that enter the window or a counter, and those that a rule counts. Events that a rule counts
    (dismissed, bought) are about `ruled_items`: about candidates they would suppress one candidate after the other.
    """
    layout = bundle.layout
    ruled = {kind for cap in layout.caps for kind in cap.kinds} | set(layout.spending.kinds if layout.spending else ())
    kinds = [
        (name, number in ruled)
        for name, number in bundle.kind_ids.items()
        if layout.kinds[number].in_window or layout.kinds[number].counter >= 0 or number in ruled
    ]
    kinds = kinds or [(name, False) for name in bundle.kind_ids]
    items = [*layout.items.names(), *layout.offers.names()] or [""]
    made = []
    for at, (name, is_ruled) in zip(range(_EVENTS), itertools.cycle(kinds), strict=False):
        about = ruled_items if is_ruled else items
        made.append((name, about[at * 7 % len(about)]))  # 7: neighbours in the vocabulary are similar
    return tuple(made)


def _spare_items(bundle: Bundle) -> tuple[str, ...]:
    """Returns names that are no candidates: offers beyond the candidates, else items that are no offer, else none."""
    offers = set(bundle.layout.offers.names())
    others = tuple(bundle.layout.offers.names()[CANDIDATES_MAX:])
    return others or tuple(name for name in bundle.layout.items.names() if name not in offers) or ("",)


def _fewest_eligible(bundle: Bundle, plan: Plan) -> int:
    """Returns the smallest number of eligible candidates over the decisions of a count.

    Raises:
        WorkloadError: A decision is not usable.
    """
    loops_ms = 3 * (200 + 3 * plan.repetitions) * plan.step_ms
    with tempfile.TemporaryDirectory() as state:
        workload = Workload(plan.model_dump(), bundle.path, Path(state))
        try:
            fewest = len(plan.candidates)
            for _ in range(plan.decisions):
                workload.go_on()
                fewest = min(fewest, len(workload.ask().trace.result.eligible_order))
                workload.clock.now_ms += loops_ms // plan.decisions  # the simulated time of the whole count
        finally:
            workload.close()
    return fewest
