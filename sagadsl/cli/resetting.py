"""``sagadsl reset``: let an open saga, or many, go back to a step, and on from there."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.many import Selection, ask_many
from sagadsl.cli.operate import acting, connected, maybe_id, on_sagas, one_or_many, those_for, who
from sagadsl.engine.verbs import SENTENCES, Verb
from sagadsl.immutable import replace

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.ask.decisions import Done
    from sagadsl.temporal.ask.many import Addressee
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.wire.requests import Asked


@click.command(short_help=f"{SENTENCES[Verb.RESET]}.")
@maybe_id
@click.option("--to", metavar="STEP", required=True, help="The step that is done once more, and all that follows it.")
@click.option("--dry-run", is_flag=True, help="Show the plan; nothing changes.")
@who
@on_sagas
def reset(
    *, id: str | None, to: str, dry_run: bool, why: str, by: str | None, selection: Selection, flags: Flags
) -> int:
    """Undo back to a step of an open saga, and go on from it.

    What runs is asked to stop, and settles. Then the step, and all that has begun after it, is
    undone by its compensations, the newest first. What is done once more has new idempotency
    keys, since the effect of the old ones was undone. The timeout of the saga begins anew. It is
    refused, with the reasons, where that is not safe: behind the pivot, over a step without a
    compensation, in a loop or a branch. For a failed saga there is `redrive`.

    \b
    Examples:
      sagadsl reset order-7 --to pay --dry-run
      sagadsl reset order-7 --to pay --yes --why "the card was wrong"
      sagadsl reset --name order --to pay --dry-run
    """
    from sagadsl.status.plan import reset_lines
    from sagadsl.temporal.ask import decisions, resetting
    from sagadsl.temporal.wire import requests

    id, argument = one_or_many(id, None, selection)
    asked = requests.Asked(to, acting(by), why)
    if id is None:
        if argument is not None:
            raise click.UsageError(f"either the id `{argument}`, or a choice of many: not both")
        return _many(asked, selection, flags, dry_run=dry_run)
    if dry_run or not selection.yes:
        plan = connected(flags, lambda client: resetting.preview(client, id, to))
        lines = list(reset_lines({"id": id, **plan.as_json()}))
        if dry_run:
            screen.result({"id": id, **plan.as_json()}, "\n".join(lines))
            return 0
        screen.need_a_person(f"`reset` undoes what {id} has done since `{plan.to}`; to do it, add `--yes`")
        for line in lines:
            screen.tell(line)
        screen.ask("Reset?")

    async def work(client: Client) -> Done:
        return await decisions.operate(client, id, Verb.RESET, asked)

    done = connected(flags, work)
    text = f"{done.id} goes back to `{to}`"
    if done.status == "paused":
        text += f", but it is paused: sagadsl resume {quote(done.id)}{screen.tail()}"
    screen.result({"id": done.id, "verb": Verb.RESET.value, "step": to, "status": done.status}, text)
    return 0


def _many(asked: Asked, selection: Selection, flags: Flags, *, dry_run: bool) -> int:
    """Let many sagas go back: each is judged by itself, and refused by itself."""
    from sagadsl.temporal.ask import decisions, resetting

    async def ask(client: Client, target: Addressee, request: str) -> str:
        if dry_run:
            await resetting.preview(client, target.id, asked.path)
            return "can go back"
        return (await decisions.operate(client, target.id, Verb.RESET, asked, request=request)).status

    what = f"reset --to {asked.path}"
    if dry_run:
        what, selection = f"{what} (dry run)", replace(selection, yes=True)
    return connected(flags, lambda client: ask_many(client, what, selection, those_for(Verb.RESET.word), ask))
