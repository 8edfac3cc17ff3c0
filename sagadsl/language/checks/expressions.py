"""SD3xx: can the expressions between ``{{ }}`` be parsed, and do the things exist that they read?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagadsl.diagnostics.findings import Finding
from sagadsl.immutable import replace
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.complaints import Complaint
from sagadsl.language.expressions.problem import Problem
from sagadsl.language.expressions.values import Compiled, Condition
from sagadsl.language.walk import Site


def expressions_that_cannot_be_read(analysis: Analysis) -> Iterator[Finding]:
    """SD301: a text is not an expression of the language, whatever the data."""
    for site in analysis.structure.sites:
        problems = site.value.problems if isinstance(site.value, Compiled | Condition) else ()
        for problem in problems:
            yield Finding(
                "SD301",
                problem.message,
                (*site.route, *problem.path),
                help=problem.help or "expressions are Jinja2's: names, operators and filters",
                at_key=problem.at_key,
                focus=problem.focus,
                nth=_nth(_written(site, problem), problem),
                step="" if site.step is None else site.step.id,
            )


def _written(site: Site, problem: Problem) -> str:
    """Return the text that has a problem."""
    data: Any = site.value.source if isinstance(site.value, Compiled | Condition) else None
    for part in problem.path:
        data = data[part]
    return data if isinstance(data, str) else ""


def _nth(text: str, problem: Problem) -> int:
    """Return how often the focus of a problem stands before it in its text."""
    return text.count(problem.focus, 0, problem.offset) if problem.focus else 0


def names_unknown_in_their_place(analysis: Analysis) -> Iterator[Finding]:
    """SD302: the first name of a chain is not known in its place."""
    yield from _found(analysis, "SD302")


def steps_read_too_early(analysis: Analysis) -> Iterator[Finding]:
    """SD304: an expression reads a step that runs later, beside it, or in another arm. R17."""
    yield from _found(analysis, "SD304")


def steps_that_do_not_exist(analysis: Analysis) -> Iterator[Finding]:
    """SD305: an expression reads a step, but no step has this id."""
    yield from _found(analysis, "SD305")


def fields_that_do_not_exist(analysis: Analysis) -> Iterator[Finding]:
    """SD306: an input, an output or a name has no such field, as far as it is declared."""
    yield from _found(analysis, "SD306")


def values_that_may_be_missing(analysis: Analysis) -> Iterator[Finding]:
    """SD307: a value may be missing or null, and no `default` says what to take instead."""
    yield from _found(analysis, "SD307")


def compensations_that_need_the_output(analysis: Analysis) -> Iterator[Finding]:
    """SD308: a compensation relies on the output of its step, but may have to run when nobody knows it. R16."""
    for finding in _found(analysis, "SD308"):
        yield replace(
            finding,
            message=f"this compensation also runs when nobody knows whether `{finding.step}` has happened, "
            "and its output is null then",
            help="undo by `step.idempotency_key`, give another value with `| default(…)`, or say `on: completed`",
            notes=("a timeout, a cancel or a lost worker leaves the outcome unknown",),
        )


def operands_of_the_wrong_type(analysis: Analysis) -> Iterator[Finding]:
    """SD309: an operator, a filter or a place gets a value that it cannot take."""
    yield from _found(analysis, "SD309")


def braces_in_texts_of_expressions(analysis: Analysis) -> Iterator[Finding]:
    """SD310: a text in quotes inside of an expression holds what looks like an expression, and is never computed."""
    yield from _found(analysis, "SD310")


def _found(analysis: Analysis, code: str) -> Iterator[Finding]:
    for site, complaint in analysis.shapes.complaints:
        if complaint.code == code:
            yield _finding(analysis, site, complaint)


def _finding(analysis: Analysis, site: Site, complaint: Complaint) -> Finding:
    return Finding(
        complaint.code,
        complaint.message,
        (*site.route, *complaint.path),
        severity=complaint.severity,
        help=complaint.help,
        notes=complaint.notes,
        focus=complaint.focus,
        step="" if site.step is None else site.step.id,
        related=tuple(
            ((*analysis.structure.steps[name][-1].step.route, "id"), label) for name, label in complaint.steps
        ),
    )
