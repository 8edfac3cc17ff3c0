"""``sagadsl run``: checks a definition, starts it, shows it, and prints its output."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, by_name, load_definitions, secrets_in, the_one
from sagadsl.cli.files import STDIN, find, is_file, is_folder, near_file
from sagadsl.cli.options import common, connection, modules, output, saga_input, show_secrets
from sagadsl.cli.saga_input import read_input, untyped
from sagadsl.cli.serving import calls
from sagadsl.cli.trusting import project_trust, signed_in
from sagadsl.language.calls import SagaCall
from sagadsl.language.loaded import Loaded, file_part
from sagadsl.language.model import Saga
from sagadsl.language.raw_steps import children_of
from sagadsl.language.schema.meant_keys import meant
from sagadsl.language.suggest import did_you_mean
from sagadsl.language.versions import name_and_version, of_version, rank
from sagadsl.later import uncollected
from sagadsl.plugins.catalogue import Catalogue

if TYPE_CHECKING:
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.link.server_process import ServerProcess
    from sagadsl.temporal.link.settings import ConnectionSettings


@click.command(short_help="Start a saga and show its steps until it ends.")
@click.argument("saga", metavar="FILE|NAME")
@saga_input
@click.option("--id", metavar="ID", help="Id of the run; random if left out.")
@click.option("--task-queue", metavar="NAME", help="Task queue to start on, instead of the definition's own.")
@click.option("--detach", is_flag=True, help="Print the id and leave.")
@click.option("--until-answer", is_flag=True, help="Print the saga's early answer and leave; see `answer` of a step.")
@click.option("--worker", is_flag=True, help="Run a worker in this process also when a server is given.")
@click.option("--again", is_flag=True, help="Run it even if a run with this id has ended well.")
@click.option("--summary", metavar="TEXT", help="One line about this run, for lists.")
@show_secrets
@modules
@output("text", "json", "jsonl", "none")
@connection
@common
def run(
    *,
    saga: str,
    input: str | None,
    input_file: str | None,
    set: Sequence[str],
    id: str | None,
    task_queue: str | None,
    detach: bool,
    until_answer: bool,
    worker: bool,
    again: bool,
    summary: str | None,
    show_secrets: bool,
    module: Sequence[str],
    flags: Flags,
) -> int:
    """Start a saga, show its steps until it ends, print its output.

    FILE (FILE#NAME if it has several sagas) is checked first. NAME is a saga that a worker has
    among its own definitions: the newest, or NAME@VERSION. Without a server (--address,
    TEMPORAL_ADDRESS, a profile) the command starts one and a worker, and both end with it.

    --set takes its type from the input schema: zip=02142 is text where the schema says text,
    amount=5 a number where it says integer; without a type it is text. amount:=5 is always JSON.

    Ctrl-C leaves the saga running if the server stays. If the server ends with the command,
    Ctrl-C cancels the saga.

    Exit code: 0 completed, 1 the definition is wrong, 2 the command or the input is,
    3 no server, 4 the id is taken, 10 failed and all undone, 11 failed and not all undone,
    12 cancelled, 13 timed out, 14 terminated, 15 paused, 17 rejected (it said no),
    130 left by Ctrl-C.

    \b
    Examples:
      sagadsl run transfer.saga.yaml --input @transfer.json
      sagadsl run transfer.saga.yaml --set amount=5 --set to_account=bob
      sagadsl run transfer-money --address localhost:7233 --id t-42 --detach
    """
    from sagadsl.plugins.settings import table_of
    from sagadsl.temporal.link.flags import say_nothing

    # The SDK that resolves settings takes longer to import than a server takes to begin.
    settings = None if say_nothing(flags, os.environ, table_of(Path.cwd())[0]) else _resolved(flags)
    here = settings is None or not settings.names_a_server
    leaves = "--detach" if detach else "--until-answer" if until_answer else ""
    if leaves and here:
        raise click.UsageError(f"`{leaves}` needs a server that stays; name one with `--address`")
    if detach and until_answer:
        raise click.UsageError("`--detach` waits for nothing, so it has no `--until-answer`")
    catalogue = Catalogue.discover(module)
    definitions, chosen = _definition(saga, catalogue, here=here)
    if not definitions.are_usable:
        definitions.show()
        return definitions.exit_code
    model = chosen.saga if chosen else None
    named = by_name(definitions, chosen)
    children = children_of(model.name, {name: each.definition for name, each in named.items()}) if model else {}
    name, version = name_and_version(saga)
    trust = project_trust() if worker or here else None
    given = read_input(input, input_file, set, model.input_schema if model else None)
    secrets = secrets_in(each for name, each in named.items() if each is chosen or name in children)
    signatures = signed_in((each for name, each in named.items() if each is chosen or name in children), trust)
    if chosen is not None:
        _check_input(chosen, given)
    with ExitStack() as stack:
        begun = _server(stack) if here else None
        with uncollected():
            from sagadsl.cli.running import Leave, StartRequest, execute
        order = StartRequest(
            name=model.name if model else name,
            version="" if model else version,
            definition=chosen.definition if chosen else None,
            children=children,
            sagas=tuple(
                each.saga for name, each in named.items() if each.saga and (each is chosen or name in children)
            ),
            input=given,
            id=id,
            task_queue=task_queue or (model.task_queue if model else None),
            again=again,
            summary=summary,
            secrets=secrets,
            signatures=signatures,
            trust=trust,
            shows_secrets=show_secrets,
        )
        settings = settings or _resolved(flags)
        for text in settings.warnings:
            screen.warn(text)
        if model is None:
            for key, value in untyped(set):
                screen.warn(
                    f"`--set {key}={value}` is sent as text, as only the worker knows the saga's input schema; "
                    f"to send JSON write `--set {key}:={value}`"
                )
        leave = Leave.AT_ONCE if detach else Leave.ANSWERED if until_answer else Leave.ENDED
        return asyncio.run(execute(order, settings, catalogue, leave=leave, with_worker=worker, begun=begun))


def _resolved(flags: Flags) -> ConnectionSettings:
    with uncollected():
        from sagadsl.temporal.link.settings import resolve
    return resolve(flags, os.environ)


def _server(stack: ExitStack) -> ServerProcess | None:
    """Begin a server of our own, which ends with *stack*; ``None`` where its command has to be fetched first, or where
    it does not begin: whoever waits for the server tells why."""
    from sagadsl.temporal.link.server_process import PortInUse, begin, binary_at_hand

    binary = binary_at_hand()
    if binary is None:
        return None
    try:
        begun = begin(binary)
    except (OSError, PortInUse):
        return None
    stack.callback(begun.end)
    return begun


def _check_input(chosen: Loaded, given: Any) -> None:
    """Raise ``InputRefused`` before the command starts a server in vain, as the saga would be refused in the end."""
    from sagadsl.language.schema.conform import checker
    from sagadsl.temporal.wire.definitions import checked

    saga = checked(chosen.definition)
    if problems := checker(saga.input_schema, "input", fill=True)(given):
        from sagadsl.temporal.refusals import InputRefused

        raise InputRefused(saga.name, problems, meant(given, chosen.definition.get("input")))


def _definition(text: str, catalogue: Catalogue, *, here: bool) -> tuple[Definitions, Loaded | None]:
    """Return the loaded definitions, and the one that *text* means; ``None`` for a name that only a worker knows.

    Args:
        here: A name must belong to a definition in this folder, since there is no other worker.
    """
    if text == STDIN or is_file(text):
        definitions = load_definitions([text], catalogue)
        if not definitions.are_usable:
            return definitions, None
        chosen = the_one(definitions, text, "`run` starts one")
        if text != STDIN and chosen.saga is not None and any(isinstance(each, SagaCall) for each in calls(chosen.saga)):
            neighbours = _neighbours(Path(chosen.document.name), chosen, catalogue)
            definitions = Definitions((chosen, *neighbours), definitions.unplaced)
        return definitions, chosen
    # A folder may have the name of a saga: it is in no one's way.
    if text in (os.curdir, os.pardir) or file_part(text).endswith((".yaml", ".yml")) or os.sep in text:
        raise click.UsageError("; ".join(filter(None, (f"there is no file `{text}`", near_file(text)))))
    name, version = name_and_version(text)
    if not name or of_version(name, version) != text:
        raise click.UsageError(f"`{text}` is neither a saga's name nor NAME@VERSION")
    if not here:
        return Definitions(), None
    every = load_definitions([], catalogue)
    usable = [each for each in every.files if each.saga is not None]
    meant = [each for each in usable if _name(each.saga) == name and (not version or _version(each.saga) == version)]
    named = max(meant, key=lambda each: rank(_version(each.saga)), default=None)
    if named is None:
        wrong = tuple(each for each in every.files if each.saga is None and _written(each, version) == text)
        if wrong:
            return Definitions(wrong, every.unplaced), None
        named_here = [_written(each, version) for each in every.files]
        beside = "; a folder is not run: name a file in it" if is_folder(text) else ""
        advice = did_you_mean(text, named_here) or "to start a saga of a worker by its name, give `--address`"
        missing = f"there is neither a file `{text}`, nor a usable saga of that name in this folder or below"
        raise click.UsageError(f"{missing}; {advice}{beside}")
    return Definitions(tuple(usable)), named


def _written(definition: Loaded, version: str) -> str:
    """Return the name of a saga, as its file has it, usable or not; with its version if one was asked for."""
    data = definition.document.data
    return (
        of_version(str(data.get("name")), str(data.get("version")) if version else "") if isinstance(data, dict) else ""
    )


def _name(saga: Saga | None) -> str:
    return saga.name if saga else ""


def _version(saga: Saga | None) -> str:
    return saga.version if saga else ""


def _neighbours(path: Path, chosen: Loaded, catalogue: Catalogue) -> list[Loaded]:
    """Return the usable definitions in a file and beside it, which may be child sagas of *chosen*."""
    folder = [each for each in find([str(path.parent)]) if isinstance(each, Path) and each.parent == path.parent]
    others = [str(each) for each in folder if not each.samefile(path)]
    found = load_definitions([str(path), *others], catalogue).files
    return [each for each in found if each.saga and each.document.address != chosen.document.address]
