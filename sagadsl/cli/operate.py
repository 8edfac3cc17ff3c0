"""The commands for a running saga: `status`, `result`, `signal`, `cancel`, the operator's verbs."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from sagadsl.cli import screen
from sagadsl.cli.options import common, connection, output, settings_of
from sagadsl.cli.saga_input import read_value
from sagadsl.engine.verbs import DECISIONS, SENTENCES, Verb
from sagadsl.status.lines import unpause

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.read import runs
    from sagadsl.temporal.settings import Flags

P = ParamSpec("P")
R = TypeVar("R")

_OCCURRENCE = "Which time it is that STEP waits, as `status` shows it; refused when that one is decided."


def on_saga(command: Callable[..., int]) -> Callable[..., int]:
    """Add what every command on one saga takes: its id, the output, the connection."""
    command = output("text", "json")(connection(common(command)))
    return click.argument("id", metavar="ID")(command)


def _who(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options for who acts, and why; the saga's history records both."""
    command = click.option("--by", metavar="NAME", default=None, help="Who does it; the user's name if left out.")(
        command
    )
    return click.option("--why", metavar="TEXT", default="", help="Why; kept in the saga's history.")(command)


def _request(command: Callable[..., int]) -> Callable[..., int]:
    """Add the option for the request's id, so that a repeated request counts once."""
    return click.option(
        "--request", metavar="KEY", default="", help="Id of this request: the same one again counts once."
    )(command)


def connected(flags: Flags, work: Callable[[Client], Awaitable[R]]) -> R:
    """Connect, do *work*, and turn a refusal about the connection into a page that explains it."""
    from sagadsl.temporal.connection import connect, guard

    settings = settings_of(flags)

    async def main() -> R:
        with guard(settings):
            return await work(await connect(settings))

    return asyncio.run(main())


@click.command(short_help="Show how a saga stands, step by step.")
@on_saga
def status(*, id: str, flags: Flags) -> int:
    """Show how a saga stands, step by step, and what can be done about it.

    Words: running, compensating, paused, held (by Temporal's own pause); then completed,
    compensated (failed, all undone), cancelled, failed, timed_out, terminated.

    \b
    Examples:
      sagadsl status transfer-42
      sagadsl status transfer-42 --json | jq -r .status
    """
    from sagadsl.status.advice import page
    from sagadsl.temporal.read.following import picture

    found = connected(flags, lambda client: picture(client, id))
    text = "\n".join(page(found.status, found.attempts, datetime.now(UTC)))
    screen.result(found.as_json(), text)
    return 0


@click.command(short_help="Wait for the end of a saga and print its output.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer; then exit with 15.")
@on_saga
def result(*, id: str, timeout: float | None, flags: Flags) -> int:
    """Wait for the end of a saga and print its output. Exit codes as of `run`: 15 when it needs an operator.

    \b
    Examples:
      sagadsl result transfer-42
      sagadsl result transfer-42 --timeout 60 --json
    """
    from sagadsl.cli.outcome import EXIT_CODES, paused_document, paused_line, show
    from sagadsl.status.advice import next_steps
    from sagadsl.temporal.read.following import Picture, until_over

    async def wait(client: Client) -> runs.Ended | Picture | None:
        try:
            async with asyncio.timeout(timeout):
                return await until_over(client, id)
        except TimeoutError:
            return None

    ended = connected(flags, wait)
    if ended is None:
        screen.note(f"saga `{id}` is still open after {timeout:g} seconds (exit {EXIT_CODES['paused']})")
        screen.result({"id": id, "status": "open", "output": None})
        return EXIT_CODES["paused"]
    if isinstance(ended, Picture):
        screen.note(f"{paused_line(ended.status)} (exit {EXIT_CODES['paused']})")
        for line in next_steps(ended.status):
            screen.note(line)
        screen.result({"id": id, **paused_document(ended.status)})
        return EXIT_CODES["paused"]
    show(ended, ended.as_json())
    return EXIT_CODES[ended.status]


@click.command(short_help="Send a signal to a saga that waits for it.")
@_request
@on_saga
@click.argument("name")
@click.option("-p", "--payload", metavar="JSON", help="Payload: JSON, @file, or - for standard input.")
def signal(*, id: str, name: str, payload: str | None, request: str, flags: Flags) -> int:
    """Send a signal to a saga that waits for it, and say what became of it. One that comes early is kept.

    A name that the saga never waits for, and a payload that does not fit, are refused, and nothing is sent.

    \b
    Example:
      sagadsl signal order-7 approval --payload '{"approved": true}'
    """
    from sagadsl.temporal import signalling

    value = None if payload is None else read_value(payload, "--payload")
    sent = connected(flags, lambda client: signalling.signal(client, id, name, value, request=request))
    screen.result(sent.as_json(), str(sent))
    return 0


@click.command(short_help="Stop a saga and undo what it has done.")
@_who
@on_saga
def cancel(*, id: str, why: str, by: str | None, flags: Flags) -> int:
    """Stop a saga and undo what it has done. After its pivot nothing is undone any more.

    \b
    Examples:
      sagadsl cancel transfer-42 --why "the customer has changed her mind"
      sagadsl cancel transfer-42 && sagadsl result transfer-42
    """
    from sagadsl.temporal import client as sagas

    hears = connected(flags, lambda client: sagas.cancel(client, id, by=_user(by), why=why))
    asked = f"asked {id} to stop; what it has done is being undone"
    if not hears:
        asked = f"asked {id} to stop; it hears of it when it is released: {unpause(id)}"
    screen.result({"id": id, "requested": "cancel", "held": not hears}, asked)
    return 0


@click.command(short_help="Kill a saga at once; nothing is undone.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_who
@on_saga
def terminate(*, id: str, yes: bool, why: str, by: str | None, flags: Flags) -> int:
    """Kill a saga at once. No code of it runs any more: NOTHING IS UNDONE. To undo, use `cancel`.

    \b
    Example:
      sagadsl terminate transfer-42 --yes --why "paid back by hand"
    """
    from sagadsl.temporal import client as sagas

    warning = f"terminating {id} undoes nothing; `sagadsl cancel {id}` stops it and undoes what it has done"
    if not yes:
        if screen.session().output != "text" or not sys.stdin.isatty():
            raise click.UsageError(f"{warning}; to terminate all the same, add `--yes`")
        click.echo(warning, err=True)
        click.confirm("Terminate?", abort=True, err=True)
    reason = f"{why or 'terminated'} ({_user(by)})"
    connected(flags, lambda client: sagas.terminate(client, id, reason))
    screen.result({"id": id, "status": "terminated"}, f"terminated {id}; nothing more is undone")
    return 0


def _verb(verb: Verb, more: str, *, example: str, is_about_one: bool = False) -> click.Command:
    """Return the command of one operator's verb; *more* follows its sentence. *is_about_one*: it needs a path."""
    what = "STEP" if verb in DECISIONS else "CHILD"

    def ask(
        *,
        id: str,
        path: str | None = None,
        occurrence: int | None = None,
        why: str,
        by: str | None,
        request: str,
        flags: Flags,
    ) -> int:
        from sagadsl.temporal import decisions
        from sagadsl.temporal.refusals import NotAnswered
        from sagadsl.temporal.requests import Asked

        asked = Asked(path or "", _user(by), why, occurrence)
        done = connected(flags, lambda client: decisions.operate(client, id, verb, asked, request=request))
        held = [f"{each.id} is {each.status}" for each in done.children if each.problem is None]
        children = {"children": [each.as_json() for each in done.children]} if done.children else {}
        screen.result(
            {"id": id, "verb": verb.value, "step": path, "status": done.status, **children},
            "\n".join([f"{done.id} is {done.status}", *held]),
        )
        for each in done.problems:
            done_or_not = "not known to be done" if isinstance(each.problem, NotAnswered) else "NOT done"
            screen.warn(f"{done_or_not} in {each.id}: {each.problem}")
        return max((each.problem.exit_code for each in done.problems if each.problem is not None), default=0)

    ask.__doc__ = f"{SENTENCES[verb]}{more}\n\n\b\nExample:\n  {example}"
    command: Callable[..., int] = _who(_request(ask))
    if verb in DECISIONS:
        command = click.option("--occurrence", metavar="N", type=click.IntRange(1), help=_OCCURRENCE)(command)
    shown = what if is_about_one else f"[{what}]"
    command = click.argument("path", metavar=shown, required=is_about_one)(command)
    return click.command(verb.word, short_help=f"{SENTENCES[verb]}.")(on_saga(command))


retry = _verb(
    Verb.RETRY_STEP,
    ". STEP is needed when several steps wait for a decision; a path that leads through a child saga, as `status` "
    "shows it, is about what waits there.",
    example='sagadsl retry transfer-42 withdraw.compensation --why "the bank is back"\n'
    "  sagadsl retry trip-7 hotel/charge.compensation",
)
skip = _verb(
    Verb.SKIP_STEP,
    ". A compensation that is left out is reported as such. STEP is as of `retry`.",
    example='sagadsl skip transfer-42 withdraw.compensation --why "paid back by hand"',
    is_about_one=True,
)
abort = _verb(
    Verb.ABORT,
    ": it ends as failed, and reports what it has not undone. CHILD is the path of a child saga that is given up "
    "instead.",
    example="sagadsl abort transfer-42",
)
pause = _verb(
    Verb.PAUSE,
    "; what runs may end. `resume` lets it go on. CHILD is the path of a child saga that is paused alone.",
    example='sagadsl pause transfer-42 --why "the bank is down"',
)
resume = _verb(
    Verb.RESUME,
    ". CHILD is the path of one that goes on alone.",
    example="sagadsl resume transfer-42",
)


def _user(by: str | None) -> str:
    """Return who acts: *by* if given, else the user of this process."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
