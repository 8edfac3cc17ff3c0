"""``sagadsl doctor``: checks that everything is there that sagas need."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import UNREADABLE, Definitions, by_version, load_definitions
from sagadsl.cli.fitted import kept
from sagadsl.cli.options import common, connection, modules, output, settings_of
from sagadsl.cli.serving import endpoints, own_activities
from sagadsl.columns import table
from sagadsl.language.suggest import counted
from sagadsl.plugins.catalogue import Catalogue

if TYPE_CHECKING:
    from sagadsl.temporal.ask.checkup import CheckResult, QueueNeeds
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.link.settings import ConnectionSettings

ILL = 3


@click.command(short_help="Check that everything is there that sagas need.")
@click.argument("paths", nargs=-1)
@click.option(
    "--task-queue", multiple=True, metavar="NAME", help="Task queue that a worker has to serve; may be repeated."
)
@click.option("--create", is_flag=True, help="Register the search attributes that are missing.")
@modules
@output("text", "json")
@connection
@common
def doctor(
    *, paths: Sequence[str], task_queue: Sequence[str], create: bool, module: Sequence[str], flags: Flags
) -> int:
    """Check that everything is there that sagas need.

    It looks at the server, the namespace, search attributes, workers, plugins and definitions. PATHS are
    definitions; the command looks at their task queues, search attributes and Nexus endpoints, too. The exit code is 3
    when something is missing without which nothing runs.

    \b
    Examples:
      sagadsl doctor --address localhost:7233
      sagadsl doctor definitions/ --json
      sagadsl doctor definitions/ --create
    """
    from sagadsl.temporal.ask.checkup import CheckResult, QueueNeeds, embedded, examine
    from sagadsl.temporal.client import DEFAULT_TASK_QUEUE

    settings = settings_of(flags)
    catalogue = Catalogue.discover(module)
    checks = [CheckResult("sagadsl", True, f"{version('sagadsl')}, Python {platform.python_version()}")]
    checks.append(_plugins(catalogue))
    needs = {queue: QueueNeeds() for queue in task_queue}
    attributes: dict[str, str] = {}
    nexus: list[str] = []
    if paths:
        loaded = load_definitions(paths, catalogue)
        wrong = sum(each.saga is None for each in loaded.files)
        count = len({each.document.name for each in loaded.files})
        missing = [str(each.message) for each in loaded.unplaced if each.code in UNREADABLE]
        mistakes = "" if loaded.are_usable else f", {wrong or 'some'} with mistakes"
        found = "; ".join(missing) or counted(count, "file", "files") + mistakes
        checks.append(CheckResult("definitions", loaded.are_usable, found, f"sagadsl validate {' '.join(paths)}"))
        needs = _needs(loaded, task_queue)
        sagas = [each.saga for each in loaded.files if each.saga is not None]
        attributes = {each.name: each.type for saga in sagas for each in saga.search_attributes}
        nexus = sorted(endpoints(sagas))
        checks += _secrets(loaded, settings)

    async def look() -> None:
        checks.append(await embedded())
        wanted = needs or {DEFAULT_TASK_QUEUE: QueueNeeds()}
        async for each in examine(settings, wanted, attributes, nexus, creates=create):
            checks.append(each)

    asyncio.run(look())
    is_well = all(each.is_well or not each.is_needed for each in checks)
    screen.result({"ok": is_well, "checks": [each.as_json() for each in checks]}, "\n".join(_lines(checks)))
    return 0 if is_well else ILL


def _needs(loaded: Definitions, queues: Sequence[str]) -> dict[str, QueueNeeds]:
    """Return what the workers of each queue have to know: for *queues*, or for the queues in the definitions."""
    from sagadsl.temporal.ask.checkup import QueueNeeds
    from sagadsl.temporal.client import DEFAULT_TASK_QUEUE
    from sagadsl.temporal.work.manifest import fingerprint

    needs = {queue: QueueNeeds() for queue in queues}
    for name, each in by_version(loaded).items():
        assert each.saga is not None
        for queue in queues or (each.saga.task_queue or DEFAULT_TASK_QUEUE,):
            before = needs.get(queue, QueueNeeds())
            sagas = {**before.sagas, name: fingerprint(each.definition)}
            needs[queue] = QueueNeeds(sagas, before.activities | own_activities(each.saga))
    return needs


def _secrets(loaded: Definitions, settings: ConnectionSettings) -> list[CheckResult]:
    """Return whether the server sees what schemas mark as secret; nothing if they mark nothing."""
    from sagadsl.engine.hiding import has_secrets
    from sagadsl.temporal.ask.checkup import CheckResult

    marked = sum(each.saga is not None and has_secrets(each.saga, each.secrets) for each in loaded.files)
    if not marked:
        return []
    found = f"{counted(marked, 'saga has', 'sagas have')} values that are marked by `x-secret`"
    if settings.codec.is_default:
        found += "; nothing encrypts them, so that histories hold them in clear"
    remedy = "set `[encryption]`: docs/operations/encryption.md"
    return [CheckResult("secrets", not settings.codec.is_default, found, remedy, is_needed=False)]


def _plugins(catalogue: Catalogue) -> CheckResult:
    from sagadsl.temporal.ask.checkup import CheckResult

    catalogue.load_all()
    problems = catalogue.problems
    found = counted(len(catalogue.names), "activity", "activities")
    if problems:
        return CheckResult(
            "plugins", False, "; ".join(str(each) for each in problems), "sagadsl plugins", is_needed=False
        )
    return CheckResult("plugins", True, found)


def _lines(checks: Sequence[CheckResult]) -> list[str]:
    rows = []
    for each in checks:
        sign = "✓" if each.is_well else "✗" if each.is_needed else "!"
        rows.append((f" {sign} {each.what}", kept(each.found)))
        if not each.is_well and each.remedy:
            rows.append((" ", kept(each.remedy)))
    return table(rows, screen.width())
