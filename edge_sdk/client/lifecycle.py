"""From a client's first line to an open engine: the thread that opens, what waits for it, and the state."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from edge_sdk.client.engine_protocol import EngineProtocol
from edge_sdk.client.pending import PendingActs, PendingErasure, PendingEvent, write
from edge_sdk.client.states import ClientState, Problem

EngineT = TypeVar("EngineT", bound=EngineProtocol)


class Lifecycle(Generic[EngineT]):
    """Opens an engine in a thread of its own. Thread-safe; calls back while no lock is held."""

    def __init__(
        self,
        opener: Callable[[], EngineT],
        on_state: Callable[[ClientState], None],
        on_trouble: Callable[[Problem, int], None],
    ) -> None:
        """Nothing is opened yet.

        Args:
            opener: gives an open engine, or raises.
            on_state: told of each new state, in order, one at a time.
            on_trouble: told what went wrong, and how many events it lost.
        """
        self._opener, self._on_state, self._on_trouble = opener, on_state, on_trouble
        self._lock = threading.Lock()
        self._settled = threading.Event()  # open, failed or closed
        self._waiting = PendingActs()
        self._news: deque[ClientState] = deque()  # states to be told
        self._telling = threading.Lock()
        self._thread: threading.Thread | None = None  # while it opens
        self.engine: EngineT | None = None  # while it may be used: everything that waited is written
        self.state = ClientState.NOT_READY
        self.error: BaseException | None = None

    @property
    def waiting_events(self) -> int:
        """How many events wait for the engine."""
        return self._waiting.events

    @property
    def opening(self) -> bool:
        """Whether the thread is at work."""
        return self._thread is not None

    def start(self) -> None:
        """Open in the background; nothing where that is done, under way, or the client is closed."""
        with self._lock:
            if self._thread is not None or self.state not in (ClientState.NOT_READY, ClientState.ERROR):
                return
            if self.state is ClientState.ERROR:
                self._turn(ClientState.NOT_READY)
            self.error = None
            self._settled.clear()
            self._thread = threading.Thread(target=self._open, name="edge-sdk-open", daemon=True)
            unstarted = _start(self._thread)
        self._tell()
        if unstarted is not None:
            self._failed(unstarted)

    def wait(self, timeout_s: float) -> bool:
        """Until it is open, has failed or is closed; whether it is open."""
        self._settled.wait(timeout_s)
        return self.engine is not None

    def keep(self, *acts: PendingEvent | PendingErasure) -> bool:
        """Keep what is to be written; False where the engine is open by now and can be told itself."""
        with self._lock:
            if self.engine is not None:
                return False
            closed = self.state is ClientState.CLOSED
            lost = sum(isinstance(act, PendingEvent) for act in acts) if closed else self._waiting.add(acts)
        if closed or lost:
            self._on_trouble(_CLOSED if closed else _NO_ROOM, lost)
        return True

    def close(self, timeout_s: float) -> None:
        """Close the engine. One that is being opened still takes what waits for it, then it is closed."""
        with self._lock:
            if self.state is ClientState.CLOSED:
                return
            self._turn(ClientState.CLOSED)
            engine, self.engine, thread = self.engine, None, self._thread
            lost, unerased = (0, False) if thread is not None else self._waiting.clear()
        self._settled.set()
        self._tell()
        self._tell_left(lost, unerased)
        if engine is not None:
            self._let_go(engine)
        elif thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def announce(self, state: ClientState) -> None:
        """Tell that the open engine's answers are STALE, or READY again."""
        with self._lock:
            if self.engine is not None:
                self._news.append(state)
        self._tell()

    # ---- below: helpers ----

    def _turn(self, state: ClientState) -> None:
        """The lock is held."""
        self.state = state
        self._news.append(state)

    def _tell(self) -> None:
        """Without the lock. Whoever is telling tells this too: the order holds, and nobody waits for others' hooks."""
        while self._news and self._telling.acquire(blocking=False):
            try:
                while self._news:
                    self._on_state(self._news.popleft())
            finally:
                self._telling.release()

    # ---- below: the thread that opens ----

    def _open(self) -> None:
        engine: EngineT | None = None
        try:
            engine = self._opener()
            while not self._published(engine):
                self._write(engine)
        except BaseException as problem:  # whatever it is: the app waits to be told
            if engine is not None:
                self._let_go(engine)
            self._failed(problem)

    def _published(self, engine: EngineT) -> bool:
        """Whether nothing waits any more; then the engine is everybody's, or closed if the client is."""
        with self._lock:
            if self._waiting.any:
                return False
            self._thread = None
            closed = self.state is ClientState.CLOSED
            if not closed:
                self.engine = engine
                self._turn(ClientState.READY)
        self._settled.set()
        if closed:
            self._let_go(engine)
        self._tell()
        return True

    def _write(self, engine: EngineT) -> None:
        with self._lock:
            acts = self._waiting.take()
        unwritten = len(acts)
        try:
            for count in write(engine, acts, lambda problem, lost: self._on_trouble(Problem.of(problem), lost)):
                unwritten -= count
        finally:
            with self._lock:
                self._waiting.put_back(unwritten)

    def _failed(self, problem: BaseException) -> None:
        with self._lock:
            self._thread = None
            self.error = problem
            closed = self.state is ClientState.CLOSED
            lost, unerased = self._waiting.clear() if closed else (0, False)
            if not closed:
                self._turn(ClientState.ERROR)
        try:  # whoever waits finds the reason in the log already
            self._on_trouble(Problem.of(problem), 0)
            self._tell_left(lost, unerased)
        finally:
            self._settled.set()
        self._tell()

    def _tell_left(self, lost: int, unerased: bool) -> None:
        if lost:
            self._on_trouble(_CLOSED, lost)
        if unerased:
            self._on_trouble(_UNERASED, 0)

    def _let_go(self, engine: EngineT) -> None:
        try:
            engine.close()
        except Exception as problem:  # the folder is let go all the same
            self._on_trouble(Problem.of(problem), 0)


_UNERASED: Final = Problem.not_ready("an erasure that waited was not carried out; erase again when an engine is open")
_CLOSED: Final = Problem.not_ready("the client is closed and records nothing; make a new one")
_NO_ROOM: Final = Problem.not_ready("too many events wait for the engine; call start(), or fix what client.error says")


def _start(thread: threading.Thread) -> RuntimeError | None:
    try:
        thread.start()
    except RuntimeError as problem:  # the system gives no thread
        return problem
    return None
