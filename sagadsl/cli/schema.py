"""``sagadsl schema``: the schema with which an editor completes and checks definitions."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sagadsl.cli import screen
from sagadsl.cli.options import common


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
@common
def schema(output_file: str | None, suite: bool, library: bool, of: str | None) -> int:
    """Print the JSON Schema of definitions, of suites or of libraries, for editors; or of a command's JSON.

    \b
    Put a line like this first into a definition:
      # yaml-language-server: $schema=saga.schema.json
    \b
    Examples:
      sagadsl schema
      sagadsl schema -o saga.schema.json
      sagadsl schema --suite -o suite.schema.json
      sagadsl schema --library -o library.schema.json
      sagadsl schema --of status
    """
    if suite + library + (of is not None) > 1:
        raise click.UsageError("`--suite`, `--library` and `--of` are different schemas: ask for one")
    from sagadsl.language.bundled import schema_text

    if of is not None:
        text = _output(of)
    else:
        text = schema_text("suite" if suite else "library" if library else "saga").rstrip("\n")
    if output_file is None:
        screen.write(text)
        return 0
    try:
        Path(output_file).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise NotWritable(f"`{output_file}` cannot be written: {(error.strerror or str(error)).lower()}") from None
    screen.note(f"wrote {output_file}")
    return 0


def _output(command: str) -> str:
    from sagadsl.cli.output_schemas import OUTPUTS, schema_of
    from sagadsl.language.suggest import did_you_mean

    name = " ".join(command.split())
    if name not in OUTPUTS:
        inner = ", ".join(f"`{each}`" for each in OUTPUTS if each.startswith(f"{name} "))
        hint = f"name one of {inner}" if inner else did_you_mean(name, OUTPUTS)
        raise click.UsageError(f"`{name}` prints no JSON" + (f"; {hint}" if hint else ""))
    return json.dumps(schema_of(name), indent=2)
