"""``sagadsl schema``: the schema with which an editor completes and checks definitions."""

from __future__ import annotations

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
@common
def schema(output_file: str | None, suite: bool, library: bool) -> int:
    """Print the JSON Schema of definitions, of suites or of libraries, for editors.

    \b
    Put a line like this first into a definition:
      # yaml-language-server: $schema=saga.schema.json
    \b
    Examples:
      sagadsl schema
      sagadsl schema -o saga.schema.json
      sagadsl schema --suite -o suite.schema.json
      sagadsl schema --library -o library.schema.json
    """
    if suite and library:
        raise click.UsageError("`--suite` and `--library` are two schemas: ask for one")
    from sagadsl.language.bundled import schema_text

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
