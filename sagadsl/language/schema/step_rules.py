"""The rules for one step that JSON Schema cannot express, or not well. It looks at no other step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language.notation import durations
from sagadsl.language.notation.moments import LATEST, has_form, read_moment
from sagadsl.language.schema import json_schema
from sagadsl.language.schema.wording import SchemaPart, dotted

INSTEAD = {
    ("nexus", "retry"): "the server tries an operation again by itself, until a limit of `timeouts`; after a failure, "
    "`on_error: [{then: retry}]` tries the step again",
}
"""What to write instead of a key that a kind of step does not have."""


def check(part: SchemaPart, step: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the mistakes in one step that JSON Schema cannot express well."""
    for path, policy in _policies(step):
        yield from intervals(part, path, policy)
    for route, payload in _payloads(step.get("wait_for")):
        yield from json_schema.check(payload, (*part.route, "wait_for", *route, "payload"))
    yield from _several_signals(part, step.get("wait_for"))
    if isinstance(step.get("sleep_until"), str):
        yield from _moment(part, step["sleep_until"])
    if "probe" in step and step.get("pivot") is not True:
        yield misplaced(part, "probe", "needs `pivot: true`", "add `pivot: true`, or remove the probe")
    if "saga" in step:
        yield from _child(part, step)
    handlers = step.get("on_error")
    for index, handler in enumerate(handlers if isinstance(handlers, list) else ()):
        if isinstance(handler, dict):
            yield from _handler(part, index, handler)
    arms = step.get("switch")
    if isinstance(arms, list):
        yield from _arms(part, arms)


def _payloads(wait: Any) -> Iterator[tuple[Route, Mapping[str, Any]]]:
    several = wait.get("any") if isinstance(wait, dict) else None
    inside = [(("any", name), each) for name, each in several.items()] if isinstance(several, dict) else []
    for route, each in ((), wait), *inside:
        if isinstance(each, dict) and isinstance(each.get("payload"), dict):
            yield route, each["payload"]


def _several_signals(part: SchemaPart, wait: Any) -> Iterator[Finding]:
    """SD104: beside `any` stands what belongs to one of its signals."""
    if isinstance(wait, dict) and "any" in wait:
        for key in ("signal", "payload", "refused_if", "reply"):
            if key in wait:
                help = "remove it, or move it below the name of a signal in `any`"
                yield misplaced(part, ("wait_for", key), "stands beside `any`", help)


_OF_ITS_END = ("failed_if", "timeout", "on_cancel")
"""The keys of a saga step that are about the end of the child."""


def _child(part: SchemaPart, step: Mapping[str, Any]) -> Iterator[Finding]:
    """SD104: a saga step says something of a child's end that it does not wait for, or that contradicts itself."""
    if step.get("detached") is True:
        for key in _OF_ITS_END:
            if key in step:
                help = "remove it, or remove `detached`, so that the saga waits for the child"
                yield misplaced(part, key, "stands beside `detached: true`: nobody waits for the child's end", help)
        if step.get("compensation") == "auto":
            why = "is `auto`: nobody hears what a detached child has done, so it cannot undo itself for its parent"
            help = "name an activity that stops or undoes it, or say `compensation: none`"
            yield misplaced(part, "compensation", why, help)
    if step.get("on_cancel") == "abandon" and step.get("pivot") is True:
        why = "stands beside `pivot: true`: the saga has to know whether its pivot has happened"
        yield misplaced(part, "on_cancel", why, "write `on_cancel: wait`, or make another step the pivot")


def _handler(part: SchemaPart, index: int, handler: Mapping[str, Any]) -> Iterator[Finding]:
    pauses = handler.get("then") == "pause"
    if "pause_timeout" in handler and not pauses:
        why, help = "needs `then: pause`", "add `then: pause`, or remove the limit"
        yield misplaced(part, ("on_error", index, "pause_timeout"), why, help)
    if "output" in handler and pauses:
        help = "remove it; an operator gives the output with `complete` or `skip`"
        yield misplaced(part, ("on_error", index, "output"), "stands beside `then: pause`", help)


OWN_QUERIES = ("status", "definition", "request", "may_reset")
"""The queries that each saga answers by itself."""


def names_of_queries(part: SchemaPart, queries: Any) -> Iterator[Finding]:
    """SD104: a query with a name that each saga answers by itself."""
    for name in OWN_QUERIES if isinstance(queries, dict) else ():
        if name in queries:
            yield misplaced(part, ("queries", name), "is a query of every saga", "give it another name")


def pause_of_defaults(part: SchemaPart, defaults: Mapping[str, Any]) -> Iterator[Finding]:
    """SD104: `defaults` limit a pause that they do not ask for."""
    if "pause_timeout" in defaults and defaults.get("on_error") != "pause":
        why, help = "needs `on_error: pause` in `defaults`", "add `on_error: pause`, or remove the limit"
        yield misplaced(part, ("defaults", "pause_timeout"), why, help)


def pause_of_undoing(part: SchemaPart, undo: Mapping[str, Any]) -> Iterator[Finding]:
    """SD104: a limit for failed compensations that do not pause the saga."""
    if "pause_timeout" in undo and undo.get("on_failure", "pause") != "pause":
        why, help = f"stands beside `on_failure: {undo['on_failure']}`", "remove it, or write `on_failure: pause`"
        yield misplaced(part, ("compensation", "pause_timeout"), why, help)


def _policies(step: Mapping[str, Any]) -> Iterator[tuple[Route, Any]]:
    yield ("retry",), step.get("retry")
    for key in ("compensation", "probe"):
        inner = step.get(key)
        for index, action in enumerate(inner if isinstance(inner, list) else [inner]):
            if isinstance(action, dict):
                yield (key, index, "retry") if isinstance(inner, list) else (key, "retry"), action.get("retry")


def intervals(part: SchemaPart, path: Route, policy: Any) -> Iterator[Finding]:
    """SD505: the longest pause is shorter than the first. Temporal refuses such a policy only when a call uses it."""
    if not isinstance(policy, dict):
        return
    try:
        first, longest = (durations.parse(policy.get(key)) for key in ("initial_interval", "maximum_interval"))
    except durations.NotADuration:
        return  # left out, computed at run time, or reported already
    if longest < first:
        route = (*part.route, *path)
        shown = f"is `{policy['maximum_interval']}`, shorter than `initial_interval`, `{policy['initial_interval']}`"
        yield Finding(
            "SD505",
            f"{part.called((*path, 'maximum_interval'))} {shown}",
            (*route, "maximum_interval"),
            help="make it at least as long, or leave it out",
            step=part.step or "",
            related=(((*route, "initial_interval"), "the first pause"),),
        )


def _moment(part: SchemaPart, value: str) -> Iterator[Finding]:
    """Check a moment. The schema leaves this to us, because its `format: date-time` would check nothing."""
    if "{{" in value or not value:
        return
    what, found = "is not a moment", read_moment(value) if has_form(value) else None
    if found is not None and found <= LATEST:
        return
    help = "write it like `2026-01-31T09:00:00Z`, or an expression in `{{ }}`"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        help = f"give the time and its offset: `{value}T00:00:00Z`"
    elif found is not None:
        what, help = "is more than 100 years away", f"the latest moment is `{LATEST:%Y-%m-%dT%H:%M:%SZ}`"
    elif has_form(value) and read_moment(value.upper()) is not None:
        help = f"write `{value.upper()}`"
    elif has_form(f"{value}Z"):
        help = f"give the offset: `{value}Z` is UTC"
    elif re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z0-9_]+)+", value):
        help = f'an expression needs its braces here: `"{{{{ {value} }}}}"`'
    route = (*part.route, "sleep_until")
    yield Finding("SD107", f"`{value}` {what}", route, help=help, step=part.step or "")


def _arms(part: SchemaPart, arms: list[Any]) -> Iterator[Finding]:
    for index, arm in enumerate(arms):
        if not isinstance(arm, dict) or "else" not in arm:
            continue
        route = (*part.route, "switch", index)
        beside = [key for key in ("if", "steps") if key in arm]
        if beside:
            yield Finding(
                "SD106",
                f"`switch[{index}]` of {part.name} has `else` beside `{beside[0]}`",
                (*route, "else"),
                help="an arm is either `if` with `steps`, or `else` with its steps: begin a new `- ` arm",
                at_key=True,
                step=part.step or "",
                related=(((*route, beside[0]), "an arm with a condition"),),
            )
        elif index < len(arms) - 1:
            yield Finding(
                "SD107",
                f"`else` of {part.name} must be the last arm: those after it are never taken",
                (*route, "else"),
                help="move it to the end",
                at_key=True,
                step=part.step or "",
            )


def misplaced(part: SchemaPart, key: str | Route, why: str, help: str) -> Finding:
    path = (key,) if isinstance(key, str) else key
    message = f"`{dotted(path)}` of {part.name} {why}"
    return Finding("SD104", message, (*part.route, *path), help=help, at_key=True, step=part.step or "")
