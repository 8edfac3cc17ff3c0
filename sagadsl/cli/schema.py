"""``sagadsl schema``: the schema with which an editor completes and checks definitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from sagadsl.cli import screen
from sagadsl.cli.options import common, modules
from sagadsl.errors import reason_of


class NotWritable(click.ClickException):
    """The file cannot be written; click gives such errors their own exit code."""

    exit_code = 2


@click.command(short_help="Print the JSON Schema of definitions, for editors.")
@click.option("-o", "--output-file", metavar="FILE", help="Write it to this file instead of stdout.")
@click.option("--suite", is_flag=True, help="Print the schema of suites (*.saga-test.yaml) instead.")
@click.option(
    "--library", is_flag=True, help="Print the schema of libraries (`imports`); it refers to that of definitions."
)
@click.option("--of", metavar="COMMAND", help="Print the schema of what this command prints with `--json` instead.")
@click.option("--plugins", is_flag=True, help="With the installed activities: their names, words and inputs.")
@modules
@common
def schema(
    *, output_file: str | None, suite: bool, library: bool, of: str | None, plugins: bool, module: Sequence[str]
) -> int:
    """Print the JSON Schema of definitions, of suites or of libraries, for editors; or of a command's JSON.

    \b
    Put a line like this first into a definition:
      # yaml-language-server: $schema=saga.schema.json

    \b
    Examples:
      sagadsl schema
      sagadsl schema -o saga.schema.json
      sagadsl schema --plugins -m activities -o saga.schema.json
      sagadsl schema --suite -o suite.schema.json
      sagadsl schema --library -o library.schema.json
      sagadsl schema --of status
    """
    if suite + library + (of is not None) > 1:
        raise click.UsageError("`--suite`, `--library` and `--of` are different schemas: ask for one")
    if plugins and (suite or library or of is not None):
        raise click.UsageError("`--plugins` is about definitions, which call activities: leave it out")
    from sagadsl.language.bundled import schema_text

    if of is not None:
        text = _output(of)
    else:
        text = schema_text("suite" if suite else "library" if library else "saga").rstrip("\n")
    if plugins:
        text = _with_plugins(text, module)
    if output_file is None:
        screen.write(text)
        return 0
    try:
        Path(output_file).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise NotWritable(f"`{output_file}` cannot be written: {reason_of(error)}") from None
    screen.note(f"wrote {output_file}")
    return 0


def _with_plugins(text: str, module: Sequence[str]) -> str:
    """Return the schema with the activities that work; what does not is a warning."""
    from sagadsl.language.analysis.known import Signature
    from sagadsl.plugins.catalogue import Catalogue
    from sagadsl.plugins.problems import needs_extra
    from sagadsl.reporting.activity_schema import with_activities

    catalogue = Catalogue.discover(module)
    found = [catalogue.signature(plugin.name) for plugin in catalogue.load_all()]
    for problem in (*catalogue.problems, *(each for each in found if not isinstance(each, Signature))):
        if not needs_extra(problem):
            screen.warn(f"{problem}; {problem.help}")
    known = [each for each in found if isinstance(each, Signature)]
    return json.dumps(with_activities(json.loads(text), known), indent=2, ensure_ascii=False)


def _output(command: str) -> str:
    from sagadsl.cli.output_schemas import OUTPUTS, schema_of
    from sagadsl.language.suggest import did_you_mean

    name = " ".join(command.split())
    if name not in OUTPUTS:
        inner = ", ".join(f"`{each}`" for each in OUTPUTS if each.startswith(f"{name} "))
        hint = f"name one of {inner}" if inner else did_you_mean(name, OUTPUTS)
        raise click.UsageError(f"`{name}` prints no JSON" + (f"; {hint}" if hint else ""))
    return json.dumps(schema_of(name), indent=2)
