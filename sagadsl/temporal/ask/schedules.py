"""Brings the schedules of definitions to the server, and asks the server what it has of them.

A schedule starts a saga by its name, with one argument, the input; so its runs have the definition that the workers
have by then. What differs between a file and the server is said before it is changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from temporalio import client as sdk
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleDescription, ScheduleOverlapPolicy
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.language.model import Saga
from sagadsl.language.notation.calendars import FIELDS, runs, spelled
from sagadsl.language.notation.durations import spell
from sagadsl.language.notation.moments import spell_moment
from sagadsl.language.schedules import Overlap, Schedule
from sagadsl.temporal.client import DEFAULT_TASK_QUEUE
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.link.encryption import key_in_use, key_of_payload
from sagadsl.temporal.wire.arguments import to_bytes, to_payload
from sagadsl.temporal.wire.marker import reason

Outcome = Literal["created", "changed", "unchanged"]

_SAGA = "saga"
"""The key of a schedule's memo, and of its runs' memos, that names the saga."""


class ScheduleNotFound(SagadslError):
    """There is no schedule with this id."""

    code: ClassVar[str] = "SD980"
    exit_code: ClassVar[int] = 2

    def __init__(self, id: str, namespace: str) -> None:
        super().__init__(id, namespace)
        self.id, self.namespace = id, namespace

    def __str__(self) -> str:
        return f"no schedule `{self.id}` in namespace `{self.namespace}`"

    @property
    def help(self) -> str:
        return "list what there is with `sagadsl schedule list`"


class ScheduleTaken(SagadslError):
    """A schedule with this id starts another workflow, so a file must not change it."""

    code: ClassVar[str] = "SD981"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, wanted: str, found: str) -> None:
        super().__init__(id, wanted, found)
        self.id, self.wanted, self.found = id, wanted, found

    def __str__(self) -> str:
        return f"schedule `{self.id}` is to start `{self.wanted}`, but on the server it starts `{self.found}`"

    @property
    def help(self) -> str:
        return f"give the schedule another `id`, or delete that one with `sagadsl schedule delete {self.id}`"


class ScheduleChange(Immutable):
    """One thing in which a file and the server differ; ``before`` is empty for a schedule that is new."""

    what: str
    before: str
    after: str


class Applied(Immutable):
    """What became of one schedule, or would become of it."""

    id: str
    saga: str
    outcome: Outcome
    changes: tuple[ScheduleChange, ...] = ()

    def as_json(self) -> dict[str, Any]:
        changes = [{"what": each.what, "before": each.before, "after": each.after} for each in self.changes]
        return {"id": self.id, "saga": self.saga, "outcome": self.outcome, "changes": changes}


class ListedSchedule(Immutable):
    """One schedule as the server's index has it."""

    id: str
    saga: str
    paused: bool
    note: str = ""
    next: datetime | None = None
    last: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        moments = {"next": self.next, "last": self.last}
        return {
            "id": self.id,
            "saga": self.saga,
            "paused": self.paused,
            "note": self.note,
            **{name: spell_moment(moment) if moment else None for name, moment in moments.items()},
        }


async def apply(
    client: Client, saga: Saga, schedule: Schedule, *, task_queue: str | None = None, dry_run: bool = False
) -> Applied:
    """Let the server have a schedule as the definition says it; again changes nothing.

    Args:
        task_queue: Where its runs start; if left out, the definition's own, or ``sagadsl``.
        dry_run: Only say what would change.

    Raises:
        ScheduleTaken: The server has one of this id for another workflow.
    """
    queue = task_queue or saga.task_queue or DEFAULT_TASK_QUEUE
    wanted = _wanted(saga, schedule, queue)
    handle = client.get_schedule_handle(schedule.id)
    try:
        there = await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        if not dry_run:
            await client.create_schedule(schedule.id, wanted, memo={_SAGA: saga.name})
        return Applied(schedule.id, saga.name, "created", tuple(_differences({}, _of_file(schedule, queue))))
    _same_saga(there, schedule.id, saga.name)
    before = await _of_server(client, there, schedule)
    changes = (*_differences(before, _of_file(schedule, queue)), *_key_change(client, _action(there)))
    if changes and not dry_run:

        def update(found: sdk.ScheduleUpdateInput) -> sdk.ScheduleUpdate:
            _same_saga(found.description, schedule.id, saga.name)
            state = found.description.schedule.state
            state.paused = state.paused if schedule.paused is None else schedule.paused
            wanted.state = state
            return sdk.ScheduleUpdate(wanted)

        await handle.update(update)
    return Applied(schedule.id, saga.name, "changed" if changes else "unchanged", changes)


async def listed(client: Client) -> AsyncIterator[ListedSchedule]:
    """Yield the schedules that sagadsl has brought to the server; its index lags a little behind."""
    async for each in await client.list_schedules():
        saga = (await each.memo()).get(_SAGA)
        if each.schedule is None or each.info is None or not isinstance(saga, str):
            continue
        state = each.schedule.state
        recent, coming = each.info.recent_actions, each.info.next_action_times
        yield ListedSchedule(
            each.id,
            saga,
            state.paused,
            state.note or "",
            None if state.paused or not coming else coming[0],
            recent[-1].started_at if recent else None,
        )


async def pause(client: Client, id: str, *, by: str, why: str) -> None:
    """Let a schedule rest; its note says who did it and why. Raises ``ScheduleNotFound``."""
    with _known(client, id):
        await client.get_schedule_handle(id).pause(note=reason(by, why))


async def resume(client: Client, id: str, *, by: str, why: str) -> None:
    """Wake a schedule; what it has missed is not made up for. Raises ``ScheduleNotFound``."""
    with _known(client, id):
        await client.get_schedule_handle(id).unpause(note=reason(by, why))


async def trigger(client: Client, id: str) -> None:
    """Ask for one run now. The overlap policy of the schedule decides about it. Raises ``ScheduleNotFound``."""
    with _known(client, id):
        await client.get_schedule_handle(id).trigger()


async def delete(client: Client, id: str) -> None:
    """Delete a schedule; its runs go on. Raises ``ScheduleNotFound``."""
    with _known(client, id):
        await client.get_schedule_handle(id).delete()


@contextmanager
def _known(client: Client, id: str) -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ScheduleNotFound(id, client.namespace) from None
        raise


def _same_saga(there: ScheduleDescription, id: str, name: str) -> None:
    found = _action(there).workflow
    if found != name:
        raise ScheduleTaken(id, name, found)


def _action(there: ScheduleDescription) -> ScheduleActionStartWorkflow:
    action = there.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)  # Temporal has no other
    return action


def _wanted(saga: Saga, schedule: Schedule, queue: str) -> sdk.Schedule:
    return sdk.Schedule(
        action=ScheduleActionStartWorkflow(
            saga.name,
            args=[RawValue(to_payload(to_bytes(schedule.input)))],
            id=schedule.id,
            task_queue=queue,
            memo={_SAGA: saga.name},
        ),
        spec=sdk.ScheduleSpec(
            calendars=[_calendar(each) for each in (*schedule.crons, *schedule.calendars)],
            intervals=[sdk.ScheduleIntervalSpec(each.every, each.offset) for each in schedule.intervals],
            jitter=schedule.jitter or None,
            time_zone_name=schedule.time_zone,
        ),
        policy=sdk.SchedulePolicy(
            overlap=ScheduleOverlapPolicy[schedule.overlap.name],
            catchup_window=schedule.catch_up,
        ),
        state=sdk.ScheduleState(paused=bool(schedule.paused)),
    )


def _calendar(calendar: Any) -> sdk.ScheduleCalendarSpec:
    fields = {name: [sdk.ScheduleRange(*each) for each in runs(getattr(calendar, name))] for name in FIELDS}
    return sdk.ScheduleCalendarSpec(**fields, comment=calendar.text)


def _of_file(schedule: Schedule, queue: str) -> dict[str, str]:
    """Return what a schedule says, as texts to compare and to show."""
    calendars = [_spelled(_calendar(each)) for each in (*schedule.crons, *schedule.calendars)]
    intervals = [_interval(each.every, each.offset) for each in schedule.intervals]
    paused = {} if schedule.paused is None else {"paused": _yes(schedule.paused)}
    return {
        "times": _joined(calendars + intervals),
        "time zone": schedule.time_zone,
        "overlap": schedule.overlap.value,
        "jitter": spell(schedule.jitter),
        "catch up": spell(schedule.catch_up),
        "task queue": queue,
        "input": to_bytes(schedule.input).decode(),
        **paused,
    }


async def _of_server(client: Client, there: ScheduleDescription, schedule: Schedule) -> dict[str, str]:
    """Return the same of what the server has; what the file leaves open is left out."""
    spec, policy, action = there.schedule.spec, there.schedule.policy, _action(there)
    calendars = [_spelled(each) for each in spec.calendars]
    intervals = [_interval(each.every, each.offset or timedelta()) for each in spec.intervals]
    paused = {} if schedule.paused is None else {"paused": _yes(there.schedule.state.paused)}
    overlap = policy.overlap.name.lower()
    return {
        "times": _joined(calendars + intervals),
        "time zone": spec.time_zone_name or "UTC",
        "overlap": overlap if overlap != "unspecified" else Overlap.SKIP.value,
        "jitter": spell(spec.jitter or timedelta()),
        "catch up": spell(policy.catchup_window or timedelta()),
        "task queue": action.task_queue,
        "input": await _input(client, action),
        **paused,
    }


async def _input(client: Client, action: ScheduleActionStartWorkflow) -> str:
    values = await of_workflow(client, action.id).decode(list(action.args))
    return to_bytes(values[0]).decode() if len(values) == 1 else f"{len(values)} arguments"


def _key_change(client: Client, action: ScheduleActionStartWorkflow) -> Iterator[ScheduleChange]:
    """Yield that the input on the server is in clear, or has another key than this client encrypts by."""
    wanted = key_in_use(client.data_converter)
    found = {key_of_payload(each) for each in action.args if isinstance(each, Payload)}
    if wanted is not None and found - {wanted}:
        yield ScheduleChange("encryption key", ", ".join(sorted(found)) or "none", wanted)


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[ScheduleChange]:
    for what, value in after.items():
        if before.get(what) != value:
            yield ScheduleChange(what, before.get(what, ""), value)


def _spelled(calendar: sdk.ScheduleCalendarSpec) -> str:
    """Return a calendar in the manner of cron, with the seconds before it and the years behind it if it has any."""
    shown = {name: _field(name, getattr(calendar, name)) for name in FIELDS}
    cron = " ".join(shown[name] for name in ("minute", "hour", "day_of_month", "month", "day_of_week"))
    seconds = "" if shown["second"] == "0" else f" second {shown['second']}"
    return f"`{cron}`" + seconds + ("" if shown["year"] == "*" else f" year {shown['year']}")


def _field(name: str, ranges: Any) -> str:
    numbers = sorted({number for each in ranges for number in range(each.start, each.end + 1, each.step)})
    limits = FIELDS[name]
    high = 6 if name == "day_of_week" else limits.high
    return "*" if not numbers or len(numbers) == high - limits.low + 1 else spelled(tuple(numbers))


def _interval(every: timedelta, offset: timedelta) -> str:
    return f"every {spell(every)}" + (f", {spell(offset)} later" if offset else "")


def _joined(times: list[str]) -> str:
    return "; ".join(sorted(times))


def _yes(value: bool) -> str:
    return "yes" if value else "no"
