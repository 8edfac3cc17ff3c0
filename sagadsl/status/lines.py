"""Turns a saga's status into lines for people, with the same words and signs in `run` and in `status`.

It reads the status document, and what the server knows about failed attempts.
It is pure: it writes nothing and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Any

from sagadsl import columns
from sagadsl.immutable import Immutable, replace
from sagadsl.language.own_errors import OUTPUT_LEFT_OUT
from sagadsl.language.paths import parse_call, path_below, path_in_its_block, undo_path
from sagadsl.status.parts import counted

SIGNS: Mapping[str, str] = {
    "pending": "·",
    "not_started": "·",
    "running": "▶",
    "paused": "‖",
    "held": "‖",
    "completed": "✓",
    "failed": "✗",
    "skipped": "-",
    "skipped_by_hand": "»",
    "cancelled": "⊘",
    "abandoned": "↗",
    "compensating": "↩",
    "compensated": "↩",
    "rejected": "⊖",
    "terminated": "✗",
    "timed_out": "✗",
    "unknown": "?",
}
"""The signs of steps and of whole sagas. The page has the same ones (`gateway/page/dom.js`); a test compares them."""

COLOURS: Mapping[str, str] = {
    "running": "cyan",
    "compensating": "yellow",
    "paused": "yellow",
    "held": "yellow",
    "completed": "green",
    "compensated": "yellow",
    "rejected": "yellow",
    "failed": "red",
    "skipped_by_hand": "magenta",
    "cancelled": "magenta",
    "abandoned": "magenta",
}

BY_HAND = "skipped_by_hand"
"""The state of what failed and was skipped by an operator: it is over, and not what `if` has left out."""

_UNDO_WORDS: Mapping[str, tuple[str, str]] = {
    "running": ("↩", "undoing"),
    "paused": ("‖", "undo needs a decision"),
    "done": ("↩", "undone"),
    "failed": ("✗", "not undone"),
    "skipped": ("»", "not undone: skipped"),
    "given_up": ("✗", "not undone: given up"),
    "not_attempted": ("✗", "not undone: not attempted"),
    "unknown": ("?", "nobody knows whether it was undone"),
}
_UNDO_STATES = {
    "running": "compensating",
    "paused": "paused",
    "done": "compensated",
    "skipped": BY_HAND,
    "unknown": "unknown",
}
"""What the line of a compensation says of its status; of any other: that it has failed."""

CALLS = ("activity", "nexus", "saga", "send")
"""The kinds of steps whose work is done elsewhere."""

OPEN_BY_ITSELF = ("running", "compensating", "paused")
"""The statuses that a saga gives itself as long as it has not ended."""

OPEN = (*OPEN_BY_ITSELF, "held")
"""The statuses of sagas that have not ended; ``held`` is what the server says of one that it holds."""

_TAKING_UP = ("recover", "redrive")
PAUSED = "paused by an operator"

NONE: Mapping[str, int] = {}


class PendingAttempt(Immutable):
    """What the server knows about a call that is under way.

    Attributes:
        number: The number of the attempt that runs or comes next; counts from 1.
        failure: Why the last attempt failed; empty when no attempt has failed.
        next_at: When the next attempt starts; ``None`` while one runs.
        paused: An operator has paused the call itself (``temporal activity pause``), so no further attempt begins.
        activity_id: The server's id of the call.
        unserved: The task queue in which it waits, if no worker polls that; else empty.
    """

    number: int
    failure: str = ""
    next_at: datetime | None = None
    paused: bool = False
    activity_id: str = ""
    unserved: str = ""

    def as_json(self) -> dict[str, Any]:
        next_at = None if self.next_at is None else self.next_at.isoformat(timespec="milliseconds")
        known = {"attempt": self.number, "failure": self.failure, "next_at": next_at, "paused": self.paused}
        return known | ({"unserved": self.unserved} if self.unserved else {})


class StatusRow(Immutable):
    """One line: a step, or the compensation of a step.

    Attributes:
        key: Path of the step, or of its compensation.
        state: A word of ``SIGNS``, which also decides the colour.
        what: Its activity, saga or kind of block.
        took: How long it took, or has taken so far; ``None`` before it began.
        wait: The time until the next attempt starts.
    """

    key: str
    sign: str
    state: str
    path: str
    what: str
    depth: int = 0
    took: timedelta | None = None
    note: str = ""
    wait: timedelta | None = None

    @property
    def undoes(self) -> bool:
        """Whether the line is about the compensation of a step."""
        return parse_call(self.key).undoes


def left_out(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each step that comes too often to show one by one: how many of them have which status; one line
    for all of them when these are very many."""
    yield from (f"{step}: {numbers}" for step, numbers in counted(status.get("left_out", ())))


def rows(
    status: Mapping[str, Any], attempts: Mapping[str, PendingAttempt], now: datetime, tried: Mapping[str, int] = NONE
) -> list[StatusRow]:
    """Return the lines of a saga: its steps in the order of the definition, then its compensations in their own order.

    Args:
        status: The answer to the ``status`` query.
        attempts: The attempts of calls that are under way, by call id.
        now: The current time, for what has not ended.
        tried: The numbers of attempts of ended calls, by call id, where the history tells more than the status.
    """
    steps = status.get("steps", ())
    if status.get("closed_at"):  # the server has ended it: what ran ended then, and what was due never comes
        now = moment(status["closed_at"])
    under_way: dict[str, PendingAttempt] = {}  # by line: a repeated call belongs to the same line
    for call, attempt in attempts.items():
        under_way.setdefault(parse_call(call).line, attempt)
    ended = {parse_call(call).line: number for call, number in tried.items()}  # the last call of a line counts
    actions = status.get("actions", ())
    skips = {action["path"]: action for action in actions if action["verb"] == "skip_step" and action.get("path")}
    forward = [
        _step(
            {**step, "attempts": ended.get(step["path"], step.get("attempts"))},
            under_way,
            now,
            skips.get(step["path"]),
        )
        for step in steps
    ]
    undone = [(step["compensation"].get("started_at") or "~", step) for step in steps if "compensation" in step]
    undone.sort(key=lambda pair: pair[0])  # a compensation that never began has no time: it comes last
    lines = forward + [_undo(step, actions, under_way, now) for _, step in undone]
    if status.get("closed_at"):
        lines = [replace(line, wait=None) for line in lines]
    notes = _notes(status.get("children", ()))
    return [_with_child(line, notes) for line in lines] if notes else lines


def _notes(children: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what waits in child sagas, by the steps that began them. The children of a child come right after it."""
    notes: dict[str, str] = {}
    top = ""
    for child in children:
        path = child["path"]
        if not path_below(path, top):
            top = path
        if waits(child):
            below = path_below(path, top) or ""
            notes.setdefault(parse_call(top).path, f"{below} {_note(child)}".strip())
    return notes


def _with_child(row: StatusRow, notes: Mapping[str, str]) -> StatusRow:
    """Return the line of a child saga, with what the child waits for. If it undoes itself, it has the step's path."""
    if row.state not in ("running", "compensating"):
        return row
    note = notes.get(row.key) or notes.get(row.path if row.state == "compensating" else "")
    return row if note is None else replace(row, note=note)


def _note(child: Mapping[str, Any]) -> str:
    for each in child["attention"]:
        return f"waits for a decision: {each['path']}"
    if child.get("held") or child.get("stuck"):
        return next(trouble(child))
    for call in child.get("paused_calls", ()):
        return f"an operator has paused `{call}`"
    signals = ", ".join(f"`{signal}`" for signal in child["waiting_for"])
    return "is paused" if child["status"] == "paused" else f"waits for signal {signals}"


def text(row: StatusRow, widths: tuple[int, int]) -> str:
    """Return *row* as plain text; *widths* are the widths of the path with its indent, and of ``what``."""
    return in_lines(row, widths)[0]


def in_lines(row: StatusRow, widths: tuple[int, int], width: int | None = None) -> list[str]:
    """Return *row* for a screen of *width* columns, in as many lines as it needs there."""
    took = "" if row.took is None else spell(row.took)
    wait = "" if row.wait is None else f"  (in {spell(row.wait)})"
    cells = (f" {row.sign} {'  ' * row.depth}{row.path}", row.what, f"{took:>6}", f"{row.note}{wait}")
    return columns.row(cells, (3 + widths[0], widths[1], 6, 0), width)


def widths(lines: Sequence[StatusRow]) -> tuple[int, int]:
    """Return the widths that ``text`` needs for *lines*."""
    names = max((2 * row.depth + len(row.path) for row in lines), default=0)
    return names, max((len(row.what) for row in lines), default=0)


def warnings(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the warnings about the output of a completed saga; *found* is its status or its result."""
    for each in found.get("warnings", ()):
        yield f"{'note' if each['type'] == OUTPUT_LEFT_OUT else 'warning'}: {one_line(each['message'], 500)}"


def trouble(status: Mapping[str, Any]) -> Iterator[str]:
    """Say why the saga cannot tell its status itself: Temporal's own pause, a failing worker, or no worker."""
    held, stuck = status.get("held"), status.get("stuck")
    if held:
        parts = (("by", " by "), ("at", " since "), ("why", ": "))
        yield "held by Temporal's own pause" + "".join(
            f"{sign}{one_line(held[key])}" for key, sign in parts if held[key]
        )
    if stuck:
        yield f"the worker cannot go on: {one_line(stuck['message'])}; attempt {stuck['attempt']}"
    for call in status.get("unknown_activities", ()):
        yield (
            f"`{call['path']}` waits until {call['until']} for a worker that knows `{call['activity']}`; "
            f"asked {call['times']} times, at last `{call['worker']}`: {one_line(call['message'])}"
        )
    if status.get("source") == "history":
        known = "this is what the server knows"
        yield known if held or stuck else f"no worker answers{on_queue(status)}: {known}"


def on_queue(status: Mapping[str, Any]) -> str:
    """Return the task queue on which no worker answers for a saga; empty when it is not known."""
    return f" on task queue `{status['task_queue']}`" if status.get("task_queue") else ""


def was_reset(reset: Mapping[str, Any]) -> str:
    """Say that a run was reset, from which run, when and why."""
    why = f": {one_line(reset['why'])}" if reset.get("why") else ""
    return f"reset by hand at {reset['at']} from run {reset['run_id']}{why}"


def since_reset(reset: Mapping[str, Any]) -> str:
    """Say what the earlier run had done after the point of the reset."""
    if reset["done"] is None:
        return "the server no longer knows what that run had done after that point"
    words = (("done", "had done"), ("undone", "had undone"), ("open", "had not heard of the end of"))
    parts = [f"{said} {', '.join(f'`{path}`' for path in reset[key])}" for key, said in words if reset[key]]
    return f"after that point that run {'; '.join(parts) or 'had done nothing'}"


def links(status: Mapping[str, Any]) -> Iterator[str]:
    """Say which earlier run a run has taken up, and which later run has taken up its own work."""
    if before := status.get("takes_up"):
        verbs = [each["verb"] for each in status["actions"]] if "actions" in status else None
        if verbs is None:  # no worker says more
            yield f"it has taken up the work of run {before}, or has begun anew after it"
        else:
            how = "taken up the work of" if any(verb in _TAKING_UP for verb in verbs) else "begun anew after"
            yield f"it has {how} run {before}"
    if after := status.get("taken_up_by"):
        yield f"run {after} has taken up its work, or has begun anew after it: `sagadsl status {quote(status['id'])}`"


def unpause(saga_id: str) -> str:
    """Return the command that releases a run from Temporal's own pause."""
    return f"temporal workflow unpause --workflow-id {quote(saga_id)}"


def waits(status: Mapping[str, Any]) -> bool:
    """Whether a saga, or a child of one, needs somebody: an operator, a signal, another worker."""
    return status["status"] in ("paused", "held") or any(
        status.get(name) for name in ("attention", "waiting_for", "stuck", "paused_calls", "unknown_activities")
    )


def paused(status: Mapping[str, Any]) -> list[str]:
    """Return the paused sagas, which need an operator: ``""`` for the saga itself, and paths of its children."""
    own = [""] if status.get("status") == "paused" else []
    return own + [child["path"] for child in status.get("children", ()) if child["status"] == "paused"]


def not_indexed(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield which search attributes are not set, and why: the saga cannot be found by them."""
    for name, why in status.get("not_indexed", {}).items():
        yield f"search attribute {name} is not set: {one_line(why)}"


def did(action: Mapping[str, Any]) -> str:
    """Return what an operator has asked for, as commands call it: ``retry`` for Temporal's ``retry_step``."""
    path = f" {one_line(action['path'])}" if action.get("path") else ""
    by = f" by {one_line(action['by'])}" if action.get("by") else ""
    why = f": {one_line(action['why'])}" if action.get("why") else ""
    return f"{action['verb'].removesuffix('_step')}{path}{by}{why}"


def refused_signal(refused: Mapping[str, Any]) -> str:
    """Return one line of the status about a signal that was refused."""
    by = f" from {one_line(refused['by'])}" if refused.get("by") else ""
    return f"{refused['at']}  signal `{one_line(refused['signal'])}`{by} was refused: {one_line(refused['reason'])}"


def told(status: Mapping[str, Any]) -> Iterator[str]:
    """Say of each call that tells of a pause what became of it; a call that its `if` has left out is not told."""
    for each in status.get("notices", ()):
        pause = f"the pause at `{each['path']}`" if each.get("path") else "a pause"
        tries = f" after {each['attempts']} attempts" if (each.get("attempts") or 0) > 1 else ""
        why = f"{tries}: {error_text({**each['error'], 'step': ''})}" if each.get("error") else ""
        match each["status"]:
            case "completed":
                yield f"`{each['call']}` has told of {pause}"
            case "running":
                yield f"`{each['call']}` tells of {pause}"
            case "unknown":
                yield f"nobody knows whether `{each['call']}` has told of {pause}{why or ': the saga ended first'}"
            case "skipped":
                pass
            case _:
                yield f"`{each['call']}` could not tell of {pause}{why}"


def error_text(error: Mapping[str, Any]) -> str:
    """Return an error in one line: its place if it is a mistake in an author's code, its type, message and step."""
    where = f" (step {error['step']})" if error.get("step") else ""
    return f"{said({**error, 'message': one_line(error['message'])})}{where}"


def said(error: Mapping[str, Any]) -> str:
    """Return the place, the type and the message of an error."""
    place = f"{one_line(error['place'])}: " if error.get("place") else ""
    return f"{place}{error['type']}: {error['message']}"


def one_line(message: str, limit: int = 200) -> str:
    """Return *message* as one line of bounded length, without anything that moves a terminal's cursor."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in message).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def spell(length: timedelta) -> str:
    """Return a duration as people write it: ``0.4s``, ``12s``, ``3m05s``, ``2h10m``, ``3d04h``."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes}m{rest:02}s"
    days, hours = divmod(hours, 24)
    return f"{hours}h{minutes:02}m" if days == 0 else f"{days}d{hours:02}h"


def _what(step: Mapping[str, Any]) -> str:
    """Return what a step does, in a few words: an activity by its name alone."""
    called = next((f"{kind} {step[kind]}" for kind in ("nexus", "saga") if kind in step), "")
    return str(step.get("activity") or called or step.get("kind", ""))


def _step(
    step: Mapping[str, Any],
    under_way: Mapping[str, PendingAttempt],
    now: datetime,
    skip: Mapping[str, Any] | None,
) -> StatusRow:
    """Return the line of a step; *skip* is the last time that an operator has skipped it."""
    state = step["status"]
    what = _what(step)
    if step.get("kind") == "send":
        what = f"signal {step['signal']}" + (f" to {one_line(step['to'], 60)}" if step.get("to") else "")
    note, wait = error_text({**step["error"], "step": ""}) if step.get("error") else "", None
    tried = step.get("attempts") or 0
    attempt = under_way.get(step["path"])
    if state == "running" and attempt is not None:
        note, wait = _attempt(attempt, now)
    elif state == "unknown":
        note = "nobody knows whether it happened"
    elif step.get("next_try_at"):
        note = f"{note}; try {step['tries']} comes next"
        wait = max(moment(step["next_try_at"]) - now, timedelta())
    elif step.get("due_at"):
        wait = max(moment(step["due_at"]) - now, timedelta())
    elif step.get("took_kept") or step.get("sender"):
        note = ", ".join([*(["the signal had come before"] if step.get("took_kept") else []), *_from(step)])
    elif tried > 1:
        note = f"{note}  after {tried} attempts".strip()
    if step.get("child") and not note:
        note = f"goes on by itself as {step['child']}" if goes_on(step) else f"as {step['child']}"
    if step.get("tries") and not step.get("next_try_at"):
        note = f"{note}  try {step['tries']}".strip()
    if state == "failed" and skip is not None and _is_of(skip, step):
        state = BY_HAND
        note = "; ".join(filter(None, (note, f"skipped by {one_line(skip.get('by') or 'an operator', 60)}")))
    depth = step.get("depth", 0)
    name = path_in_its_block(step["path"]) if depth else step["path"]
    if state == "running" and attempt is not None and attempt.paused:
        state = "paused"
    return StatusRow(step["path"], SIGNS[state], state, name, what, depth, _took(step, now), note, wait)


def _is_of(action: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """Whether an action is about this try of a step: a step that is done once more has begun after it."""
    return not step.get("started_at") or moment(action["at"]) >= moment(step["started_at"])


def goes_on(step: Mapping[str, Any]) -> bool:
    """Whether a step has begun a child saga for which the saga does not wait."""
    return "child" in step and (
        step["status"] == "abandoned" or (step["status"] == "completed" and step.get("detached", False))
    )


def _from(step: Mapping[str, Any]) -> Iterator[str]:
    """Yield who sent the signal that a wait has taken, and why."""
    sender = step.get("sender") or {}
    if sender.get("by"):
        yield f"from {one_line(sender['by'], 60)}"
    if sender.get("why"):
        yield f"because: {one_line(sender['why'], 120)}"


def _given_up(path: str, actions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it was an ``abort`` that left a step as it is: its compensation is ``skipped`` then, too."""
    for action in reversed(actions):
        if action["verb"] == "abort" and not action.get("path"):  # several have waited, and all of them were given up
            return True
        call = parse_call(action.get("path") or "")
        if action["verb"] in ("abort", "skip_step") and call.undoes and call.step == path:
            return bool(action["verb"] == "abort")
    return False


def _undo(
    step: Mapping[str, Any],
    actions: Sequence[Mapping[str, Any]],
    under_way: Mapping[str, PendingAttempt],
    now: datetime,
) -> StatusRow:
    undo = step["compensation"]
    is_given_up = undo["status"] == "skipped" and _given_up(step["path"], actions)
    sign, words = _UNDO_WORDS["given_up" if is_given_up else undo["status"]]
    note, wait = "; ".join(error_text({**error, "step": ""}) for error in undo.get("errors", ())), None
    key = undo_path(step["path"])
    attempt = under_way.get(key)
    if undo["status"] == "running" and attempt is not None:
        note, wait = _attempt(attempt, now)
    elif undo.get("waits_until"):
        note = "an attempt of the step may end late"
        wait = max(moment(undo["waits_until"]) - now, timedelta())
    elif (undo.get("attempts") or 0) > 1:
        note = f"{note}  after {undo['attempts']} attempts".strip()
    state = "failed" if is_given_up else _UNDO_STATES.get(undo["status"], "failed")
    if state == "compensating" and attempt is not None and attempt.paused:
        sign, state = SIGNS["paused"], "paused"
    return StatusRow(key, sign, state, step["path"], words, 0, _took(undo, now), note, wait)


def _attempt(attempt: PendingAttempt, now: datetime) -> tuple[str, timedelta | None]:
    """Say which attempt it is and why the last one failed, and how long until the next one starts."""
    if attempt.paused:
        return f"{PAUSED} before attempt {attempt.number}" if attempt.number > 1 else PAUSED, None
    if attempt.unserved:
        again = f"attempt {attempt.number}: " if attempt.number > 1 else ""
        return f"{again}no worker polls task queue `{one_line(attempt.unserved, 60)}`", None
    if attempt.number <= 1 and not attempt.failure:
        return "", None
    why = f": {one_line(attempt.failure, 120)}" if attempt.failure else ""
    wait = attempt.next_at - now if attempt.next_at is not None and attempt.next_at > now else None
    return f"attempt {attempt.number}{why}", wait


def _took(times: Mapping[str, Any], now: datetime) -> timedelta | None:
    if not times.get("started_at") or times["status"] == "skipped":
        return None
    end = moment(times["ended_at"]) if times.get("ended_at") else now
    return end - moment(times["started_at"])


def moment(iso: str) -> datetime:
    """Read a time of the status document."""
    return datetime.fromisoformat(iso).astimezone(UTC)
