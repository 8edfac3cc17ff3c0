"""Whatever an activity raises or returns: the worker goes on, and the saga tells the kind of it (R5, N17).

Each case is one saga on a real server: a step that has to be undone, and one that ends in the way of the case. All of
them are served by one worker, which serves a friendly saga afterwards.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from sagadsl.authoring import Permanent, Spec, Transient
from sagadsl.plugins.catalogue import Plugin
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.runs import Ended
from sagadsl.temporal.work.activities import worker_activity
from sagadsl.temporal.worker import build_worker
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


class Weird(BaseException):
    """Passes every `except Exception`."""


class Mute(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("boom")

    __repr__ = __str__


class Leaving(Exception):
    """Whoever asks for its text leaves."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Unpicklable(Exception):
    """Holds what cannot leave its process."""

    def __init__(self, text: str, lock: Any) -> None:
        super().__init__(text)
        self.lock = lock


class Uncalled(Permanent):
    """Leaves our constructor out."""

    def __init__(self, reason: int) -> None:
        self.reason = reason


class Untypical(Exception):
    """Has a message that is none."""

    message = property(lambda self: 1 / 0)


@dataclass(frozen=True)
class Seat:
    row: int


class Hollow(Mapping[str, int]):
    """An object that cannot be looked at."""

    def __getitem__(self, key: str) -> int:
        raise RuntimeError("boom")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("boom")

    def __len__(self) -> int:
        return 1


class Shy:
    """A result that says nothing of itself."""

    def __repr__(self) -> str:
        raise RuntimeError("boom")

    def __call__(self) -> None: ...


def _raised(error: BaseException, behind: BaseException | None = None) -> Callable[[], Any]:
    def work() -> Any:
        raise error from behind

    return work


def _circle() -> Any:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def _chain() -> Any:
    error = ValueError("0")
    for number in range(1, 2_000):
        further = ValueError(str(number))
        further.__cause__ = error
        error = further
    raise error


def _itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def _lock() -> Any:
    return threading.Lock()


def _shy() -> Any:
    return Shy()


NO_TEXT = "its text cannot be made: RuntimeError: boom"
NOTHING_DONE: dict[str, tuple[Callable[[], Any], str, str]] = {
    "a BaseException": (_raised(Weird("odd")), "Weird", "odd"),
    "StopIteration": (_raised(StopIteration("no more")), "StopIteration", "no more"),
    "StopAsyncIteration": (_raised(StopAsyncIteration("no more")), "StopAsyncIteration", "no more"),
    "SystemExit": (_raised(SystemExit(3)), "SystemExit", "3"),
    "KeyboardInterrupt": (_raised(KeyboardInterrupt("stop")), "KeyboardInterrupt", "stop"),
    "GeneratorExit": (_raised(GeneratorExit("gone")), "GeneratorExit", "gone"),
    "a group": (
        _raised(BaseExceptionGroup("two", [Weird("a"), Mute()])),
        "BaseExceptionGroup",
        "two (2 sub-exceptions)",
    ),
    "no text": (_raised(Mute()), "Mute", NO_TEXT),
    "a text that leaves": (_raised(Leaving()), "Leaving", "its text cannot be made: SystemExit: 3"),
    "no text behind it": (_raised(ValueError("told"), Mute()), "ValueError", "told"),
    "a circle": (_circle, "ValueError", "first"),
    "a long chain": (_chain, "ValueError", "1999"),
    "no __init__ of ours": (_raised(Uncalled(3)), "Uncalled", "3"),
    "a type that is a class": (_raised(Permanent("no", type=Weird)), "Weird", "no"),  # type: ignore[arg-type] # as people do
    "a pause in seconds": (_raised(Transient("busy", retry_after=30)), "Transient", "busy"),  # type: ignore[arg-type] # the same
    "a pause that never ends": (_raised(Transient("busy", retry_after=timedelta.max)), "Transient", "busy"),
    "unpicklable": (_raised(Unpicklable("locked", threading.Lock())), "Unpicklable", "locked"),
    "half a character": (_raised(ValueError("\ud800")), "ValueError", "\\ud800"),
    "half a character behind it": (_raised(ValueError("told"), ValueError("\ud800")), "ValueError", "told"),
    "a message that is an error": (_raised(Permanent(ValueError("no"))), "Permanent", "no"),  # type: ignore[arg-type] # as people do
    "a message that has no text": (_raised(Permanent(Mute())), "Permanent", NO_TEXT),  # type: ignore[arg-type] # the same
    "a message that is none": (_raised(Untypical("odd")), "Untypical", "odd"),
    "details that cannot travel": (_raised(Permanent("no", threading.Lock())), "Permanent", "no"),
    "such details behind it": (
        _raised(ValueError("told"), ApplicationError("no", threading.Lock())),
        "ValueError",
        "told",
    ),
}
"""What a function may raise, and how the saga tells it: type and message."""
DONE: dict[str, tuple[Callable[[], Any], str]] = {
    "a generator": (lambda: (each for each in "ab"), "output is `<generator object"),
    "itself": (_itself, "or contains itself"),
    "unpicklable": (_lock, "output is of type `lock`, which JSON cannot carry"),
    "not to be looked at": (
        lambda: {"a": Hollow()},
        "output cannot become JSON: RuntimeError: boom",
    ),
    "not to be told": (_shy, "output is `Shy`, which JSON cannot carry"),
}
"""What a function may return although no saga can have it. It has run, so that the step is undone."""
FINE: dict[str, tuple[Callable[[], Any], Any]] = {
    "half a character": (lambda: {"a": "\ud800"}, {"a": "\ud800"}),
    "a set": (lambda: {3, 1, 2}, [1, 2, 3]),
    "a set of objects": (lambda: {Seat(2), Seat(1)}, [{"row": 1}, {"row": 2}]),
}
"""What becomes JSON, and what it becomes."""


@pytest.mark.parametrize("is_async", [False, True], ids=["def", "async def"])
def test_whatever_an_activity_does_the_worker_stays_itself(server: Server, is_async: bool) -> None:
    """R5: type, message, outcome."""
    works = {f"raised {name}": work for name, (work, _, _) in NOTHING_DONE.items()}
    works |= {f"returned {name}": work for name, (work, _) in (*DONE.items(), *FINE.items())}

    ended = asyncio.run(_played(server, works, is_async=is_async))

    failures = {name: _failure_of(each) for name, each in ended.items() if each.error}
    assert {name: failures.pop(f"raised {name}") for name in NOTHING_DONE} == {
        name: (kind, message, ["first"]) for name, (_, kind, message) in NOTHING_DONE.items()
    }
    for name, (_, message) in DONE.items():
        kind, found, undone = failures.pop(f"returned {name}")
        assert (kind, message in found, undone) == ("InvalidOutput", True, ["second", "first"]), (name, found)
    assert not failures
    assert {name: ended[f"returned {name}"].output for name in FINE} == {
        name: value for name, (_, value) in FINE.items()
    }


async def _played(server: Server, works: Mapping[str, Callable[[], Any]], *, is_async: bool) -> dict[str, Ended]:
    client = await Client.connect(server.address)
    queue = f"guests-{uuid.uuid4()}"
    names = {name: f"guest.a{number}" for number, name in enumerate(works)}
    activities = [_activity(names[name], _as_async(work) if is_async else work) for name, work in works.items()]
    activities.append(_activity("guest.fine", lambda: None))
    async with build_worker(client, task_queue=queue, activities=activities), asyncio.timeout(PATIENCE):
        started = {
            name: await sagas.start(client, _definition(activity), None, task_queue=queue)
            for name, activity in names.items()
        }
        ended = {name: await runs.result(client, each.id) for name, each in started.items()}
        last = await sagas.start(client, _definition("guest.fine"), None, task_queue=queue)
        assert (await runs.result(client, last.id)).error is None
    return ended


def _activity(name: str, work: Callable[[], Any]) -> Callable[..., Any]:
    return worker_activity(Plugin(name, "tests", work, Spec(), False))


def _as_async(work: Callable[[], Any]) -> Callable[[], Any]:
    async def run() -> Any:
        return work()

    return run


def _definition(activity: str) -> dict[str, Any]:
    undo = {"compensation": {"activity": "guest.fine"}}
    return {
        "sagadsl": 1,
        "name": "guests",
        "defaults": {"retry": "none", "timeouts": {"start_to_close": "20s"}},
        "steps": [{"id": "first", "activity": "guest.fine", **undo}, {"id": "second", "activity": activity, **undo}],
        "output": "{{ steps.second.output }}",
    }


def _failure_of(ended: Ended) -> tuple[str, str, list[str]]:
    """Return type and message of the step's error, and what was undone."""
    report = ended.report or {}
    return report["failure"]["type"], report["failure"]["message"], list(report["undone"])
