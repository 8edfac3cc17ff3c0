"""``sagadsl list``: which sagas there are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.near_names import note_near_name
from sagadsl.cli.options import common, connection, output, settings_of
from sagadsl.columns import table, whole
from sagadsl.status.lines import SIGNS, spell

if TYPE_CHECKING:
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.read.listing import Listed

_PAGES, _QUESTIONS = 5, 100
_WORDS = (
    *("running", "compensating", "paused", "held", "completed", "rejected", "compensated"),
    *("cancelled", "failed", "terminated", "timed_out"),
)


@click.command("list", short_help="List sagas, newest first.")
@click.option("--name", metavar="NAME", help="Only runs of this definition.")
@click.option("--status", type=click.Choice(_WORDS), help="Only sagas with this status.")
@click.option("--query", metavar="FILTER", help="A further condition in Temporal's list filter.")
@click.option("--where", metavar="CONDITION", help="Only sagas whose search attributes are so.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@output("text", "json", "jsonl")
@connection
@common
def list_(
    *, name: str | None, status: str | None, query: str | None, where: str | None, limit: int, flags: Flags
) -> int:
    """List sagas, newest first. The list comes from the server's index, which lags a little behind; `status` does not.

    \b
    Examples:
      sagadsl list
      sagadsl list --status paused --json | jq -r '.sagas[].id'
      sagadsl list --where 'OrderId = "42"'
      sagadsl list --name order --query "StartTime > '2026-01-01T00:00:00Z'"
    """
    from sagadsl.temporal.link.connection import connect, guard
    from sagadsl.temporal.read.filters import Chosen
    from sagadsl.temporal.read.index import keeps_status
    from sagadsl.temporal.read.listing import page
    from sagadsl.temporal.read.where import condition

    settings = settings_of(flags)
    chosen = Chosen(((name,),) if name else (), query=query or "", where=condition(where) if where else "")

    async def fetch() -> tuple[list[Listed], int, bool, bool, datetime]:
        with guard(settings):
            client = await connect(settings)
            found: list[Listed] = []
            unanswered, before, as_of = 0, None, datetime.now(UTC)
            for _ in range(_PAGES):
                here = await page(
                    client, chosen, status=status, size=limit - len(found), before=before, questions=_QUESTIONS
                )
                found, unanswered, before = [*found, *here.sagas], unanswered + here.unanswered, here.next
                if before is None or len(found) >= limit:
                    break
            if not found:
                await note_near_name(client, name)
            return (
                found[:limit],
                unanswered,
                len(found) < limit and before is not None,
                await keeps_status(client),
                as_of,
            )

    found, unanswered, has_more, index_keeps_status, as_of = asyncio.run(fetch())
    if not found and screen.session().output == "text":
        screen.note(_nothing(name, status, is_narrowed=bool(query or where)))
    _hints(found, status, unanswered, has_more=has_more, index_keeps_status=index_keeps_status)
    moment = as_of.isoformat(timespec="seconds").replace("+00:00", "Z")
    screen.note(f"as of {moment} by the server's index, which lags a little behind; `sagadsl status ID` does not")
    if screen.session().output == "jsonl":
        for each in found:
            screen.result({**each.as_json(), "as_of": as_of.isoformat()})
    else:
        listed = [each.as_json() for each in found]
        screen.result({"as_of": as_of.isoformat(), "sagas": listed}, _table(found))
    return 0


def _hints(
    found: list[Listed], status: str | None, unanswered: int, *, has_more: bool, index_keeps_status: bool
) -> None:
    """Say on stderr what is not known."""
    unknown = sum(each.status == "unknown" for each in found)
    if unanswered:
        screen.note(
            f"{_sagas(unanswered)} may be {status} as well: the server's index does not know, and no worker answers"
        )
    if unknown:
        screen.note(
            f"the status of {_sagas(unknown)} is unknown: the server's index does not hold it, and no worker answers; "
            "see `sagadsl status ID`"
        )
    if has_more:
        screen.note("there are more that were not looked at; `--name` and `--query` narrow the list")
    if (unanswered or unknown) and not index_keeps_status:
        screen.note(
            "this server does not keep the status of sagas; "
            "`temporal operator search-attribute create --name SagaStatus --type Keyword` changes that"
        )


def _nothing(name: str | None, status: str | None, *, is_narrowed: bool) -> str:
    """Say what was not found."""
    named = f" `{name}`" if name else ""
    having = f" with status `{status}`" if status else ""
    return f"no saga{named}{having}{' fits the condition' if is_narrowed else ' was found'}"


def _sagas(count: int) -> str:
    return "1 saga" if count == 1 else f"{count} sagas"


def _table(found: list[Listed]) -> str:
    now = datetime.now(UTC)
    rows = [
        (
            whole(f"{SIGNS.get(each.status, '✗')}  {each.id}"),
            f"{each.name} {each.version}".rstrip(),
            each.status,
            f"{spell(now - each.started_at)} ago",
            f"taken up by run {each.taken_up_by}" if each.taken_up_by else "",
        )
        for each in found
    ]
    return "\n".join(table(rows, screen.width()))
