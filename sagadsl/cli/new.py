"""``sagadsl new``: projects, plugins, sagas and suites to start from. It never writes over a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from sagadsl.cli import screen
from sagadsl.cli.files import is_file, near_file
from sagadsl.cli.installed import Installed
from sagadsl.cli.options import common, modules, no_plugins, output
from sagadsl.cli.scaffolding import dry_run, editor_schemas, name_of, not_there, put, tell, write
from sagadsl.immutable import replace
from sagadsl.language.loaded import SUFFIXES
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.catalogue import Catalogue


@click.group(short_help="Write a project, a plugin, a saga or a suite to start from.")
@common
def new() -> None:
    """Write a project, a plugin, a saga or a suite to start from. No file is ever written over.

    \b
    Examples:
      sagadsl new project shop
      sagadsl new saga refund --activity bank.deposit
      sagadsl new suite refund.saga.yaml
      sagadsl new plugin acme-payments
    """


@new.command(short_help="Write a project: a saga, its activities, tests, CI.")
@click.argument("folder")
@dry_run
@output("text", "json")
@common
def project(folder: str, dry_run: bool) -> int:
    """Write a project into FOLDER, which is not there or empty: a saga, its activities, its suite, tests, CI.

    The project is called like the folder. `sagadsl init` is for a repository that is there.

    \b
    Example:
      sagadsl new project shop
    """
    from sagadsl.scaffolds.projects import project as files

    _empty(folder)
    put(files(name_of(folder)), Path(folder), dry_run=dry_run, then=f"cd {folder}, and read README.md")
    return 0


@new.command(short_help="Write a package with activities.")
@click.argument("folder")
@dry_run
@output("text", "json")
@common
def plugin(folder: str, dry_run: bool) -> int:
    """Write a package with activities into FOLDER, which is not there or empty.

    \b
    Example:
      sagadsl new plugin acme-payments
    """
    from sagadsl.scaffolds.projects import plugin as files

    _empty(folder)
    put(files(name_of(folder)), Path(folder), dry_run=dry_run, then=f"cd {folder}, and read README.md")
    return 0


@new.command(short_help="Write a definition, and a suite of it.")
@click.argument("name")
@click.option("--activity", multiple=True, metavar="NAME", help="A step that calls this activity; may be repeated.")
@click.option("--folder", default=".", metavar="DIR", help="Where the definition goes; the current folder by default.")
@dry_run
@modules
@output("text", "json")
@common
def saga(name: str, activity: Sequence[str], folder: str, dry_run: bool, module: Sequence[str]) -> int:
    """Write the definition NAME.saga.yaml, and a suite of it.

    \b
    Examples:
      sagadsl new saga refund
      sagadsl new saga refund --activity bank.withdraw --folder definitions
    """
    from sagadsl.reporting.schema_text import example_step
    from sagadsl.scaffolds.files import Planned
    from sagadsl.scaffolds.sagas import saga as definition

    name, here = name_of(name, is_file=True), Path(folder)
    installed = Installed(Catalogue.discover(module, cache=Cache.open()))
    steps = []
    for each in activity:
        known = installed.get(each)
        if known is None and (problem := installed.problems.get(each)) is not None:
            raise problem
        if known is None:
            raise click.UsageError(f"no activity named `{each}` can be used here; `sagadsl plugins` lists them")
        steps.append(example_step(known, installed.get(known.compensated_by) if known.compensated_by else None))
    schemas, missing = editor_schemas(here)
    file = Planned(f"{name}.saga.yaml", definition(name, schemas, steps))
    beside = Planned(f"{name}.saga-test.yaml", "")
    not_there([file, beside], here)
    if dry_run:
        put([file, beside, *missing], here, dry_run=True)
        return 0
    write([file, *missing], here)
    made = _suite_of(here / file.path, installed, schemas)
    written = [file, *missing]
    if made is None:
        then = f"complete {here / file.path}, then `sagadsl new suite {here / file.path}`"
    else:
        write([replace(beside, text=made)], here)
        written.insert(1, beside)
        then = f"sagadsl validate {here / file.path} && sagadsl test {here / beside.path}"
    tell(written, here, then=then)
    return 0


@new.command(short_help="Write a suite of a definition, which passes.")
@click.argument("file")
@dry_run
@no_plugins("draw outputs from what the definition reads")
@modules
@output("text", "json")
@common
def suite(file: str, dry_run: bool, no_plugins: bool, module: Sequence[str]) -> int:
    """Write a suite beside the definition FILE: a case where all goes well, and one for each call that says no.

    Each case expects what the saga does now; read whether that is right.

    \b
    Example:
      sagadsl new suite order.saga.yaml
    """
    from sagadsl.scaffolds.files import Planned

    address = Path(file)
    stem = next((address.name.removesuffix(end) for end in SUFFIXES if address.name.endswith(end)), None)
    if not is_file(file):
        hint = near_file(file)
        raise click.UsageError(f"there is no file `{file}`" + (f"; {hint}" if hint else ""))
    if stem is None:
        raise click.UsageError(f"`{file}` is no file of a definition: its name ends with {SUFFIXES[0]}")
    planned = Planned(f"{stem}.saga-test.yaml", "")
    not_there([planned], address.parent)
    installed = None if no_plugins else Installed(Catalogue.discover(module, cache=Cache.open()))
    schemas, missing = editor_schemas(address.parent)
    made = _suite_of(address, installed, schemas, tells=True)
    if made is None:
        return 1
    files = [replace(planned, text=made), *missing]
    put(files, address.parent, dry_run=dry_run, then=f"sagadsl test {address.parent / planned.path}")
    return 0


def _suite_of(file: Path, installed: Installed | None, schemas: str, *, tells: bool = False) -> str | None:
    """Return a suite of a definition; ``None`` if the definition cannot be used, and *tells* says why."""
    from sagadsl.cli.definitions import load_definitions, the_one
    from sagadsl.scaffolds.suites import NoSuite, suite_of

    found = load_definitions((str(file),), None if installed is None else installed.catalogue)
    if not found.are_usable:
        if tells:
            found.show()
        return None
    saga = the_one(found, str(file), "a suite is about one").saga
    assert saga is not None
    path = file.with_name(f"{file.name.partition('.saga.')[0]}.saga-test.yaml")
    try:
        return suite_of(saga, path, file.name, schemas, installed)
    except NoSuite as error:
        if tells:
            screen.say("\n".join(f"{each.code}: {each.message}" for each in error.findings))
        return None


def _empty(folder: str) -> None:
    if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
        raise click.UsageError(f"`{folder}` is there already; `sagadsl init` adds to a repository that is there")
