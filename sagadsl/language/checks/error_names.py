"""SD405: names of error types that workers in other languages never report, or that the server compares otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.calls import ActivityCall
from sagadsl.language.checks.activities import NON_RETRYABLE, named_errors
from sagadsl.language.notation.error_types import WRAPPERS, class_name
from sagadsl.language.walk import calls
from sagadsl.later import compiled_later

_NESTED = compiled_later(r"((?:[a-z_]\w*\.)+[A-Z]\w*)\.([A-Z]\w*)")
"""A class in a class, as Java's source spells it: ``acme.Shop.Declined``."""


def error_types_as_nobody_reports_them(analysis: Analysis) -> Iterator[Finding]:
    """SD405: the name of an error type matches nothing, or not what it seems to match."""
    for spot in analysis.structure.steps.values():
        step = spot[-1].step
        named = [
            each
            for call, route, _phase in calls(step)
            if isinstance(call, ActivityCall)
            for each in named_errors(step, call, route)
        ]
        for name, route in named:
            for_the_server = route[-3:-1] == NON_RETRYABLE
            found = _wrapper(name, final=for_the_server) or _nested(name)
            if found is None and for_the_server:
                found = _otherwise(name, [other for other, _ in named])
            if found is not None:
                message, help = found
                yield Finding("SD405", message, route, severity=Severity.WARNING, help=help, focus=name, step=step.id)


def _wrapper(name: str, *, final: bool) -> tuple[str, str] | None:
    if name not in WRAPPERS:
        return None
    if final:
        message = f"`{name}` is a wrapper around errors of any type: the server would retry none of them"
        return message, "name the type inside, and let the worker report that error itself"
    return f"an error that a `{name}` wraps keeps its own type", "name that type"


def _nested(name: str) -> tuple[str, str] | None:
    nested = _NESTED.fullmatch(name)
    if nested is None:
        return None
    outer, inner = nested.groups()
    return f"Java reports a nested class with `$`, not as `{name}`", f"write `{outer}${inner}`"


def _otherwise(name: str, named: Sequence[str]) -> tuple[str, str] | None:
    whole = next((other for other in named if other != name and class_name(other) == name), None)
    if whole is None:
        return None
    return f"`{name}` does not end the attempts after `{whole}`: the server compares whole names", f"write `{whole}`"
