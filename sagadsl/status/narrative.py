"""Tells what happened in a saga, in sentences: what it did, what went wrong, what it undid, what is left to do.

It reads only the status document. It is pure: it writes nothing and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from sagadsl.language.own_errors import SIGNAL_TIMEOUT
from sagadsl.language.paths import is_on_failure, parse_call
from sagadsl.status.advice import next_steps
from sagadsl.status.lines import (
    CALLS,
    OPEN,
    error_text,
    goes_on,
    left_out,
    links,
    moment,
    not_indexed,
    on_queue,
    one_line,
    since_reset,
    spell,
    told,
    was_reset,
)

_SHOWN = 6
_ENDS: Mapping[str, str] = {
    "completed": "has completed{took}",
    "rejected": "was rejected{took}: it has said no, and all that it had done has been undone",
    "compensated": "was compensated{took}: it had failed, and all that it had done has been undone",
    "cancelled": "was cancelled{took}",
    "failed": "has failed{took}, and not all of it is undone",
    "timed_out": "has timed out by the server's limit: none of its code ran any more",
    "terminated": "was terminated: none of its code ran any more",
    "running": "is running",
    "compensating": "is undoing what it did",
    "paused": "is paused",
    "held": "is held by Temporal's own pause",
}
_WITHOUT_UNDO: Mapping[str, str] = {
    "rejected": "was rejected{took}: it has said no, and there was nothing to undo",
    "compensated": "was compensated{took}: it had failed, and there was nothing to undo",
    "failed": "has failed{took}",
}
"""The same for sagas that undid nothing, because there was nothing to undo."""

_VERBS: Mapping[str, str] = {
    "retry_step": "retried `{path}`",
    "complete_step": "completed `{path}` by hand",
    "skip_step": "skipped `{path}`",
    "abort": "aborted it",
    "pause": "paused it",
    "resume": "resumed it",
    "reset": "reset it to `{path}`",
    "cancel": "cancelled it",
    "migrate": "migrated it to another definition",
    "recover": "recovered it, since the server had ended its run",
    "redrive": "had it redriven after its failure",
}
NOTHING_LEFT = "Nothing is left to do."


def sentences(
    status: Mapping[str, Any],
    options: str = "",
    came: Mapping[str, str] | None = None,
    failed: Mapping[int, str] | None = None,
) -> Iterator[str]:
    """Yield the sentences.

    Args:
        options: Options for the end of each command: ``--address …``.
        came: For each wait that took a signal from before it began, by path: when the signal came, and from whom.
        failed: For operators' decisions, by the number of the action: about which error they were.
    """
    yield from _whole(status)
    steps = _folded(status)
    calls = [step for step in steps if step.get("kind", "activity") in CALLS and _began(step)]
    calls.sort(key=lambda step: step["started_at"])
    afterwards = [step for step in calls if is_on_failure(step["path"])]
    yield from _done([step for step in calls if step not in afterwards])
    yield from _unknown(status)
    yield from _waits(status, came or {})
    yield from _failure(status, calls)
    yield from _undone(calls)
    yield from _left_alone(calls)
    yield from (f"Not listed one by one: {line}." for line in left_out(status))
    yield from _afterwards(afterwards)
    yield from (f"{line[0].upper()}{line[1:]}." for line in told(status))
    yield from _operators(status, failed or {})
    yield from (f"{line[0].upper()}{line[1:]}." for line in not_indexed(status))
    for each in status.get("refused_signals", ()):
        yield f"Signal `{one_line(each['signal'])}` was refused at {each['at']}: {one_line(each['reason'])}."
    yield from _left(status, calls, options)


def _whole(status: Mapping[str, Any]) -> Iterator[str]:
    name = f"{status['name']} {status.get('version', '')}".rstrip()
    word = status["status"]
    ended = _ENDS.get(word, f"is {word}")
    if not any(_undo(step) for step in _folded(status)) and not status.get("left_out"):
        ended = _WITHOUT_UNDO.get(word, ended)
    took = ""
    if status.get("started_at") and status.get("changed_at"):
        length = spell(moment(status["changed_at"]) - moment(status["started_at"]))
        took = f" after {length}"
    begun = f", started {status['started_at']}," if status.get("started_at") else ""
    yield f"Saga `{status['id']}` ({name}){begun} {ended.format(took=took)}."
    stuck = status.get("stuck")
    if stuck:
        sentence = f"Its worker cannot go on: {one_line(stuck['message'])}"
        yield f"{sentence}; attempt {stuck['attempt']}, since {stuck['since']}. This is only what the server knows."
    elif status.get("source") == "history" and not status.get("held"):
        yield f"No worker answers for it{on_queue(status)}, so this is only what the server knows."
    if status.get("reset"):
        yield f"It was {was_reset(status['reset'])}; {since_reset(status['reset'])}."
    yield from (f"{each[0].upper()}{each[1:]}." for each in links(status))
    for each in status.get("warnings", ()):
        yield f"All its steps are done, but its output is null: {each['type']}: {one_line(each['message'], 500)}."


def _done(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    done = [step["path"] for step in calls if step["status"] == "completed" and not step.get("by_hand")]
    if done:
        yield f"{_listed(done)} succeeded."
    for step in calls:
        if step["status"] == "running":
            yield f"`{step['path']}` is under way."


def _unknown(status: Mapping[str, Any]) -> Iterator[str]:
    """Say which calls wait for a worker that knows them."""
    for call in status.get("unknown_activities", ()):
        yield (
            f"`{call['path']}` waits for a worker that knows `{call['activity']}`, until {call['until']}: "
            f"{call['times']} did not, at last `{call['worker']}`."
        )


def _waits(status: Mapping[str, Any], came: Mapping[str, str]) -> Iterator[str]:
    """Name the waits that may be a misunderstanding: waits without an answer, and waits whose answer came too early."""
    for step in status.get("steps", ()):
        if step.get("kind") != "wait_for":
            continue
        error = step.get("error")
        if error and error["type"] == SIGNAL_TIMEOUT and (status.get("failure") or {}).get("step") != step["path"]:
            yield f"`{step['path']}` waited in vain: {error['type']}: {one_line(error['message'])}."
        if step.get("took_kept"):
            when = f": {came[step['path']]}" if step["path"] in came else ""
            yield f"`{step['path']}` took a signal `{step['signal']}` that had come before it began to wait{when}."
        if sender := step.get("sender"):
            by = f"`{one_line(sender['by'])}`" if sender["by"] else "Somebody"
            why = f": {one_line(sender['why'])}" if sender["why"] else ""
            yield f"{by} sent the signal `{step['signal']}` that `{step['path']}` took, at {sender['at']}{why}."


def _failure(status: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    failure = status.get("failure")
    if failure is not None:
        yield from _errors(status, failure, calls)
    for each in calls:
        if each.get("outcome") == "unknown" and each["status"] not in ("running", "abandoned"):
            also = "; it was undone to be sure" if _undo(each).get("status") == "done" else ""
            yield f"Nobody knows whether `{each['path']}` happened{also}."


def _errors(status: Mapping[str, Any], failure: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    step = next((each for each in calls if each["path"] == failure.get("step")), None)
    where = f"`{failure['step']}`" if failure.get("step") else "the saga itself"
    tries = f" after {step['attempts']} attempts" if step and (step.get("attempts") or 0) > 1 else ""
    is_first = not any(each["status"] == "completed" for each in calls)
    why, said = error_text({**failure, "step": ""}), f"{failure['type']}: {one_line(failure['message'])}"
    yield f"{where[0].upper() + where[1:] if is_first else f'Then {where}'} failed{tries}: {why}."
    behind = (f"{cause['type']}: {one_line(cause['message'])}" for cause in failure.get("causes", ()))
    yield from (f"Behind it: {cause}." for cause in behind if cause != said)
    for each in status.get("other_errors", ()):
        at = f"`{each['step']}` failed, too" if each.get("step") else "another error came"
        yield f"Later {at}: {error_text({**each, 'step': ''})}."


def _undone(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    ordered = sorted((step for step in calls if _undo(step)), key=lambda step: _undo(step).get("started_at") or "~")
    done = [step["path"] for step in ordered if _undo(step)["status"] == "done"]
    if done:
        yield f"{_listed(done)} was undone." if len(done) == 1 else f"{_listed(done)} were undone, in this order."
    for step in ordered:
        undo = _undo(step)
        why = "; ".join(error_text({**error, "step": ""}) for error in undo.get("errors", ()))
        tries = f" after {undo['attempts']} attempts" if (undo.get("attempts") or 0) > 1 else ""
        match undo["status"]:
            case "running":
                yield f"`{step['path']}` is being undone."
            case "failed":
                yield f"`{step['path']}` could not be undone{tries}: {why}."
            case "skipped":
                yield f"`{step['path']}` was left as it is, since it could not be undone{tries}: {why}."
            case "not_attempted":
                yield f"`{step['path']}` was not undone: nobody has tried."
            case "unknown":
                yield f"`{step['path']}` was being undone, and nobody knows whether it was."
            case _:
                pass


def _left_alone(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Name the child sagas that go on by themselves, and that nobody undoes here."""
    for step in calls:
        if goes_on(step):
            how = "was detached" if step["status"] == "completed" else "was left alone when the saga stopped"
            also = "" if _undo(step).get("status") == "done" else ", and this saga does not undo it"
            yield f"`{step['path']}` {how}: its saga `{step['child']}` goes on by itself{also}."


def _operators(status: Mapping[str, Any], failed: Mapping[int, str]) -> Iterator[str]:
    for number, action in enumerate(status.get("actions", ())):
        verb, path = _VERBS.get(action["verb"], action["verb"]), action.get("path") or "what waited"
        # A compensation that was skipped is told with its error already, as what was left as it is.
        is_told = number not in failed or (action["verb"] == "skip_step" and parse_call(path).undoes)
        before = "" if is_told else f"`{path}` failed: {failed[number]}; "
        what = verb.format(path=path) if is_told else verb.replace("`{path}`", "it")
        what += f", back to `{action['path']}`" if action["verb"] == "redrive" and action.get("path") else ""
        what += f" (with {one_line(action['gave'])})" if action.get("gave") else ""
        why = f": {one_line(action['why'])}" if action.get("why") else ""
        if action["verb"] == "stay":  # nobody asked for it
            yield f"It could not be migrated any more, and stayed as it was at {action['at']}{why}."
            continue
        who = action.get("by") or ("somebody" if before else "Somebody")
        yield f"{before}{who} {what} at {action['at']}{why}."


def _left(status: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], options: str) -> Iterator[str]:
    advice = list(next_steps(status, options)) if status["status"] in OPEN else []
    left = [step["path"] for step in calls if _undo(step).get("status") in ("failed", "skipped", "not_attempted")]
    if advice:
        yield "To do:"
        yield from (f"  {line}" for line in advice)
    elif status.get("taken_up_by"):
        yield f"What is left to do is told of run {status['taken_up_by']}."
    elif status["status"] in ("terminated", "timed_out"):
        yield from _left_by_a_kill(status, calls, options)
    elif left:
        yield f"Still to undo by hand: {_listed(left)}."
    elif status["status"] == "failed" and any(step["status"] == "completed" for step in calls):
        command = _command(f"redrive {quote(status['id'])} --dry-run", options)
        yield f"What it has done stands: {command} shows what can still be done."
    elif status["status"] not in OPEN:
        yield NOTHING_LEFT


def _left_by_a_kill(status: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], options: str) -> Iterator[str]:
    """Say which effects are not undone, which effects nobody knows about, and who undoes them: not by hand (R31)."""
    stands = [step["path"] for step in calls if step["status"] == "completed" and _undo(step).get("status") != "done"]
    doubtful = [step["path"] for step in calls if step["status"] == "unknown"]
    doubtful += [step["path"] for step in calls if _undo(step).get("status") == "unknown"]
    if stands := [path for path in stands if path not in doubtful]:
        yield f"Not undone: {_listed(stands)}."
    if doubtful:
        yield f"Nobody knows whether it stands: {_listed(doubtful)}."
    if stands or doubtful:
        command = _command(f"recover {quote(status['id'])}", options)
        yield f"{command} undoes what it has done; with `--forward` it finishes it."
    else:
        is_undone = any(_undo(step).get("status") == "done" for step in calls)
        yield "All that had been done was undone." if is_undone else "Nothing had been done."


def _command(words: str, options: str) -> str:
    return f"`sagadsl {words}" + (f" {options}" if options else "") + "`"


def _afterwards(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say which steps ran after the compensations, because the saga had failed."""
    for step in calls:
        how = {"completed": "succeeded", "running": "is under way", "unknown": "was under way"}
        yield f"Afterwards `{step['path']}` {how.get(step['status'], 'did not succeed')}."


def _folded(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the steps. In a status from the history alone, each compensation is a step: this joins it to its step."""
    steps = status.get("steps", ())
    if status.get("source") != "history":
        return list(steps)
    undone: dict[str, dict[str, Any]] = {}
    for step in steps:
        call = parse_call(step["path"])
        if call.undoes:
            errors = [step["error"]] if step.get("error") else []
            word = {"completed": "done"}.get(step["status"], step["status"])
            before = undone.get(call.step)  # of several actions, the worst result counts
            if before is None or before["status"] == "done":
                undone[call.step] = {**step, "status": word, "errors": errors}
    return [
        {**step, "compensation": undone[step["path"]]} if step["path"] in undone else step
        for step in steps
        if not parse_call(step["path"]).undoes
    ]


def _began(step: Mapping[str, Any]) -> bool:
    return bool(step.get("started_at")) and step["status"] != "skipped"


def _undo(step: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = step.get("compensation") or {}
    return found


def _listed(paths: Sequence[str]) -> str:
    shown = [f"`{path}`" for path in paths[:_SHOWN]]
    if len(paths) > _SHOWN:
        shown.append(f"{len(paths) - _SHOWN} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
