"""What operators give with their requests: whether it fits what waits, and how it is shown. Replay-critical.

It looks at the state and changes nothing.
"""

from __future__ import annotations

import json

from sagadsl.engine.chunks import waiting
from sagadsl.engine.facts import Given, Outcome
from sagadsl.engine.journal import State
from sagadsl.engine.records import Record
from sagadsl.engine.verbs import Verb
from sagadsl.language.calls import Call, KeyedCall, SagaCall
from sagadsl.language.expressions.data import shortened
from sagadsl.language.kinds import kind_of
from sagadsl.language.model import Leaf, Saga, Step
from sagadsl.language.paths import is_path_at, parse_call

_SHOWN = 200
"""The most characters that a status shows of a given value."""


def find(state: State, path: str) -> tuple[Record, bool]:
    """Return the record to which *path* belongs, and whether the path means its compensation."""
    if path in state.records:
        return state.records[path], False
    return state.records[parse_call(path).step], True


def unfit(saga: Saga, state: State, verb: Verb, path: str, given: Given) -> str | None:
    """Return why *verb* is not possible with what is given, for what waits at *path*; ``None`` when it is."""
    record, is_undo = find(state, path)
    step = saga.places[record.step].step
    misplaced = _misplaced(verb, given)
    if misplaced is not None:
        return misplaced
    if is_undo:
        return _unfit_undo(step, path, given)
    match verb:
        case Verb.RETRY_STEP:
            return _unfit_retry(state, step, record, given)
        case Verb.COMPLETE_STEP:
            return _unfit_complete(step, path, given)
        case _:
            return None


def _misplaced(verb: Verb, given: Given) -> str | None:
    """Return what is given with a verb that does not take it."""
    if verb is not Verb.RETRY_STEP and (given.input or given.new_key):
        return "only `retry` takes an input and a new key"
    if verb is Verb.RETRY_STEP and given.output:
        return "`retry` takes an input, not an output; `complete` takes the output of what was done by hand"
    if verb is not Verb.COMPLETE_STEP and given.nothing_to_undo:
        return "only `complete` can say that there is nothing to undo"
    return None


def _unfit_undo(step: Step, path: str, given: Given) -> str | None:
    if given.output or given.nothing_to_undo:
        return f"`{path}` undoes a step: it has no output, and nothing undoes it"
    if given.new_key:
        return f"`{path}` keeps its key: otherwise the step could be undone twice"
    if given.input and step.compensation is not None and step.compensation.auto:
        return f"`{path}` takes no input: the child saga undoes itself with the data that it has"
    return None


def _unfit_retry(state: State, step: Step, record: Record, given: Given) -> str | None:
    path = record.path
    if given.input and not isinstance(step.body, Call):
        return f"`{path}` takes no input: it is no call ({kind_of(step).key})"
    if given.new_key and not isinstance(step.body, KeyedCall):
        what = (
            "a child saga has new keys whenever it is repeated" if isinstance(step.body, SagaCall) else "it has no key"
        )
        return f"`{path}` takes no new key: {what}"
    if given.new_key and (record.outcome is Outcome.UNKNOWN or record.doubt):
        return (
            f"nobody knows whether `{path}` has happened: with a new key it could happen twice, and one effect would "
            "never be undone"
        )
    if not isinstance(step.body, Leaf) and not state.pivot_passed and _has_done(state, record):
        return (
            f"steps in `{path}` are done, and would be done twice: complete or skip `{path}`, or abort; to repeat a "
            "single step, pause at the step itself"
        )
    return None


def _has_done(state: State, block: Record) -> bool:
    """Whether a block holds something that would have to be undone before the block begins anew."""
    if any(packed.last > block.began for packed in waiting(state)):
        return True
    inside = (path for path in state.undoable if path != block.path and is_path_at(path, block.path))
    return any(state.records[path].outcome in (Outcome.SUCCEEDED, Outcome.UNKNOWN) for path in inside)


def _unfit_complete(step: Step, path: str, given: Given) -> str | None:
    if not given.output:
        return f"say which output `{path}` has; null if it has none"
    if given.nothing_to_undo and not isinstance(step.body, Call):
        return f"`{path}` is no call: nothing undoes it anyway"
    compensation = step.compensation
    if compensation is not None and compensation.auto and not given.nothing_to_undo:
        return (
            f"`{path}` undoes itself with what its child saga has done, and nobody knows that of a child done by hand: "
            "say that there is nothing to undo, or retry it"
        )
    return None


def in_short(given: Given) -> str:
    """Return what is given in a few words; empty when nothing is."""
    parts = [f"{name} {_text(value[0])}" for name, value in (("input", given.input), ("output", given.output)) if value]
    parts += ["a new key"] if given.new_key else []
    parts += ["nothing to undo"] if given.nothing_to_undo else []
    return ", ".join(parts)


def _text(value: object) -> str:
    return shortened(json.dumps(value, ensure_ascii=False, sort_keys=True), _SHOWN)
