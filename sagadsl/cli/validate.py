"""``sagadsl validate``: finds every mistake of every file in one run. It needs no server and no SDK."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from sagadsl.cli import screen
from sagadsl.cli.checking import check
from sagadsl.cli.files import STDIN
from sagadsl.cli.forms import FORMS
from sagadsl.cli.options import common, form, modules, no_plugins
from sagadsl.cli.streams import out
from sagadsl.diagnostics.findings import Severity
from sagadsl.reporting import report


@click.command(short_help="Find the mistakes in definitions before anything runs.")
@click.argument("paths", nargs=-1)
@form(*report.FORMATS, help="Form of the report on stdout.")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@no_plugins("check everything else")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if something is wrong.")
@click.option(
    "--select", multiple=True, metavar="CODE", help="Report only codes that begin with this; may be repeated."
)
@click.option(
    "--ignore", multiple=True, metavar="CODE", help="Do not report codes that begin with this; may be repeated."
)
@click.option("--explain-timing", is_flag=True, help="Say how long each saga and each of its steps can take.")
@click.option("--explain-size", is_flag=True, help="Say how many events and bytes each history can have.")
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@click.option("--stdin-filename", metavar="NAME", default="", help="Name for what comes from `-`, for editors.")
@modules
@common
def validate(
    *,
    paths: Sequence[str],
    format: str,
    strict: bool,
    no_plugins: bool,
    exit_zero: bool,
    select: Sequence[str],
    ignore: Sequence[str],
    explain_timing: bool,
    explain_size: bool,
    watch: bool,
    stdin_filename: str,
    module: Sequence[str],
) -> int:
    """Find the mistakes in definitions before anything runs.

    PATHS are files, folders (every *.saga.yaml in them and below), patterns, FILE#NAME for one
    saga of a file with several, or `-` for standard input; without one, the current folder.

    Exit code: 0 nothing wrong (or only warnings), 1 mistakes, 2 something cannot be read
    or the command is wrong, 3 the environment is.

    \b
    Examples:
      sagadsl validate
      sagadsl validate definitions/ --strict
      sagadsl validate orders.saga.yaml#refund
      sagadsl validate --watch
      sagadsl validate order.saga.yaml --explain-timing
      sagadsl validate order.saga.yaml --explain-size
      sagadsl validate --format sarif --exit-zero > sagadsl.sarif
      sagadsl validate - --stdin-filename order.saga.yaml < order.saga.yaml
    """
    if watch:
        return _watched(
            paths, format=format, strict=strict, no_plugins=no_plugins, select=select, ignore=ignore, module=module
        )
    if explain_timing or explain_size:
        if explain_timing and explain_size:
            raise click.UsageError("`--explain-timing` and `--explain-size` are different tables: ask for one")
        word = "timing" if explain_timing else "size"
        return _explained(word, paths, format, plugins=not no_plugins, modules=module, stdin_filename=stdin_filename)
    began = time.monotonic()
    definitions = check(paths, plugins=not no_plugins, modules=module, stdin_filename=stdin_filename)
    definitions = definitions.only(_codes(select), _codes(ignore))
    if strict:
        definitions = definitions.strict()
    screen.session().wrote_result = True
    shown = report.render(
        format,
        definitions.files,
        unplaced=definitions.unplaced,
        color=FORMS[format].for_people and screen.wants_color(out(), screen.session().color),
        elapsed_ms=round((time.monotonic() - began) * 1000),
        width=screen.width() if FORMS[format].for_people else None,
    )
    is_wrong = any(each.severity is not Severity.NOTE for each in definitions.findings)
    if shown and not (screen.session().is_quiet and FORMS[format].for_people and not is_wrong):
        screen.show(shown, is_data=not FORMS[format].for_people)
    return 0 if exit_zero and definitions.exit_code == 1 else definitions.exit_code


def _explained(
    word: str, paths: Sequence[str], format: str, *, plugins: bool, modules: Sequence[str], stdin_filename: str
) -> int:
    from sagadsl.cli import size_text, timing_text
    from sagadsl.cli.definitions import load_definitions
    from sagadsl.plugins.catalogue import Catalogue

    if format not in ("text", "json"):
        raise click.UsageError(f"`--explain-{word}` writes `--format text` or `json`")
    catalogue = Catalogue.discover(modules) if plugins else None
    definitions = load_definitions(paths, catalogue, stdin_filename=stdin_filename)
    if not definitions.are_usable:
        definitions.show()
        return definitions.exit_code
    if word == "timing":
        times = timing_text.times_of(definitions.files)
        screen.result({"sagas": timing_text.as_data(times)}, timing_text.as_text(times, screen.width()))
    else:
        sizes = size_text.sizes_of(definitions.files, catalogue)
        screen.result({"sizes": size_text.as_data(sizes)}, size_text.as_text(sizes, screen.width()))
    return 0


def _watched(
    paths: Sequence[str],
    *,
    format: str,
    strict: bool,
    no_plugins: bool,
    select: Sequence[str],
    ignore: Sequence[str],
    module: Sequence[str],
) -> int:
    from sagadsl.cli.watching import WATCHED_FORMS, watch

    if STDIN in paths:
        raise click.UsageError("`--watch` needs files: standard input does not change")
    if format not in WATCHED_FORMS:
        raise click.UsageError(
            f"`--watch` shows one report after the other: choose `--format {' or '.join(WATCHED_FORMS)}`"
        )
    here = screen.session()
    arguments = [f"--format={format}", f"--color={here.color}"]
    flags = {"--strict": strict, "--no-plugins": no_plugins, "--quiet": here.is_quiet, "--debug": here.debug}
    arguments += [flag for flag, is_set in flags.items() if is_set]
    for option, values in (("--select", select), ("--ignore", ignore), ("--module", module)):
        arguments += [f"{option}={value}" for value in values]
    return watch(paths, [*arguments, "--", *paths])


def _codes(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the beginnings of codes from options, which may contain several with commas."""
    return tuple(part.strip().upper() for text in texts for part in text.split(",") if part.strip())
