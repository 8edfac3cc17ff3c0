"""``sagadsl history export`` and ``sagadsl replay``: what runs have recorded, kept in files and played again."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sagadsl.cli import screen
from sagadsl.cli.files import NoSuchFile, find
from sagadsl.cli.installed import Installed
from sagadsl.cli.near_names import note_near_name
from sagadsl.cli.operate import connected
from sagadsl.cli.options import common, connection, modules, no_plugins, output, settings_of, with_options
from sagadsl.cli.serving import own_activities
from sagadsl.columns import whole
from sagadsl.errors import reason_of
from sagadsl.immutable import Immutable
from sagadsl.language.suggest import listed
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.problems import Problem

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.ask.replaying import HistoryReplayer, Replayed
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.read.filters import Chosen
    from sagadsl.temporal.read.histories import RunHistory

R = TypeVar("R")

_MOST = 1_000


class ChosenRuns(Immutable):
    """Which runs on a server are meant.

    Attributes:
        limit: How many at most, the newest.
    """

    name: str = ""
    query: str = ""
    where: str = ""
    limit: int = _MOST

    @property
    def is_made(self) -> bool:
        return bool(self.name or self.query or self.where)

    def as_lists_choose(self) -> Chosen:
        """Return the choice as lists choose. Raises ``WhereRefused``."""
        from sagadsl.temporal.read.filters import Chosen
        from sagadsl.temporal.read.where import condition

        where = condition(self.where) if self.where else ""
        return Chosen(((self.name,),) if self.name else (), query=self.query, where=where)


def choosing(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options that choose runs on a server; the command gets them as ``chosen``."""

    @functools.wraps(command)
    def collected(**values: Any) -> R:
        given = {key: values.pop(key) for key in ChosenRuns.__struct_fields__}
        chosen = ChosenRuns(**{key: value for key, value in given.items() if value})
        source = click.get_current_context().get_parameter_source("limit")
        if source is click.core.ParameterSource.COMMANDLINE and not chosen.is_made:
            raise click.UsageError("`--limit` is for runs that are chosen by `--name`, `--query` or `--where`")
        return command(chosen=chosen, **values)

    return with_options(collected, _CHOICE)


_CHOICE = (
    click.option("--name", metavar="NAME", help="Runs of this definition."),
    click.option("--query", metavar="FILTER", help="Runs that meet Temporal's list filter."),
    click.option("--where", metavar="CONDITION", help="Runs whose search attributes are so."),
    click.option(
        "--limit", type=click.IntRange(min=1), default=_MOST, show_default=True, help="How many at most, the newest."
    ),
)


@click.group(short_help="Keep what runs have recorded, in files.")
@common
def history() -> None:
    """Keep what runs have recorded, in files.

    \b
    Example:
      sagadsl history export transfer-42 --to histories
    """


@history.command(short_help="Write the histories of sagas into a folder.")
@click.argument("id", metavar="[ID]", required=False)
@click.option("--run", metavar="RUN_ID", help="This run of the saga alone; its whole chain of runs if left out.")
@click.option("--to", metavar="FOLDER", required=True, help="Where the files go; it is made if it is not there.")
@choosing
@output("text", "json")
@connection
@common
def export(*, id: str | None, run: str | None, to: str, chosen: ChosenRuns, flags: Flags) -> int:
    """Write the histories of one saga, or of all runs that are chosen, into a folder.

    Each run gets a file ID.RUN_ID.json in Temporal's own form, which `sagadsl replay` and the tools
    of Temporal read. The files hold the data of the sagas as the server has it: what is encrypted
    stays so. An earlier file of the same run is replaced.

    \b
    Examples:
      sagadsl history export transfer-42 --to histories
      sagadsl history export --query "ExecutionStatus = 'Running'" --to histories
    """
    if (id is None) != chosen.is_made:
        raise click.UsageError("name one saga by its id, or choose many by `--name`, `--query`, `--where`")
    if run and id is None:
        raise click.UsageError("`--run` is for one saga: name it by its id")
    meant = chosen.as_lists_choose()
    folder = Path(to)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(to, error) from None

    async def work(client: Client) -> list[tuple[str, str, str]]:
        from sagadsl.temporal.read.histories import chosen_runs, file_name, runs_of

        source = chosen_runs(client, meant, chosen.limit) if id is None else runs_of(client, id, run)
        written = []
        async for each in source:
            path = folder / file_name(each)
            _write(path, each.history.to_json())
            written.append((each.id, each.run_id, str(path)))
        if not written:
            await note_near_name(client, chosen.name)
        return written

    written = connected(flags, work)
    files = [{"id": saga, "run_id": run_id, "file": path} for saga, run_id, path in written]
    screen.result({"folder": to, "histories": files}, "\n".join(whole(path) for _, _, path in written))
    _say_limit(len(written), chosen)
    if not written:
        screen.note("no run of a saga is chosen by that")
    return 0


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may read: it holds the data of a saga."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        raise _unwritable(str(path), error) from None


def _unwritable(path: str, error: OSError) -> click.UsageError:
    why = reason_of(error)
    return click.UsageError(f"`{path}` cannot be written: {why} (--to)")


def _say_limit(count: int, chosen: ChosenRuns) -> None:
    if chosen.is_made and count == chosen.limit:
        newest = "the newest run was" if count == 1 else f"the newest {count:,} runs were"
        screen.note(f"only {newest} taken; `--limit` takes more")


@click.command(short_help="Play recorded runs on this release, before it is rolled out.")
@click.argument("paths", nargs=-1)
@choosing
@click.option("--strict", is_flag=True, help="Exit with 1 also when open runs call an activity that is missing here.")
@no_plugins("do not say which activities are missing here")
@modules
@output("text", "json")
@connection
@common
def replay(
    *, paths: Sequence[str], chosen: ChosenRuns, strict: bool, no_plugins: bool, module: Sequence[str], flags: Flags
) -> int:
    """Play recorded runs on the release of sagadsl that is installed here, before it is rolled out.

    PATHS are histories, or folders of them (*.json, *.json.gz), from `history export`, Temporal's
    web UI, or `temporal workflow show --output json`. With --name, --query or --where the histories
    come from the server. Nothing changes there. Each run has to get the commands that it has
    recorded; else a worker of this release could not go on with it. Activities that open runs may
    call and that are not installed here, or cannot be imported, get a warning.

    Exit code: 0 all runs replay, 1 one does not, 2 the command is wrong or a file holds no history,
    3 the server or the data cannot be read.

    \b
    Examples:
      sagadsl replay histories
      sagadsl replay --query "ExecutionStatus = 'Running'" --json
    """
    if bool(paths) == chosen.is_made:
        raise click.UsageError("name files or folders of histories, or choose runs by `--name`, `--query`, `--where`")
    files = [] if chosen.is_made else _files(paths)
    catalogue = None if no_plugins else Catalogue.discover(module)
    meant = chosen.as_lists_choose()
    if files:
        from sagadsl.temporal.ask.replaying import HistoryReplayer
        from sagadsl.temporal.link.codec import patient, reading
        from sagadsl.temporal.link.converters import converter_by
        from sagadsl.temporal.read.histories import read

        settings = settings_of(flags)
        namespace = settings.namespace.value

        async def of_files() -> AsyncIterator[RunHistory]:
            for path in files:
                yield read(path)

        async def work_on_files() -> list[Replayed]:
            with reading():
                converter = patient(converter_by(settings))
                return await _replayed(HistoryReplayer(converter, namespace), of_files())

        found = asyncio.run(work_on_files())
    else:
        found = connected(flags, lambda client: _of_server(client, meant, chosen))
    installed = None if catalogue is None else Installed(catalogue)
    lacks = {} if installed is None else _lacks(found, installed)
    broken = [] if installed is None else _broken(lacks, installed)
    for each in broken:
        screen.authors_stack(each.problem)
    screen.result(_document(found, lacks, broken), "\n".join(_page(found, lacks, broken)))
    _say_limit(len(found), chosen)
    return 1 if not all(each.is_same for each in found) or (strict and lacks) else 0


def _files(paths: Sequence[str]) -> list[Path]:
    from sagadsl.temporal.read.histories import SUFFIXES, NoHistory

    found: list[Path] = []
    for each in find(paths, SUFFIXES):
        if isinstance(each, NoSuchFile):
            raise NoHistory(each.path, "; ".join(filter(None, (each.reason, each.help))))
        found.append(Path(each))
    return found


async def _of_server(client: Client, meant: Chosen, runs: ChosenRuns) -> list[Replayed]:
    from sagadsl.temporal.ask.replaying import HistoryReplayer
    from sagadsl.temporal.read.histories import chosen_runs

    replayer = HistoryReplayer(client.data_converter, client.namespace)
    found = await _replayed(replayer, chosen_runs(client, meant, runs.limit))
    if not found:
        await note_near_name(client, runs.name)
    return found


async def _replayed(replayer: HistoryReplayer, histories: AsyncIterator[RunHistory]) -> list[Replayed]:
    return [await replayer.replay(each) async for each in histories]


def _lacks(found: Sequence[Replayed], installed: Installed) -> dict[str, list[str]]:
    """Return the activities that open runs may call on their own queue and that cannot be called here.

    Of each the ids of the runs: what a run has passed it may still call again, or undo.
    """
    missing = dict[str, list[str]]()
    for each in found:
        if each.is_open and each.saga is not None:
            for name in sorted(own_activities(each.saga)):
                if name not in installed:
                    missing.setdefault(name, []).append(each.id)
    return missing


class _Broken(Immutable):
    """What is here and cannot be used, with the activities that are therefore missed."""

    problem: Problem
    activities: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        told = {"code": self.problem.code, "message": str(self.problem), "help": self.problem.help}
        return {**told, "activities": list(self.activities)}


def _broken(lacks: Mapping[str, Sequence[str]], installed: Installed) -> list[_Broken]:
    """Return why activities cannot be called that somebody offers: one module is one reason."""
    problems = {name: each for name, each in installed.problems.items() if name in lacks}
    texts = dict.fromkeys(map(str, problems.values()))
    of_text = {text: tuple(name for name, each in problems.items() if str(each) == text) for text in texts}
    return [_Broken(problems[names[0]], names) for names in of_text.values()]


def _document(found: Sequence[Replayed], lacks: dict[str, list[str]], broken: Sequence[_Broken]) -> dict[str, Any]:
    same = sum(each.is_same for each in found)
    return {
        "replayed": len(found),
        "same": same,
        "different": len(found) - same,
        "missing_activities": lacks,
        "broken": [each.as_json() for each in broken],
        "runs": [each.as_json() for each in found],
    }


def _who(runs: Sequence[str]) -> str:
    return f"`{runs[0]}`" if len(runs) == 1 else f"{len(runs)} open runs"


def _page(found: Sequence[Replayed], lacks: dict[str, list[str]], broken: Sequence[_Broken]) -> list[str]:
    lines = []
    for each in found:
        if each.is_same and screen.session().verbosity < 1:
            continue
        version = "" if each.saga is None else each.saga.version
        sign = "✓" if each.is_same else "✗"
        lines.append(f" {sign} {whole(each.id)}  {each.name} {version}".rstrip() + f"  run {each.run_id}")
        if not each.is_same:
            lines += [f"   event {each.event}: {each.problem}"]
            lines += [f"   recorded there: {', '.join(each.recorded)}"] if each.recorded else []
    for each_broken in broken:
        runs = sorted({run for name in each_broken.activities for run in lacks[name]})
        lines.append(f" ! {each_broken.problem.code}: {each_broken.problem}")
        lines.append(f"   {_who(runs)} may call {listed(each_broken.activities)}, which are therefore missed here")
    explained = {name for each_broken in broken for name in each_broken.activities}
    for name, runs in lacks.items():
        if name not in explained:
            lines.append(f" ! activity `{name}` is not installed here, and {_who(runs)} may call it")
    different = sum(not each.is_same for each in found)
    events = sum(each.events for each in found)
    runs_ = "1 run" if len(found) == 1 else f"{len(found)} runs"
    if not found:
        lines.append(" ! no run of a saga is chosen by that: nothing was played, and nothing is known of this release")
    elif different:
        does = "does" if different == 1 else "do"
        lines.append(f"✗ {different} of {runs_} {does} not replay: a worker of this release could not go on with them")
    else:
        lines.append(f"✓ {runs_} with {events:,} events: this release gives the commands that they have recorded")
    return lines
