"""What the counted app does with a bundle: made here once, from the bundle's own words, and played on every machine."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from device_sim.emulation.errors import EmulationError
from device_sim.emulation.guest.workload import Workload, WorkloadError
from edge_sdk.bundle.bundle import Bundle

OPERATIONS: Final = ("record", "rank", "rank_new_base", "rank_cold", "explain", "open_close")
CANDIDATES_MAX: Final = 50
_SHOWN: Final = 5  # offers that the app reads of a decision
_EVENTS: Final = 64  # then they come again
_STEPS_MS: Final = (10_000, 1_000, 60_000)  # between two events
_START_MS: Final = 1_768_478_400_000  # 2026-01-15 12:00 UTC, for a bundle that does not say how old it is
_CONTEXTS_TRIED: Final = 64
_DECISIONS: Final = 64  # played here and on the emulated core


class WorkloadRefusedError(EmulationError):
    """No workload was found in which every decision of a bundle has a full window and some offers."""

    def __init__(self, bundle: Path, reason: str) -> None:
        super().__init__(f"{bundle}: {reason}")


class Plan(BaseModel):
    """What happens, in the bundle's words.

    Attributes:
        operations: Those that are counted, in their order.
        repetitions: N of the 2N − N difference, of every operation but `record` and `open_close`.
        decisions: How many are made to compare machines.
        events: (kind, item), one after the other and then again.
        first_events: So many happen before anything is counted: the window is full then.
        candidates: Of the base decision, best first.
        context: Of every decision.
        limit: Of every decision.
        start_ms: Where the clock stands at first, milliseconds since 1970.
        step_ms: How far it goes on at each event.
        public_key: Who must have signed the bundle, in hex; empty = it is taken unsigned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    """Find a context, a pace and events under which the bundle's rules let offers stand.

    Each possibility is played on this machine; the first in which no decision loses an offer is taken, else the one
    whose poorest decision has most offers.

    Args:
        bundle: as read.
        public_key: Who must have signed it, 32 bytes; None = it is taken unsigned.
        repetitions: N of the 2N − N difference.

    Raises:
        WorkloadRefusedError: in each of them some decision has no offer, or its window is not full.
    """
    best: tuple[int, Plan] | None = None
    refusal = "no event kind can be recorded; declare kinds in the scene"
    for plan in _possible(bundle, (public_key or b"").hex(), repetitions):
        try:
            fewest = _fewest_standing(bundle, plan)
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
        for step_ms, held_about in itertools.product(_STEPS_MS, (_spare_items(bundle), ("",))):
            yield Plan(
                operations=OPERATIONS,
                repetitions=repetitions,
                decisions=_DECISIONS,
                events=_events(bundle, held_about),
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


def _events(bundle: Bundle, held_about: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Kinds in turn, each about one item after the other.

    All that enter the window take part, and all that a rule counts. A rule's kinds (dismissed, bought) are about
    `held_about`: about candidates they would take one after the other off the slate.
    """
    layout = bundle.layout
    held = {kind for cap in layout.caps for kind in cap.kinds} | set(layout.spending.kinds if layout.spending else ())
    kinds = [
        (name, number in held)
        for name, number in bundle.kind_ids.items()
        if layout.kinds[number].in_window or layout.kinds[number].counter >= 0 or number in held
    ]
    kinds = kinds or [(name, False) for name in bundle.kind_ids]
    items = [*layout.items.names(), *layout.offers.names()] or [""]
    made = []
    for at, (name, is_held) in zip(range(_EVENTS), itertools.cycle(kinds), strict=False):
        about = held_about if is_held else items
        made.append((name, about[at * 7 % len(about)]))  # 7: neighbours in the vocabulary are much alike
    return tuple(made)


def _spare_items(bundle: Bundle) -> tuple[str, ...]:
    """What is no candidate: offers beyond the candidates, else items that are no offer, else nothing in particular."""
    offers = set(bundle.layout.offers.names())
    others = tuple(bundle.layout.offers.names()[CANDIDATES_MAX:])
    return others or tuple(name for name in bundle.layout.items.names() if name not in offers) or ("",)


def _fewest_standing(bundle: Bundle, plan: Plan) -> int:
    """Of the decisions that a count makes, the one with fewest offers.

    Raises:
        WorkloadError: one of them is not usable.
    """
    loops_ms = 3 * (200 + 3 * plan.repetitions) * plan.step_ms
    with tempfile.TemporaryDirectory() as state:
        workload = Workload(plan.model_dump(), bundle.path, Path(state))
        try:
            fewest = len(plan.candidates)
            for _ in range(plan.decisions):
                workload.go_on()
                fewest = min(fewest, len(workload.ask().trace.result.eligible_order))
                workload.clock.now_ms += loops_ms // plan.decisions  # as long as the count will last
        finally:
            workload.close()
    return fewest
