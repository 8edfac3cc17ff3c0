"""Judges the values that an operator gives: the input of a repeated call, the output of what was done by hand.

Only the saga judges them, in the validator of its update: what does not fit is refused before anything is recorded. It
knows which step waits, and its worker knows the types of what it serves. So whoever sends a request has no judge of its
own: it could only know less, and would have to ask for the definition first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagadsl.language.analysis.known import Signature
from sagadsl.language.calls import ActivityCall
from sagadsl.language.model import Step, WaitFor
from sagadsl.language.paths import parse_call
from sagadsl.language.schema.conform import ValueCheck, checker

Values = tuple[Any, ...]
"""Empty, or one value."""


def problems(
    step: Step,
    path: str,
    input: Values,
    output: Values,
    known: Callable[[str], Signature | None],
    *,
    judge: Callable[[ValueCheck, Any], tuple[str, ...]] = lambda check, value: check(value),
) -> str:
    """Return who does not take the values that are given for what waits at *path*, and why; empty when they fit.

    Args:
        known: Gives the signature of an activity, if it is known here.
        judge: Carries out a check.
    """
    call = _call(step, path)
    signature = None if call is None else known(call.activity)
    if call is not None and signature is not None:
        if input and (unfit := judge(checker(signature.input_schema, "input"), input[0])):
            return f"`{path}` calls activity `{call.activity}`, which does not take this input: {'; '.join(unfit)}"
        if output and (unfit := judge(checker(signature.output_schema, "output"), output[0])):
            return f"`{path}` calls activity `{call.activity}`, which gives no such output: {'; '.join(unfit)}"
    body = step.body
    if isinstance(body, WaitFor) and output and (unfit := _unfit(body, output[0], judge)):
        return f"`{path}` waits for signal `{body.either}`, which has no such payload: {'; '.join(unfit)}"
    return ""


def _unfit(wait: WaitFor, output: Any, judge: Callable[[ValueCheck, Any], tuple[str, ...]]) -> tuple[str, ...]:
    """Return why a wait cannot give *output*."""
    if not wait.says_which:
        return judge(checker(wait.expected[0].payload, "output"), output)
    came = output.get("signal") if isinstance(output, dict) else None
    taken = next((each for each in wait.expected if each.signal == came), None)
    if taken is None or output.keys() != {"signal", "payload"}:
        return (f"write `{{signal: …, payload: …}}` with one of these signals: {', '.join(wait.signals)}",)
    return judge(checker(taken.payload, "output.payload"), output["payload"])


def _call(step: Step, path: str) -> ActivityCall | None:
    """Return the activity that a path means: that of the step, or of one action of its compensation."""
    call = parse_call(path)
    body: Any = step.body
    if call.undoes and step.compensation is not None and step.compensation.actions:
        body = step.compensation.actions[call.action or 0].call
    return body if isinstance(body, ActivityCall) else None
