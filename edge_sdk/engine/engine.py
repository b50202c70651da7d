"""The engine: records events and ranks offers. Events stay in the state folder.

    engine = Engine.open("state/", bundle="wealth.edge", trusted_keys=[key])
    engine.record("item_view", item="fund_017", value=1200.0)
    decision = engine.rank(base, context={"surface": "home"}, limit=5)

Set-up raises a typed `EdgeError`; `rank` answers whatever data it is given.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edge_sdk.base_decision import BaseDecision
from edge_sdk.bundle.bundle import Bundle, with_policy
from edge_sdk.clock import Clock, UtcOffset, system_clock
from edge_sdk.decision.decision import Decision, require_decision
from edge_sdk.decision.evidence import EvidenceStore
from edge_sdk.decision.maker import DecisionMaker
from edge_sdk.engine.access import Access, in_turn, in_turn_while_open, takes_turn
from edge_sdk.engine.counts import Counts
from edge_sdk.engine.names import Names
from edge_sdk.engine.opening import Options, Parts, open_parts, path_of
from edge_sdk.engine.outcomes import Outcome, Outcomes, require_policy
from edge_sdk.engine.scene_facts import SceneFacts
from edge_sdk.engine.storage import Storage
from edge_sdk.engine.texts import Texts
from edge_sdk.engine.time_keeper import TimeKeeper, Timekeeping
from edge_sdk.errors import ExplanationGoneError, InvalidValueError, UnknownKindError
from edge_sdk.limits import LOG_BYTES, SYNC_INTERVAL_S
from edge_sdk.log.event_input import (
    FLOAT32_MAX,
    EventColumns,
    as_float32,
    as_name,
    as_seconds,
    as_whole,
    checked_columns,
    decision_id,
    id_of,
    listed,
)
from edge_sdk.log.file_access import LogAccess
from edge_sdk.policy.pipeline import Request
from edge_sdk.state.durability import Durability

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge_sdk.engine.status import Status
    from edge_sdk.explain.explainer import Explanations


class Engine(Timekeeping, SceneFacts):
    """The events and decisions of one user on one device. Thread-safe. `Engine.open` makes it."""

    def __init__(self, parts: Parts) -> None:
        """Use `Engine.open`."""
        bundle = parts.bundle
        self._state, self._bundle, self._session, self._policies = parts.state, bundle, parts.session, parts.policies
        self._clock, self._options = parts.options.clock, parts.options
        self._time = TimeKeeper(parts.local)
        self._tell_time(parts.opened_ms)
        self._durability, self._seed = parts.options.durability, parts.options.seed
        self._policy_error = parts.policy_error
        self._adopting: Bundle | None = None  # its layout is being given to memory
        self._evidence = EvidenceStore()
        self._maker = DecisionMaker(bundle, parts.session, self._evidence)
        self._access = Access()
        self._access.serves(self)
        self._access.in_child = weakref.WeakMethod(self._look_again)
        self.storage = Storage(parts.state, self._access)
        self._names = Names(bundle)
        self._kind_ids, self._item_words = self._names.kinds, self._names.words
        self._outcomes, self._texts = Outcomes(bundle), Texts(bundle)
        self._counts = Counts()

    @classmethod
    def open(
        cls,
        state: Path | str,
        *,
        bundle: Path | str,
        trusted_keys: Sequence[bytes] = (),
        allow_unsigned: bool = False,
        log_bytes: int = LOG_BYTES,
        durability: Durability = "process",
        sync_interval_s: float = SYNC_INTERVAL_S,
        storage_key: bytes | None = None,
        clock: Clock = system_clock,
        utc_offset_s: UtcOffset | None = None,
        seed: int | None = None,
        log_access: LogAccess = "auto",
    ) -> Engine:
        """Opens a state folder with a bundle, checks both, and runs the bundle's golden vectors.

        Args:
            state: folder of this user's events; created if absent. One engine owns it at a time.
            bundle: the `.edge` file.
            trusted_keys: Ed25519 public keys (32 bytes each) of which one must have signed the bundle.
            allow_unsigned: accept a bundle without a trusted signature, for development.
            log_bytes: size of a new event log in bytes: 32 a record, 64 encrypted. An existing log keeps its size;
                `storage.resize` changes it.
            durability: "process": events survive the death of the process, and a power loss as far as the kernel has
                written them out. "power": a power loss loses at most the last `sync_interval_s`.
            sync_interval_s: seconds between two writes to the disk with "power"; 0 = at each event, before `record`
                returns.
            storage_key: encrypts the log and the snapshot of memory (AES-GCM): 16, 24 or 32 random bytes that the app
                keeps elsewhere. None = plain.
            clock: returns milliseconds since 1970. If it fails later, events and decisions have its last time.
            utc_offset_s: returns by how many seconds local time is ahead of UTC at a moment (milliseconds since 1970),
                for quiet hours, for budgets, and for the log. `utc_offset_of` makes one that follows a named zone.
                None = the zone that the policy names, else the system's. If it fails later, the last offset holds.
            seed: of the exploration's random numbers; None = from the log's own random id.
            log_access: how the log is written. "map": through a map of memory. "calls": by calls, a microsecond slower
                for each event; then no fault of the disk can end the process. "auto": through a map on the file systems
                that keep what was reserved (ext4, f2fs, xfs, tmpfs), by calls on all others.

        Raises:
            EdgeError: a subclass that names the file, the field and the fix. The state folder is unchanged.
            TypeError: `trusted_keys` is one key instead of a list of keys.
        """
        options = Options(
            log_bytes=as_whole("log_bytes", log_bytes),
            durability=durability,
            sync_interval_s=as_seconds("sync_interval_s", sync_interval_s),
            storage_key=storage_key,
            clock=clock,
            utc_offset_s=utc_offset_s,
            seed=None if seed is None else as_whole("seed", seed),
            log_access=log_access,
        )
        from edge_sdk.engine import rarely_needed  # noqa: F401 - for what it imports

        paths = path_of("state", state), path_of("bundle", bundle)
        return cls(open_parts(*paths, options, trusted_keys=trusted_keys, allow_unsigned=allow_unsigned))

    @takes_turn
    def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> int:
        """Appends an event to the log. When the call returns, the event survives the death of the process.

        Args:
            kind: one of the scene's kinds.
            item: what the event is about; "" = no item. An item that the bundle does not know is recorded too:
                a later bundle may know it.
            value: an amount, a change, seconds …, in the scene's own unit.
            decision: id of the decision that the event answers; 0 = none.

        Returns:
            The event's sequence number in the log.

        Raises:
            UnknownKindError: the scene has no such kind.
            InvalidValueError: the item is no str, or no finite float32 holds the value.
            StateUnusableError: another process has cut the log.
            StateFullError, StateUnusableError: the log is written by calls, and the disk refuses the event.
            RuntimeError: the engine is closed.
        """
        try:
            kind_number = self._kind_ids[kind]
        except (KeyError, TypeError, ValueError):  # it is not there, or is no str
            raise UnknownKindError(kind, tuple(self._kind_ids)) from None
        if value.__class__ is not float or not -FLOAT32_MAX <= value <= FLOAT32_MAX:
            value = as_float32(value)
        if decision.__class__ is not int or not 0 <= decision <= 0xFFFFFFFF:
            decision = decision_id(decision)
        # Names of their own: called as `self._clock()`, the lookup misses Python's inline cache.
        access, clock = self._access, self._clock
        release = access.release
        if access.is_inside:
            access.refuse_nested()
        for _ in access.turns:
            try:
                access.is_inside = True
                try:
                    low, high = self._item_words[item]
                except (KeyError, TypeError, ValueError):  # likewise
                    low, high = self._names.new_item(item)
                try:
                    now_ms: object = clock()
                except Exception as problem:
                    now_ms = problem
                if now_ms.__class__ is not int or not self._fresh_from_ms <= now_ms < self._fresh_until_ms:
                    now_ms = self._refresh(now_ms)
                append = self._state.append
                return append(now_ms, kind_number, low, value, decision, high)
            finally:
                access.is_inside = False
                release()
        raise AssertionError  # turns do not end

    def record_many(
        self,
        times_ms: npt.ArrayLike,
        kinds: npt.ArrayLike,
        items: npt.ArrayLike | None = None,
        values: npt.ArrayLike | None = None,
        decisions: npt.ArrayLike | None = None,
        *,
        kind_names: Sequence[str],
        item_names: Sequence[str] = (),
        utc_offsets_s: npt.ArrayLike | None = None,
    ) -> int:
        """Appends many events with times of their own, for replay and back-fill.

        The columns are dictionary-encoded, as Arrow's dictionaries and pandas' categoricals are: codes into lists of
        names. Either all events are appended or none.

        Args:
            times_ms: (E,) milliseconds since 1970. The events follow all recorded ones, in this order.
            kinds: (E,) whole numbers, each an index into `kind_names`.
            items: (E,) indices into `item_names`; None, and the name "", = no item.
            values: (E,) finite float32; None = 0.
            decisions: (E,) ids of the decisions that the events answer, 0 = none; None = 0.
            kind_names: kinds of the scene.
            item_names: names of items, known to the bundle or not.
            utc_offsets_s: (E,) by how many seconds local time was ahead of UTC at each event; None = as the engine's
                zone has it at each event's time.

        Returns:
            The newest event's sequence number.

        Raises:
            UnknownKindError: a name in `kind_names` is no kind of the scene.
            InvalidValueError: no event can hold a column or a value.
            StateFullError, StateUnusableError: sequence numbers run out (after 4 billion events), and the disk has no
                room to restart them.
            RuntimeError: the engine is closed.
        """
        kind_ids = [self._names.kind(name) for name in listed("kind_names", kind_names)]
        item_ids = [id_of(name) for name in listed("item_names", item_names)]
        events = checked_columns(times_ms, kinds, kind_ids, items, item_ids, values, decisions)
        return self._add_many(events, utc_offsets_s)

    @in_turn_while_open
    def _record_together(self, outcomes: Sequence[Outcome], decision: int) -> None:
        """Appends events of one moment in one turn, so that a nested call finds all of them or none."""
        events = [(self._kind_ids[kind], as_float32(value), self._names.item(item)) for kind, item, value in outcomes]
        now_ms = self._now_to_record()
        for kind_number, value, (low, high) in events:
            self._state.append(now_ms, kind_number, low, value, decision, high)

    @takes_turn
    def rank(
        self,
        base: BaseDecision,
        *,
        context: Mapping[str, str] | None = None,
        attributes: Mapping[str, float] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Decision:
        """Ranks the candidates of a base decision by the device's events, under the policy in force.

        Args:
            base: the cloud's ranking; its offers are the candidates.
            context: the scene's context fields, each with one of its declared values. A field may be left out if a
                state machine of the scene sets it.
            attributes: the scene's attributes: numbers that rules read.
            limit: the largest number of offers; None = all.
            weights: objective weights instead of the policy's; an objective left out weighs 0.

        Returns:
            A decision, whatever data it is given: on any problem the base order, with `error` and `detail` set. The
            rules that suppress offers (dates, eligibility, caps, …) and the slate's rules hold then too, unless
            `detail` says that no rule was evaluated: memory could not be read. `is_empty` says that no offer is
            eligible, and `retry_at_ms` when to rank again.

        Raises:
            TypeError: `base` is no BaseDecision.
            RuntimeError: the engine is closed.
            NestedCallError: this thread is inside another call of the engine; a `Client` answers then too.
        """
        if not isinstance(base, BaseDecision):
            raise TypeError(f"base is a {type(base).__name__}; pass BaseDecision(offers, logits)")
        access = self._access
        if access.is_inside:
            access.refuse_nested()
        for _ in access.turns:
            try:
                access.is_inside = True
                now_ms, state, maker = self._now(), self._state, self._maker
                state.last_decision = number = state.last_decision % 0xFFFFFFFF + 1
                seed = int.from_bytes(state.log.log_id[:4], "little") if self._seed is None else self._seed
                local, trouble = self._time.of_request(now_ms, reads_local_time=maker.reads_local_time)
                request = Request(now_ms, local, limit, seed, number)
                try:
                    decision = maker.decide(state.memory, base, request, context, attributes, weights, trouble)
                except Exception as problem:  # memory cannot be read; or a rule fails even without the model
                    decision = self._unranked(base, request, problem)
                self._counts.decided(decision.error)
                return decision
            finally:
                access.is_inside = False
                access.release()
        raise AssertionError  # turns do not end

    @in_turn_while_open
    def is_still_valid(self, decision: Decision) -> bool:
        """Returns whether a decision's list may be shown again unchanged: no rule would suppress one of its offers now.

        It evaluates the rules and not the model, for a list that must not change under the user's finger.

        Raises:
            RuntimeError: the engine is closed.
        """
        require_decision(decision)
        evidence = decision.trace.evidence
        if evidence is None or evidence.is_gone or not self._evidence.owns(evidence):
            return False
        now_ms = self._now()
        local, _ = self._time.of_request(now_ms, reads_local_time=self._maker.reads_local_time)
        return self._maker.is_still_valid(self._state.memory, decision, now_ms, local)

    def shown(self, decision: Decision, *, count: int | None = None) -> None:
        """Records that the first `count` offers of a decision were displayed or sent (None = all of them).

        Ranking counts for no cap and no budget: recorded events do. Each event has the kind of the offer's channel, and
        its cost as the value.

        Raises:
            UnknownOutcomeError: the scene names no kind for a channel (`[events] shown`, `[channels]`).
            InvalidValueError: this is no decision, or no event can hold one of its offers. Then none is recorded.
            NestedCallError: the call came from within another one. Then none is recorded.
            RuntimeError: the engine is closed.
        """
        self._record_together(self._outcomes.shown(decision, count), decision.id)

    def feedback(self, decision: Decision, offer: str, outcome: str, *, value: float = 0.0) -> None:
        """Records the outcome of an offer of a decision, e.g. ``feedback(decision, "fund_017", "click")``.

        Raises:
            UnknownOutcomeError: the scene maps no kind to this outcome (`[events.feedback]`).
            InvalidValueError: the decision had no such offer, or the value is no finite float32.
            RuntimeError: the engine is closed.
        """
        kind = self._outcomes.feedback(decision, offer, outcome)
        self.record(kind, item=offer, value=value, decision=decision.id)

    @in_turn_while_open
    def explain(self, decision: Decision) -> Explanations:
        """Explains a decision: the contribution of each event and each policy step, and the rules that suppress offers.

        A decision can be explained as long as the app keeps it, whatever was recorded, shown or installed since: its
        inputs are kept. Only `erase` ends this. If the app keeps more than 256 decisions, the newest 256 can be
        explained.

        Returns:
            One explanation for each of `decision.offers`, in their order, then one for each dropped offer.

        Raises:
            InvalidValueError: the decision is the base order (`error` is set), which has no contributions.
            ExplanationGoneError: events were erased since, another engine made the decision, or the app keeps more than
                256 newer ones.
            RuntimeError: the engine is closed.
        """
        require_decision(decision)
        evidence = decision.trace.evidence
        if evidence is None:
            raise InvalidValueError("decision", decision.error.name)
        if evidence.is_gone or not self._evidence.owns(evidence):
            raise ExplanationGoneError(decision.id)
        return self._texts.explainer().explain(decision, evidence)

    @in_turn_while_open
    def message(self, decision: Decision, offer: str, *, language: str = "en") -> str:
        """Returns the message of an offer: its variant's text, with slots filled from the device's current state.

        If a slot cannot be filled, it returns the variant's plain text; if there is none, the offer's display name.

        Args:
            decision: of any engine.
            offer: one of its candidates.
            language: BCP 47, e.g. "zh"; English if the bundle has no texts in it.

        Raises:
            InvalidValueError: this is no decision, or offer or language is no str.
            RuntimeError: the engine is closed.
        """
        require_decision(decision)
        name, tag = as_name("offer", offer), as_name("language", language)
        return self._texts.messenger().message(decision, name, tag, self._state.memory, self._now())

    @in_turn_while_open
    def install_policy(self, policy: bytes) -> None:
        """Puts another policy in force without a new model.

        Counters, cap counts and states stay. If both policies count events alike, only the rules change, and the cost
        does not depend on the length of the log. The policy stays in force after a restart. Under a new bundle it
        stays in force until the bundle's own policy has the same or a higher version. If the process is killed
        meanwhile, either the former or the new policy is in force.

        Args:
            policy: the signed file that `cloud-export policy` writes.

        Raises:
            PolicyNotNewerError: its version is not above that of the policy in force.
            PolicyInvalidError: it does not fit the bundle.
            InvalidValueError: the device does not know the time zone that it names.
            BundleDamagedError, BundleUntrustedError: it is damaged, or no trusted key signed it.
            StateUnusableError: the disk refuses the file; the former policy stays in force.
            RuntimeError: the engine is closed.
        """
        require_policy(policy)
        bundle = with_policy(self._bundle, self._policies.check(policy, self._bundle))
        local = self._time.local
        if bundle.policy.time_zone != self._bundle.policy.time_zone:
            local = self._options.local_clock(bundle.policy.time_zone)
            local.check(self._now())
            self._look_again()  # the next event too goes by the new zone
        self._policies.prepare(policy)
        self._time.local = local
        self._policies.activate()  # before `adopt`, which drops what the new policy does not count
        if bundle.layout.counts_differently(self._bundle.layout):
            self._adopting = bundle
            self._look_again()  # then the next call follows, should an interrupt come first
            self._state.adopt(bundle.layout)
            self._follow()
        else:
            self._put_in_force(bundle)

    def erase(
        self,
        *,
        before: int | None = None,
        items: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> int:
        """Erases events, and everything derived from them, by overwriting.

        Without arguments it erases all events. With arguments it erases the events that match all of them, and the
        state is as if these had never been recorded. The log may have dropped events that match. Then the window, and
        every counter and cap that they may have changed, are computed again from the events in the log. With `before`
        alone they may have changed all.

        Args:
            before: milliseconds since 1970; matches earlier events.
            items: names; matches events about one of them.
            kinds: matches events of one of these kinds.

        Returns:
            The number of events overwritten in the log.

        Raises:
            UnknownKindError: the scene has no such kind.
            InvalidValueError: the time is no whole number, or a name is no str.
            StateUnusableError: the disk refuses; call `erase` again.
            RuntimeError: the engine is closed.
        """
        before = None if before is None else as_whole("before", before)
        item_ids = None if items is None else frozenset(map(id_of, listed("items", items)))
        kind_ids = None if kinds is None else frozenset(map(self._names.kind, listed("kinds", kinds)))
        return self._erase(before, item_ids, kind_ids)

    @in_turn
    def status(self) -> Status:
        """Returns what is installed, the size and health of the log, and counts of decisions and errors."""
        from edge_sdk.engine.status import status_of  # 0.9 ms of every import

        return status_of(
            self._bundle, self._state, self._durability, self._policy_error, self._counts, len(self._names.unknown)
        )

    @in_turn
    def close(self) -> None:
        """Writes the log out and unlocks the state folder. A second call does nothing.

        Raises:
            StateUnusableError: the disk refuses the log, or counts of events that have left it; or the log was cut. The
                folder is unlocked all the same.
        """
        if not self._access.is_closed:
            self._access.is_closed = True
            self._look_again()
            self._state.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- below: helpers; it is their turn ----

    @in_turn_while_open
    def _add_many(self, events: EventColumns, utc_offsets_s: npt.ArrayLike | None) -> int:
        local, now_ms = self._time.fields(events.times_ms, utc_offsets_s), self._now()
        self._look_again()  # an event may be stamped ahead of the clock
        return self._state.add_many(events._replace(local=local), now_ms)

    @in_turn_while_open
    def _erase(self, before: int | None, item_ids: frozenset[int] | None, kind_ids: frozenset[int] | None) -> int:
        if item_ids == frozenset() or kind_ids == frozenset():
            return 0
        is_all = before is None and item_ids is None and kind_ids is None
        self._names.forget_items()
        self._names.unknown -= item_ids or set()
        if not is_all and not self._state.has_to_erase(before, item_ids, kind_ids):
            return 0  # earlier decisions can still be explained
        self._names.unknown.clear()
        self._maker.forget()
        self._look_again()  # the next call completes what is cut short
        if is_all:
            erased = self._state.log.count
            self._state.erase()
            self._counts = Counts()
        else:
            erased = self._state.erase_chosen(before, item_ids, kind_ids)
        self._look_again()
        self._now()  # what is known of the time is then of this call, and not of an event
        return erased

    def _unranked(self, base: BaseDecision, request: Request, problem: Exception) -> Decision:
        """Returns the base order without any rule."""
        from edge_sdk.decision.fallback import unranked  # an open engine has it loaded

        return unranked(base, request, problem, self._bundle)

    def _follow(self) -> None:
        """Puts the policy in force whose layout memory has adopted: rules and memory agree about the layout."""
        bundle = self._adopting
        if bundle is not None and self._state.layout is bundle.layout:
            self._put_in_force(bundle)
            self._evidence.rebind(self._state.memory)
        self._adopting = None

    def _put_in_force(self, bundle: Bundle) -> None:
        """Puts a bundle's policy in force; memory counts what it needs already."""
        maker = DecisionMaker(bundle, self._session, self._evidence)
        self._bundle, self._maker, self._policy_error = bundle, maker, ""
        self._texts.use(bundle)
