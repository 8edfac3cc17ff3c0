"""``sagadsl schedule``: brings the schedules of definitions to the server, and operates them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import load_definitions, one_name_each
from sagadsl.cli.operate import acting, connected, who
from sagadsl.cli.options import common, connection, output
from sagadsl.language.model import Saga
from sagadsl.language.notation.moments import spell_moment
from sagadsl.language.schedules import Schedule

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.ask.schedules import Applied, ListedSchedule
    from sagadsl.temporal.link.flags import Flags

_SIGNS = {"created": "+", "changed": "~", "unchanged": "="}


@click.group(short_help="Let Temporal start sagas by the clock.")
@common
def schedule() -> None:
    """Let Temporal start sagas by the clock, as `schedule` in their definitions says.

    \b
    Examples:
      sagadsl schedule apply definitions/ --dry-run
      sagadsl schedule list
    """


@schedule.command("apply", short_help="Bring the schedules of definitions to the server.")
@click.argument("paths", nargs=-1, metavar="[PATHS]...")
@click.option("--dry-run", is_flag=True, help="Say what would change; nothing changes.")
@click.option("--task-queue", metavar="NAME", help="Where the runs start, instead of the definition's own.")
@output("text", "json")
@connection
@common
def apply(*, paths: Sequence[str], dry_run: bool, task_queue: str | None, flags: Flags) -> int:
    """Let the server have each schedule as its definition says; once more changes nothing.

    All files are checked first, and all differences are shown. A schedule that no file names any
    more stays until it is deleted.

    \b
    Examples:
      sagadsl schedule apply definitions/ --dry-run
      sagadsl schedule apply definitions/
    """
    from sagadsl.temporal.ask import schedules

    definitions = load_definitions(paths)
    if not definitions.are_usable:
        definitions.show()
        return definitions.exit_code
    one_name_each(definitions)
    plans = [(saga, each) for saga in definitions.sagas for each in saga.schedules]
    _one_file_for_each(plans)

    async def work(client: Client) -> list[Applied]:
        # every difference before the first change: a schedule of somebody else stops all
        found = [await schedules.apply(client, *plan, task_queue=task_queue, dry_run=True) for plan in plans]
        if not dry_run:
            found = [await schedules.apply(client, *plan, task_queue=task_queue) for plan in plans]
        return found

    found = connected(flags, work) if plans else []
    if not found:
        screen.note("no definition there has a `schedule`")
    text = "\n".join(_told(each, dry_run=dry_run) for each in found)
    screen.result({"dry_run": dry_run, "schedules": [each.as_json() for each in found]}, text)
    return 0


def _one_file_for_each(plans: Sequence[tuple[Saga, Schedule]]) -> None:
    owners: dict[str, str] = {}
    for saga, each in plans:
        other = owners.setdefault(each.id, saga.name)
        if other != saga.name:
            raise click.UsageError(f"sagas `{other}` and `{saga.name}` both have a schedule with the id `{each.id}`")


def _told(applied: Applied, *, dry_run: bool) -> str:
    word = f"would be {applied.outcome}" if dry_run and applied.changes else applied.outcome
    lines = [f"{_SIGNS[applied.outcome]} {applied.id}: {word}, starts {applied.saga}"]
    lines += [
        f"    {each.what}: {each.before} → {each.after}" if each.before else f"    {each.what}: {each.after}"
        for each in applied.changes
    ]
    return "\n".join(lines)


@schedule.command("list", short_help="List the schedules of sagas.")
@output("text", "json")
@connection
@common
def list_(*, flags: Flags) -> int:
    """List the schedules that `apply` has brought to the server, with their next and last times.

    The server's index, which is asked, lags a little behind.

    \b
    Examples:
      sagadsl schedule list
      sagadsl schedule list --json | jq -r '.schedules[].id'
    """
    from sagadsl.temporal.ask import schedules

    async def work(client: Client) -> list[ListedSchedule]:
        return [each async for each in schedules.listed(client)]

    found = sorted(connected(flags, work), key=lambda each: each.id)
    if not found and screen.session().output == "text":
        screen.note("no schedule of sagas was found")
    screen.result({"schedules": [each.as_json() for each in found]}, "\n".join(map(_row, found)))
    return 0


def _row(each: ListedSchedule) -> str:
    note = f" ({each.note})" if each.note else ""
    state = f"paused{note}" if each.paused else f"next {spell_moment(each.next)}" if each.next else "no time to come"
    last = f", last {spell_moment(each.last)}" if each.last else ""
    return f"{'‖' if each.paused else '●'} {each.id}: {state}{last}, starts {each.saga}"


def _on_schedule(command: Callable[..., int]) -> Callable[..., int]:
    return click.argument("id", metavar="ID")(output("text", "json")(connection(common(command))))


@schedule.command("pause", short_help="Let a schedule rest.")
@who
@_on_schedule
def pause(*, id: str, why: str, by: str | None, flags: Flags) -> int:
    """Let a schedule rest; runs that are open go on. The schedule's note says who did it and why.

    \b
    Examples:
      sagadsl schedule pause nightly --why "the bank is closed"
    """
    from sagadsl.temporal.ask import schedules

    return _done(flags, id, "paused", lambda client: schedules.pause(client, id, by=acting(by), why=why))


@schedule.command("resume", short_help="Wake a schedule that rests.")
@who
@_on_schedule
def resume(*, id: str, why: str, by: str | None, flags: Flags) -> int:
    """Wake a schedule that rests. The times that it has missed are not made up for.

    \b
    Examples:
      sagadsl schedule resume nightly
    """
    from sagadsl.temporal.ask import schedules

    return _done(flags, id, "resumed", lambda client: schedules.resume(client, id, by=acting(by), why=why))


@schedule.command("trigger", short_help="Ask for one run now.")
@_on_schedule
def trigger(*, id: str, flags: Flags) -> int:
    """Ask for one run now, also of a schedule that rests. `overlap` decides whether it begins.

    \b
    Examples:
      sagadsl schedule trigger nightly
    """
    from sagadsl.temporal.ask import schedules

    return _done(flags, id, "triggered", lambda client: schedules.trigger(client, id))


@schedule.command("delete", short_help="Delete a schedule; its runs go on.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_on_schedule
def delete(*, id: str, yes: bool, flags: Flags) -> int:
    """Delete a schedule from the server. Runs that are open go on.

    \b
    Examples:
      sagadsl schedule delete nightly --yes
    """
    from sagadsl.temporal.ask import schedules

    if not yes:
        screen.need_a_person("to delete a schedule without a question, add `--yes`")
        screen.ask(f"Delete schedule {id}?")
    return _done(flags, id, "deleted", lambda client: schedules.delete(client, id))


def _done(flags: Flags, id: str, word: str, work: Callable[[Client], Awaitable[None]]) -> int:
    connected(flags, work)
    screen.result({"id": id, "outcome": word}, f"{word} {id}")
    return 0
