"""Places that take text as it stands: what looks like an expression there is never computed, so it is a mistake.

The schema says for each place of text whether it is one of these, by a ``format``. Editors ignore the format.
"""

from __future__ import annotations

from collections.abc import Mapping

from sagadsl.diagnostics.findings import Finding, Route, Severity

FORMATS: Mapping[str, Severity] = {
    "sagadsl-literal": Severity.ERROR,
    "sagadsl-remark": Severity.WARNING,
}
"""The formats, each with the severity of an expression in its place. No run depends on a remark; it is for readers."""

_TYPES = "list every type that may come; the `if` of a handler can compare `error.type` with a value"

INSTEAD: Mapping[str, str] = {
    "activity": 'name every activity that it can be: `{name: "…", one_of: [bank.pay, card.pay]}`',
    "one_of": "write each name in full",
    "nexus": "use `switch`, with one step for each operation",
    "saga": "use `switch`, with one step for each saga",
    "signal": "name one signal and let its payload say the rest, or use `switch` with one step for each name",
    "wait_for": "name each signal in full; its payload can say the rest",
    "failed_if": "write one rule with `if` for each type; `message` may hold expressions",
    "fail": "use `switch`, with one `fail` for each type; `message` may hold expressions",
    "raise": "write one handler with `if` for each type; `message` may hold expressions",
    "types": _TYPES,
    "non_retryable_error_types": _TYPES,
    "already_undone": "list every type that means that it has been undone",
    "id": "write a name; steps in loops are told apart by the number of their item",
    "needs": "name the branches; a branch that is not needed can have an `if`",
    "as": "write a name",
    "name": "write a name; what differs from run to run belongs into `input`",
    "version": "write the version; what differs from run to run belongs into `input`",
    "task_queue": "the starter can choose another queue; the `task_queue` of a step may hold expressions",
    "labels": "labels are the same for all runs; what differs from run to run belongs into `input` or `output`",
    "description": "write it in words",
    "schedule": "write the value; what differs from run to run is computed by the saga, e.g. with `saga.started_at`",
}
"""What to do in place of an expression, by the last key of the place that stands here."""


def is_literal(text: str) -> bool:
    """Whether *text* holds nothing that looks like an expression."""
    return "{{" not in text


def finding(name: str, route: Route, text: str, format: str, key: str = "") -> Finding:
    """SD310: *text*, at *route* and called *name*, holds what looks like an expression.

    Args:
        key: The key that is meant, where the last one of *route* is misspelt.
    """
    expression = _first_expression(text)
    return Finding(
        "SD310",
        f"{name} is taken as it stands: `{expression}` in it is never computed",
        route,
        severity=FORMATS[format],
        help=next(INSTEAD[key] for key in reversed((*route, key)) if isinstance(key, str) and key in INSTEAD),
        focus=expression,
    )


def _first_expression(text: str) -> str:
    begin = text.index("{{")
    end = text.find("}}", begin)
    return text[begin : end + 2] if end >= 0 else text[begin:]
