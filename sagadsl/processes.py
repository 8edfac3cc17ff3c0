"""Work spread over processes of this machine: results come in the order of the parts, whatever ends first.

Neither the pool of ``multiprocessing`` nor the executors of ``concurrent`` do: the pool waits forever for a process
that was killed, and both leave processes at work when Ctrl-C comes or when this process is killed itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sagadsl.errors import SagadslError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

T = TypeVar("T")
R = TypeVar("R")


class ProcessDied(SagadslError):
    """A process that did a part of the work has ended in the middle of it.

    Attributes:
        exitcode: Its exit code; the negative number of the signal that has killed it.
    """

    code = "SD933"
    exit_code = 3

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(exitcode)
        self.exitcode = exitcode

    def __str__(self) -> str:
        return f"a process that did a part of the work {self._how()} before it was done, so there is no result"

    def _how(self) -> str:
        if self.exitcode is None or self.exitcode >= 0:
            return f"ended with exit code {self.exitcode}"
        try:
            return f"was killed by {signal.Signals(-self.exitcode).name}"
        except ValueError:
            return f"was killed by signal {-self.exitcode}"

    @property
    def help(self) -> str:
        if self.exitcode == -9:  # SIGKILL
            return "the system kills processes when memory runs out: try again with fewer processes (`--jobs 1`)"
        return "try again; with `--jobs 1` all the work is done in one process"


def usual_jobs() -> int:
    """Return how many processes this machine has room for."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[T], R], parts: Sequence[T], jobs: int) -> Iterator[R]:
    """Yield ``work(part)`` for each part, in the order of the parts; with at most *jobs* processes.

    With one process, or where this process cannot start others, the work is done here. What a part raises is raised
    here. No process goes on when the iterator is closed, when an exception ends it, or when this process dies.

    Args:
        work: A function of a module. A part and a result can be pickled.

    Raises:
        ProcessDied: A process has ended before its part was done.
    """
    method = start_method()
    if jobs <= 1 or len(parts) <= 1 or method is None:
        yield from map(work, parts)
        return
    crew = _Crew(work, method, min(jobs, len(parts)))
    try:
        yield from crew.results(parts)
    finally:
        crew.stop()


def start_method() -> str | None:
    """Return the method to start further processes; ``None`` when this process cannot have any."""
    if sys.platform == "linux" and threading.active_count() == 1:  # a fork takes over no other thread's locks
        return "fork"
    # A new interpreter runs the main module once more, so that the main module must have a file.
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return "spawn" if main is not None and os.path.isfile(main) else None


class _Crew:
    """Processes that take one part after the other."""

    def __init__(self, work: Callable[[Any], Any], method: str, size: int) -> None:
        from multiprocessing import get_context  # noqa: PLC0415  # only who has several processes pays

        context: Any = get_context(method)
        self._members: dict[Connection[Any, Any], BaseProcess] = {}
        sys.stdout.flush()  # a forked process must not write once more what is kept here
        sys.stderr.flush()
        try:
            with _undisturbed():
                for _ in range(size):
                    ours, theirs = context.Pipe()
                    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
                    process.start()
                    theirs.close()
                    self._members[ours] = process
        except BaseException:
            self.stop()
            raise

    def results(self, parts: Sequence[Any]) -> Iterator[Any]:
        from multiprocessing.connection import wait  # noqa: PLC0415  # the same

        waiting = iter(enumerate(parts))
        at_work: dict[Any, int] = {}
        done: dict[int, Any] = {}
        given = 0
        for member in self._members:
            self._hand_over(member, waiting, at_work)
        while at_work:
            for answering in wait(list(at_work)):
                done[at_work.pop(answering)] = self._taken(answering)
                self._hand_over(answering, waiting, at_work)
            while given in done:
                result, error = done.pop(given)
                if error is not None:
                    raise error
                given += 1
                yield result

    def _hand_over(self, member: Any, waiting: Iterator[tuple[int, Any]], at_work: dict[Any, int]) -> None:
        number, part = next(waiting, (None, None))
        if number is None:
            return
        try:
            member.send(part)
        except OSError:
            raise self._death(member) from None
        at_work[member] = number

    def _taken(self, member: Any) -> tuple[Any, BaseException | None]:
        try:
            answer: tuple[Any, BaseException | None] = member.recv()
        except (EOFError, OSError):
            raise self._death(member) from None
        return answer

    def _death(self, member: Any) -> ProcessDied:
        process = self._members[member]
        process.join()
        return ProcessDied(process.exitcode)

    def stop(self) -> None:
        """End all processes at once: what they were about is wanted no more."""
        for process in self._members.values():
            process.kill()
        for member, process in self._members.items():
            process.join()
            member.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: a process that is just beginning does not ignore it yet."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection[Any, Any], work: Callable[[Any], Any]) -> None:
    """Do the parts that come through a connection, until it is closed or the process at its other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the first one ends them
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            part = connection.recv()
        except EOFError:
            return
        answer: tuple[Any, BaseException | None]
        try:
            answer = (work(part), None)
        except Exception as error:  # noqa: BLE001  # raised again where the results are wanted
            import traceback  # noqa: PLC0415  # 2 ms that a command without processes need not pay

            error.add_note("".join(traceback.format_exception(error)))
            answer = (None, error)
        connection.send(answer)


def _end_with_parent() -> None:
    from multiprocessing import parent_process  # noqa: PLC0415  # the same

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
