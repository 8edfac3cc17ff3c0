"""The commands to understand a saga afterwards: `trace` with its data, `explain-run` in sentences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from sagadsl.cli import screen
from sagadsl.cli.operate import connected, of_run, on_saga
from sagadsl.cli.options import show_secrets
from sagadsl.columns import whole
from sagadsl.language.paths import child_id, parse_call
from sagadsl.status.lines import (
    StatusRow,
    did,
    error_text,
    in_lines,
    moment,
    one_line,
    refused_signal,
    rows,
    told,
    widths,
)

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.read.following import Picture
    from sagadsl.temporal.read.trace import Outside, Trace, TracedCall

_LONGEST = 160


@click.command(short_help="Show a saga step by step, with its data and its causes.")
@click.option("--actions", is_flag=True, help="Count the actions that Temporal Cloud bills for it.")
@show_secrets
@of_run
@on_saga
def trace(*, id: str, run: str | None, actions: bool, show_secrets: bool, flags: Flags) -> int:
    """Show a saga step by step, with what was sent, what came back, and why it failed. Values that a schema marks by
    `x-secret` are shown as `***`.

    A mistake in the code of an activity has its file and line; --debug adds the whole stack.

    \b
    Examples:
      sagadsl trace transfer-42
      sagadsl trace transfer-42 --json | jq '.calls[] | {path, input}'
      sagadsl trace transfer-42 --actions
    """
    from sagadsl.temporal.read.following import picture
    from sagadsl.temporal.read.trace import trace as trace_of

    async def look(client: Client) -> tuple[Picture, Trace]:
        return await picture(client, id, run_id=run), await trace_of(client, id, run_id=run, secrets=show_secrets)

    found, traced = connected(flags, look)
    billed = traced.billed
    data, lines = {**found.as_json(), **traced.as_json()}, [*_tree(found, traced)]
    if actions:
        counted = ", ".join(f"{what} {number}" for what, number in billed.actions.items())
        least = "at least " if traced.lacks_beginning else ""
        data, lines = (
            {**data, "cloud_actions": billed.as_json()},
            [*lines, f"  actions {least}{billed.total}: {counted}"],
        )
    screen.result(data, "\n".join(lines))
    return 0


def _tree(found: Picture, traced: Trace) -> Iterator[str]:
    status = found.status
    yield (
        f"{status['name']} {status.get('version', '')}".rstrip() + f"   id {whole(status['id'])}   {status['status']}"
    )
    if traced.lacks_beginning:
        yield "  the server has deleted the first runs of this saga: its input and their calls are not known any more"
    else:
        yield f"  input   {_short(traced.input)}"
    lines = rows(status, found.attempts, datetime.now(UTC), found.tried)
    fit = widths(lines)
    causes = {failure["step"]: failure.get("causes", ()) for failure in _failures(status) if failure.get("step")}
    for line in lines:
        yield from in_lines(line, fit, screen.width())
        margin = "  " * line.depth + "     "
        for call in _calls(line, lines, traced):
            if parse_call(call.path).line != line.key:
                yield f"{margin}undone  by {call.path}: {call.status}"
                continue
            yield f"{margin}sent    {_short(call.input)}"
            if (error := call.told()) is not None:
                why = error_text(error)
                yield f"{margin}failed" + ("" if why in line.note else f"  {why}")  # the line of the step says it
                if screen.session().debug:
                    yield from (whole(f"{margin}        {_indented(line)}") for line in call.stack.splitlines())
            elif call.status == "completed":
                yield f"{margin}got     {_short(call.output)}"
        for cause in causes.get(line.key, ()):
            yield f"{margin}because {cause['type']}: {one_line(cause['message'])}"
        if line.what.startswith("saga ") and line.state not in ("pending", "not_started", "skipped"):
            yield f"{margin}sagadsl trace {quote(child_id(status['id'], line.key))}{screen.tail()}"
    yield from (f"  {line}" for line in told(status))
    if status.get("failure"):
        yield f"  first error: {error_text(status['failure'])}"
    if status["status"] in ("completed", "rejected"):
        yield f"  output  {_short(traced.output)}"
    yield from (f"  {each.as_json()['at']}  {said}" for each, said in _outside(status, traced))
    yield from (f"  {refused_signal(each)}" for each in status.get("refused_signals", ()))


def _outside(status: Mapping[str, Any], traced: Trace) -> Iterator[tuple[Outside, str]]:
    """Yield what came from outside, in words."""
    actions = [*status.get("actions", ())]
    for each in traced.outside:
        if each.what == "operated" and isinstance(each.data, Mapping):
            gave = {key: value for key, value in each.data.items() if key not in _SAID}
            asked = {**each.data, "verb": each.name}
            said = did({**asked, "path": _meant(asked, each.at, actions)}) + (f"  {_short(gave)}" if gave else "")
            yield each, said
            continue
        data = "" if each.data is None else f"  {_short(each.data)}"
        data += f"  from {one_line(each.sender)}" if each.sender else ""
        data += "" if each.reply is None else f"  reply {_short(each.reply)}"
        yield each, f"{each.what.replace('_', ' ')} {each.name}{data}".rstrip()


def _meant(asked: Mapping[str, Any], at: datetime, actions: list[Mapping[str, Any]]) -> str:
    """Return the step that a request is about: the one that it names, else the one that the run has found for it.

    The run has taken a request in shortly before the history says so. What is found is taken out of *actions*, since a
    request that came too late is no action.
    """

    def said(of: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(of.get(key) or "" for key in ("verb", "by", "why"))

    named = asked.get("path") or ""
    for action in reversed(actions):
        if said(action) == said(asked) and moment(action["at"]) <= at and named in ("", action["path"]):
            actions.remove(action)
            return str(action["path"])
    return str(named)


_SAID = ("by", "path", "why")
"""What the sentence about an operator's request says of its data."""


def _failures(status: Any) -> Iterator[Any]:
    if status.get("failure"):
        yield status["failure"]
    yield from status.get("other_errors", ())


def _calls(line: StatusRow, lines: Sequence[StatusRow], traced: Trace) -> list[TracedCall]:
    """Return the calls that belong to a line: a compensation may have several.

    A step that is done once more has no line for what undid it before: those calls belong to the line of the step.
    """
    shown = {each.key for each in lines}
    known = [(call, parse_call(call.path)) for call in traced.calls]
    return [call for call, each in known if each.line == line.key or (each.step == line.key and each.line not in shown)]


def _indented(line: str) -> str:
    return " " * (len(line) - len(line.lstrip())) + one_line(line)


def _short(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), _LONGEST)


@click.command("explain-run", short_help="Tell in sentences what happened, and what is left to do.")
@of_run
@on_saga
def explain_run(*, id: str, run: str | None, flags: Flags) -> int:
    """Tell in sentences what happened in a saga, what was undone, and what is left to do.

    \b
    Example:
      sagadsl explain-run transfer-42
    """
    from sagadsl.temporal.read.explaining import explain

    found, told = connected(flags, lambda client: explain(client, id, run_id=run, options=screen.session().reach))
    sentences = [screen.to_copy(each) for each in told]
    screen.result({"id": id, "status": found.status["status"], "sentences": sentences}, "\n".join(sentences))
    return 0
