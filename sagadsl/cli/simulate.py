"""``sagadsl simulate``: runs a definition in virtual time with mocks, and shows what happens when."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import load_definitions, the_one
from sagadsl.cli.files import STDIN, near_file, why_of
from sagadsl.cli.installed import Installed
from sagadsl.cli.options import beginning, common, form, instant_of, modules, no_plugins, output_file, saga_input
from sagadsl.cli.outcome import EXIT_CODES
from sagadsl.cli.saga_input import InputUnusable, read_input
from sagadsl.diagnostics.findings import Severity
from sagadsl.language.document import Document, parse
from sagadsl.language.model import Saga
from sagadsl.language.notation import durations
from sagadsl.language.own_errors import SIGNAL_NOT_DELIVERED
from sagadsl.language.schema.conform import checker
from sagadsl.language.schema.meant_keys import meant
from sagadsl.language.suggest import did_you_mean, listed
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.catalogue import Catalogue

if TYPE_CHECKING:
    from sagadsl.trial.case import Interference
    from sagadsl.trial.mocks import Mocks
    from sagadsl.trial.names import Names
    from sagadsl.trial.played import Played

FORMATS = ("text", "json", "mermaid", "svg")


@click.command(short_help="Run a definition in virtual time, without a server.")
@click.argument("file", metavar="FILE")
@saga_input
@click.option("--mock", multiple=True, metavar="CALL=YAML", help="What a call does, as in a suite; may be repeated.")
@click.option("--mocks", metavar="FILE", help="The same for several calls: a YAML mapping by call or activity.")
@click.option("--fail", multiple=True, metavar="CALL[=TYPE]", help="Let a call fail for good; may be repeated.")
@click.option("--lose", multiple=True, metavar="CALL", help="Never hear of a call again; may be repeated.")
@click.option("--delay", multiple=True, metavar="CALL=TIME", help="Let each attempt take this long; may be repeated.")
@click.option("--cancel-at", metavar="WHEN", help="Cancel the saga: after a time such as 5s, or when a call begins.")
@click.option("--timeout-at", metavar="WHEN", help="Let the saga's timeout pass at this moment.")
@click.option("--crash-at", metavar="WHEN", help="Let the workers die at this moment; others take over.")
@click.option(
    "--signal", multiple=True, metavar="NAME[=VALUE]@WHEN", help="Send a signal at this moment; may be repeated."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Draw other inputs.")
@beginning
@click.option("--until", metavar="TIME", help="Stop after this much virtual time.")
@form(*FORMATS, help="Form of the timeline.")
@output_file
@no_plugins()
@modules
@common
def simulate(
    *,
    file: str,
    input: str | None,
    input_file: str | None,
    set: Sequence[str],
    mock: Sequence[str],
    mocks: str | None,
    fail: Sequence[str],
    lose: Sequence[str],
    delay: Sequence[str],
    cancel_at: str | None,
    timeout_at: str | None,
    crash_at: str | None,
    signal: Sequence[str],
    seed: int,
    now: str | None,
    until: str | None,
    format: str,
    output_file: str | None,
    no_plugins: bool,
    module: Sequence[str],
) -> int:
    """Run a definition in virtual time, without a server, and show what happens when.

    The interpreter is the one that runs in production; attempts, pauses and timeouts follow
    each other as on a Temporal server. A call that no mock names succeeds with an output of
    its type.

    Exit code, as for `run`: 0 completed, 10 failed and all undone, 11 failed and not all
    undone, 12 cancelled, 15 still open, 17 rejected; 1 the definition is wrong, 2 the command is.

    \b
    Examples:
      sagadsl simulate transfer.saga.yaml --fail deposit=AccountClosed
      sagadsl simulate order.saga.yaml --signal 'approve={"ok": true}@2h'
      sagadsl simulate order.saga.yaml --cancel-at ship
      sagadsl simulate order.saga.yaml --mock 'pay=[{error: Busy}, {output: {}}]'
      sagadsl simulate order.saga.yaml -f svg --output-file order.svg
    """
    from sagadsl.language.load import beside
    from sagadsl.trial.case import Case
    from sagadsl.trial.judge import unused
    from sagadsl.trial.names import names
    from sagadsl.trial.outputs import Outputs
    from sagadsl.trial.play import play

    if file == STDIN:
        raise click.UsageError("`simulate` reads a file, not standard input")
    activities = None if no_plugins else Installed(Catalogue.discover(module, cache=Cache.open()))
    definitions = load_definitions([file], None if activities is None else activities.catalogue)
    if not definitions.are_usable:
        definitions.show()
        return definitions.exit_code
    loaded = the_one(definitions, file, "`simulate` runs one")
    saga = loaded.saga
    assert saga is not None
    sagas = beside(loaded.document.address, loaded.document.text).sagas
    known = names(saga, sagas, activities)
    acted = _mocks(known, mock=mock, file=mocks, fail=fail, lose=lose, delay=delay)
    case = Case(
        "simulate",
        _input(saga, input, input_file, set, seed),
        acted,
        (
            *_outside(known, {"cancel": cancel_at, "timeout": timeout_at, "crash": crash_at}),
            *(_signal(saga, known, each) for each in signal),
        ),
        given=tuple(acted.entries),
        now=instant_of(now),
    )
    outputs = Outputs((saga, *sagas.values()), activities)
    played = play(saga, case, sagas=sagas, outputs=outputs, until=None if until is None else _time(until, "--until"))
    for index in played.missed:
        screen.warn(f"`{case.when[index]}` never came: there was no such moment as `{case.when[index].moment}`")
    for name in unused(case, played):
        screen.warn(f"no call has used the mock of `{name}`")
    for_screen = format == FORMATS[0] and output_file is None
    screen.write(
        _shown(saga, played, format, screen.width() if for_screen else None), output_file, is_data=not for_screen
    )
    return EXIT_CODES.get(played.status, EXIT_CODES["paused"])


def _outside(known: Names, asked: Mapping[str, str | None]) -> Sequence[Interference]:
    return [_at(known, action, when) for action, when in asked.items() if when is not None]


def _input(saga: Saga, text: str | None, file: str | None, assignments: Sequence[str], seed: int) -> Any:
    """Return the input that was given, or one that is drawn. Raises ``InputRefused``, as ``run`` does."""
    if text is not None or file is not None or assignments:
        given = read_input(text, file, assignments, saga.input_schema)
        if problems := checker(saga.input_schema, "input", fill=True)(given):
            from sagadsl.temporal.refusals import InputRefused

            raise InputRefused(saga.name, problems, meant(given, saga.input_schema))
        return given
    from sagadsl.trial.outputs import draw_input

    drawn = draw_input(saga, seed)
    if drawn:
        screen.note(f"no input was given; drawn: {json.dumps(drawn, ensure_ascii=False)}")
    return drawn


def _mocks(
    known: Names,
    *,
    mock: Sequence[str],
    file: str | None,
    fail: Sequence[str],
    lose: Sequence[str],
    delay: Sequence[str],
) -> Mocks:
    from sagadsl.trial import spelling
    from sagadsl.trial.mocks import parse as parse_mocks

    data: dict[str, Any] = {}
    if file is not None:
        data |= {_whole(known, name): mock for name, mock in _checked(*_read(Path(file))).items()}
    for text in mock:
        name, _, value = text.partition("=")
        data[_whole(known, name)] = _checked(*_named(name, value, f"--mock {name}"))[name]
    for text in fail:
        name, _, type_ = text.partition("=")
        name = _whole(known, name)
        data[name] = {"error": type_ or (SIGNAL_NOT_DELIVERED if known.is_sent(name) else "Refused")}
    for name in lose:
        data[_whole(known, name)] = {"timeout": "start_to_close"}
    for text in delay:
        name, _, length = text.partition("=")
        _time(length, f"--delay {name}")
        name = _whole(known, name)
        data[name] = {**_single(data.get(name)), "delay": length}
    for finding in spelling.mocks(data, known, ()):
        if finding.severity is Severity.ERROR:
            raise click.UsageError(f"{finding.message}; {finding.help}")
        screen.warn(f"{finding.message}; {finding.help}")
    return parse_mocks(data)


def _whole(known: Names, name: str) -> str:
    """Return the whole name of a call, so that two options for one call mean the same one."""
    from sagadsl.trial.names import Asks

    return known.whole(Asks.ANY_CALL, name) or name


def _single(mock: Any) -> dict[str, Any]:
    return dict(mock) if isinstance(mock, Mapping) else {}


def _read(path: Path) -> tuple[Document, str]:
    try:
        return _document(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        hint = near_file(str(path), (".json", ".yaml", ".yml"))
        raise InputUnusable("; ".join(filter(None, (f"`{path}` cannot be read: {why_of(error)}", hint)))) from None


def _document(text: str, name: str) -> tuple[Document, str]:
    document, findings = parse(text, name)
    for finding in findings:
        raise InputUnusable(f"{name}: {finding.message}", finding.help)
    return document, name


def _named(name: str, value: str, what: str) -> tuple[Document, str]:
    """Read one value as if a file had it below its name."""
    document, _ = _document(f"{json.dumps(name, ensure_ascii=False)}: {value}", what)
    if list(document.data) != [name]:
        raise InputUnusable(f"{what} is more than one value")
    return document, what


def _checked(document: Document, name: str) -> Mapping[str, Any]:
    from sagadsl.trial.suite import check_mocks

    if not isinstance(document.data, dict):
        raise InputUnusable(f"{name} is not a mapping of mocks by call or activity")
    for finding in check_mocks(document, document.data, ()):
        raise InputUnusable(f"{name}: {finding.message}", finding.help)
    return document.data


def _at(known: Names, action: str, when: str, name: str = "", payload: Any = None) -> Interference:
    from sagadsl.trial import spelling
    from sagadsl.trial.case import Interference, is_time, moment
    from sagadsl.trial.names import Asks

    if is_time(when):
        _time(when, f"--{action}-at")
        return Interference(moment(when), action, name, payload, by="simulate")
    whole = known.whole(Asks.CALL_OR_STEP, when)
    if whole is None:
        raise click.UsageError(spelling.unknown(Asks.CALL_OR_STEP, when, known))
    return Interference(moment(whole), action, name, payload, by="simulate")


def _signal(saga: Saga, known: Names, text: str) -> Interference:
    signal, at, when = text.rpartition("@")
    if not at:
        raise click.UsageError(f"`--signal {text}` does not say when: write `{text}@5s`, or `@` and a call or step")
    name, _, value = signal.partition("=")
    if name not in saga.signals:
        hint = did_you_mean(name, saga.signals) or f"it waits for: {listed(saga.signals)}"
        raise click.UsageError(f"the saga waits for no signal `{name}`; {hint}")
    payload = _named(name, value, f"--signal {name}")[0].data[name] if value else None
    return _at(known, "signal", when, name, payload)


def _time(text: str, flag: str) -> float:
    try:
        return durations.parse(text).total_seconds()
    except durations.NotADuration as error:
        raise click.UsageError(f"`{flag}`: {error}") from None


def _shown(saga: Saga, played: Played, format: str, width: int | None) -> str:
    from sagadsl.trial import timeline as timelines
    from sagadsl.trial.mermaid import mermaid
    from sagadsl.trial.svg import svg

    drawn = timelines.timeline(saga.name, played)
    match format:
        case "svg":
            return svg(drawn)
        case "mermaid":
            return mermaid(drawn)
        case "json":
            document = {
                "schema_version": 1,
                "saga": saga.name,
                "status": played.status,
                "output": played.output,
                "failure": played.failure,
                "warnings": list(played.status_document.get("warnings", ())),
                "report": played.report,
                "attention": list(played.status_document.get("attention") or ()),
                "waiting_for": dict(played.status_document.get("waiting_for") or {}),
                "refused": list(played.refused),
                "cut": played.cut,
                "timeline": timelines.data(drawn),
            }
            return json.dumps(document, ensure_ascii=False)
        case _:
            gives = played.status in ("completed", "rejected")
            result = [f"  output: {json.dumps(played.output, ensure_ascii=False)}"] if gives else []
            return "\n".join([*timelines.text(drawn, width), "", *timelines.outcome(played), *result])
