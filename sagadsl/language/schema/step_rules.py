"""The rules for one step that JSON Schema cannot express, or not well. It looks at no other step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language.notation import durations
from sagadsl.language.notation.moments import LATEST, has_form, read_moment
from sagadsl.language.schema import json_schema
from sagadsl.language.schema.wording import SchemaPart


def check(part: SchemaPart, step: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the mistakes in one step that JSON Schema cannot express well."""
    for path, policy in _policies(step):
        yield from intervals(part, path, policy)
    wait = step.get("wait_for")
    if isinstance(wait, dict) and isinstance(wait.get("payload"), dict):
        yield from json_schema.check(wait["payload"], (*part.route, "wait_for", "payload"))
    if isinstance(step.get("sleep_until"), str):
        yield from _moment(part, step["sleep_until"])
    if "probe" in step and step.get("pivot") is not True:
        yield misplaced(part, "probe", "needs `pivot: true`", "add `pivot: true`, or remove the probe")
    arms = step.get("switch")
    if isinstance(arms, list):
        yield from _arms(part, arms)


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


def misplaced(part: SchemaPart, key: str, why: str, help: str) -> Finding:
    return Finding(
        "SD104", f"`{key}` of {part.name} {why}", (*part.route, key), help=help, at_key=True, step=part.step or ""
    )
