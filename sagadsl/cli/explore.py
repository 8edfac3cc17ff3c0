"""``sagadsl explore``: try every fault of a definition, and show the ways that end badly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, load_definitions, the_one
from sagadsl.cli.files import STDIN
from sagadsl.cli.fitted import fit
from sagadsl.cli.installed import Installed
from sagadsl.cli.options import beginning, common, form, instant_of, modules, no_plugins, output_file
from sagadsl.cli.saga_input import read_input
from sagadsl.cli.streams import out
from sagadsl.immutable import replace
from sagadsl.language.analysis.known import Signature
from sagadsl.language.loaded import Loaded
from sagadsl.language.model import Saga
from sagadsl.language.schema.conform import checker
from sagadsl.language.schema.meant_keys import meant
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.processes import usual_jobs
from sagadsl.reporting import report

if TYPE_CHECKING:
    from sagadsl.trial.explore.example import Example
    from sagadsl.trial.explore.run import Explored, Task

FORMATS = ("text", "json", "html")


@click.command(short_help="Try every fault of a definition, without a server.")
@click.argument("paths", nargs=-1, required=True)
@click.option("--faults", type=click.IntRange(0, 6), default=2, show_default=True, help="Faults in one run, at most.")
@click.option("--budget", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Stop after this time, and say so.")
@click.option("--states", type=click.IntRange(min=1), metavar="N", help="Stop after this many states, and say so.")
@click.option("--pauses", is_flag=True, help="Let an operator pause and resume the saga, too, once at any moment.")
@beginning
@click.option("--resets", is_flag=True, help="Let an operator reset the saga to a step, too, once at any moment.")
@click.option("--kills", is_flag=True, help="Let the server end the run, too, once, and a new run take it up.")
@click.option("--migrate-to", metavar="FILE", help="Let the saga go on with this definition, once at any moment.")
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Number of processes; one for each core if left out."
)
@click.option(
    "-i",
    "--input",
    metavar="JSON",
    help="Try only this input: JSON, or @FILE (JSON or YAML); else inputs are drawn.",
)
@form(*FORMATS, help="Form of the report.")
@output_file
@no_plugins()
@modules
@common
def explore(
    *,
    paths: Sequence[str],
    faults: int,
    budget: float | None,
    states: int | None,
    pauses: bool,
    resets: bool,
    kills: bool,
    now: str | None,
    migrate_to: str | None,
    jobs: int | None,
    input: str | None,
    format: str,
    output_file: str | None,
    no_plugins: bool,
    module: Sequence[str],
) -> int:
    """Try every fault of a definition, without a server, and show the ways that end badly.

    Every call succeeds, fails, or is never heard of again (and has happened or not); every
    compensation succeeds or fails for good; the saga is cancelled, and its timeout passes, at
    every moment; calls that run at once end in every order; an operator tries, skips or gives up.
    The interpreter that runs in production decides what follows.

    Exit code: 0 every way ends well, 1 some do not, or the definition is wrong, 2 the command
    is wrong, 3 the environment is.

    \b
    Examples:
      sagadsl explore transfer.saga.yaml
      sagadsl explore definitions --faults 1 --format html --output-file all.html
      sagadsl explore order.saga.yaml --input @order.json --budget 60
      sagadsl explore order.v1.saga.yaml --migrate-to order.saga.yaml --faults 1
    """
    from sagadsl.language.load import as_data
    from sagadsl.trial.explore.report import examples
    from sagadsl.trial.explore.run import explore as explored_saga

    if STDIN in paths:
        raise click.UsageError("`explore` reads files, not standard input")
    activities = None if no_plugins else Installed(Catalogue.discover(module, cache=Cache.open()))
    definitions = load_definitions(paths, None if activities is None else activities.catalogue)
    if not definitions.are_usable:
        definitions.show()
        return definitions.exit_code
    began = instant_of(now)
    later = None if migrate_to is None else _later(migrate_to, definitions)
    results: list[tuple[Loaded, Explored, tuple[Example, ...]]] = []
    for loaded in definitions.files:
        assert loaded.saga is not None
        task = _task(loaded, activities, faults, budget)
        task = replace(task, pauses=pauses, resets=resets, kills=kills, states=states or task.states)
        task = task if began is None else replace(task, now=began)
        if later is not None:
            assert later.saga is not None
            children = as_data(later.document.address, _beside(later))
            data, file = later.definition, later.document.address
            task = replace(task, later=data, later_children=children, later_name=file)
        if input is not None:
            given = read_input(input, None, (), loaded.saga.input_schema)
            if problems := checker(loaded.saga.input_schema, "input", fill=True)(deepcopy(given)):
                from sagadsl.temporal.refusals import InputRefused  # the SDK, which only this mistake needs

                raise InputRefused(loaded.saga.name, problems, meant(given, loaded.saga.input_schema))
            task = replace(task, inputs=(given,))
        found = explored_saga(task, jobs or usual_jobs())
        if not found.tried:
            which = f"the schema of `{loaded.saga.name}`"
            raise click.UsageError(f"no input that fits {which} could be drawn; give one with `--input`")
        results.append((loaded, found, examples(found)))
    _write(results, format, faults, output_file)
    return 1 if any(shown for _, _, shown in results) else 0


def _later(file: str, definitions: Definitions) -> Loaded:
    """Return the definition with which the sagas may go on. Raises ``UsageError`` when it is none for them."""
    found = load_definitions((file,))
    if not found.are_usable:
        found.show()
        raise click.UsageError(f"`--migrate-to {file}` is no definition that can be used")
    later = the_one(found, file, "a saga migrates to one")
    assert later.saga is not None
    others = [
        each.saga.name for each in definitions.files if each.saga is not None and each.saga.name != later.saga.name
    ]
    if others:
        raise click.UsageError(f"`{others[0]}` cannot go on with `{file}`, which is of saga `{later.saga.name}`")
    return later


def _beside(loaded: Loaded) -> Mapping[str, Saga]:
    from sagadsl.language.load import beside

    return beside(loaded.document.address, loaded.document.text).sagas


def _task(loaded: Loaded, activities: Installed | None, faults: int, budget: float | None) -> Task:
    from sagadsl.language.load import as_data
    from sagadsl.trial.explore.run import Task
    from sagadsl.trial.names import names

    assert loaded.saga is not None
    sagas = _beside(loaded)
    children = as_data(loaded.document.address, sagas)
    signatures: dict[str, Signature] | None = None
    if activities is not None:
        called = names(loaded.saga, sagas).activities
        signatures = {name: activities[name] for name in called if name in activities}
    return Task(loaded.definition, children, signatures, (), faults, budget or float("inf"))


def _write(
    results: Sequence[tuple[Loaded, Explored, tuple[Example, ...]]], format: str, faults: int, output_file: str | None
) -> None:
    from sagadsl.trial.explore import report as explore_report
    from sagadsl.trial.explore.page import page

    match format:
        case "json":
            sagas = [
                {"file": loaded.document.name} | explore_report.document(found, shown, faults)
                for loaded, found, shown in results
            ]
            text = json.dumps({"schema_version": explore_report.SCHEMA_VERSION, "sagas": sagas}, ensure_ascii=False)
        case "html":
            text = page([(found, shown) for _, found, shown in results], faults)
        case _:
            text = "\n".join(_lines(results, faults, screen.width() if output_file is None else None))
    screen.write(text, output_file)


def _lines(
    results: Sequence[tuple[Loaded, Explored, tuple[Example, ...]]], faults: int, width: int | None
) -> Iterator[str]:
    from sagadsl.trial.explore import report as explore_report

    color = screen.wants_color(out(), screen.session().color)
    for loaded, found, shown in results:
        yield fit("\n".join(explore_report.text(found, faults, width)), width)
        for example in shown:
            yield ""
            finding = explore_report.finding(found, example.violation)
            alone = Definitions((replace(loaded, findings=(finding,)),))
            drawn = report.render("text", alone.files, color=color, width=width)
            yield fit(drawn.rpartition("\n\n")[0], width)
            yield from explore_report.example_lines(example)
        yield ""
    bad = sum(len(shown) for _, _, shown in results)
    sagas = f"{len(results)} saga{'' if len(results) == 1 else 's'}"
    yield f"✗ {bad} violation{'' if bad == 1 else 's'} in {sagas}" if bad else f"✓ {sagas}: every way ends well"
