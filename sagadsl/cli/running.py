"""Runs a saga from its start to its end, on an existing server or on one that the command starts."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from enum import Enum
from shlex import quote
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from sagadsl.cli import screen
from sagadsl.cli.alone import telling, watched
from sagadsl.cli.installed import Installed
from sagadsl.cli.interrupts import INTERRUPTED, Interrupts, StopRequested
from sagadsl.cli.live import LiveView, view_for
from sagadsl.cli.outcome import EXIT_CODES, paused_document, paused_line, show
from sagadsl.cli.reach import same_server
from sagadsl.cli.serving import activities, queues
from sagadsl.columns import whole
from sagadsl.engine.call_errors import QUEUE_BOUND
from sagadsl.engine.hiding import Marks
from sagadsl.immutable import Hidden, Immutable, field, replace
from sagadsl.language.model import Saga
from sagadsl.language.suggest import listed
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.status.lines import moment, paused
from sagadsl.status.listed import listed as in_one_line
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask.answers import answer_shown, early_answer
from sagadsl.temporal.ask.workers import need_somebody_who_knows
from sagadsl.temporal.link.connection import check_namespace, connect, guard
from sagadsl.temporal.link.embedded import serve
from sagadsl.temporal.link.settings import ConnectionSettings
from sagadsl.temporal.link.telemetry import tracing_of
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.following import Picture, follow
from sagadsl.temporal.read.secrets import end_shown
from sagadsl.temporal.read.trace import trace as trace_of
from sagadsl.temporal.worker import build_worker

if TYPE_CHECKING:
    from sagadsl.temporal.link.server_process import ServerProcess
    from sagadsl.temporal.link.tracing import Tracing
    from sagadsl.trust.judge import Trust

_NO_DRAIN = _NO_PATIENCE = timedelta(0)
_DRAIN = timedelta(seconds=5)
"""How long activities may go on when the command ends; without a server it makes no sense to wait longer."""


_EARLIER = {
    "completed": "completed",
    "failed": "failed",
    "canceled": "been cancelled",
    "terminated": "been terminated: what it had done stands",
    "timed_out": "timed out: what it had done stands",
}
"""The words for the end of an earlier run, by Temporal's status."""

_ANEW = "this one begins anew, with idempotency keys of its own"


class StartRequest(Immutable):
    """The saga to start.

    Attributes:
        definition: The saga's data; ``None`` when only a worker knows it.
        version: The version that the worker shall take; empty for its newest.
        children: The data of its child sagas, by name.
        sagas: The models of all of them.
        task_queue: From the command or the definition.
        secrets: Where its activities, and those of its children, have secrets.
        shows_secrets: Show them.
        signatures: Of the definition and of its children, for workers that ask for them.
        trust: What the worker of this command takes; ``None`` for everything.
    """

    name: str
    definition: Mapping[str, Any] | None
    children: Hidden[Mapping[str, Mapping[str, Any]]]
    sagas: Hidden[tuple[Saga, ...]]
    input: Mapping[str, Any]
    id: str | None
    task_queue: str | None
    again: bool
    summary: str | None
    version: str = ""
    secrets: Marks = field(default_factory=dict)
    shows_secrets: bool = False
    signatures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trust: Hidden[Trust | None] = None


class Leave(Enum):
    """When the command leaves a saga that it has started."""

    AT_ONCE = "at once"
    ANSWERED = "when it has answered"
    ENDED = "when it has ended"


class RunsOn(Immutable):
    """Where the saga runs.

    Attributes:
        options: Connection options that another command needs for the same server.
        ui: Address of the Web UI; empty when nobody knows it.
        goes_with_us: The server ends with this command.
        has_our_worker: A worker runs in this process.
        modules: Local modules with activities, which another worker has to be told, too.
    """

    settings: ConnectionSettings
    options: str = ""
    ui: str = ""
    goes_with_us: bool = False
    has_our_worker: bool = False
    modules: tuple[str, ...] = ()

    @property
    def tail(self) -> str:
        """The options for the end of a command."""
        return f" {self.options}" if self.options else ""


async def execute(
    order: StartRequest,
    settings: ConnectionSettings,
    catalogue: Catalogue,
    *,
    leave: Leave,
    with_worker: bool,
    begun: ServerProcess | None = None,
) -> int:
    """Start *order*, show it until it is time to leave, and return the exit code.

    Args:
        begun: A server of our own that has begun, where none is named.
    """
    screen.log(logging.CRITICAL)  # the errors of activities are on the screen anyway
    async with AsyncExitStack() as stack:
        place = await _place(stack, settings, catalogue.modules, with_worker=with_worker, begun=begun)
        client = await connect(place.settings)
        interrupts = Interrupts.install()
        with guard(place.settings):
            await check_namespace(client, place.settings)
            if place.has_our_worker:
                tracing = tracing_of(place.settings.telemetry)
                await _serve(stack, client, order, catalogue, tracing, alone=place.goes_with_us)
            if interrupts.count:  # somebody pressed Ctrl-C before anything had happened
                return INTERRUPTED
            if order.definition is None and not place.has_our_worker:
                queue = order.task_queue or sagas.DEFAULT_TASK_QUEUE
                await need_somebody_who_knows(client, queue, order.name, order.version)
            started = await sagas.start(
                client,
                order.definition if order.definition is not None else order.name,
                order.input,
                children=order.children,
                id=order.id,
                task_queue=order.task_queue,
                again=order.again,
                summary=order.summary,
                version=order.version,
                secrets=order.secrets,
                signatures=order.signatures,
            )
            _header(started, place)
            if leave is Leave.AT_ONCE:
                if order.definition is None:  # who waits for the end is told of an input that does not fit
                    screen.note(
                        "its input is not checked yet: the worker that takes it does, and one that does not fit "
                        f"ends it (InvalidInput), as `sagadsl status {quote(started.id)}{place.tail}` tells"
                    )
                known = {"id": started.id, "run_id": started.run_id, "name": started.name}
                screen.result({**known, "task_queue": started.task_queue}, whole(started.id))
                return 0
            by_name = order.definition is None
            if leave is Leave.ANSWERED:
                code = await _answered(client, started, place, interrupts, by_name=by_name, secrets=order.shows_secrets)
                if code is not None:
                    return code
            return await _follow(client, started, place, interrupts, by_name=by_name, secrets=order.shows_secrets)


async def _place(
    stack: AsyncExitStack,
    settings: ConnectionSettings,
    modules: tuple[str, ...],
    *,
    with_worker: bool,
    begun: ServerProcess | None,
) -> RunsOn:
    if settings.names_a_server:
        return RunsOn(settings, same_server(settings), has_our_worker=with_worker, modules=modules)
    server = await stack.enter_async_context(serve(begun=begun))
    options = f"--address {server.address}"
    settings = replace(server.settings, codec=settings.codec, telemetry=settings.telemetry)
    return RunsOn(settings, options, server.ui_url, goes_with_us=True, has_our_worker=True)


async def _serve(
    stack: AsyncExitStack,
    client: Client,
    order: StartRequest,
    catalogue: Catalogue,
    tracing: Tracing | None,
    *,
    alone: bool,
) -> None:
    """Run workers in this process: on the saga's own queue, and, if the server is ours *alone*, on the queues that its
    steps name. On another server those queues belong to other people."""
    installed = Installed(catalogue)
    names = sorted(name for saga in order.sagas for name in activities(saga) if name in installed)
    definitions = {**order.children, **({order.name: order.definition} if order.definition is not None else {})}
    own = order.task_queue or sagas.DEFAULT_TASK_QUEUE
    others = sorted(queues(order.sagas) - {own})
    if others and not alone:
        screen.note(f"its steps also call task queue {listed(others)}, which workers of their own have to serve")
    for queue in (own, *(others if alone else ())):
        worker = build_worker(
            client,
            task_queue=queue,
            catalogue=catalogue,
            definitions=definitions,
            names=names,
            drain=_NO_DRAIN if alone else _DRAIN,
            patience=_NO_PATIENCE if alone else QUEUE_BOUND,
            tracing=tracing,
            trust=order.trust,
            signatures=order.signatures,
        )
        await stack.enter_async_context(worker)


def _header(started: sagas.Started, place: RunsOn) -> None:
    url = f"   {place.ui}/namespaces/{place.settings.namespace.value}/workflows/{whole(started.id)}" if place.ui else ""
    screen.note(f"{started.name}   id {whole(started.id)}{url}")
    if started.earlier:
        screen.note(f"the run before under this id has {_EARLIER.get(started.earlier, 'ended')}; {_ANEW}")


async def _answered(
    client: Client, started: sagas.Started, place: RunsOn, interrupts: Interrupts, *, by_name: bool, secrets: bool
) -> int | None:
    """Wait for the saga's early answer, print it, and return the exit code; ``None`` if it has ended without one."""
    alone = telling(place.options, _no_worker(started, place, by_name=by_name))
    try:
        async with watched(client, started.id, alone):
            answer = await interrupts.unless_stop_requested(early_answer(client, started.id))
    except StopRequested:
        command = f"sagadsl status {quote(started.id)} --json{place.tail}"
        screen.say(f"left: the saga goes on; its status shows the answer: {command}")
        return INTERRUPTED
    if answer is None:
        screen.note("it has ended without an early answer")
        return None
    if not secrets:
        answer = await answer_shown(client, answer)
    screen.result(answer.as_json(), json.dumps(answer.value, ensure_ascii=False, indent=2), is_data=True)
    return 0


async def _follow(
    client: Client, started: sagas.Started, place: RunsOn, interrupts: Interrupts, *, by_name: bool, secrets: bool
) -> int:
    """Show the saga until it ends, pauses, or somebody wants to leave."""
    view = view_for(screen.session().output, place.options, _no_worker(started, place, by_name=by_name))
    try:
        last = await _watch(client, started, place, interrupts, view)
    finally:
        view.close()
    if last is None:
        return INTERRUPTED
    if last.is_open:
        return _paused(started, last, place)
    ended = await runs.result(client, started.id)
    if not secrets:
        ended = await end_shown(client, ended)
    steps = last.status.get("steps", [])
    show(ended, {**ended.as_json(), "run_id": started.run_id, "name": started.name, "steps": steps}, _took(last))
    if ended.status == "cancelled" and ended.report is None and (undone := _undone(steps)):  # Temporal keeps no report
        screen.note(f"   undone: {in_one_line({'undone': undone}, 'undone')}")
    if screen.session().debug:
        await _stacks(client, started.id)
    return EXIT_CODES[ended.status]


def _undone(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the steps that have been undone, in the order in which that ended."""
    undone = [each for each in steps if each.get("compensation", {}).get("status") == "done"]
    return [each["path"] for each in sorted(undone, key=lambda each: each["compensation"].get("ended_at") or "")]


async def _stacks(client: Client, id: str) -> None:
    """Write the stacks of the errors that nobody meant to stderr."""
    for call in (await trace_of(client, id)).calls:
        if call.place:
            screen.say(f"{call.path}, last attempt:\n{whole(call.stack.rstrip())}")


def _no_worker(started: sagas.Started, place: RunsOn, *, by_name: bool) -> str:
    """Return the line to show while no worker takes the saga's work; a saga started by name needs one that knows it."""
    modules = " ".join(f"-m {quote(each)}" for each in place.modules)
    options = [f"--task-queue {quote(started.task_queue)}", place.options, "--definitions DIR" if by_name else modules]
    command = " ".join(["sagadsl worker", *filter(None, options)])
    beside = "" if by_name else "give `--worker`, or "
    return f"no worker takes it on task queue `{started.task_queue}`; {beside}start one: {command}"


async def _watch(
    client: Client, started: sagas.Started, place: RunsOn, interrupts: Interrupts, view: LiveView
) -> Picture | None:
    """Return the last picture; ``None`` when somebody wants to leave."""
    last = Picture()
    while last.is_open:
        try:
            pictures = follow(client, started.id)
            while (found := await interrupts.unless_stop_requested(anext(pictures, None))) is not None:
                last = found
                view.show(last)
                if paused(last.status) and not _stays_when_paused(place):
                    return last
            return last
        except StopRequested:
            if not place.goes_with_us:
                _say_detached(view, started, place)
                return None
            if interrupts.count > 1:
                view.say("left as it is: what had been done is not undone, and the server is gone")
                return None
            view.say("asked it to stop, and to undo what it has done; Ctrl-C again leaves it as it is")
            await sagas.cancel(client, started.id)
    return last


def _stays_when_paused(place: RunsOn) -> bool:
    """Whether to stay with a saga that waits for an operator: its server would end, and a person is there."""
    return place.goes_with_us and sys.stdin.isatty()


def _say_detached(view: LiveView, started: sagas.Started, place: RunsOn) -> None:
    tail = place.tail
    goes_on = f"goes on when a worker serves task queue {started.task_queue}" if place.has_our_worker else "goes on"
    view.say(f"left: the saga {goes_on}")
    view.say(f"   sagadsl status {quote(started.id)}{tail}   how it stands")
    view.say(f"   sagadsl result {quote(started.id)}{tail}   wait for its end")


def _paused(started: sagas.Started, last: Picture, place: RunsOn) -> int:
    code = EXIT_CODES["paused"]
    left = "its server is gone with this command, so nothing reaches it" if place.goes_with_us else "left open"
    screen.say(f"{paused_line(last.status)}; {left} (exit {code})")
    known = {"id": started.id, "run_id": started.run_id, "name": started.name}
    screen.result({**known, **paused_document(last.status), "steps": last.status.get("steps", [])})
    return code


def _took(last: Picture) -> float | None:
    """Return how many seconds the saga took, by its own clock."""
    began, changed = last.status.get("started_at"), last.status.get("changed_at")
    if not began:
        return None
    return ((moment(changed) if changed else datetime.now(UTC)) - moment(began)).total_seconds()
