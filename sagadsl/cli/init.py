"""``sagadsl init``: adds what sagas need to a repository that is there."""

from __future__ import annotations

from pathlib import Path

import click

from sagadsl.cli.options import common, output
from sagadsl.cli.scaffolding import dry_run, tell, write
from sagadsl.scaffolds.files import Planned, Presence


@click.command(short_help="Add what sagas need to a repository that is there.")
@click.argument("folder", default=".")
@dry_run
@output("text", "json")
@common
def init(folder: str, dry_run: bool) -> int:
    """Add a first saga, its activities, its suite, CI and a hook to the repository in FOLDER.

    Files that are there stay as they are, but for `pyproject.toml`: it gets the entry points of the activities, and
    sagadsl among its dependencies. Without a Python package the activities go into `activities.py`. What other
    files would need is printed.

    \b
    Examples:
      sagadsl init --dry-run
      sagadsl init ../shop
    """
    from sagadsl.scaffolds.projects import Advice, additions

    here = Path(folder)
    if not here.is_dir():
        raise click.UsageError(f"`{folder}` is no folder; `sagadsl new project {folder}` makes a project")
    found = list(additions(here))
    files = [each for each in found if isinstance(each, Planned)]
    to_write = [
        each
        for each in files
        if each.presence(here) is Presence.NEW or (each.replaces and each.presence(here) is Presence.OTHER)
    ]
    kept = [each for each in files if each not in to_write]
    if not dry_run:
        write(to_write, here)
    advice = [each.text for each in found if isinstance(each, Advice)]
    then = "sagadsl validate definitions && sagadsl test definitions"
    tell(to_write, here, dry_run=dry_run, then=then, kept=kept, advice=advice if to_write else ())
    return 0
