"""Judges whether a trial went as its case expects; each difference is a ``Miss``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.language.expressions.values import ExpressionError, compile_condition
from sagadsl.language.notation import durations
from sagadsl.language.paths import stands_for
from sagadsl.trial.case import Case
from sagadsl.trial.played import NOTHING, Call, Played

_CLOSE_ENOUGH = 1e-6
"""Seconds: virtual instants are sums of decimals."""


class Miss(Immutable):
    """An expectation that was not met.

    Attributes:
        what: Place of the expectation below ``then``, e.g. ``attempts.deposit``.
        expected: As text.
        found: As text.
    """

    what: str
    expected: str
    found: str


def judge(case: Case, played: Played, *, timed: bool = True) -> tuple[Miss, ...]:
    """Return everything in which a trial differs from what its case expects.

    Args:
        timed: Time was virtual, so ``takes`` can be judged.
    """
    return tuple(_misses(case, played, timed))


def unused(case: Case, played: Played) -> tuple[str, ...]:
    """Return the mocks of the case itself that no call has used: the case does not show what they seem to say."""
    used = {case.mocks.key_of(call.name, call.activity) for call in played.calls}
    return tuple(name for name in case.given if name not in used)


def _misses(case: Case, played: Played, timed: bool) -> Iterator[Miss]:
    then = case.then
    for index in played.missed:
        asked = case.when[index]
        yield Miss(f"when[{index}]", f"{asked} at {asked.moment}", "that moment never came")
    if played.cut:
        yield Miss("status", then.get("status", "an end"), "it went on and on, and was stopped")
        return
    if len(played.refused) != then.get("refused", 0):
        yield Miss("refused", str(then.get("refused", 0)), "; ".join(played.refused) or "0")
    if "status" in then and then["status"] != played.status:
        yield Miss("status", then["status"], _status(played))
    if "output" in then and not _equal(then["output"], played.output):
        yield Miss("output", _shown(then["output"]), _shown(played.output))
    if "failure" in then:
        yield from _failure(then["failure"], played.failure)
    yield from _calls(then, played)
    yield from _steps_and_report(then, played)
    if "takes" in then and timed:
        yield from _time(then["takes"], played.seconds)
    for index, text in enumerate(then.get("holds") or ()):
        yield from _expression(index, text, case, played)


def _status(played: Played) -> str:
    failure = played.failure
    if failure is None:
        return played.status
    where = f" in `{failure['step']}`" if failure["step"] else ""
    return f"{played.status} ({failure['type']}{where}: {failure['message']})"


def _failure(expected: Any, found: Mapping[str, Any] | None) -> Iterator[Miss]:
    wanted = {"type": expected} if isinstance(expected, str) else expected
    if expected == "none" or found is None:
        if (expected == "none") != (found is None):
            shown = "none" if found is None else f"{found['type']}: {found['message']}"
            yield Miss("failure", _shown(wanted.get("type", wanted)), shown)
        return
    for key, value in wanted.items():
        if found[key] != value:
            yield Miss(f"failure.{key}", _shown(value), _shown(found[key]))


def _calls(then: Mapping[str, Any], played: Played) -> Iterator[Miss]:
    made = [call.name for call in played.calls]
    if "calls" in then and not _in_order(then["calls"], made):
        yield Miss("calls", _listed(then["calls"]), _listed(made))
    if "called" in then:
        rest = iter(made)
        missing = next((name for name in then["called"] if name not in rest), None)
        if missing is not None:
            yield Miss("called", _listed(then["called"]), f"no `{missing}` at its place in {_listed(made)}")
    for name in then.get("never_called") or ():
        found = [call.name for call in played.calls if stands_for(name, call.name) or name == call.activity]
        if found:
            yield Miss("never_called", f"no call of `{name}`", _listed(found))
    by_name = {call.name: call for call in played.calls}
    for name, number in (then.get("attempts") or {}).items():
        attempts = by_name[name].attempts if name in by_name else 0
        if attempts != number:
            yield Miss(f"attempts.{name}", str(number), str(attempts))
    for name, value in (then.get("sent") or {}).items():
        sent = by_name[name].argument if name in by_name else NOTHING
        if sent is NOTHING or not _equal(value, sent):
            yield Miss(f"sent.{name}", _shown(value), _argument(by_name.get(name)))


def _argument(call: Call | None) -> str:
    if call is None:
        return "it was not called"
    return "no argument" if call.argument is NOTHING else _shown(call.argument)


def _steps_and_report(then: Mapping[str, Any], played: Played) -> Iterator[Miss]:
    steps = {step["path"]: step for step in played.status_document.get("steps") or ()}
    for key, field in (("steps", "status"), ("outcomes", "outcome")):
        for path, word in (then.get(key) or {}).items():
            found = steps[path].get(field, "none") if path in steps else "there is no such step"
            if found != word:
                yield Miss(f"{key}.{path}", word, found)
    report = played.report
    lists: dict[str, Sequence[str]] = {
        "compensated": report["undone"],
        "not_undone": list(dict.fromkeys(line["path"] for line in report["not_undone"])),
        "not_attempted": report["not_attempted"],
        "goes_on": [line["path"] for line in report.get("goes_on", ())],
        "attention": [line["path"] for line in played.status_document.get("attention") or ()],
        "errors": [line["type"] for line in played.status_document.get("other_errors") or ()],
    }
    for key, value in lists.items():
        if key in then and list(then[key]) != list(value):
            yield Miss(key, _listed(then[key]), _listed(value))


def _time(expected: Any, took: float) -> Iterator[Miss]:
    exact = isinstance(expected, str)
    least = expected if exact else expected.get("at_least")
    most = expected if exact else expected.get("at_most")
    if (least is not None and took < durations.parse(least).total_seconds() - _CLOSE_ENOUGH) or (
        most is not None and took > durations.parse(most).total_seconds() + _CLOSE_ENOUGH
    ):
        wanted = (
            expected if exact else " and ".join(f"{key.replace('_', ' ')} {each}" for key, each in expected.items())
        )
        yield Miss("takes", wanted, f"{took:g}s")


def _expression(index: int, text: str, case: Case, played: Played) -> Iterator[Miss]:
    scope = {
        "input": case.input,
        "output": played.output,
        "status": played.status,
        "failure": played.failure,
        "report": played.report,
        "steps": {step["path"]: step for step in played.status_document.get("steps") or ()},
        "actions": list(played.status_document.get("actions") or ()),
        "version": played.status_document.get("version", ""),
        "warnings": list(played.status_document.get("warnings") or ()),
        "notices": list(played.status_document.get("notices") or ()),
        "seconds": played.seconds,
        "calls": [
            {
                "name": call.name,
                "activity": call.activity,
                "sent": None if call.argument is NOTHING else call.argument,
                "attempts": call.attempts,
                "outcome": call.outcome,
            }
            for call in played.calls
        ],
    }
    try:
        holds = compile_condition(text).render(scope)
    except ExpressionError as error:
        yield Miss(f"holds[{index}]", text, str(error))
        return
    if not holds:
        yield Miss(f"holds[{index}]", text, "it is false")


def _in_order(expected: Sequence[Any], made: Sequence[str]) -> bool:
    """Whether the calls made are those expected; the names of an inner list in any order."""
    at = 0
    for each in expected:
        group = each if isinstance(each, list) else [each]
        if sorted(made[at : at + len(group)]) != sorted(group):
            return False
        at += len(group)
    return at == len(made)


def _equal(expected: Any, found: Any) -> bool:
    """Whether two JSON values are the same; ``1`` and ``1.0`` are, ``1`` and ``true`` are not."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return expected.keys() == found.keys() and all(_equal(expected[key], found[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_equal, expected, found))
    return bool(expected == found)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _listed(names: Sequence[Any]) -> str:
    return "[" + ", ".join(_listed(each) if isinstance(each, list) else str(each) for each in names) + "]"
