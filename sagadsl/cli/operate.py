"""The commands for a running saga: `status`, `result`, `signal`, `cancel`, the operator's verbs."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from sagadsl.cli import screen
from sagadsl.cli.many import Choose, Selection, ask_many, chosen, many
from sagadsl.cli.options import common, connection, output, settings_of, show_secrets
from sagadsl.cli.saga_input import read_value
from sagadsl.engine.facts import Given
from sagadsl.engine.verbs import DECISIONS, SENTENCES, Verb
from sagadsl.immutable import replace
from sagadsl.status.lines import unpause
from sagadsl.status.parts import MOST, PAGE, Part

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.ask.many import Addressee, Choice
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.read import runs

P = ParamSpec("P")
R = TypeVar("R")

_OCCURRENCE = "Which wait of STEP you decide, as `status` shows it; refused if already decided."


def on_saga(command: Callable[..., int]) -> Callable[..., int]:
    """Add what every command on one saga takes: its id, the output, the connection."""
    command = output("text", "json")(connection(common(command)))
    return click.argument("id", metavar="ID")(command)


def of_run(command: Callable[..., int]) -> Callable[..., int]:
    """Add the option for an earlier run of a saga."""
    return click.option("--run", metavar="RUN_ID", help="An earlier run; the newest if left out.")(command)


def on_sagas(command: Callable[..., int]) -> Callable[..., int]:
    """Add the same, but for the id, for a command that also goes to many sagas: then it has a choice instead."""
    return many(output("text", "json")(connection(common(command))))


def on_ended(*statuses: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return what does as ``on_sagas``, for a command that goes to sagas that have ended in one of these ways."""

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        plain = output("text", "json")(connection(common(command)))
        return many(plain, statuses=statuses, error="that have ended because of")

    return decorate


maybe_id = click.argument("id", metavar="[ID]", required=False)


def one_or_many(
    id: str | None, argument: str | None, selection: Selection, **for_one: Any
) -> tuple[str | None, str | None]:
    """Return the id, and the argument that follows it; the id is ``None`` when many sagas were chosen.

    *for_one* are the values of options that make sense for one saga alone.
    """
    if not selection.is_made:
        if id is None:
            raise click.UsageError(
                "name a saga by its id, or choose many by `--name`, `--status`, `--query`, `--error`"
            )
        return id, argument
    if argument is not None:
        raise click.UsageError("either an id, or a choice by `--name`, `--status`, `--query`, `--error`: not both")
    if given := next((name for name, value in for_one.items() if value), None):
        raise click.UsageError(f"`--{given}` is for one saga: leave it out for many")
    return None, id  # with a choice, the first word is what follows the id otherwise


def who(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options for who acts, and why; the saga's history records both."""
    command = click.option("--by", metavar="NAME", default=None, help="Who does it; the user's name if left out.")(
        command
    )
    return click.option("--why", metavar="TEXT", default="", help="Why; kept in the saga's history.")(command)


def _request(command: Callable[..., int]) -> Callable[..., int]:
    """Add the option for the request's id, so that a repeated request counts once."""
    return click.option(
        "--request",
        metavar="KEY",
        default="",
        help="Id of this request; if you repeat it with the same id, it counts once.",
    )(command)


def connected(flags: Flags, work: Callable[[Client], Awaitable[R]]) -> R:
    """Connect, do *work*, and turn a refusal about the connection into a page that explains it."""
    from sagadsl.temporal.link.connection import connect, guard
    from sagadsl.temporal.read.near import kept, near
    from sagadsl.temporal.refusals import SagaNotFound

    settings = settings_of(flags)

    async def main() -> R:
        with guard(settings):
            client = await connect(settings)
            try:
                return await work(client)
            except SagaNotFound as unknown:
                meant = "" if unknown.run_id else await near(client, unknown.id)
                raise SagaNotFound(unknown.id, unknown.namespace, unknown.run_id, meant, await kept(client)) from None

    return asyncio.run(main())


@click.command(short_help="Show how a saga stands, step by step.")
@of_run
@click.option("--limit", type=click.IntRange(1, MOST), help=f"Show so many steps, in their order; at most {MOST:,}.")
@click.option("--after", metavar="PATH", default="", help="Begin behind this step, as the end of the part before says.")
@on_saga
def status(*, id: str, run: str | None, limit: int | None, after: str, flags: Flags) -> int:
    """Show how a saga stands, step by step, and what can be done about it. Of very many steps it shows those that
    matter, and counts the others.

    Words: running, compensating, paused, held (by Temporal's own pause); then completed,
    rejected (said no, all undone), compensated (failed, all undone), cancelled, failed,
    timed_out, terminated.

    \b
    Examples:
      sagadsl status transfer-42
      sagadsl status transfer-42 --json | jq -r .status
      sagadsl status transfer-42 --limit 100 --after 'lines[99]/pay'
    """
    from sagadsl.status.advice import page
    from sagadsl.temporal.read.following import picture

    part = Part(limit or PAGE, after) if limit or after else None
    found = connected(flags, lambda client: picture(client, id, run_id=run, part=part))
    reach = screen.session().reach
    text = "\n".join(page(found.status, found.attempts, datetime.now(UTC), reach, screen.width()))
    screen.result(found.as_json(), screen.to_copy(text))
    return 0


@click.command(short_help="Wait for the end of a saga and print its output.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer; then exit with 15.")
@show_secrets
@on_saga
def result(*, id: str, timeout: float | None, show_secrets: bool, flags: Flags) -> int:
    """Wait for the end of a saga and print its output, with `***` for values that a schema marks by
    `x-secret`. The exit codes are those of `run`: 15 when it needs an operator.

    \b
    Examples:
      sagadsl result transfer-42
      sagadsl result transfer-42 --timeout 60 --json
    """
    from sagadsl.cli.alone import telling
    from sagadsl.cli.outcome import EXIT_CODES, paused_document, paused_line, show
    from sagadsl.status.advice import next_steps
    from sagadsl.temporal.read.following import Picture, until_over
    from sagadsl.temporal.read.secrets import end_shown

    async def wait(client: Client) -> runs.Ended | Picture | None:
        try:
            async with asyncio.timeout(timeout):
                ended = await until_over(client, id, telling(screen.session().reach))
        except TimeoutError:
            return None
        return ended if show_secrets or isinstance(ended, Picture) else await end_shown(client, ended)

    ended = connected(flags, wait)
    if ended is None:
        screen.note(f"saga `{id}` is still open after {timeout:g} seconds (exit {EXIT_CODES['paused']})")
        screen.result({"id": id, "status": "open", "output": None})
        return EXIT_CODES["paused"]
    if isinstance(ended, Picture):
        screen.note(f"{paused_line(ended.status)} (exit {EXIT_CODES['paused']})")
        for line in next_steps(ended.status, screen.session().reach):
            screen.note(line)
        screen.result({"id": id, **paused_document(ended.status)})
        return EXIT_CODES["paused"]
    show(ended, ended.as_json())
    return EXIT_CODES[ended.status]


@click.command(short_help="Send a signal to a saga that waits for it.")
@maybe_id
@click.argument("signal_name", metavar="NAME", required=False)
@click.option("--list", is_flag=True, help="Send nothing, and show what the saga waits for.")
@click.option("-p", "--payload", metavar="JSON", help="Payload: JSON, @FILE (JSON or YAML), or - for standard input.")
@who
@_request
@on_sagas
def signal(
    *,
    id: str | None,
    signal_name: str | None,
    list: bool,
    payload: str | None,
    request: str,
    why: str,
    by: str | None,
    selection: Selection,
    flags: Flags,
) -> int:
    """Send a signal to a saga that waits for it, and say what became of it. A signal that comes early is kept.

    The saga refuses NAME if it never waits for it, and a payload that does not fit. It keeps who sent a signal.

    \b
    Examples:
      sagadsl signal order-7 approval --payload '{"approved": true}'
      sagadsl signal order-7 --list
      sagadsl signal approval --name order --payload '{"approved": true}'
    """
    from sagadsl.temporal.ask import signalling

    id, name = one_or_many(id, signal_name, selection, request=request, list=list)
    if list == bool(name):
        raise click.UsageError("name the signal to send, or show what the saga waits for with `--list`")
    if id is not None and name is None:
        return _list_signals(id, flags)
    assert name is not None
    value = None if payload is None else read_value(payload, "--payload")
    if id is None:

        async def send(client: Client, target: Addressee, request: str) -> str:
            sent = await signalling.signal(client, target.id, name, value, request=request, by=acting(by), why=why)
            return sent.state

        return connected(flags, lambda client: ask_many(client, f"signal {name}", selection, those_for("signal"), send))

    async def deliver(client: Client) -> signalling.Sent:
        sent = await signalling.signal(client, id, name, value, request=request, by=acting(by), why=why)
        return await signalling.reply_shown(client, sent)

    sent = connected(flags, deliver)
    screen.result(sent.as_json(), str(sent))
    return 0


def _list_signals(id: str, flags: Flags) -> int:
    from sagadsl.cli.signal_text import lines
    from sagadsl.temporal.read.awaited import awaited

    found = connected(flags, lambda client: awaited(client, id))
    document = {"id": id, "signals": [each.as_json() for each in found]}
    screen.result(document, "\n".join(lines(id, found, datetime.now(UTC), screen.tail())))
    return 0


@click.command(short_help="Stop a saga and undo what it has done.")
@maybe_id
@who
@on_sagas
def cancel(*, id: str | None, why: str, by: str | None, selection: Selection, flags: Flags) -> int:
    """Stop a saga and undo what it has done. After its pivot nothing is undone any more.

    \b
    Examples:
      sagadsl cancel transfer-42 --why "the customer has changed her mind"
      sagadsl cancel transfer-42 && sagadsl result transfer-42
      sagadsl cancel --name transfer-money --why "the bank is closed"
    """
    from sagadsl.temporal import client as sagas

    id, argument = one_or_many(id, None, selection)
    if id is None:
        if argument is not None:
            raise click.UsageError(f"either the id `{argument}`, or a choice of many: not both")

        async def stop(client: Client, target: Addressee, _request: str) -> str:
            hears = await sagas.cancel(client, target.id, by=acting(by), why=why)
            return "asked to stop" if hears else "asked to stop; hears of it when it is released"

        return connected(flags, lambda client: ask_many(client, "cancel", selection, those_for("cancel"), stop))
    hears = connected(flags, lambda client: sagas.cancel(client, id, by=acting(by), why=why))
    asked = f"asked {id} to stop, and to undo what it has done"
    if not hears:
        asked = f"asked {id} to stop; it hears of it when it is released: {unpause(id)}"
    screen.result({"id": id, "requested": "cancel", "held": not hears}, asked)
    return 0


def _verb(verb: Verb, more: str, *, example: str, is_about_one: bool = False) -> click.Command:
    """Return the command of one operator's verb; *more* follows its sentence. *is_about_one*: it needs a path."""
    what = "STEP" if verb in DECISIONS else "CHILD"

    def ask(
        *,
        id: str | None,
        path: str | None = None,
        occurrence: int | None = None,
        why: str,
        by: str | None,
        request: str,
        selection: Selection,
        flags: Flags,
        dry_run: bool = False,
        **values: Any,
    ) -> int:
        from sagadsl.temporal.ask import decisions
        from sagadsl.temporal.refusals import NotAnswered
        from sagadsl.temporal.wire.requests import Asked

        given = _given(**values)
        id, path = one_or_many(id, path, selection, request=request, occurrence=occurrence)
        if id is None:
            base = Asked("", acting(by), why, given=given)

            async def decide(client: Client, target: Addressee, request: str) -> str:
                if dry_run:
                    return "would be asked"
                each = replace(base, path=target.path, occurrence=target.occurrence)
                return (await decisions.operate(client, target.id, verb, each, request=request)).status

            what = f"{verb.word} {path}" if path else verb.word
            if dry_run:
                what, selection = f"{what} (dry run)", replace(selection, yes=True)
            choose = _chooser(verb, path or "", selection.status)
            return connected(flags, lambda client: ask_many(client, what, selection, choose, decide))
        if dry_run:
            raise click.UsageError(f"`--dry-run` is for many sagas: `sagadsl status {id}` shows what can be decided")
        if is_about_one and path is None:
            raise click.UsageError(f"say which step: `sagadsl {verb.word} {id} STEP`")
        asked = Asked(path or "", acting(by), why, occurrence, given)
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
    command: Callable[..., int] = who(_request(on_sagas(ask)))
    if verb in DECISIONS:
        command = click.option("--occurrence", metavar="N", type=click.IntRange(1), help=_OCCURRENCE)(command)
    if verb in (*DECISIONS, Verb.ABORT):
        command = click.option("--dry-run", is_flag=True, help="Many: only show which ones would be asked.")(command)
    for name, help in reversed([*_GIVEN.get(verb, {}).items()]):
        is_value = name in _VALUES
        command = click.option(name, metavar="JSON" if is_value else None, is_flag=not is_value, help=help)(command)
    shown = what if is_about_one else f"[{what}]"
    command = click.argument("path", metavar=shown, required=False)(command)
    return click.command(verb.word, short_help=f"{SENTENCES[verb]}.")(maybe_id(command))


def _chooser(verb: Verb, step: str, status: str) -> Choose:
    """Return what finds the sagas for a verb: those that wait for it, or all that are open."""
    if verb is not Verb.PAUSE and status not in ("", "paused"):
        raise click.UsageError(f"`{verb.word}` is for what waits: leave out `--status {status}`")
    return those_for(verb.word, step)


def those_for(word: str, step: str = "") -> Choose:
    """Return what finds the sagas that a request is for."""

    async def choose(client: Client, selection: Selection, most: int) -> Choice:
        from sagadsl.temporal.ask.many import that_take

        return await that_take(
            client,
            word,
            chosen(selection),
            status=selection.status,
            error=selection.error,
            step=step,
            most=most,
        )

    return choose


_VALUES = ("--input", "--step-output")
_GIVEN: Mapping[Verb, Mapping[str, str]] = {
    Verb.RETRY_STEP: {
        "--input": "Input of the call, instead of the one that it had: JSON, @file, or - for standard input.",
        "--new-key": "Give the call a new idempotency key: a participant that remembers the old key does it again.",
    },
    Verb.COMPLETE_STEP: {
        "--step-output": "Output of the step, which later steps read: JSON, @file, or -. A compensation has none.",
        "--nothing-to-undo": "Never undo the step, whatever happens later.",
    },
    Verb.SKIP_STEP: {"--step-output": "Output of the step, which later steps read: JSON, @file, or -. Default: null."},
}
"""What an operator can give with a decision. `--output` is the form of the command's own result."""


def _given(
    *,
    input: str | None = None,
    step_output: str | None = None,
    new_key: bool = False,
    nothing_to_undo: bool = False,
) -> Given:
    return Given(
        () if input is None else (read_value(input, "--input"),),
        () if step_output is None else (read_value(step_output, "--step-output"),),
        new_key,
        nothing_to_undo,
    )


retry = _verb(
    Verb.RETRY_STEP,
    ". Name STEP when several steps wait for a decision. For a step of a child saga, give the whole path that "
    "`status` shows. The call keeps its idempotency key, so that a participant that has done it finds it and does not "
    "do it again.",
    example='sagadsl retry transfer-42 withdraw.compensation --why "the bank is back"\n'
    "  sagadsl retry trip-7 hotel/charge.compensation\n"
    "  sagadsl retry order-7 pay --input '{\"amount\": 30}'",
)
complete = _verb(
    Verb.COMPLETE_STEP,
    ". The step counts as done, and is undone later like any other. For a compensation, it says that the step was "
    "undone by hand. STEP is the same as for `retry`.",
    example='sagadsl complete order-7 pay --step-output \'{"id": "p-1"}\' --why "by phone"',
    is_about_one=True,
)
skip = _verb(
    Verb.SKIP_STEP,
    ". A compensation that is left out is reported as such. STEP is the same as for `retry`.",
    example='sagadsl skip transfer-42 withdraw.compensation --why "paid back by hand"',
    is_about_one=True,
)
abort = _verb(
    Verb.ABORT,
    ". If a step waits, the saga fails with its error, and undoes what it has done. If a compensation waits, the rest "
    "is left as it is: the saga ends as failed, and reports what it has not undone. CHILD is the path of a child saga "
    "that is given up instead.",
    example="sagadsl abort transfer-42",
)
pause = _verb(
    Verb.PAUSE,
    "; what runs may end. `resume` lets it go on. CHILD is the path of a child saga that is paused alone.",
    example='sagadsl pause transfer-42 --why "the bank is down"',
)
resume = _verb(
    Verb.RESUME,
    ". CHILD is the path of a child saga that goes on alone.",
    example="sagadsl resume transfer-42",
)


def acting(by: str | None) -> str:
    """Return who acts: *by* if given, else the user of this process."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
