"""A process imports the SDK once, and forks one recorder, which the test kills, for each task.

The process has an empty module in the place of onnxruntime, whose threads would not survive a fork while their locks
would. The engine is the real one apart from its model session.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import edge_sdk.engine.opening
from edge_sdk.engine.engine import Engine
from edge_sdk.state import folder as state_folder
from edge_sdk.testing.white_box import internals
from tests.support import kill_plan as plan


def serve() -> None:
    """Forks a recorder for each task (a line of JSON), kills it after some messages, and passes all messages on."""
    vars(edge_sdk.engine.opening)["tested_session"] = lambda _: _NoRanker()
    for line in sys.stdin.buffer:
        task = json.loads(line)
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.close(ours)
            try:
                _Recorder(task, theirs).run()
            finally:
                os._exit(1)
        os.close(theirs)
        messages = b""
        while len(messages) < task["kill_after"] * plan.MESSAGE.size:
            part = os.read(ours, 65536)
            assert part, "the recorder died by itself"
            messages += part
        until = time.monotonic() + task["later_s"]
        while (left_s := until - time.monotonic()) > 0:  # a change sends nothing while it runs
            if select.select([ours], [], [], left_s)[0]:
                messages += os.read(ours, 65536)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(ours, "rb") as rest:
            messages += rest.read()
        sys.stdout.buffer.write(len(messages).to_bytes(8, "little") + messages)
        sys.stdout.buffer.flush()


class _NoRanker:
    def forget(self) -> None:
        """Does nothing."""


class _Recorder:
    def __init__(self, task: dict[str, Any], pipe: int) -> None:
        self._task, self._pipe = task, pipe
        self._place = itertools.count(task["place"])
        self._mine = threading.local()
        if task["mode"] == "renumber":
            state_folder.RENUMBER_AT = plan.RENUMBER_AT  # type: ignore[misc]
        self._key = task["key"]
        self._engine = Engine.open(
            Path(task["state"]),
            bundle=task["bundle"],
            trusted_keys=[bytes.fromhex(task["public_key"])],
            storage_key=plan.KEYS[self._key],
            log_bytes=task["log_bytes"],
            clock=self._clock,
        )
        state: Any = internals(self._engine).state
        for name in ("erase", "erase_chosen", "change_key", "resize"):
            setattr(state, name, self._announced(getattr(state, name)))

    def run(self) -> None:
        threads = [threading.Thread(target=self._record_or_die, args=(number,)) for number in range(plan.THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _record_or_die(self, thread: int) -> None:
        try:
            self._record(thread)
        finally:
            os._exit(1)  # the spawner notices

    def _record(self, thread: int) -> None:
        changes = self._changes() if thread == 0 else None
        for count in itertools.count(self._task["counts"][thread] + 1):
            self._record_one(thread, count)
            if changes is not None and count % 4 == 0:
                if self._task["mode"] == "many":
                    return self._record_many(count)
                next(changes)
        return None

    def _record_many(self, count: int) -> None:
        """Records single events and many at once in turn: what thread 0 does from here on."""
        while True:
            counts = list(range(count + 1, count + 1 + plan.many(count)))
            events = [plan.event(0, number) for number in counts]
            self._mine.about = plan.RECORDING_MANY, 0, counts[-1]
            seq = self._engine.record_many(
                [plan.many_time_ms(number) for number in counts],
                [plan.KINDS.index(kind) for kind, _ in events],
                [plan.ITEMS.index(item) for _, item in events],
                counts,
                [plan.OF_MANY] * len(counts),
                kind_names=plan.KINDS,
                item_names=plan.ITEMS,
            )
            self._report(plan.RECORDED_MANY, 0, counts[-1], seq, self._mine.place)
            count = counts[-1] + 1
            self._record_one(0, count)

    def _record_one(self, thread: int, count: int) -> None:
        kind, item = plan.event(thread, count)
        self._mine.about = plan.RECORDING, thread, count
        seq = self._engine.record(kind, item=item, value=float(count), decision=thread + 1)
        self._mine.about = None  # an erase reads the clock too
        self._report(plan.RECORDED, thread, count, seq, self._mine.place)

    def _changes(self) -> Iterator[None]:
        """Changes the folder meanwhile, once at each step."""
        engine, mode = self._engine, self._task["mode"]
        for step in itertools.count():
            if mode == "erase":
                engine.erase()
            elif mode == "erase some":
                engine.erase(items=[plan.ERASED_ITEM])
            elif mode == "resize":
                engine.storage.resize((8192, 4096, 12288)[step % 3])
            elif mode == "rotate":
                self._key = (self._key + 1) % len(plan.KEYS)
                engine.storage.rotate_key(plan.KEYS[self._key])
            yield

    def _announced(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a change so that its beginning and its end are reported, while the engine's lock is held."""

        def announced(*arguments: Any) -> Any:
            place: int = next(self._place)
            self._report(plan.BEGUN, 0, 0, self._key, place)
            result = change(*arguments)
            self._report(plan.DONE, 0, 0, self._key, place)
            return result

        return announced

    def _clock(self) -> int:
        """Reports what is about to be recorded. The engine's lock is held, so that calls have an order."""
        place: int = next(self._place)
        self._mine.place = place
        about = getattr(self._mine, "about", None)
        if about is not None:
            self._report(*about, 0, place)
        return plan.START_MS + plan.STEP_MS * place

    def _report(self, *message: int) -> None:
        os.write(self._pipe, plan.MESSAGE.pack(*message))  # whole: shorter than PIPE_BUF
