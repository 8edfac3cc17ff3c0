"""``sagadsl incidents``: what waits for a person, by step and error, the oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.near_names import note_near_name
from sagadsl.cli.operate import connected
from sagadsl.cli.options import common, connection, output
from sagadsl.columns import whole
from sagadsl.language.suggest import counted
from sagadsl.status.incidents import IncidentGroup, grouped
from sagadsl.status.lines import moment, one_line, spell

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.read.waiting import Waiting

_SHOWN = 5
"""Sagas of one group that the text names; `--json` has all of them."""

_REASONS = {
    "paused": "paused by an operator",
    "held": "held by Temporal's own pause",
    "stuck": "its worker cannot go on",
    "call paused": "a call is paused at the server",
}


@click.command("incidents", short_help="Show what waits for a person, by step and error.")
@click.option("--name", metavar="NAME", help="Only sagas of this definition.")
@click.option("--query", metavar="FILTER", help="A further condition in Temporal's list filter.")
@click.option("--error", metavar="TYPE", help="Only what waits because of this error type.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="How many sagas are looked at, at most.",
)
@output("text", "json")
@connection
@common
def incidents(*, name: str | None, query: str | None, error: str | None, limit: int, flags: Flags) -> int:
    """Show what waits for a person: steps and compensations that need a decision, paused sagas, and sagas whose
    worker cannot go on. They are grouped by definition, step and error; the group that has waited longest comes first.
    Sagas that were terminated or timed out wait for nothing; how many there are is told besides.

    The server's index says which sagas may wait, and lags a little behind; then each of them is asked.

    \b
    Examples:
      sagadsl incidents
      sagadsl incidents --name transfer-money --error BankDown --json \\
        | jq -r '.groups[].incidents[].id'
    """
    from sagadsl.temporal.read.filters import Chosen
    from sagadsl.temporal.read.waiting import killed, waiting

    chosen = Chosen(((name,),) if name else (), query=query or "")

    async def look(client: Client) -> tuple[Waiting, dict[str, int]]:
        found = await waiting(client, chosen, most=limit)
        if not found.incidents:
            await note_near_name(client, name)
        return found, await killed(client, chosen)

    found, ended = connected(flags, look)
    groups = grouped(each for each in found.incidents if error in (None, each.type))
    document = {
        "as_of": found.as_of.isoformat(),
        "groups": [each.as_json() for each in groups],
        "unanswered": found.unanswered,
        "has_more": found.has_more,
        "killed": ended,
    }
    screen.result(document, "\n".join(_lines(groups, datetime.now(UTC))))
    if found.unanswered:
        noun = "saga" if found.unanswered == 1 else "sagas"
        screen.note(f"{found.unanswered} more {noun} may wait as well: no worker answers for them")
    for status, number in ended.items():
        were = f"{counted(number, 'saga that was', 'sagas that were')} {status.replace('_', ' ')}"
        listed = whole(f"sagadsl list --status {status}{screen.tail()}")
        screen.note(f"nobody has taken up the work of {were}; it may not be undone: {listed}")
    if found.has_more:
        screen.note("there are more that were not looked at; `--limit`, `--name` and `--query` choose")
    return 0


def _lines(groups: list[IncidentGroup], now: datetime) -> Iterator[str]:
    if not groups:
        yield "no open saga waits for a person"
    for group in groups:
        where = f"{group.name} {group.step}".rstrip()
        reason = group.type if group.kind == "decision" else _REASONS[group.kind]
        age = f", the oldest for {spell(now - moment(group.since))}" if group.since else ""
        yield f"‖ {len(group.incidents):>4}  {where}: {reason}{age}"
        if message := group.incidents[0].message:
            yield f"         {one_line(message)}"
        for each in group.incidents[:_SHOWN]:
            waited = f"   {spell(now - moment(each.since))}" if each.since else ""
            yield f"         sagadsl status {quote(each.id)}{screen.tail()}{waited}"
        if len(group.incidents) > _SHOWN:
            yield f"         and {len(group.incidents) - _SHOWN} more: --json lists them"
