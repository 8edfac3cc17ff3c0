"""SD4xx: do the named activities exist, and do they accept their inputs?

These checks report nothing when the installed activities are not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.known import Signature
from sagadsl.language.analysis.shapes import Shapes
from sagadsl.language.analysis.types import of_schema
from sagadsl.language.calls import ActivityCall, Call
from sagadsl.language.checks.arguments import Misfit, misfits
from sagadsl.language.expressions.values import Constant
from sagadsl.language.kinds import RenderedAt
from sagadsl.language.model import Step
from sagadsl.language.notation.error_types import class_name
from sagadsl.language.own_errors import (
    COMPENSATION_FAILED,
    EXPRESSION_ERROR,
    INVALID_INPUT,
    NO_MATCHING_CASE,
    PAYLOAD_TOO_LARGE,
    REPEAT_EXHAUSTED,
    SAGA_TIMEOUT,
    SIGNAL_TIMEOUT,
    TIMEOUT,
)
from sagadsl.language.suggest import counted, listed
from sagadsl.language.walk import Site, Spot, input_route

OURS = (
    *(COMPENSATION_FAILED, EXPRESSION_ERROR, INVALID_INPUT, NO_MATCHING_CASE, PAYLOAD_TOO_LARGE),
    *(REPEAT_EXHAUSTED, SAGA_TIMEOUT, SIGNAL_TIMEOUT, TIMEOUT),
)
"""Error types that the engine itself reports."""
_NO_INPUT = Constant({})
_CONTEXTS = ("ctx", "context")
"""What authors call the parameter for the context, which only its annotation tells from a value of the input."""

NON_RETRYABLE = ("retry", "non_retryable_error_types")
"""The place of the error types that the server compares."""


def activities_that_are_not_installed(analysis: Analysis) -> Iterator[Finding]:
    """SD401: an activity is not installed, so the call would wait for ever for a worker that knows it. R54.

    A call with a task queue of its own does not count: a worker in another language may serve it.
    """
    installed = analysis.known.activities
    if installed is None:
        return
    names = list(installed)
    for spot, name, call, route, _phase in _each_name(analysis):
        if call.task_queue is not None or name in installed or name in names:
            continue
        near = analysis.shapes.suggestions.closest(name, names)
        offered = installed.get(near) if near is not None else None
        source = f" (from {offered.package})" if offered is not None else ""
        help = (
            f"did you mean `{near}`{source}?"
            if near
            else "install the package that offers it, or name its module with `-m`"
        )
        yield Finding(
            "SD401",
            f"no activity named `{name}` is installed",
            _place(call, name, route),
            help=help,
            notes=(
                f"{counted(len(names), 'activity is', 'activities are')} installed; `sagadsl plugins` lists them",
                "if a worker in another language serves it, name its queue with `task_queue`",
            ),
            focus=name,
            step=spot[-1].step.id,
        )


def inputs_that_do_not_fit(analysis: Analysis) -> Iterator[Finding]:
    """SD402: the input lacks what the activity needs, or holds what it does not take."""
    for spot, name, call, route, phase in _each_name(analysis):
        signature = analysis.known.signature(name)
        if signature is None or signature.input_schema is None:
            continue
        step = spot[-1].step
        what = f"`{name}`"
        target = of_schema(signature.input_schema)
        if call.input is not None:
            site = Site(call.input, (*route, "input"), phase, spot)
            for misfit in misfits(analysis.shapes, site, call.input, target, what):
                yield _finding(misfit, site.route, step, signature)
        elif phase is RenderedAt.BEFORE and call is step.body:
            for misfit in misfits(analysis.shapes, Site(_NO_INPUT, route, phase, spot), None, target, what):
                yield _finding(misfit, _place(call, name, route), step, signature)
        elif target.fields:  # it gets the input of its step; a function without parameters takes anything
            yield from _inherited(analysis.shapes, spot, route, signature)


def error_types_that_nobody_raises(analysis: Analysis) -> Iterator[Finding]:
    """SD404: the name is nearly, but not quite, an error type that the activity declares."""
    for spot, call, route, _phase in analysis.activity_calls:
        signatures = [analysis.known.signature(name) for name in call.names]
        errors = [error for each in signatures for error in (each.errors if each is not None else ())]
        if not all(each is not None and each.errors for each in signatures):
            continue  # one that declares nothing may raise anything
        step = spot[-1].step
        declared = {*errors, *OURS, *(rule.type for rule in step.failed_if)}
        for name, keys in named_errors(step, call, route):
            near = analysis.shapes.suggestions.closest(name, errors)
            if class_name(name) not in declared and near is not None:
                yield Finding(
                    "SD404",
                    f"`{call.activity}` declares no error `{name}`",
                    keys,
                    severity=Severity.WARNING,
                    help=f"did you mean `{near}`?",
                    focus=name,
                    step=step.id,
                )


def outputs_whose_fields_nobody_declares(analysis: Analysis) -> Iterator[Finding]:
    """SD406: fields are read of an output whose activity declares none, so a misspelt one shows only in a run."""
    if analysis.known.activities is None:
        return
    read = _fields_read(analysis)
    for id_, spot in analysis.structure.steps.items():
        step, body = spot[-1].step, spot[-1].step.body
        if id_ not in read or not isinstance(body, ActivityCall) or body.operation is not None:
            continue
        for name in body.names:
            signature = analysis.known.signature(name)
            if signature is None or _declares_fields(signature.output_schema):
                continue
            yield Finding(
                "SD406",
                f"`{name}` declares no fields of its output, so {listed(read[id_], 4)} cannot be checked",
                _place(body, name, step.route),
                severity=Severity.NOTE,
                help="let the activity return a dataclass, a TypedDict or a pydantic model",
                focus=name,
                step=id_,
            )


def _fields_read(analysis: Analysis) -> dict[str, list[str]]:
    """Return for each step, by id, which fields of its output something reads."""
    found: dict[str, list[str]] = {}
    for site in analysis.structure.sites:
        for chain in site.value.reads:
            if chain[0] == "step" and site.step is not None:
                chain = ("steps", site.step.id, *chain[1:])  # noqa: PLW2901 # its name outside of its compensation
            if len(chain) > 3 and chain[0] == "steps" and chain[2] == "output":
                found.setdefault(chain[1], []).append(".".join(chain[:4]))
    return found


def _declares_fields(schema: Mapping[str, object] | None) -> bool:
    """Whether a type says which fields there are, or is none that has fields."""
    return schema is not None and (schema.get("type") != "object" or bool(schema.get("properties")))


def _each_name(analysis: Analysis) -> Iterator[tuple[Spot, str, ActivityCall, Route, RenderedAt]]:
    """Yield each activity that each call can call."""
    for spot, call, route, phase in analysis.activity_calls:
        for name in call.names:
            yield spot, name, call, route, phase


def _place(call: ActivityCall, name: str, route: Route) -> Route:
    return (*route, "activity") if call.name is None else (*route, "activity", "one_of", call.one_of.index(name))


def _inherited(shapes: Shapes, spot: Spot, route: Route, signature: Signature) -> Iterator[Finding]:
    """Yield the misfits of a compensation or probe that has no input of its own: it gets the input of its step."""
    step = spot[-1].step
    forward = step.body
    if not isinstance(forward, Call):
        return
    sent = forward.input
    route_of_input = (*step.route, *input_route(forward))
    site = Site(sent or _NO_INPUT, route_of_input, RenderedAt.BEFORE, spot)
    what = f"`{signature.name}`, which is sent the input of its step,"
    for misfit in misfits(shapes, site, sent, of_schema(signature.input_schema), what):
        yield Finding(
            "SD402",
            misfit.message,
            (*route, "activity"),
            severity=misfit.severity,
            help=_for_context(misfit, signature) or "give it an `input` of its own",
            step=step.id,
            related=(((*route_of_input, *misfit.path), "the input that is sent"),) if sent is not None else (),
        )


def _finding(misfit: Misfit, route: Route, step: Step, signature: Signature) -> Finding:
    return Finding(
        "SD402",
        misfit.message,
        (*route, *misfit.path),
        severity=misfit.severity,
        help=_for_context(misfit, signature) or misfit.help,
        notes=_described(signature, misfit),
        at_key=misfit.at_key,
        focus=misfit.focus,
        step=step.id,
    )


def _for_context(misfit: Misfit, signature: Signature) -> str:
    """Return what to do if the input lacks a parameter that its author meant for sagadsl's context; else nothing."""
    properties = (signature.input_schema or {}).get("properties", {})
    for name in _CONTEXTS:
        field = properties.get(name) if isinstance(properties, Mapping) else None
        is_bare = isinstance(field, Mapping) and field.keys() <= {"title"}
        if is_bare and not misfit.path and f"needs `{name}`, " in misfit.message:
            return (
                f"if `{name}` is sagadsl's context, annotate the parameter: `{name}: Context`; else add it to the input"
            )
    return ""


def _described(signature: Signature, misfit: Misfit) -> tuple[str, ...]:
    """Return what the author of the activity says about a field."""
    schema = signature.input_schema or {}
    properties = schema.get("properties", {})
    field = properties.get(misfit.path[0]) if misfit.path and isinstance(properties, Mapping) else None
    text = field.get("description") if isinstance(field, Mapping) else None
    return (f"`{misfit.path[0]}`: {text}",) if isinstance(text, str) else ()


def named_errors(step: Step, call: ActivityCall, route: Route) -> Iterator[tuple[str, Route]]:
    """Yield the error types that the definition names for *call*, each with its place."""
    for number, name in enumerate(call.retry.non_retryable_error_types):
        yield name, (*route, *NON_RETRYABLE, number)
    if call is step.body:
        for handled, handler in enumerate(step.on_error):
            for number, name in enumerate(handler.types):
                yield name, (*step.route, "on_error", handled, "types", number)
    for action in step.compensation.actions if step.compensation is not None else ():
        if action.call is call:
            for number, name in enumerate(action.already_undone):
                yield name, (*route, "already_undone", number)
