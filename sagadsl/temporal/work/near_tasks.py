"""Runs short workflow tasks in the thread of the event loop, which has read them and will send what they decide.

The SDK hands each to another thread, so that it can interrupt one that hangs. Most tasks of a saga take less time than
waking that thread, waiting for the interpreter's lock, and waking the event loop again (docs/decisions/0062). What may
take long goes to threads as before: replays, large messages, and runs one of whose tasks has taken long. Whatever hangs
in the event loop all the same is interrupted by a thread that watches it, as the SDK does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

HANGS_SECONDS = 2.0
"""A task that takes longer is interrupted; the SDK's own figure."""

_LONG_SECONDS = 0.05
_LARGE_BYTES = 50_000
"""What is larger may hold a definition, or a value, whose check takes a while (see :mod:`..run.slow_checks`)."""

_THREADS = 500
"""As many as the SDK's own executor has."""


class TaskHangs(Exception):
    """A workflow task took longer than it may. Its run stands, and the server gives the task again."""


class NearTasks(ThreadPoolExecutor):
    """The executor of workflow tasks of a worker."""

    def __init__(self) -> None:
        super().__init__(_THREADS, thread_name_prefix="temporal_workflow_")
        self._slow: set[str] = set()
        """Runs in memory one of whose tasks has taken long."""

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
        if message.run_id in self._slow:
            if message.jobs and message.jobs[0].HasField("remove_from_cache"):
                self._slow.discard(message.run_id)
            return True
        return message.is_replaying or message.ByteSize() > _LARGE_BYTES

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
        begun = monotonic()
        watched = _WATCH.begin(interrupt)
        try:
            done = fn(message)
            if watched.interrupted:  # in a task of the workflow's own loop, which keeps what interrupts it
                future.set_exception(_hangs())
            else:
                future.set_result(done)
        except BaseException as error:
            if not watched.interrupted and not isinstance(error, Exception):  # e.g. the end of the process
                raise
            future.set_exception(_hangs() if watched.interrupted else error)
        finally:
            _WATCH.end()
            asyncio.events._set_running_loop(loop)  # a workflow has its own, and leaves none behind
            if monotonic() - begun > _LONG_SECONDS:
                self._slow.add(message.run_id)


def _hangs() -> TaskHangs:
    return TaskHangs(f"a workflow task was interrupted after {HANGS_SECONDS:g} s")


@dataclass(slots=True)
class _Watched:
    interrupt: Callable[[], None]
    interrupted: bool = False


class _Watch:
    """Watches the tasks that run in threads of event loops, one in each.

    Between two looks a task ends and begins without waking anybody; while there are none, the thread sleeps.
    """

    def __init__(self) -> None:
        self._running: dict[int, _Watched] = {}
        self._busy = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, interrupt: Callable[[], None]) -> _Watched:
        watched = self._running[threading.get_ident()] = _Watched(interrupt)
        if not self._busy.is_set():
            self._busy.set()
            self._look_after()
        return watched

    def end(self) -> None:
        self._running.pop(threading.get_ident(), None)

    def _look_after(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # the first time, or after a fork
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
                if self._running.get(thread) is watched:
                    watched.interrupted = True
                    watched.interrupt()


_WATCH = _Watch()
