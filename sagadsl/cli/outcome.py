"""How a saga ended: its exit code, its last line, its document. The same for `run` and `result`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sagadsl.cli import screen
from sagadsl.status.lines import SIGNS, error_text, one_line, paused, spell, warnings
from sagadsl.status.listed import listed

if TYPE_CHECKING:
    from sagadsl.temporal.read.runs import Ended

EXIT_CODES: Mapping[str, int] = {
    "completed": 0,
    "compensated": 10,
    "failed": 11,
    "cancelled": 12,
    "timed_out": 13,
    "terminated": 14,
    "paused": 15,
    "rejected": 17,
}
"""Exit codes by status: they tell a script what a person has to do."""

_WORDS: Mapping[str, tuple[str, str]] = {
    "completed": ("completed", ""),
    "compensated": ("compensated", ": it failed, and all that was done has been undone"),
    "failed": ("failed", ""),
    "rejected": ("rejected", ": it said no, and all that was done has been undone"),
    "cancelled": ("cancelled", ""),
    "timed_out": ("timed out", " by the server's limit; nothing more is undone"),
    "terminated": ("terminated", "; nothing more is undone"),
}
"""The words before and after the duration. The first one is the status, as lists and `--status` have it."""

_NOTHING: Mapping[str, str] = {
    "compensated": ": it failed, and there was nothing to undo",
    "rejected": ": it said no, and there was nothing to undo",
}
"""What follows the duration where nothing was undone."""


def show(ended: Ended, whole: Mapping[str, Any], seconds: float | None = None) -> None:
    """Write how a saga ended to stderr, and its output, or *whole*, to stdout."""
    sentences = list(lines(ended, "" if seconds is None else spell(timedelta(seconds=seconds))))
    if screen.session().is_quiet and ended.status != "completed":
        screen.say(sentences[0] if ended.error is None else f"{sentences[0]}: {': '.join(map(one_line, _why(ended)))}")
    for line in sentences:
        screen.note(line)
    if screen.session().output == "text":
        if ended.status in ("completed", "rejected"):
            screen.result(None, json.dumps(ended.output, ensure_ascii=False, indent=2), is_data=True)
    elif screen.session().output == "jsonl":
        screen.result({"type": "result", **whole})
    else:
        screen.result(dict(whole))


def _why(ended: Ended) -> tuple[str, ...]:
    """Return type and message of what went wrong first."""
    failure = (ended.report or {}).get("failure")
    if failure:
        return str(failure["type"]), str(failure["message"])
    assert ended.error is not None
    return ended.error[1:] if ended.status == "terminated" else ended.error


def lines(ended: Ended, took: str = "") -> Iterator[str]:
    """Yield the last lines for people: how it ended, why, and what is left to do."""
    sign = SIGNS.get(ended.status, "✗")
    code = EXIT_CODES[ended.status]
    words, consequence = _WORDS[ended.status]
    if ended.status in _NOTHING and not (ended.report or {}).get("undone"):
        consequence = _NOTHING[ended.status]
    exit_code = f" (exit {code})" if code else ""
    yield f"{sign} {words}{f' after {took}' if took else ''}{consequence}{exit_code}"
    yield from (f"   {text}" for text in warnings(ended.as_json()))
    report = ended.report or {}
    failure = report.get("failure")
    if failure:
        yield f"   first error: {error_text(failure)}"
    elif ended.error is not None and ended.status != "terminated":
        yield f"   error: {ended.error[0]}: {one_line(ended.error[1])}"
    elif ended.error is not None:
        yield f"   reason: {one_line(ended.error[1])}" if ended.error[1] else "   no reason was given"
    for error in report.get("other_errors", ()):
        yield f"   later error: {error_text(error)}"
    if report.get("undone"):
        yield f"   undone: {listed(report, 'undone')}"
    for each in report.get("not_undone", ()):
        # The report does not tell a compensation that was skipped from one that was given up with the saga.
        who = "left by an operator" if report.get("why_not") else "skipped"
        how = f" ({who})" if each.get("skipped") else ""
        yield f"   NOT undone: {each['path']}{how}: {each['type']}: {one_line(each['message'])}"
    if report.get("not_attempted"):
        why = f" ({report['why_not']})" if report.get("why_not") else ""
        yield f"   not attempted: {listed(report, 'not_attempted')}{why}"
    for each in report.get("goes_on", ()):
        yield f"   goes on by itself: {each['path']}: saga {each['id']}"


def paused_line(status: Mapping[str, Any]) -> str:
    """Return the line for a saga that waits for an operator, or whose child sagas do."""
    where = paused(status)
    if not where or where[0] == "":
        return f"{SIGNS['paused']} paused"
    more = f" and {len(where) - 1} more" if len(where) > 1 else ""
    return f"{SIGNS['paused']} paused: child saga {where[0]}{more}"


def paused_document(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document for such a saga: its status, and what waits in it and in its children."""
    waiting = {name: status.get(name, []) for name in ("attention", "children")}
    return {"status": status["status"], "output": None, **waiting}
