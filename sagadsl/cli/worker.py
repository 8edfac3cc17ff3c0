"""``sagadsl worker``: serves sagas and their activities until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, by_version, load_definitions, of_one_name, secrets_in
from sagadsl.cli.event_loop import run_on
from sagadsl.cli.fetched import here
from sagadsl.cli.interrupts import need_posix, on_stop
from sagadsl.cli.options import common, connection, log_format, logs_as, modules
from sagadsl.cli.serving import own_activities
from sagadsl.cli.trusting import signed_in, trusting
from sagadsl.cli.worker_capacity import Capacity, with_capacity
from sagadsl.cli.worker_version import WorkerVersion, versioned
from sagadsl.engine.hiding import Marks, has_secrets
from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable, field
from sagadsl.language.model import Saga
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.problems import PluginBroken, PluginConflict, PluginUnknown, Problem, needs_extra

if TYPE_CHECKING:
    from temporalio.worker import Worker

    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.link.settings import ConnectionSettings
    from sagadsl.temporal.link.tracing import Tracing
    from sagadsl.trust.judge import Trust

STOPPED_AT_ONCE = 130
LAST_WORDS_SECONDS = 0.5
"""Seconds that activities have to report when the drain is over and they have to stop."""
_POLL_SECONDS = 0.02
_NAMED = 12
CHILD = "SAGADSL_WORKER_CHILD"
"""Environment variable of the processes that ``--processes`` starts: they do not repeat what their parent has said."""


class CannotServe(SagadslError):
    """The worker does not start, because it would fail the first saga that it takes."""

    code = "SD905"
    exit_code = 3

    def __init__(self, problems: tuple[str, ...], remedy: str = "") -> None:
        super().__init__(problems, remedy)
        self.problems, self.remedy = problems, remedy

    def __str__(self) -> str:
        return "\n".join(("the worker does not start", *(f"   {problem}" for problem in self.problems)))

    @property
    def help(self) -> str:
        return self.remedy


class Plan(Immutable):
    """The work of one worker process.

    Attributes:
        queues: Task queues to poll.
        sagas: Its own definitions, as models and as data.
        names: Activities to serve; ``None`` means all that work.
        secrets: Where the activities that its sagas call have secrets.
        trust: What it takes; ``None`` for everything. The signatures are those of its own definitions.
    """

    queues: tuple[str, ...]
    sagas: tuple[Saga, ...]
    definitions: Mapping[str, Mapping[str, Any]]
    catalogue: Catalogue
    inline: bool
    only: Literal["workflows", "activities"] | None
    drain: timedelta
    takeover: timedelta
    capacity: Capacity = Capacity()
    problems: tuple[Problem, ...] = ()
    activities: tuple[str, ...] = ()
    version: WorkerVersion | None = None
    secrets: Marks = field(default_factory=dict)
    trust: Trust | None = None
    signatures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@click.command(short_help="Serve sagas and their activities until stopped.")
@click.argument("paths", nargs=-1)
@click.option(
    "--definitions", multiple=True, metavar="DIR", help="More definitions, as PATHS; for a variable or a script."
)
@click.option("--task-queue", multiple=True, metavar="NAME", help="Queue to poll; may be repeated.")
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes to run.")
@click.option(
    "--only", type=click.Choice(["workflows", "activities"]), help="Serve only workflows, or only activities."
)
@click.option(
    "--inline-definitions/--no-inline-definitions",
    default=True,
    help="Take, or refuse, definitions that come with the start of a saga.",
)
@click.option(
    "--drain",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long running activities may go on after the first SIGTERM.",
)
@click.option(
    "--takeover",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a saga waits for the worker that holds it in memory, before another one takes it over.",
)
@trusting
@with_capacity
@click.option("--metrics", metavar="HOST:PORT", help="Show the SDK's metrics at this address, for Prometheus.")
@log_format
@versioned
@modules
@connection
@common
def worker(
    *,
    paths: Sequence[str],
    definitions: Sequence[str],
    task_queue: Sequence[str],
    processes: int,
    only: Literal["workflows", "activities"] | None,
    inline_definitions: bool,
    drain: float,
    takeover: float,
    version: WorkerVersion | None,
    capacity: Capacity,
    trust: Trust | None,
    metrics: str | None,
    module: Sequence[str],
    flags: Flags,
) -> int:
    """Serve sagas and their activities until stopped.

    PATHS are definitions (files or folders) that can be started by their name alone. The
    queues are those that the definitions name, or `sagadsl`. SIGTERM and Ctrl-C let running
    activities end; a second one stops at once.

    \b
    Examples:
      sagadsl worker definitions/
      sagadsl worker -m activities --task-queue payments
      sagadsl worker /etc/sagas --no-inline-definitions --processes 4
      sagadsl worker /etc/sagas --deployment orders --build-id 2026-11-30
    """
    from sagadsl.temporal.link.connection import check_metrics
    from sagadsl.temporal.link.settings import resolve

    if metrics and processes > 1:
        raise click.UsageError("`--metrics` is for one process: each would want the address for itself")
    if metrics:
        check_metrics(metrics)
    settings = resolve(flags, os.environ)
    logs_as(settings)
    catalogue = Catalogue.discover(module)
    wanted = here((*paths, *definitions))
    loaded = load_definitions(wanted, catalogue, children=True) if wanted else Definitions()
    if not loaded.are_usable:
        loaded.show()
        return loaded.exit_code
    plan = _plan(
        loaded,
        queues=task_queue,
        catalogue=catalogue,
        inline=inline_definitions,
        only=only,
        drain=timedelta(seconds=drain),
        takeover=timedelta(seconds=takeover),
        version=version,
        capacity=capacity,
        trust=trust,
    )
    is_child = CHILD in os.environ
    if not is_child:
        _announce(plan, settings)
    if processes > 1 and not is_child:
        need_posix("`--processes`")
        from sagadsl.cli.supervisor import supervise

        return supervise(processes, drain)
    return run_on(plan.capacity.loop, serve(plan, settings, flags, metrics))


def _plan(
    loaded: Definitions,
    *,
    queues: Sequence[str],
    catalogue: Catalogue,
    inline: bool,
    only: Literal["workflows", "activities"] | None,
    drain: timedelta,
    takeover: timedelta,
    version: WorkerVersion | None,
    capacity: Capacity,
    trust: Trust | None,
) -> Plan:
    """Return what to serve. Raises ``CannotServe``, which names every obstacle, and ``Untrusted``."""
    from sagadsl.temporal.client import DEFAULT_TASK_QUEUE

    signatures = signed_in(loaded.files, trust)

    in_the_way = list(of_one_name(loaded, versions=True))
    problems: tuple[Problem, ...] = ()
    activities: tuple[str, ...] = ()
    if only != "workflows":
        activities, broken = working(catalogue)
        needed = {name for saga in loaded.sagas for name in own_activities(saga)}
        problems = (*catalogue.problems, *broken, *(_missing(catalogue, needed)))
        in_the_way += [str(each) for each in problems if _is_in_the_way(each, needed, catalogue)]
    if in_the_way:
        for each in problems:
            screen.authors_stack(each)
        raise CannotServe(tuple(dict.fromkeys(in_the_way)), "`sagadsl plugins` shows what is installed")
    own = tuple(dict.fromkeys(saga.task_queue or DEFAULT_TASK_QUEUE for saga in loaded.sagas))
    return Plan(
        queues=tuple(queues) or own or (DEFAULT_TASK_QUEUE,),
        sagas=loaded.sagas,
        definitions={name: each.definition for name, each in by_version(loaded).items()},
        secrets=secrets_in(loaded.files),
        catalogue=catalogue,
        inline=inline,
        only=only,
        drain=drain,
        takeover=takeover,
        capacity=capacity,
        problems=tuple({str(each): each for each in problems}.values()),
        activities=activities,
        version=version,
        trust=trust,
        signatures=signatures,
    )


def working(catalogue: Catalogue) -> tuple[tuple[str, ...], tuple[PluginBroken, ...]]:
    """Return the names of all activities that a worker can serve, and the problems of those with unusable types."""
    from sagadsl.temporal.work.activities import worker_activity

    names: list[str] = []
    broken: list[PluginBroken] = []
    for plugin in catalogue.load_all():
        try:
            worker_activity(plugin)
        except PluginBroken as problem:
            broken.append(problem)
        else:
            names.append(plugin.name)
    return tuple(names), tuple(broken)


def _missing(catalogue: Catalogue, needed: Iterable[str]) -> Iterable[Problem]:
    for name in sorted(needed):
        found = catalogue.load(name)
        if isinstance(found, PluginBroken | PluginConflict | PluginUnknown):
            yield found


def _is_in_the_way(problem: Problem, needed: set[str], catalogue: Catalogue) -> bool:
    """Tell whether a worker must not start with *problem*: a conflict always, a broken package when it is needed."""
    match problem:
        case PluginConflict() | PluginUnknown():
            return True
        case PluginBroken():
            local = problem.package in {f"module {module}" for module in catalogue.modules}
            return local or any(name == problem.name or name.startswith(f"{problem.name}.") for name in needed)


def _announce(plan: Plan, settings: ConnectionSettings) -> None:
    for text in settings.warnings:
        screen.warn(text)
    for problem in plan.problems:
        # whoever calls an activity of an extra that is not here is told
        if not needs_extra(problem) or screen.session().verbosity > 0:
            screen.warn(f"{problem}; it is left out")
        screen.authors_stack(problem)
    if settings.codec.is_default and any(has_secrets(saga, plan.secrets) for saga in plan.sagas):
        screen.warn("nothing encrypts the values that schemas mark by `x-secret`: histories hold them in clear")
    queues = ", ".join(plan.queues)
    screen.note(f"worker at {settings.address.value}, namespace {settings.namespace.value}, task queue {queues}")
    if plan.only != "activities":
        own = ", ".join(f"{saga.name} {saga.version}".rstrip() for saga in plan.sagas)
        taken = "those that come with their start" + (" and are trusted" if plan.trust else "") if plan.inline else ""
        screen.note(f"  sagas       {'; and '.join(part for part in (own, taken) if part) or 'none'}")
    if plan.only != "workflows":
        screen.note(f"  activities  {_in_short(plan.activities)}")
    if plan.version is not None:
        screen.note(f"  deployment  {plan.version}; it gets new sagas once it is the current one")


def _in_short(names: Sequence[str]) -> str:
    """Return *names*; if there are many, their number for each prefix."""
    if len(names) <= _NAMED:
        return ", ".join(names) or "none"
    families = Counter(name.partition(".")[0] + (".*" if "." in name else "") for name in names)
    return ", ".join(f"{family} ({count})" if count > 1 else family for family, count in families.items())


async def serve(plan: Plan, settings: ConnectionSettings, flags: Flags, metrics: str | None = None) -> int:
    """Poll until a signal says stop; credentials are read again by *flags*. Raises ``NotConnected``."""
    from sagadsl.temporal.link.connection import check_worker, connect, guard, worker_runtime
    from sagadsl.temporal.link.renewal import Renewal, reading_again, renewable
    from sagadsl.temporal.link.telemetry import tracing_of
    from sagadsl.temporal.work.meters import SECONDS, TIMES
    from sagadsl.temporal.work.worker_log import short_failures

    screen.log(logging.WARNING)
    for_programs = screen.session().log_format == "json"
    short_failures(with_stacks=screen.session().debug, for_programs=for_programs)
    native = logging.getLogger("temporalio.core") if for_programs else None
    runtime = worker_runtime(metrics, settings.telemetry, dict.fromkeys(TIMES, SECONDS), native)
    client = renewable(await connect(settings, runtime=runtime))
    tracing = tracing_of(settings.telemetry)
    await check_worker(client, settings)
    stop = asyncio.Event()
    _on_signal(stop)
    workers = [build(client, queue, plan, tracing) for queue in plan.queues]
    with guard(settings):
        async with Renewal(client, settings, reading_again(flags, os.environ), workers).watching():
            await _run(workers, plan.drain, stop)
    return 0


async def _run(workers: Sequence[Worker], drain: timedelta, stop: asyncio.Event) -> None:
    """Let *workers* poll until *stop* is set, or one of them fails."""
    from sagadsl.temporal.link.telemetry import flush

    running = [asyncio.create_task(each.run()) for each in workers]
    stopping = asyncio.create_task(stop.wait())
    ended: set[asyncio.Task[Any]] = set()
    while not ended and not all(each.is_running for each in workers):  # the SDK asks the server first
        ended, _ = await asyncio.wait([*running, stopping], timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if not ended:
        screen.note("ready; Ctrl-C lets running activities end, twice stops at once")
    ended, _ = await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    if stopping in ended:
        screen.note(f"stopping: running activities have {drain.total_seconds():.0f} seconds to end")
    is_asked_to_stop = stopping in ended
    stopping.cancel()
    stopped = asyncio.gather(*(each.shutdown() for each in workers), *running)
    patience = drain.total_seconds() + LAST_WORDS_SECONDS if is_asked_to_stop else None
    if stopped not in (await asyncio.wait([stopped], timeout=patience))[0]:
        screen.note("stopped; some activities could not be interrupted: another worker retries them, or they time out")
        sys.stdout.flush()
        flush()
        os._exit(0)  # otherwise a thread that blocks, or a local activity, would keep the process alive
    await stopped


def build(client: Any, queue: str, plan: Plan, tracing: Tracing | None = None) -> Worker:
    """Return the worker of one queue."""
    from sagadsl.temporal.wire.arguments import RunOptions
    from sagadsl.temporal.worker import build_worker

    return build_worker(
        client,
        task_queue=queue,
        catalogue=plan.catalogue,
        definitions=plan.definitions,
        options=RunOptions(secrets=plan.secrets),
        names=plan.activities,
        inline=plan.inline,
        only=plan.only,
        drain=plan.drain,
        tracing=tracing,
        trust=plan.trust,
        signatures=plan.signatures,
        sticky_queue_schedule_to_start_timeout=plan.takeover,
        **({} if plan.version is None else plan.version.options()),
        **plan.capacity.options(),
    )


def _on_signal(stop: asyncio.Event) -> None:
    """Let the first SIGTERM or SIGINT set *stop*, and the second end the process."""

    def stop_or_exit() -> None:
        if stop.is_set():
            print("stopped at once", file=sys.stderr, flush=True)
            os._exit(STOPPED_AT_ONCE)  # the SDK would wait for running activities
        stop.set()

    on_stop(stop_or_exit)
