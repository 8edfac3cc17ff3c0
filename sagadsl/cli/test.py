"""``sagadsl test``: plays the cases of suites, in virtual time or on a real server, and shows the results."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import exit_code_of, judged
from sagadsl.cli.files import NoSuchFile, find
from sagadsl.cli.fitted import width_of
from sagadsl.cli.installed import Installed
from sagadsl.cli.options import can_be_written, common, modules, no_plugins, output
from sagadsl.cli.streams import out
from sagadsl.diagnostics.findings import Finding
from sagadsl.errors import reason_of
from sagadsl.language.notation.plain_text import clean
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.reporting import report

if TYPE_CHECKING:
    from sagadsl.trial.coverage import Coverage
    from sagadsl.trial.judge import Miss
    from sagadsl.trial.runner import Host, Result
    from sagadsl.trial.suite import Suite

MANY = 20
"""With more sagas than this, only the sum is shown unless somebody asks."""

HOSTS = ("virtual", "temporal")
_LONG = 100
"""Characters of a value from which on two values are compared piece by piece."""

_PIECE = re.compile(r"[^,{}\[\]]*[,{}\[\]]|[^,{}\[\]]+\Z")
_SHOWN = 40
"""Lines that are shown of the events in a failed case."""


@click.command(short_help="Play the cases of suites, without a server.")
@click.argument("paths", nargs=-1)
@click.option(
    "-k", "--keyword", metavar="TEXT", default="", help="Only cases with this text in their name or their file's."
)
@click.option("-x", "--exitfirst", is_flag=True, help="Stop at the first case that fails.")
@click.option("--on", type=click.Choice(HOSTS), default=HOSTS[0], show_default=True, help="Who plays the cases.")
@click.option("--coverage", is_flag=True, help="For each step, list the outcomes that no case shows.")
@click.option("--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT", help="Fail when less is covered.")
@click.option("--durations", type=click.IntRange(min=0), default=0, metavar="N", help="List the N slowest cases.")
@click.option("--junit", metavar="FILE", callback=can_be_written, help="Write JUnit XML, too.")
@no_plugins()
@modules
@output("text", "json")
@common
def test(
    *,
    paths: Sequence[str],
    keyword: str,
    exitfirst: bool,
    on: str,
    coverage: bool,
    fail_under: float | None,
    durations: int,
    junit: str | None,
    no_plugins: bool,
    module: Sequence[str],
) -> int:
    """Play the cases of suites, without a server, and say where the result is not what they expect.

    PATHS are files, folders (every *.saga-test.yaml in them and below) or patterns; without
    one, the current folder. The very interpreter that runs in production plays them, in
    virtual time. With --on temporal, a real server and real workers do, several cases at once,
    and crashes are real.

    Exit code: 0 all cases passed, 1 some did not, or a suite is wrong, 2 there is no suite
    or the command is wrong, 3 the environment is.

    \b
    Examples:
      sagadsl test
      sagadsl test definitions -k closed -x
      sagadsl test --on temporal
      sagadsl test --coverage --fail-under 80 --junit results.xml
    """
    from sagadsl.trial.runner import covered, run
    from sagadsl.trial.suite import SUFFIXES, load_suite

    activities = None if no_plugins else Installed(Catalogue.discover(module, cache=Cache.open()))
    found = find(paths, SUFFIXES)
    judge = None if activities is None else partial(judged, installed=activities)
    suites = [load_suite(path, activities, judge) for path in found if isinstance(path, Path)]
    for problem in () if activities is None else activities.problems.values():
        screen.authors_stack(problem)
    missing = tuple(Finding("SD016", str(each), (), help=each.help) for each in found if isinstance(each, NoSuchFile))
    if missing or any(suite.findings for suite in suites):
        color = screen.wants_color(sys.stderr, screen.session().color)
        screen.tell(report.render("text", suites, unplaced=missing, color=color, width=width_of(sys.stderr)))
    if missing:
        return 2
    wrong = sum(bool(suite.errors) for suite in suites)
    refused = exit_code_of([each for suite in suites for each in suite.errors])
    suites = [suite for suite in suites if not suite.errors]
    if not suites:
        return refused
    began = time.perf_counter()
    results: list[Result] = []
    with _host(on, suites, activities, keyword) as host:
        for result in run(suites, host, wanted=keyword, timed=on == HOSTS[0]):
            results.append(result)
            if screen.session().output == "text":
                _show(result, results)
            if exitfirst and result.misses:
                break
    if not results:
        raise click.UsageError(f"no case has `{keyword}` in its name")
    coverages = covered(results)
    low = [each for each in coverages if fail_under is not None and each.percent < fail_under]
    if junit is not None:
        from sagadsl.trial.junit import junit as as_junit

        try:
            Path(junit).write_text(as_junit(results), encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"`{junit}` cannot be written: {reason_of(error)} (--junit)") from None
    screen.session().wrote_result = True
    if screen.session().output == "json":
        print(json.dumps(_document(results, coverages), ensure_ascii=False), file=out())
    else:
        lines = [*_slowest(results, durations), *_coverage(coverages, in_full=coverage or bool(low))]
        if low:
            lines.append(f"✗ less than {fail_under:g} % is shown of {', '.join(each.saga for each in low)}")
        screen.show("\n".join([*lines, _summary(results, wrong, time.perf_counter() - began)]))
    return 1 if low or any(each.misses for each in results) else refused


def _host(on: str, suites: Sequence[Suite], activities: Installed | None, keyword: str) -> AbstractContextManager[Host]:
    from sagadsl.trial.runner import chosen, virtual

    if on == HOSTS[0]:
        return nullcontext(virtual(activities))
    import logging

    from sagadsl.temporal.trial.suites import real

    playables = [playable for _, playable in chosen(suites, keyword)]
    named = {name for playable in playables for name in playable.target.names.activities}
    screen.log(logging.CRITICAL)
    return real(
        playables, {} if activities is None else {each: activities[each] for each in named if each in activities}
    )


def _show(result: Result, so_far: Sequence[Result]) -> None:
    """Show a case as it ends, below the name of its file; with ``--quiet``, only one that did not pass."""
    if screen.session().is_quiet and result.passed:
        return
    shown = [each for each in so_far[:-1] if not (screen.session().is_quiet and each.passed)]
    if not shown or shown[-1].suite is not result.suite:
        screen.show(clean(result.suite.document.name), is_data=True)
    screen.show("\n".join(_lines(result)))


def _lines(result: Result) -> Iterator[str]:
    from sagadsl.trial.timeline import text, timeline

    name = clean(result.name)
    if result.unplayed:
        yield f"  - {name}: not played: {clean(result.unplayed)}"
        return
    yield f"  {'✓' if result.passed else '✗'} {name}"
    for miss in result.misses:
        yield from _miss(miss)
    for mock in result.unused:
        yield f"      ! no call has used the mock of `{clean(mock)}`"
    if result.misses and result.played is not None and result.played.events:
        width = screen.width()
        drawn = timeline(result.playable.target.saga.name, result.played)
        happened = list(text(drawn, None if width is None else width - 8))
        yield "      what happened:"
        yield from (f"        {line}" for line in happened[:_SHOWN])
        if len(happened) > _SHOWN:
            yield f"        and {len(happened) - _SHOWN} lines more; `sagadsl simulate` shows them all"


def _miss(miss: Miss) -> Iterator[str]:
    """Say what came instead; for two long values, only where they differ."""
    from difflib import ndiff

    expected, found = clean(miss.expected), clean(miss.found)
    if min(len(expected), len(found)) <= _LONG:
        yield f"      {miss.what}: expected {expected}"
        yield f"{' ' * (6 + len(miss.what) + 2)}got      {found}"
        return
    yield f"      {miss.what}: (- expected, + got)"
    lines = [line for line in ndiff(_pieces(expected), _pieces(found)) if line[0] in "-+"]
    yield from (f"        {line}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"        and {len(lines) - _SHOWN} lines more; `--json` has the values whole"


def _pieces(text: str) -> list[str]:
    """Return a value in pieces: one for each key or item."""
    return [piece.strip() for piece in _PIECE.findall(text) if piece.strip()]


def _slowest(results: Sequence[Result], number: int) -> Iterator[str]:
    if number:
        yield ""
    for each in sorted(results, key=lambda result: -result.elapsed)[:number]:
        yield f"{each.elapsed * 1000:8.1f} ms  {clean(each.suite.document.name)}: {clean(each.name)}"


def _coverage(coverages: Sequence[Coverage], *, in_full: bool) -> Iterator[str]:
    if screen.session().is_quiet and not in_full:
        return
    yield ""
    if len(coverages) > MANY and not in_full:
        seen, possible = sum(each.seen for each in coverages), sum(each.possible for each in coverages)
        yield f"{len(coverages)} sagas: {seen} of {possible} outcomes shown ({100 * seen / (possible or 1):.0f} %)"
        return
    for each in coverages:
        yield f"{each.saga}: {each.seen} of {each.possible} outcomes shown ({each.percent:.0f} %)"
        for line in each.lines if in_full else ():
            if line.missing:
                yield f"  {line.path}: {', '.join(line.missing)} not shown"


def _summary(results: Sequence[Result], wrong: int, took: float) -> str:
    failed = sum(bool(each.misses) for each in results)
    unplayed = sum(bool(each.unplayed) for each in results)
    passed = len(results) - failed - unplayed
    counts = [f"{passed} {'case' if passed == 1 else 'cases'} passed"]
    counts += [f"{failed} failed"] * bool(failed) + [f"{unplayed} not played"] * bool(unplayed)
    counts += [f"{wrong} {'suite' if wrong == 1 else 'suites'} with mistakes"] * bool(wrong)
    return f"{'✗' if failed or wrong else '✓'} {', '.join(counts)} ({took * 1000:.0f} ms)"


def _document(results: Sequence[Result], coverages: Sequence[Coverage]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "passed": sum(each.passed for each in results),
        "failed": sum(bool(each.misses) for each in results),
        "not_played": sum(bool(each.unplayed) for each in results),
        "cases": [
            {
                "file": each.suite.document.name,
                "name": each.name,
                "rules": list(each.playable.case.rules),
                "passed": each.passed,
                "misses": [{"what": miss.what, "expected": miss.expected, "found": miss.found} for miss in each.misses],
                "unused_mocks": list(each.unused),
                "not_played": each.unplayed or None,
                "status": None if each.played is None else each.played.status,
                "virtual_seconds": None if each.played is None else each.played.seconds,
                "seconds": round(each.elapsed, 6),
            }
            for each in results
        ],
        "coverage": [
            {
                "saga": each.saga,
                "possible": each.possible,
                "shown": each.seen,
                "steps": [
                    {"path": line.path, "shown": sorted(line.seen), "not_shown": list(line.missing)}
                    for line in each.lines
                ],
            }
            for each in coverages
        ],
    }
