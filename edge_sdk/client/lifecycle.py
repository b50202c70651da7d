"""The lifecycle of a client's engine: the thread that opens it, the queue of pending events, and the state."""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final, Generic, TypeVar
from weakref import WeakSet

from edge_sdk.client.engine_protocol import EngineProtocol
from edge_sdk.client.pending import PendingErasure, PendingEvent, PendingQueue, write
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.errors import EdgeError, NestedCallError
from edge_sdk.limits import CLIENT_PENDING_MAX

EXIT_PATIENCE_S: Final = 30.0  # a process that ends waits so long for its engines to be open
EngineT = TypeVar("EngineT", bound=EngineProtocol)


class Lifecycle(Generic[EngineT]):
    """Opens an engine in a background thread. Thread-safe; runs callbacks while no lock is held."""

    def __init__(
        self,
        opener: Callable[[], EngineT],
        on_state: Callable[[ClientState], None],
        on_problem: Callable[[Problem, int], None],
    ) -> None:
        """Stores the callbacks; `start` opens the engine.

        Args:
            opener: returns an open engine, or raises.
            on_state: called with each new state, in order, one at a time.
            on_problem: called with each problem and the number of events it lost.
        """
        self._opener, self._on_state, self._on_problem = opener, on_state, on_problem
        self._lock = threading.RLock()  # a signal handler may call the client meanwhile
        self._settled = threading.Event()  # open, failed or closed
        self._pending = PendingQueue()
        self._new_states: deque[ClientState] = deque()  # states to be announced
        self._announcing = threading.Lock()
        self._postponed: deque[PendingEvent] = deque()  # for the open engine
        self._thread: threading.Thread | None = None  # while the engine is being opened
        self.engine: EngineT | None = None  # set once every pending event is written
        self.state = ClientState.NOT_READY
        self.error: BaseException | None = None

    @property
    def pending_events(self) -> int:
        """The number of events that wait for the engine."""
        return self._pending.events

    @property
    def is_opening(self) -> bool:
        """Whether the engine is being opened."""
        return self._thread is not None

    def start(self) -> None:
        """Starts opening the engine. Does nothing if it is open or being opened, or the client is closed."""
        with self._lock:
            if self._thread is not None or self.state not in (ClientState.NOT_READY, ClientState.ERROR):
                return
            if self.state is ClientState.ERROR:
                self._enter(ClientState.NOT_READY)
            self.error = None
            self._settled.clear()
            self._thread = threading.Thread(target=self._open, name="edge-sdk-open", daemon=True)
            _OPENING.add(self._thread)
            start_error = _start(self._thread)
        try:
            self._announce()
        finally:
            if start_error is not None:
                self._fail(start_error)

    def wait(self, timeout_s: float) -> bool:
        """Waits until the engine is open, opening failed or the client is closed; returns whether it is open."""
        self._settled.wait(timeout_s)
        return self.engine is not None

    def enqueue(self, *acts: PendingEvent | PendingErasure) -> bool:
        """Queues acts for the engine. Returns False if the engine is open by now: then the caller passes them on."""
        with self._lock:
            if self.engine is not None:
                return False
            closed = self.state is ClientState.CLOSED
            lost = sum(isinstance(act, PendingEvent) for act in acts) if closed else self._pending.add(acts)
        if closed or lost:
            self._on_problem(_CLOSED if closed else _NO_ROOM, lost)
        return True

    def ready_engine(self) -> EngineT | None:
        """Returns the open engine; it has got all events that were postponed, unless this is a nested call, too."""
        engine = self.engine
        if self._postponed and engine is not None:
            self._write_postponed(engine)
        return engine

    def postpone(self, *events: PendingEvent) -> None:
        """Keeps events for the next call: this one came from within a call of the engine. Takes no lock."""
        room = max(0, CLIENT_PENDING_MAX - len(self._postponed))
        self._postponed.extend(events[:room])
        if len(events) > room:
            self._on_problem(_NO_ROOM, len(events) - room)

    def forget_postponed(self) -> None:
        """Drops the postponed events: everything is erased."""
        self._postponed.clear()

    def close(self, timeout_s: float) -> None:
        """Closes the engine. An engine that is being opened first gets the pending events."""
        with self._lock:
            if self.state is ClientState.CLOSED:
                return
            self._enter(ClientState.CLOSED)
            engine, self.engine, thread = self.engine, None, self._thread
            lost, unerased = (0, False) if thread is not None else self._pending.clear()
        self._settled.set()
        try:
            self._announce()
            self._report_dropped(lost, unerased)
        finally:  # whatever a hook raises
            if engine is not None:
                try:
                    self._write_postponed(engine)
                finally:
                    self._close_engine(engine)
            elif thread is not None and thread is not threading.current_thread():
                thread.join(timeout_s)

    def announce(self, state: ClientState) -> None:
        """Announces that the open engine's answers are STALE, or READY again."""
        with self._lock:
            if self.engine is not None:
                self._new_states.append(state)
        self._announce()

    # ---- below: helpers ----

    def _enter(self, state: ClientState) -> None:
        """Sets the state; the caller holds the lock."""
        self.state = state
        self._new_states.append(state)

    def _announce(self) -> None:
        """Announces new states, without the lock. A thread that is announcing already also announces these.

        So states are announced in order, and no thread waits for another thread's hooks.
        """
        while self._new_states and self._announcing.acquire(blocking=False):
            try:
                while self._new_states:
                    self._on_state(self._new_states.popleft())
            finally:
                self._announcing.release()

    # ---- below: the thread that opens ----

    def _open(self) -> None:
        engine: EngineT | None = None
        try:
            engine = self._opener()
            while not self._publish(engine):
                self._write(engine)
        except BaseException as error:  # any exception: the app waits for the outcome
            try:
                if engine is not None:
                    self._close_engine(engine)
            finally:
                self._fail(error)
        else:
            self._announce()

    def _publish(self, engine: EngineT) -> bool:
        """Makes the engine available if no event is pending, and closes it if the client is closed by now."""
        with self._lock:
            if self._pending.any:
                return False
            self._thread = None
            closed = self.state is ClientState.CLOSED
            if not closed:
                self.engine = engine
                self._enter(ClientState.READY)
        self._settled.set()
        if closed:
            self._close_engine(engine)
        return True

    def _write(self, engine: EngineT) -> None:
        with self._lock:
            acts = self._pending.take()
        unwritten = len(acts)
        try:
            for count in write(engine, acts, lambda error, lost: self._on_problem(Problem.of(error), lost)):
                unwritten -= count
        finally:
            with self._lock:
                self._pending.put_back(unwritten)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._thread = None
            self.error = error
            closed = self.state is ClientState.CLOSED
            lost, unerased = self._pending.clear() if closed else (0, False)
            if not closed:
                self._enter(ClientState.ERROR)
        try:  # before `wait` returns, so that its caller finds the reason in the log
            self._on_problem(Problem.of(error), 0)
            self._report_dropped(lost, unerased)
        finally:
            self._settled.set()
        self._announce()

    def _write_postponed(self, engine: EngineT) -> None:
        events: list[PendingEvent] = []
        with suppress(IndexError):  # one by one, as another thread may take some
            while True:
                events.append(self._postponed.popleft())
        unwritten = len(events)
        try:
            for count in write(engine, events, lambda error, lost: self._on_problem(Problem.of(error), lost)):
                unwritten -= count
        except NestedCallError:
            pass
        except EdgeError as error:
            self._on_problem(Problem.of(error), 0)
        finally:
            self._postponed.extendleft(reversed(events[len(events) - unwritten :]))

    def _report_dropped(self, lost: int, unerased: bool) -> None:
        if lost:
            self._on_problem(_CLOSED, lost)
        if unerased:
            self._on_problem(_UNERASED, 0)

    def _close_engine(self, engine: EngineT) -> None:
        try:
            engine.close()
        except Exception as error:  # the engine releases its folder all the same
            self._on_problem(Problem.of(error), 0)


_UNERASED: Final = Problem.not_ready("a pending erasure was not carried out; erase again when an engine is open")
_CLOSED: Final = Problem.not_ready("the client is closed and records nothing; make a new one")
_NO_ROOM: Final = Problem.not_ready("too many events wait for the engine; call start(), or fix what client.error says")


_OPENING: Final = WeakSet[threading.Thread]()


@atexit.register
def _await_opening() -> None:
    """Waits for threads that open an engine, before the interpreter ends.

    It would end them in the middle of native code, in which the end of a thread aborts the process.
    """
    end_s = monotonic() + EXIT_PATIENCE_S
    for thread in list(_OPENING):
        if thread.is_alive():
            thread.join(max(0.0, end_s - monotonic()))


def _start(thread: threading.Thread) -> RuntimeError | None:
    try:
        thread.start()
    except RuntimeError as error:  # the system gives no thread
        return error
    return None
