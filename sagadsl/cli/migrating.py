"""``sagadsl migrate``: let open sagas go on with another definition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import by_name, load_definitions, secrets_in, the_one
from sagadsl.cli.files import find
from sagadsl.cli.many import Selection, ask_many
from sagadsl.cli.operate import acting, connected
from sagadsl.cli.options import common, connection, output
from sagadsl.language.loaded import Loaded
from sagadsl.language.model import Saga

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.ask.many import Addressee, Choice
    from sagadsl.temporal.ask.migrating import CannotMigrate, Migrated
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.wire.arguments import Package


@click.command(short_help="Let open sagas go on with another definition.")
@click.argument("id", metavar="[ID]", required=False)
@click.option("--to", metavar="FILE", required=True, help="The new definition.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; nothing changes.")
@click.option("--query", metavar="QUERY", help="Instead of ID: open sagas of this name that fit a query of Temporal's.")
@click.option(
    "--rate", metavar="N", type=click.FloatRange(min=0.1), default=20.0, show_default=True, help="Sagas a second."
)
@click.option(
    "--results", metavar="FILE", help="Keep what became of each saga there; again with the same file goes on."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--by-name", is_flag=True, help="The workers take the definition from their own folder.")
@click.option("--by", metavar="NAME", default=None, help="Who does it; the user's name if left out.")
@click.option("--why", metavar="TEXT", default="", help="Why; kept in the saga's history.")
@output("text", "json")
@connection
@common
def migrate(
    *,
    id: str | None,
    to: str,
    dry_run: bool,
    query: str | None,
    rate: float,
    results: str | None,
    yes: bool,
    by_name: bool,
    by: str | None,
    why: str,
    flags: Flags,
) -> int:
    """Let open sagas go on with another definition: one by its ID, or all that fit --query.

    A saga keeps all that it has done. It is refused, with every reason, if something of it has no
    place in the new definition. While calls are in flight it begins nothing more, and migrates
    when they have ended. What the old definition has promised to undo is undone as it says.

    \b
    Examples:
      sagadsl migrate order-7 --to order.saga.yaml --dry-run
      sagadsl migrate order-7 --to order.saga.yaml --why "the carrier has changed"
      sagadsl migrate --query "SagaVersion = '1'" --to order.saga.yaml \\
        --rate 10 --results moved.jsonl
    """
    if (id is None) == (query is None):
        raise click.UsageError("name one saga by its ID, or many with `--query`")
    definitions = load_definitions((to,))
    if not definitions.are_usable:
        definitions.show()
        return definitions.exit_code
    loaded = the_one(definitions, to, "a saga migrates to one")
    family = _family(Path(to), loaded)
    who = acting(by)
    if id is not None:
        return _one(id, loaded, family, dry_run=dry_run, by_name=by_name, by=who, why=why, flags=flags)
    selection = Selection(query=query or "", rate=rate, results=results or "", yes=yes or dry_run)
    return _many(selection, loaded, family, dry_run=dry_run, by_name=by_name, by=who, why=why, flags=flags)


def _family(path: Path, loaded: Loaded) -> dict[str, Loaded]:
    """Return the definitions in a file, or beside it, by name."""
    return by_name(load_definitions((str(path.parent),)), loaded)


async def _package(client: Client, loaded: Loaded, family: Mapping[str, Loaded]) -> Package:
    """Return the definition with those of its child sagas."""
    from sagadsl.language.raw_steps import children_of
    from sagadsl.temporal import client as sagas
    from sagadsl.trust.signatures import by_digest, signed_files

    children = children_of(_saga(loaded).name, {name: each.definition for name, each in family.items()})
    own = loaded.document.name
    signatures = by_digest(
        each
        for file in signed_files([own, *map(str, find([str(Path(own).parent)]))]).values()
        for each in file.signatures
    )
    return await sagas.packed(client, loaded.definition, children, secrets_in(family.values()), signatures=signatures)


def _saga(loaded: Loaded) -> Saga:
    assert loaded.saga is not None
    return loaded.saga


def _one(
    id: str,
    loaded: Loaded,
    family: Mapping[str, Loaded],
    *,
    dry_run: bool,
    by_name: bool,
    by: str,
    why: str,
    flags: Flags,
) -> int:
    from sagadsl.temporal.ask import migrating

    async def work(client: Client) -> Migrated | CannotMigrate:
        package = await _package(client, loaded, family)
        try:
            if dry_run:
                return await migrating.preview(client, id, package)
            return await migrating.migrate(client, id, package, by=by, why=why, by_name=by_name)
        except migrating.CannotMigrate as refused:
            return refused

    found = connected(flags, work)
    if isinstance(found, migrating.CannotMigrate):
        lines = [
            f"{loaded.document.name}:{_line(loaded, each.route)}: {each.rule} {each.message}" for each in found.reasons
        ]
        extra = {
            "reasons": [{**each.as_json(), "line": _line(loaded, each.route)} for each in found.reasons],
        }
        count = "1 reason" if len(lines) == 1 else f"{len(lines)} reasons"
        screen.show_error(
            screen.session(),
            found.code,
            f"saga `{id}` cannot migrate, for {count}",
            "\n".join((*lines, found.help)),
            extra,
        )
        return found.exit_code
    screen.result(found.as_json(), _told(found, _saga(loaded)))
    return 0


def _line(loaded: Loaded, route: tuple[str | int, ...]) -> int:
    document = loaded.document
    return document.spans[document.nearest(route)].line


def _told(found: Migrated, saga: Saga) -> str:
    name = f"{saga.name} {saga.version}".rstrip()
    match found.outcome:
        case "migrated":
            first = f"{found.id} goes on with {name}"
        case "already":
            first = f"{found.id} has {name} already"
        case "can":
            first = f"{found.id} can migrate to {name}"
        case _:
            first = f"{found.id} migrates to {name}"
    if found.waits_for:
        first += f" when {', '.join(f'`{each}`' for each in found.waits_for)} has ended"
    return "\n".join((first, *(f"  {note}" for note in found.notes)))


def _many(
    selection: Selection,
    loaded: Loaded,
    family: Mapping[str, Loaded],
    *,
    dry_run: bool,
    by_name: bool,
    by: str,
    why: str,
    flags: Flags,
) -> int:
    from sagadsl.temporal.ask import migrating

    name = f"{_saga(loaded).name} {_saga(loaded).version}".rstrip()
    what = f"migrate to {name}" + (" (dry run)" if dry_run else "")

    async def work(client: Client) -> int:
        package = await _package(client, loaded, family)

        async def choose(client: Client, selection: Selection, most: int) -> Choice:
            return await migrating.to_migrate(client, package, selection.query, most=most)

        async def one(client: Client, target: Addressee, _request: str) -> str:
            if dry_run:
                found = await migrating.preview(client, target.id, package)
            else:
                found = await migrating.migrate(client, target.id, package, by=by, why=why, by_name=by_name)
            return migrating.WORDS[found.outcome]

        return await ask_many(client, what, selection, choose, one)

    return connected(flags, work)
