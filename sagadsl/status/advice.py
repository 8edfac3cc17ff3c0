"""Says what a person can do about a saga, with the commands, and makes the whole page of the ``status`` command.

It is pure, like :mod:`sagadsl.status.lines`, whose lines it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from shlex import quote
from typing import Any

from sagadsl.columns import whole
from sagadsl.language.paths import parse_call, path_in
from sagadsl.status.few import ROWS, beside, few
from sagadsl.status.lines import (
    CALLS,
    OPEN,
    PendingAttempt,
    did,
    error_text,
    in_lines,
    links,
    moment,
    not_indexed,
    one_line,
    refused_signal,
    rows,
    since_reset,
    spell,
    told,
    trouble,
    unpause,
    waits,
    warnings,
    was_reset,
    widths,
)
from sagadsl.status.parts import MOST
from sagadsl.status.pinned import version, ways_out

_CHILDREN = 10
"""The most waiting child sagas that a page names, with everything that a person can do about them."""

_SIGNALS_SHOWN = 10
"""The most refused signals that a page shows: the newest ones."""

_NOTICES_SHOWN = 5
"""The most calls that tell of pauses that a page shows: the newest ones."""


def page(
    status: Mapping[str, Any],
    attempts: Mapping[str, PendingAttempt],
    now: datetime,
    options: str = "",
    width: int | None = None,
) -> Iterator[str]:
    """Yield the lines of the ``status`` command; *options* as in ``next_steps``, *width* for the table of the steps.

    A command with words behind it stands between back-quotes, so that no line is broken in it.
    """
    name = f"{status['name']} {status.get('version', '')}".rstrip()
    yield f"{name}   id {whole(status['id'])}   {status['status']}"
    yield from trouble(status)
    if status.get("reset"):
        yield f"{was_reset(status['reset'])}; {since_reset(status['reset'])}"
    yield from links(status)
    if status.get("started_at"):
        yield f"started {status['started_at']}, changed {status['changed_at']}"
    yield from version(status)
    yield from _time_left(status, now)
    if status.get("failure"):
        yield f"first error: {error_text(status['failure'])}"
    yield from (f"later error: {error_text(error)}" for error in status.get("other_errors", ()))
    yield from warnings(status)
    yield from not_indexed(status)
    lines, others = few(rows(status, attempts, now), MOST if "part" in status else ROWS)
    if lines:
        yield ""
        fit = widths(lines)
        yield from (line for row in lines for line in in_lines(row, fit, width))
    yield from beside(status, others, options)
    refused = status.get("refused_signals", ())[-_SIGNALS_SHOWN:]
    if refused or status.get("kept_signals"):
        yield ""
        yield from (refused_signal(each) for each in refused)
        yield from (
            f"signal `{name}` is kept for a later wait" + (f": {count} of them" if count > 1 else "")
            for name, count in status.get("kept_signals", {}).items()
        )
    notices = list(told(status))[-_NOTICES_SHOWN:]
    if notices:
        yield ""
        yield from notices
    waits = [*releases(status, attempts), *unserved(attempts, options)]
    advice = [*next_steps(status, options), *waits, *_after_the_end(status, options)]
    if advice:
        yield ""
        yield from advice
    if status.get("actions"):
        yield ""
        yield from (f"{action['at']}  {did(action)}" for action in status["actions"])


def _time_left(status: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Say how much time is left until the saga's own timeout. It also runs while the saga is paused (R32)."""
    held = status.get("paused")
    if status.get("timeout_at"):
        left = spell(moment(status["timeout_at"]) - now)
        yield f"its timeout is at {status['timeout_at']}, in {left}" + (", also while it is held" if held else "")
    elif held and status.get("timed_out") and not status.get("pivot_passed"):
        yield "its timeout has passed: what it did is undone when somebody resumes it"


def next_steps(status: Mapping[str, Any], options: str = "") -> Iterator[str]:
    """Yield what a person can do now, with the commands; *options* (``--address …``) go to the end of each command.

    Advice about child sagas comes last, with paths that begin at the saga itself.
    """
    saga_id, tail = quote(status["id"]), f" {options}" if options else ""
    attention = status.get("attention", ())
    if status.get("held"):
        yield f"held: {unpause(status['id'])}{tail}"
    yield from ways_out(status, tail)
    for each in attention:
        yield f"needs a decision: {each['path']}: {each['type']}: {one_line(each['message'])}{_until(each)}"
    if attention:
        path = f" {quote(attention[0]['path'])}{_again(attention[0])}"
        yield f"   sagadsl retry {saga_id}{path}{tail}   once more"
        yield f"   sagadsl complete {saga_id}{path}{_output(attention[0])}{tail}   it was done by hand"
        yield f"   sagadsl skip {saga_id}{path}{tail}   leave it and go on"
        yield f"   sagadsl abort {saga_id}{tail}   give up{_then(status)}"
    if status.get("paused") and status["status"] in OPEN:
        yield f"paused: sagadsl resume {saga_id}{tail}"
    if to := status.get("migrating_to"):
        busy = [step["path"] for step in status.get("steps", ()) if _is_call_in_flight(step)]
        when = f" when {', '.join(f'`{path}`' for path in busy)} has ended" if busy else ""
        yield f"migrates to the definition {to[:12]}{when}; until then it begins nothing more"
    if to := status.get("returning_to"):
        yield f"goes back to `{to}`: what lies behind it is undone, then it goes on from there"
    for signal in status.get("waiting_for", {}):
        yield f"waits for signal `{signal}`: sagadsl signal {saga_id} {signal} --payload JSON{tail}"
    children = [child for child in status.get("children", ()) if waits(child)]
    for child in children[:_CHILDREN]:
        yield from _in_child(status["id"], child, tail)
    if len(children) > _CHILDREN:
        yield f"{len(children) - _CHILDREN} more child sagas wait for somebody"
    if unknown := [child for child in status.get("children", ()) if child["status"] == "unknown"]:
        yield f"nobody knows whether {_counted(unknown)} waits: sagadsl status {quote(unknown[0]['id'])}{tail}"


def _is_call_in_flight(step: Mapping[str, Any]) -> bool:
    return step.get("kind", "activity") in CALLS and (
        step["status"] == "running" or step.get("compensation", {}).get("status") == "running"
    )


def _output(attention: Mapping[str, Any]) -> str:
    """Return the option for the output of what waits; a compensation has none."""
    return "" if parse_call(attention["path"]).undoes else " --step-output JSON"


def _then(status: Mapping[str, Any]) -> str:
    """Return what comes of giving up a saga, or a child saga; empty where that differs between what waits. R22, R44."""
    match {parse_call(each["path"]).undoes for each in status["attention"]}:
        case kinds if kinds == {True}:
            return ", and leave the rest as it is"
        case kinds if kinds == {False}:
            return "; nothing is undone any more" if status.get("pivot_passed") else ", and undo what it has done"
        case _:
            return ""


def _until(attention: Mapping[str, Any]) -> str:
    """Return until when the saga waits for a decision; empty if nothing limits that."""
    return f"; until {attention['until']}" if attention.get("until") else ""


def _after_the_end(status: Mapping[str, Any], options: str) -> Iterator[str]:
    """Yield what can be done about a saga that the server has ended, or that has failed."""
    saga_id, tail = quote(status["id"]), f" {options}" if options else ""
    if status.get("taken_up_by"):
        return
    if status["status"] in ("terminated", "timed_out"):
        yield f"the server ended it: `sagadsl recover {saga_id}{tail}` undoes what it has done; `--forward` finishes it"
    elif status["status"] == "failed":
        yield f"it has failed: `sagadsl redrive {saga_id} --dry-run{tail}` shows what can still be done"


def _again(attention: Mapping[str, Any]) -> str:
    """Return the option that says for which time something waits; empty for the first time."""
    return f" --occurrence {attention['occurrence']}" if attention.get("occurrence", 1) > 1 else ""


def releases(status: Mapping[str, Any], attempts: Mapping[str, PendingAttempt]) -> Iterator[str]:
    """Yield the commands that release calls that an operator has paused at the server. The saga knows nothing of it."""
    for call, attempt in attempts.items():
        if attempt.paused:
            yield f"an operator has paused `{call}`: {release_of(status, attempt)}"


def unserved(attempts: Mapping[str, PendingAttempt], options: str = "") -> Iterator[str]:
    """Yield which calls wait where no worker is, with the command that starts one; one line for each task queue."""
    tail = f" {options}" if options else ""
    calls: dict[str, list[str]] = {}
    for call, attempt in attempts.items():
        if attempt.unserved:
            calls.setdefault(attempt.unserved, []).append(call)
    for queue, waiting in calls.items():
        who = f"`{waiting[0]}` waits" if len(waiting) == 1 else f"{len(waiting)} calls wait"
        command = f"`sagadsl worker --task-queue {quote(queue)}{tail}`"
        yield f"{who}: no worker polls task queue `{one_line(queue, 60)}` for activities; start one, e.g. {command}"


def release_of(status: Mapping[str, Any], attempt: PendingAttempt) -> str:
    """Return the command that lets a paused call go on."""
    return _unpause_call(status["id"], attempt.activity_id)


def _unpause_call(saga_id: str, activity_id: str) -> str:
    return f"temporal activity unpause --workflow-id {quote(saga_id)} --activity-id {quote(activity_id)}"


def _in_child(saga_id: str, child: Mapping[str, Any], tail: str) -> Iterator[str]:
    """Yield what a person can do about a child saga; paths begin at the saga *saga_id*."""
    of, to = quote(saga_id), quote(child["path"])
    if child.get("held"):
        yield f"held: {child['path']}: {unpause(child['id'])}{tail}"
    yield from (f"{child['path']}: {line}" for line in trouble(child) if not child.get("held"))
    for call, activity_id in child.get("paused_calls", {}).items():
        where = path_in(child["path"], call)
        yield f"an operator has paused `{where}`: {_unpause_call(child['id'], activity_id)}{tail}"
    for each in child["attention"]:
        path = quote(path_in(child["path"], each["path"])) + _again(each)
        why = f"{each['type']}: {one_line(each['message'])}{_until(each)}"
        yield f"needs a decision: {child['path']} → {each['path']}: {why}"
        yield f"   sagadsl retry {of} {path}{tail}   once more"
        yield f"   sagadsl complete {of} {path}{_output(each)}{tail}   it was done by hand"
        yield f"   sagadsl skip {of} {path}{tail}   leave it and go on"
    if child["attention"]:
        yield f"   sagadsl abort {of} {to}{tail}   give {child['path']} up{_then(child)}"
    if child["paused"] and child["status"] in OPEN:
        yield f"paused: {child['path']}: sagadsl resume {of} {to}{tail}"
    for signal in child["waiting_for"]:
        command = f"sagadsl signal {quote(child['id'])} {signal} --payload JSON{tail}"
        yield f"{child['path']} waits for signal `{signal}`: {command}"


def _counted(children: Sequence[Mapping[str, Any]]) -> str:
    return f"child saga {children[0]['path']}" if len(children) == 1 else f"{len(children)} child sagas"
