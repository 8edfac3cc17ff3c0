"""The commands that kill a saga, and that take up what a closed run has left: `terminate`, `recover`, `redrive`."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from sagadsl.cli import screen
from sagadsl.cli.many import Selection, ask_many
from sagadsl.cli.operate import acting, connected, maybe_id, on_ended, on_sagas, one_or_many, those_for, who
from sagadsl.cli.saga_input import read_value
from sagadsl.engine.verbs import ENDED
from sagadsl.immutable import Immutable, replace

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.engine.facts import How
    from sagadsl.temporal.ask.many import Addressee
    from sagadsl.temporal.ask.recovery import Prospect
    from sagadsl.temporal.link.flags import Flags

_DRY = click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
_NO_WAIT = click.option(
    "--no-wait", is_flag=True, help="Undo at once, although an attempt of the closed run may still be under way."
)


class _Order(Immutable):
    """What is asked of a closed run, or of many; see ``recovery.look``."""

    verb: str
    how: How | None
    by: str
    why: str
    dry_run: bool
    waits: bool = True
    to: str = ""
    input: Any = ...


@click.command(short_help="Kill a saga at once; nothing is undone.")
@maybe_id
@click.option("--undo", is_flag=True, help="Let a new run undo what it has done, as `recover` does.")
@who
@on_sagas
def terminate(*, id: str | None, undo: bool, why: str, by: str | None, selection: Selection, flags: Flags) -> int:
    """Kill a saga at once. No code of it runs any more: NOTHING IS UNDONE. To undo, use `cancel`.

    A saga that does not react to `cancel` is killed and undone by `--undo`. Many are only killed with `--undo`.

    \b
    Examples:
      sagadsl terminate transfer-42 --yes --why "paid back by hand"
      sagadsl terminate transfer-42 --undo --yes
    """
    from sagadsl.temporal import client as sagas
    from sagadsl.temporal.ask import recovery

    who_, reason = acting(by), f"{why or 'no reason was given'} ({acting(by)})"
    id, argument = one_or_many(id, None, selection)
    if id is None:
        if argument is not None or not undo:
            raise click.UsageError("many sagas are killed only with `--undo`, and chosen without an id")

        async def kill(client: Client, target: Addressee, _request: str) -> str:
            await recovery.terminate_and_undo(client, target.id, reason=reason, by=who_, why=why)
            return "being undone"

        return connected(
            flags, lambda client: ask_many(client, "terminate --undo", selection, those_for("terminate"), kill)
        )
    warning = f"terminating {id} undoes nothing; `sagadsl cancel {id}` stops it and undoes what it has done"
    if undo:
        warning = f"{id} is killed, and a new run undoes what it has done; `sagadsl cancel {id}` is the gentler way"
    if not selection.yes:
        screen.need_a_person(f"{warning}; to terminate all the same, add `--yes`")
        screen.tell(warning)
        for path in () if undo else connected(flags, lambda client: recovery.would_stay(client, id)):
            screen.tell(f"  {path} has been done, and stays")
        screen.ask("Terminate?")
    if undo:
        started = connected(
            flags, lambda client: recovery.terminate_and_undo(client, id, reason=reason, by=who_, why=why)
        )
        screen.result(
            {"id": id, "status": "terminated", "run_id": started.run_id},
            f"terminated {id}; run {started.run_id} undoes what it has done",
        )
        return 0
    connected(flags, lambda client: sagas.terminate(client, id, reason))
    screen.result({"id": id, "status": "terminated"}, f"terminated {id}; nothing more is undone")
    return 0


@click.command(short_help="Undo or finish a saga whose run the server ended.")
@maybe_id
@click.option("--forward", is_flag=True, help="Finish the saga instead of undoing it.")
@_NO_WAIT
@_DRY
@who
@on_ended(*ENDED["recover"])
def recover(
    *,
    id: str | None,
    forward: bool,
    no_wait: bool,
    dry_run: bool,
    why: str,
    by: str | None,
    selection: Selection,
    flags: Flags,
) -> int:
    """Undo or finish a saga whose run the server ended without running its code, or whose run hangs.

    The server ended it by `terminate`, a timeout of its own, or because its history was full. A
    new run under the same id reads from the history what was done. Calls that were under way
    have an unknown outcome: they are undone, with `--forward` begun again under their keys.

    \b
    Examples:
      sagadsl recover transfer-42 --dry-run
      sagadsl recover transfer-42 --yes --why "killed by mistake"
      sagadsl recover --name transfer-money --why "the server lost them"
    """
    from sagadsl.temporal.ask.recovery import how_of

    how = how_of("recover", forward=forward, undo=False)
    order = _Order("recover", how, acting(by), why, dry_run, waits=not no_wait)
    return _carry_out(id, order, selection, flags)


@click.command(short_help="Go on with a saga that has failed.")
@maybe_id
@click.option("--from", metavar="STEP", default="", help="Go back to STEP, and on from there.")
@click.option("--undo", is_flag=True, help="Undo what it has left, also where it could go on.")
@click.option(
    "-i", "--input", metavar="JSON", help="A new input, for a saga that begins anew: JSON, @FILE (JSON or YAML), or -."
)
@_DRY
@who
@on_ended(*ENDED["redrive"])
def redrive(
    *,
    id: str | None,
    undo: bool,
    input: str | None,
    dry_run: bool,
    why: str,
    by: str | None,
    selection: Selection,
    flags: Flags,
    **keyword: str,
) -> int:
    """Go on with a saga that has failed, in a new run under the same id.

    What its undoing has left is undone. A saga that stopped on its way (`then: stop`, or behind
    its pivot) goes on from its failed step, or with `--from` from an earlier one: what lies behind
    that is undone first. One that was undone begins anew with its old input.

    \b
    Examples:
      sagadsl redrive transfer-42 --dry-run
      sagadsl redrive transfer-42 --from deposit --yes --why "wrong account"
      sagadsl redrive --error BankDown --yes --why "the bank is back"
    """
    from sagadsl.temporal.ask.recovery import how_of

    to = keyword["from"]  # Python has no variable of this name
    if to and undo:
        raise click.UsageError("either `--from STEP`, which goes on, or `--undo`: not both")
    value = ... if input is None else read_value(input, "--input")
    how = how_of("redrive", forward=False, undo=undo)
    return _carry_out(id, _Order("redrive", how, acting(by), why, dry_run, to=to, input=value), selection, flags)


def _carry_out(id: str | None, order: _Order, selection: Selection, flags: Flags) -> int:
    id, argument = one_or_many(id, None, selection)
    if argument is not None:
        raise click.UsageError(f"either the id `{argument}`, or a choice of many: not both")
    return _many(order, selection, flags) if id is None else _one(id, order, flags, yes=selection.yes)


def _one(id: str, order: _Order, flags: Flags, *, yes: bool) -> int:
    from sagadsl.status.plan import lines
    from sagadsl.temporal.ask import recovery

    async def look(client: Client) -> Prospect:
        return await recovery.look(client, id, order.verb, order.how, waits=order.waits, to=order.to)

    prospect = connected(flags, look)
    if order.input is not ... and prospect.how is not None:
        raise click.UsageError("`--input` is for a saga that begins anew; this one goes on with what it has")
    plan = list(lines(prospect.as_json()))
    if order.dry_run:
        screen.result(prospect.as_json(), "\n".join(plan))
        return 0
    _confirm(plan, yes=yes)
    started = connected(
        flags,
        lambda client: recovery.take_up(
            client, prospect, by=order.by, why=order.why, waits=order.waits, input=order.input
        ),
    )
    done = {"id": id, "run_id": started.run_id, "verb": order.verb, "plan": prospect.as_json()}
    screen.result(done, f"run {started.run_id} has begun; follow it with `sagadsl status {quote(id)}{screen.tail()}`")
    return 0


def _many(order: _Order, selection: Selection, flags: Flags) -> int:
    """Take up the work of many sagas: each is judged by itself, and refused by itself."""
    from sagadsl.temporal.ask import recovery

    if order.input is not ...:
        raise click.UsageError("`--input` is for one saga: leave it out for many")

    async def ask(client: Client, target: Addressee, request: str) -> str:
        run = (target.id, target.run_id)
        if order.dry_run:
            prospect = await recovery.look_at(client, run, order.verb, order.how, waits=order.waits, to=order.to)
            return recovery.WORDS[prospect.how][0]
        return await recovery.take_up_run(
            client,
            run,
            order.verb,
            order.how,
            by=order.by,
            why=order.why,
            waits=order.waits,
            to=order.to,
            request=request,
        )

    what = f"{order.verb} --from {order.to}" if order.to else order.verb
    if order.dry_run:
        what, selection = f"{what} (dry run)", replace(selection, yes=True)
    return connected(flags, lambda client: ask_many(client, what, selection, those_for(order.verb), ask))


def _confirm(plan: list[str], *, yes: bool) -> None:
    if yes:
        return
    screen.need_a_person("look at the plan with `--dry-run`; to carry it out, add `--yes`")
    for line in plan:
        screen.tell(line)
    screen.ask("Carry it out?")
