"""Runs short workflow tasks in the thread of the event loop, which has read them and will send what they decide.

The SDK hands each to another thread, so that it can interrupt one that hangs. Most tasks of a saga take less time than
waking that thread, waiting for the interpreter's lock, and waking the event loop again (docs/decisions/0062). What may
take long goes to threads as before: replays, large messages, and runs one of whose tasks has taken long. Whatever hangs
in the event loop all the same is interrupted by a thread that watches it, by the SDK's own means.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from sagadsl.temporal.run import near

HANGS_SECONDS = 2.0
"""A task that holds up the event loop for longer is interrupted, and its next attempt has all the time in a thread."""

_LONG_SECONDS = 0.05
_LARGE_BYTES = 50_000
"""What is larger may hold a definition, or a value, whose check takes a while (see :mod:`..run.slow_checks`)."""

_THREADS = 500
"""As many as the SDK's own executor has."""

_SLOW = 10_000
"""So many runs are remembered one of whose tasks has taken long; they may leave the memory meanwhile, and come back."""

_log = logging.getLogger(__name__)


class TaskGivenUp(Exception):
    """A workflow task held up the event loop. Its run stands, and the server gives the task again."""


class NearTasks(ThreadPoolExecutor):
    """The executor of workflow tasks of a worker."""

    def __init__(self) -> None:
        super().__init__(_THREADS, thread_name_prefix="temporal_workflow_")
        self._slow: dict[str, None] = {}
        self._used = 0.0
        """Seconds of this turn of the event loop that tasks have taken."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run *fn*, at the event loop's next turn or in a thread. Returns a future, as ``run_in_executor`` takes it."""
        interrupt = getattr(getattr(fn, "__self__", None), "attempt_deadlock_interruption", None)
        message = args[0] if len(args) == 1 else None
        if interrupt is None or not isinstance(message, WorkflowActivation) or self._may_take_long(message):
            return super().submit(fn, *args, **kwargs)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        # At the next turn, as Python 3.14 enters no task of the workflow while one of the event loop is at work. In a
        # context of its own, as in a thread: what the event loop's tasks have set is none of the workflow's.
        loop.call_soon(self._run, loop, future, fn, message, interrupt, context=Context())
        return future

    def _may_take_long(self, message: WorkflowActivation) -> bool:
        return message.run_id in self._slow or message.is_replaying or message.ByteSize() > _LARGE_BYTES

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        fn: Callable[..., Any],
        message: WorkflowActivation,
        interrupt: Callable[[], None],
    ) -> None:
        if future.cancelled():
            return
        if self._used > _LONG_SECONDS:  # several have come at once; nobody else shall wait for all of them
            aside = super().submit(fn, message)
            aside.add_done_callback(lambda done: loop.call_soon_threadsafe(_copy, done, future))
            return
        if not self._used:
            loop.call_soon(self._next_turn)
        begun = monotonic()
        near.begins()
        watched = _WATCH.begin(interrupt)
        done, error = None, None
        try:
            done = fn(message)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:  # noqa: BLE001 # the SDK gets it below
            error = raised
        finally:
            interrupted = _WATCH.end(watched)
            given_up = near.ends() or interrupted
            asyncio.events._set_running_loop(loop)  # a workflow has its own, and leaves none behind
            took = monotonic() - begun
            self._used += took
            if given_up or took > _LONG_SECONDS:
                self._remember(message.run_id)
        if given_up:  # whatever came of it: the workflow's own loop may have kept the exception
            error = TaskGivenUp(f"a workflow task held up the event loop, and is done again in a thread ({took:.1f} s)")
        if error is None:
            future.set_result(done)
        elif isinstance(error, Exception):
            future.set_exception(error)
        else:  # the SDK answers for ``Exception`` alone
            wrapped = TaskGivenUp(f"{type(error).__name__}: {error}")
            wrapped.__cause__ = error
            future.set_exception(wrapped)

    def _next_turn(self) -> None:
        self._used = 0.0

    def _remember(self, run_id: str) -> None:
        self._slow[run_id] = None
        while len(self._slow) > _SLOW:
            del self._slow[next(iter(self._slow))]


def _copy(done: Future[Any], future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        return
    error = done.exception()
    if error is None:
        future.set_result(done.result())
    else:
        future.set_exception(error)


@dataclass(slots=True, eq=False)
class _Watched:
    interrupt: Callable[[], None]
    interrupted: bool = False


class _Watch:
    """Watches the tasks that run in threads of event loops, one in each.

    Between two looks a task ends and begins without waking anybody; while there are none, the thread sleeps.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, also in the child of a fork, which has no thread but its own."""
        self._running: dict[int, _Watched] = {}
        self._busy = threading.Event()
        self._lock = threading.Lock()
        """Held while a task is interrupted, and by whoever ends one: what interrupts it reaches no other one."""
        self._thread: threading.Thread | None = None

    def begin(self, interrupt: Callable[[], None]) -> _Watched:
        watched = self._running[threading.get_ident()] = _Watched(interrupt)
        if not self._busy.is_set():
            self._busy.set()
            self._look_after()
        return watched

    def end(self, watched: _Watched) -> bool:
        """Return whether the task was interrupted; from now on nobody does so."""
        with self._lock:
            self._running.pop(threading.get_ident(), None)
            return watched.interrupted

    def _look_after(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="sagadsl-watch", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while True:
            self._busy.wait()
            seen = dict(self._running)
            if not seen:
                self._busy.clear()
                if self._running:  # begun since, and taken for watched
                    self._busy.set()
                continue
            sleep(HANGS_SECONDS)
            for thread, watched in seen.items():
                with self._lock:
                    if self._running.get(thread) is watched:
                        watched.interrupted = True
                        try:
                            watched.interrupt()
                        except Exception:  # noqa: BLE001 # this thread goes on
                            _log.exception("a workflow task that hangs could not be interrupted")


_WATCH = _Watch()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_WATCH.reset)
