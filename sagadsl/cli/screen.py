"""The output of all commands: streams, colour, and the form of a failure.

Results go to stdout, everything else to stderr. If JSON is asked for, stdout has exactly one
document, also when the command fails.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import click
from msgspec import Struct, field

from sagadsl.cli.fitted import fit, width_of
from sagadsl.cli.forms import FORMS, StdoutOnFailure
from sagadsl.cli.reach import reaching, unasked
from sagadsl.cli.streams import give_up, out
from sagadsl.columns import plain
from sagadsl.errors import SagadslError, reason_of

SCHEMA_VERSION = 1
SAID_NO = 1
"""The exit code when a person has answered a question with no."""


class Session(Struct):
    """The common options of one call of the command line, and the state of its output.

    Attributes:
        output: Which of the ``FORMS``.
        wrote_result: stdout already has the result.
        color: ``auto``, ``always`` or ``never``.
        asked_json: ``--json`` was given.
        reach: The options that another command needs for the same server.
        sources: Addresses from which definitions were fetched, by where they lie now: people know the address alone.
        log_format: How stderr looks: ``text`` for people, ``json`` for programs that collect logs.
    """

    output: str = "text"
    wrote_result: bool = False
    debug: bool = False
    color: str = "auto"
    log_format: str = "text"
    verbosity: int = 0
    reach: str = ""
    asked_json: bool = False
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def is_quiet(self) -> bool:
        return self.verbosity < 0


def session() -> Session:
    """Return the session of the running command."""
    return session_of(click.get_current_context())


def session_of(context: click.Context) -> Session:
    """Return the session of *context*."""
    assert isinstance(context.obj, Session)
    return context.obj


def _sourced(text: str) -> str:
    """Return *text* with the address from which definitions were fetched in place of the folder where they lie."""
    context = click.get_current_context(silent=True)
    found = context.obj.sources if context is not None and isinstance(context.obj, Session) else {}
    for place in sorted(found, key=len, reverse=True):
        text = text.replace(place, found[place])
    return text


def wants_color(stream: TextIO, choice: str) -> bool:
    """Decide about colour on *stream*. https://no-color.org, https://force-color.org."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def styled(text: str, stream: TextIO, choice: str, **style: Any) -> str:
    """Return *text* in colour where *stream* shows it."""
    return click.style(text, **style) if wants_color(stream, choice) else text


def log(usual: int) -> None:
    """Write log records to stderr: those of level *usual* and above, more with ``-v``, errors alone with ``-q``."""
    import logging

    levels = {-1: max(usual, logging.ERROR), 0: usual, 1: logging.INFO}
    level = levels.get(session().verbosity, logging.DEBUG)
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if session().log_format == "json":
        from sagadsl.temporal.work.json_log import JsonLines, whole

        whole()
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())


def tail() -> str:
    """Return the options for the end of a printed command, so that it reaches the same server; after a blank."""
    reach = session().reach
    return f" {reach}" if reach else ""


def to_copy(text: str) -> str:
    """Return *text* whose commands can be copied from here: to the same server, and without a question if nobody can
    be asked here."""
    reached = reaching(text, session().reach)
    return reached if _has_a_person(session()) else unasked(reached)


def say(text: str) -> None:
    """Write one line to stderr; with ``--quiet`` it is the only one."""
    _to_stderr(session(), "info", text)


def note(text: str) -> None:
    """Write one line about the progress to stderr, unless ``--quiet``."""
    if not session().is_quiet:
        _to_stderr(session(), "info", text)


def _to_stderr(here: Session, level: str, text: str, shown: str = "", **more: Any) -> None:
    """Write *text* for programs, or what is *shown* to people instead of it."""
    if here.log_format == "json":
        from sagadsl.temporal.work.json_log import line

        document = line(level, plain(_sourced(text)).strip(), at=time.time(), logger="sagadsl") | more
        shown = json.dumps(document)  # in ASCII: a stream that takes no more would break the form
        print(shown, file=sys.stderr, flush=True)
        return
    tell(shown or text)


def tell(text: str) -> None:
    """Write lines for people to stderr, as wide as its terminal is; every form and ``--quiet`` get them as they are."""
    print(fit(_sourced(text), width_of(sys.stderr)), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Write a warning to stderr; ``--quiet`` does not hide it."""
    label = styled("warning", sys.stderr, session().color, fg="yellow", bold=True)
    _to_stderr(session(), "warning", text, f"{label}: {text}")


def width() -> int | None:
    """Return how wide the lines of the result may be; ``None`` where no terminal shows them."""
    return width_of(out())


def show(text: str, *, is_data: bool = False) -> None:
    """Write a part of the result for people to stdout. *is_data* as for ``result``."""
    session().wrote_result = True
    text = _sourced(text)
    print(text if is_data else fit(text, width()), file=out(), flush=True)


def result(document: Any, text: str = "", *, is_data: bool = False) -> None:
    """Write the command's result to stdout: *document* as JSON, or *text* for people.

    *is_data*: the text is JSON or another language, whose lines stay as they are in every terminal.
    """
    here = session()
    here.wrote_result = True
    match here.output:
        case "json":
            if isinstance(document, dict):
                document = {"schema_version": SCHEMA_VERSION, **document}
            print(_sourced(json.dumps(document, ensure_ascii=False, indent=2)), file=out())
        case "jsonl":
            print(_sourced(json.dumps(document, ensure_ascii=False)), file=out())
        case "none":
            pass
        case _ if text:
            text = _sourced(text)
            print(text if is_data else fit(text, width()), file=out())


def write(text: str, file: str | None = None, *, is_data: bool = True) -> None:
    """Write a result to stdout, or to *file*. Raises ``click.UsageError`` when that cannot be written.

    *is_data* as for ``result``.
    """
    session().wrote_result = True
    if file is None:
        print(text if is_data else fit(text, width()), file=out())
        out().flush()
        return
    try:
        Path(file).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        why = reason_of(error)
        raise click.UsageError(f"`{file}` cannot be written: {why} (--output-file)") from None


def show_error(here: Session, code: str, message: str, remedy: str = "", extra: dict[str, Any] | None = None) -> None:
    """Write one failure as a block to stderr, and as a document to stdout when JSON was asked for."""
    label = styled(f"error[{code}]" if code else "error", sys.stderr, here.color, fg="red", bold=True)
    lines = [f"{label}: {message}"]
    lines += [f"   = help: {line}" for line in remedy.splitlines()]
    _to_stderr(here, "error", message, "\n".join(lines), code=code, help=remedy)
    _document(here, {"code": code, "message": message, "help": remedy, **(extra or {})})


def need_a_person(instead: str) -> None:
    """Raise an error if nobody can be asked here; *instead* says how to go on without a question."""
    if not _has_a_person(session()):
        raise click.ClickException(instead)  # no UsageError: the words of the command are right


def _has_a_person(here: Session) -> bool:
    return here.output == "text" and sys.stdin is not None and sys.stdin.isatty()


def ask(question: str) -> None:
    """Ask a person before something is done; end the command if the answer is no.

    Every question of a command goes through here, so that a no is never taken for Ctrl-C.
    """
    columns = width_of(sys.stderr)
    if not click.confirm(fit(question, None if columns is None else columns - len(" [y/N]: ")), err=True):
        print("nothing was done", file=sys.stderr)
        raise click.exceptions.Exit(SAID_NO)


def failed(error: dict[str, Any]) -> None:
    """Write a failure as a document to stdout if JSON was asked for; stderr has it already."""
    _document(session(), error)


def _document(here: Session, error: dict[str, Any]) -> None:
    on_failure = FORMS[here.output].on_failure
    if on_failure is not StdoutOnFailure.NOTHING and not here.wrote_result:
        here.wrote_result = True
        document = {"schema_version": SCHEMA_VERSION, "error": error}
        try:
            print(_sourced(json.dumps(document, ensure_ascii=False, indent=on_failure.indent)), file=out())
            out().flush()
        except (OSError, ValueError):  # stderr and the exit code say what has failed
            give_up(out())


def authors_stack(problem: object) -> None:
    """Under ``--debug``, write the stack of a broken plugin to stderr; nothing for other problems."""
    reason = getattr(problem, "reason", None)
    if session().debug and isinstance(reason, BaseException):
        import traceback

        traceback.print_exception(reason)


def show_failure(here: Session, error: SagadslError) -> None:
    """Write an error that was raised on purpose."""
    texts = (reaching(each, here.reach) for each in (str(error), error.help))
    message, remedy = texts if _has_a_person(here) else map(unasked, texts)
    show_error(here, error.code, message, remedy)
