"""The messages for an expression that reads a step or a name that it cannot see: only the words."""

from __future__ import annotations

from sagadsl.diagnostics.findings import Severity
from sagadsl.language.analysis.complaints import MAY_BE_MISSING, UNKNOWN_FIELD, Complaint
from sagadsl.language.analysis.visibility import Unseen
from sagadsl.language.kinds import RenderedAt, is_loop
from sagadsl.language.model import Step
from sagadsl.language.walk import Site, Spot

TOO_EARLY = "SD304"
UNKNOWN_STEP = "SD305"

ELSEWHERE = {
    "completed": "it is known in `complete_when` only",
    "error": "it is known in `on_error` only",
    "failed": "it is known in `complete_when` only",
    "failure": "it is known in compensations, in `on_failure` and in `on_pause` only",
    "idempotency_key": "it is known in steps only",
    "item_index": "it is known inside loops only",
    "output": "it is known in `failed_if` and in the `output` of a block only; elsewhere write `steps.<id>.output`",
    "outputs": "it is known in `complete_when` only",
    "payload": "it is known in `refused_if` and `reply` of a wait only; elsewhere write `steps.<id>.output`",
    "pause": "it is known in `on_pause` only",
    "state": "it is known in loops that have `state` only",
    "step": "it is known in compensations only; elsewhere write `steps.<id>`",
    "total": "it is known in `complete_when` only",
}
"""The names of the language that only some places can read."""

_OF_WORKER = (
    "no expression reads secrets or variables of a worker: the activity reads them, "
    "and `http.request` takes `${secret:NAME}`"
)

BORROWED = {
    **dict.fromkeys(("env", "environ", "environment", "secret", "secrets", "vars"), _OF_WORKER),
    **dict.fromkeys(("now", "today", "utcnow"), "did you mean `saga.now`?"),
    **dict.fromkeys(
        ("context", "ctx", "execution", "workflow", "run"),
        "`saga` has `id`, `run_id`, `name`, `version`, `started_at` and `now`",
    ),
}
"""First names of chains in other tools, and what to write instead."""


def unknown_step(name: str, near: str | None, readable: str) -> Complaint:
    """Return the complaint that no step has this id; *near*: perhaps this was meant; *readable*: the readable steps."""
    help = f"did you mean `{near}`?" if near else readable
    notes = (readable,) if near else ()
    steps = ((near, f"`{near}` is here"),) if near else ()
    return Complaint(UNKNOWN_STEP, f"there is no step `{name}`", help, focus=name, notes=notes, steps=steps)


def too_early(site: Site, target: Spot, unseen: Unseen, readable: str) -> Complaint:
    """Return the complaint that a value at *site* reads the step at *target*, which it cannot see."""
    name = target[-1].step.id
    return Complaint(
        TOO_EARLY,
        f"step `{name}` cannot be read here: it {unseen.value}",
        _remedy(site, target, unseen),
        focus=name,
        notes=(readable,),
        steps=((name, "the step that is read"),),
    )


def unknown_part(step: Step, key: str, *, is_field: bool, near: str | None) -> Complaint:
    """Return the complaint that a step has no part of this name; with *is_field* its output has such a field."""
    whole = f"steps.{step.id}"
    if is_field:
        help = f"did you mean `{whole}.output.{key}`?"
    else:
        help = f"did you mean `{near}`?" if near else "it has `output`, `status` and `error`"
    return Complaint(UNKNOWN_FIELD, f"`{whole}` has no field `{key}`", help, focus=key)


def may_be_missing(site: Site, step: Step, key: str, doubt: str) -> Complaint:
    """Return the complaint that an expression reads a step as if it had run (or failed), but perhaps it has not."""
    whole = f"steps.{step.id}.{key}"
    help = f"give another value, `{whole} | default(…)`, or ask `steps.{step.id}.status` first"
    message = f"`{whole}` may be missing: {doubt}"
    if site.phase in (RenderedAt.BLOCK, RenderedAt.END) and key == "output":
        message += "; then it reads as null"
        help = f"give another value, `{whole} | default(…)`, or say that null is meant, `… | default(null)`"
    return Complaint(MAY_BE_MISSING, message, help, Severity.WARNING, step.id, steps=((step.id, "the step"),))


def _remedy(site: Site, target: Spot, unseen: Unseen) -> str:
    if site.phase is RenderedAt.UNDO:
        return "a compensation sees the other steps as they were when its own step ended"
    match unseen:
        case Unseen.SIBLING:
            depth = next(d for d, (a, b) in enumerate(zip(site.spot, target, strict=False)) if a != b)
            return f"add `needs: [{target[depth].step.id}]` to `{site.spot[depth].step.id}`"
        case Unseen.LOOP:
            loop = next(level.step.id for level in target if is_loop(level.step))
            return f"read the output of the loop: `steps.{loop}.output`"
        case Unseen.FAILED:
            return "read `error.message`, or what the steps before it gave"
        case Unseen.NOTICE:
            return "read a step"
        case Unseen.LATER | Unseen.ITSELF | Unseen.ENCLOSING | Unseen.OTHER_WAY:
            return "read a step that has ended by then, or move this one behind it"
