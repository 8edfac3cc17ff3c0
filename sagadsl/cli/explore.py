"""``sagadsl explore``: try every fault of a definition, and show the ways that end badly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, load_definitions
from sagadsl.cli.files import STDIN
from sagadsl.cli.installed import Installed
from sagadsl.cli.options import common, form, modules, no_plugins, output_file
from sagadsl.cli.saga_input import read_input
from sagadsl.cli.streams import out
from sagadsl.immutable import replace
from sagadsl.language.analysis.known import Signature
from sagadsl.language.document import parse
from sagadsl.language.load import Loaded, beside
from sagadsl.language.model import Saga
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.reporting import report
from sagadsl.trial.explore import report as telling
from sagadsl.trial.explore.example import Example
from sagadsl.trial.explore.page import page
from sagadsl.trial.explore.run import Explored, Task, usual_jobs
from sagadsl.trial.explore.run import explore as explored_saga
from sagadsl.trial.names import names

FORMATS = ("text", "json", "html")


@click.command(short_help="Try every fault of a definition, without a server.")
@click.argument("paths", nargs=-1, required=True)
@click.option("--faults", type=click.IntRange(0, 6), default=2, show_default=True, help="Faults in one run, at most.")
@click.option("--budget", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Stop after so long, and say so.")
@click.option("--states", type=click.IntRange(min=1), metavar="N", help="Stop after so many states, and say so.")
@click.option("--pauses", is_flag=True, help="Let an operator pause and resume the saga, too, once at any moment.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; one a core, if left out.")
@click.option("-i", "--input", metavar="JSON", help="Try this input only: JSON or @file. Left out, inputs are drawn.")
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

    \b
    Exit code: 0 every way ends well, 1 some do not, or the definition is wrong, 2 the command
    is wrong, 3 the environment is.
    \b
    Examples:
      sagadsl explore transfer.saga.yaml
      sagadsl explore definitions --faults 1 --format html --output-file faults.html
      sagadsl explore order.saga.yaml --input @order.json --budget 60
    """
    if STDIN in paths:
        raise click.UsageError("`explore` reads files, not standard input")
    activities = None if no_plugins else Installed(Catalogue.discover(module, cache=Cache.open()))
    definitions = load_definitions(paths, None if activities is None else activities.catalogue)
    if not definitions.are_usable:
        definitions.show()
        return definitions.exit_code
    results: list[tuple[Loaded, Explored, tuple[Example, ...]]] = []
    for loaded in definitions.files:
        assert loaded.saga is not None
        task = _task(loaded, activities, faults, budget)
        task = replace(task, pauses=pauses, states=states or task.states)
        if input is not None:
            task = replace(task, inputs=(read_input(input, None, (), loaded.saga.input_schema),))
        found = explored_saga(task, jobs or usual_jobs())
        if not found.tried:
            which = f"the schema of `{loaded.saga.name}`"
            raise click.UsageError(f"no input that fits {which} could be drawn; give one with `--input`")
        results.append((loaded, found, telling.examples(found)))
    _write(results, format, faults, output_file)
    return 1 if any(shown for _, _, shown in results) else 0


def _task(loaded: Loaded, activities: Installed | None, faults: int, budget: float | None) -> Task:
    assert loaded.saga is not None
    path = Path(loaded.document.name)
    sagas = beside(path, loaded.document.text).sagas
    children = _as_data(path.parent, sagas)
    signatures: dict[str, Signature] | None = None
    if activities is not None:
        called = names(loaded.saga, sagas).activities
        signatures = {name: activities[name] for name in called if name in activities}
    return Task(loaded.document.data, children, signatures, (), faults, budget or float("inf"))


def _as_data(folder: Path, sagas: Mapping[str, Saga]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted(folder.glob("*.saga.y*ml")) if sagas else ():
        data = parse(file.read_bytes(), str(file))[0].data
        if isinstance(data, dict) and data.get("name") in sagas:
            found.setdefault(data["name"], data)
    return found


def _write(
    results: Sequence[tuple[Loaded, Explored, tuple[Example, ...]]], format: str, faults: int, output_file: str | None
) -> None:
    match format:
        case "json":
            sagas = [
                {"file": loaded.document.name} | telling.document(found, shown, faults)
                for loaded, found, shown in results
            ]
            text = json.dumps({"schema_version": telling.SCHEMA_VERSION, "sagas": sagas}, ensure_ascii=False)
        case "html":
            text = page([(found, shown) for _, found, shown in results], faults)
        case _:
            text = "\n".join(_lines(results, faults))
    screen.write(text, output_file)


def _lines(results: Sequence[tuple[Loaded, Explored, tuple[Example, ...]]], faults: int) -> Iterator[str]:
    color = screen.wants_color(out(), screen.session().color)
    for loaded, found, shown in results:
        yield from telling.text(found, faults)
        for example in shown:
            yield ""
            finding = telling.finding(found, example.violation)
            alone = Definitions((replace(loaded, findings=(finding,)),))
            yield report.render("text", alone.files, color=color).rpartition("\n\n")[0]
            yield from telling.example_lines(example)
        yield ""
    bad = sum(len(shown) for _, _, shown in results)
    sagas = f"{len(results)} saga{'' if len(results) == 1 else 's'}"
    yield f"✗ {bad} violation{'' if bad == 1 else 's'} in {sagas}" if bad else f"✓ {sagas}: every way ends well"
