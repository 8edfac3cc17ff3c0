"""The projections of a run for people and programs: the status, the final report, a page of Markdown.

They read the state and nothing else, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagadsl.engine import chunks
from sagadsl.engine.child_ids import id_of
from sagadsl.engine.facts import Error, Outcome, Status
from sagadsl.engine.journal import Migration, Notice, Phase, Refused, State
from sagadsl.engine.records import Progress, Record, Sender, UndoProgress
from sagadsl.engine.run import TIMEOUT_TIMER
from sagadsl.engine.scope import LAST_INSTANT, iso, step_to_undo
from sagadsl.engine.step_lines import NO_UNDO_YET, StepLine, lines_of, overview
from sagadsl.engine.undo import is_due
from sagadsl.engine.unheard import timer_of
from sagadsl.engine.verbs import Verb
from sagadsl.language.calls import Call, SagaCall
from sagadsl.language.kinds import key_of, subject
from sagadsl.language.model import Saga
from sagadsl.language.paths import TimerKind, timer
from sagadsl.status.parts import Part, counted


def current(state: State) -> Status:
    """Return the status of the saga, as the status query answers it."""
    if state.status is not None:
        return state.status
    if state.paused or state.attention:
        return Status.PAUSED
    return Status.RUNNING if state.phase is Phase.FORWARD else Status.COMPENSATING


def status(saga: Saga, state: State, part: Part | None = None) -> dict[str, Any]:
    """Return the whole state of a run as JSON data: the answer to the ``status`` query.

    Args:
        part: Which steps to show one by one; ``None``: all of them, or those that matter most when there are many.
    """
    lines, left_out, said = (*overview(saga, state), None) if part is None else lines_of(saga, state, part)
    return {
        "schema_version": 1,
        "id": state.saga_id,
        "run_id": state.run_id,
        "name": saga.name,
        "version": saga.version,
        "digest": saga.digest,
        "status": current(state).value,
        "started_at": iso(state.started_at),
        "changed_at": iso(state.now),
        "paused": state.paused,
        "pivot_passed": state.pivot_passed,
        "timed_out": state.timed_out,
        "timeout_at": _instant(state.timers.get(TIMEOUT_TIMER)),
        "failure": _failure(state),
        "other_errors": [_error(error) for error in state.others],
        "attention": [
            {"path": path, "occurrence": state.occurrences.get(path, 1)} | _error_data(error) | _times(state, path)
            for path, error in state.attention.items()
        ],
        "waiting_for": {signal: list(paths) for signal, paths in state.waiting.items()},
        "kept_signals": {signal: len(payloads) for signal, payloads in state.signals.items()},
        **({"answer": state.answer[0]} if state.answer else {}),
        **({"kept_senders": _kept_senders(state)} if state.senders else {}),
        **({"refused_signals": [_refused(each) for each in state.refused]} if state.refused else {}),
        "steps": [_step(line, state) for line in lines],
        "actions": [
            {"at": iso(action.at), "verb": action.verb, "path": action.path, "by": action.by, "why": action.why}
            | ({"gave": action.gave} if action.gave else {})
            for action in state.actions
        ],
        **({"notices": [_notice(each) for each in state.notices.values()]} if state.notices else {}),
        **({"migrating_to": state.migrating} if state.migrating else {}),
        **({"returning_to": state.returning} if state.returning else {}),
        **({"migrations": [_migration(each) for each in state.migrations]} if state.migrations else {}),
        **({"warnings": warnings(state)} if state.warnings else {}),
        **({"left_out": left_out} if left_out else {}),
        **({"part": said} if said else {}),
    }


def _notice(notice: Notice) -> dict[str, Any]:
    """Return a call that tells of a pause: of which wait, and what became of it."""
    return {
        "call": notice.call,
        "step": notice.step,
        "activity": notice.activity,
        "path": notice.path,
        "occurrence": notice.occurrence,
        "status": notice.progress.value,
        "attempts": notice.attempts,
        "started_at": iso(notice.at),
        "ended_at": _instant(notice.ended_at),
        "error": _error(notice.error),
    }


def _migration(migration: Migration) -> dict[str, str]:
    return {
        "at": iso(migration.at),
        "from_digest": migration.from_digest,
        "from_version": migration.from_version,
        "digest": migration.digest,
        "version": migration.version,
    }


def _times(state: State, path: str) -> dict[str, Any]:
    """Return since when the saga waits for a decision at *path*, and until when if its definition limits that."""
    since, until = _instant(state.waits_since.get(path)), _instant(state.timers.get(timer(path, TimerKind.PAUSE)))
    return ({"since": since} if since else {}) | ({"until": until} if until else {})


def warnings(state: State) -> list[dict[str, str]]:
    """Return the warnings of a completed saga about its output."""
    return [{"type": warning.type, "message": warning.message} for warning in state.warnings]


def report(saga: Saga, state: State) -> dict[str, Any]:
    """Return the report of a closed saga: what failed, what was undone, and what was not (R20)."""
    undone = chunks.begun(saga, state, undone=True)
    not_undone: list[dict[str, Any]] = []
    not_attempted = chunks.begun(saga, state, undone=False)
    for path in reversed(state.undoable):
        record = state.records[path]
        undo = record.undo
        assert undo is not None
        match undo.progress:
            case UndoProgress.DONE:
                undone.append((record.began, path))
            case UndoProgress.FAILED | UndoProgress.SKIPPED:
                for index, error in undo.errors.items():
                    not_undone.append({"path": path, "action": index, "skipped": undo.skipped} | _error_data(error))
            case UndoProgress.NOT_ATTEMPTED:
                not_attempted.append((record.began, path))
            case UndoProgress.REGISTERED if _was_due(saga, record):
                not_attempted.append((record.began, path))
            case _:
                pass
    return {
        "schema_version": 1,
        "status": current(state).value,
        "saga": saga.name,
        "version": saga.version,
        "id": state.saga_id,
        "failed_step": state.failure.step if state.failure else "",
        "failure": _failure(state),
        "other_errors": [_error(error) for error in state.others],
        "undone": _newest_first(undone),
        "not_undone": not_undone,
        "not_attempted": [] if state.status is Status.COMPLETED else _newest_first(not_attempted),
        "why_not": _why_not(state),
        **({"goes_on": left_alone} if (left_alone := _left_alone(saga, state)) else {}),
    }


def _left_alone(saga: Saga, state: State) -> list[dict[str, str]]:
    """Return the child sagas that go on by themselves, and that nothing here has undone. R115, R116."""
    found = []
    for record in state.records.values():
        body = saga.places[record.step].step.body
        if not isinstance(body, SagaCall) or (record.undo is not None and record.undo.progress is UndoProgress.DONE):
            continue
        if record.progress is Progress.ABANDONED or (body.detached and record.outcome is Outcome.SUCCEEDED):
            found.append({"path": record.path, "id": id_of(state, record)})
    return found


def _newest_first(found: list[tuple[int, str]]) -> list[str]:
    """Return the paths of steps in the order in which they are undone."""
    return [path for _, path in sorted(found, reverse=True)]


def summary(saga: Saga, state: State) -> str:
    """Say in one sentence how a saga ended that did not complete: the message of its failure."""
    error = state.failure
    assert error is not None
    where = f"step `{error.step}` failed: " if error.step else ""
    facts = report(saga, state)
    parts = [f"{len(facts['undone'])} undone"]
    if facts["not_undone"]:
        parts.append(f"{len({line['path'] for line in facts['not_undone']})} not undone")
    if facts["not_attempted"]:
        parts.append(f"{len(facts['not_attempted'])} not attempted")
    return f"{where}{error.type}: {error.message} ({', '.join(parts)})"


def markdown(saga: Saga, state: State, hide: Callable[[str], str] = str) -> str:
    """Return the saga as a short page of Markdown, for the details pane of Temporal's Web UI.

    Args:
        hide: Takes secrets out of a message, before Markdown's signs in it are escaped and it is cut.
    """

    def cell(text: str) -> str:
        return _cell(hide(text))

    head = f"**{current(state).value}**"
    if state.failure is not None:
        at = f" at `{state.failure.step}`" if state.failure.step else ""
        head += f": {cell(state.failure.type)}{at}: {cell(state.failure.message)}"
    rows = [head, ""]
    rows += [f"- {cell(warning.type)}: {cell(warning.message)}" for warning in state.warnings]
    for path, error in state.attention.items():
        until = _times(state, path).get("until")
        limit = f", at most until {until}" if until else ""
        rows.append(f"- `{path}` waits for an operator{limit}: {cell(error.type)}: {cell(error.message)}")
    rows += ["", "| step | state | attempts | undo |", "|---|---|---|---|"]
    lines, left_out = overview(saga, state)
    for line in lines:
        attempts = "" if line.record is None or line.record.attempts is None else str(line.record.attempts)
        undo = "" if line.record is None or line.record.undo is None else line.record.undo.progress.value
        rows.append(f"| `{line.path}` | {line.progress} | {attempts} | {'' if undo == 'registered' else undo} |")
    rows += [f"| `{step}` | {numbers} | | |" for step, numbers in counted(left_out)]
    return "\n".join(rows)


def _step(line: StepLine, state: State) -> dict[str, Any]:
    body, record, timers = line.step.body, line.record, state.timers
    kind = key_of(line.step)
    data: dict[str, Any] = {"path": line.path, "step": line.step.id, "kind": kind, "depth": line.depth}
    word, name = subject(body)
    if word:
        data[word] = name if record is None else record.activity or name
    data["status"] = line.progress
    if record is None:
        return data
    data |= {
        "attempts": record.attempts,
        "started_at": iso(record.started_at),
        "ended_at": _instant(record.ended_at),
        "error": _error(record.error),
    }
    if record.to:
        data["to"] = record.to
    if record.by_hand:
        data["by_hand"] = True
    if record.took_kept:
        data["took_kept"] = True
    if record.sender is not None:
        data["sender"] = _sender(record.sender)
    if (due_at := _instant(timers.get(line.path))) is not None:
        data["due_at"] = due_at
    if (limit_at := _instant(timers.get(timer(line.path, TimerKind.LIMIT)))) is not None:
        data["limit_at"] = limit_at
    if record.tries > 1:
        data["tries"] = record.tries
    if not record.ended and (next_try_at := _instant(record.next_try)) is not None:
        data["next_try_at"] = next_try_at
    if record.progress is not Progress.SKIPPED and isinstance(body, Call):
        data["outcome"] = record.outcome.value
    if isinstance(body, SagaCall) and record.outcome is not Outcome.NOT_STARTED:
        data |= _own_life(state, record, body)
    if record.undo is not None and record.undo.progress not in NO_UNDO_YET:
        undo = record.undo
        data["compensation"] = {
            "status": undo.progress.value,
            "attempts": undo.attempts,
            "started_at": _instant(undo.started_at),
            "ended_at": _instant(undo.ended_at),
            "errors": [{"action": index} | _error_data(error) for index, error in undo.errors.items()],
        }
        if record.unheard is not None and (until := _instant(timers.get(timer_of(record)))) is not None:
            data["compensation"]["waits_until"] = until
    return data


def _own_life(state: State, record: Record, body: SagaCall) -> dict[str, Any]:
    """Return the id of a child saga where the path of its step does not tell it, and whether the saga waits for it."""
    is_left = body.detached or record.progress is Progress.ABANDONED
    known = {"child": id_of(state, record)} if is_left or record.child else {}
    return known | ({"detached": True} if body.detached else {})


def _kept_senders(state: State) -> dict[str, list[dict[str, Any]]]:
    return {
        signal: [_sender(each) for each in senders if each is not None] for signal, senders in state.senders.items()
    }


def _refused(refused: Refused) -> dict[str, str]:
    """Return a refused signal as ``temporal.run.signalled`` notes those that it refuses itself."""
    said = {"request": refused.request, "by": refused.by}
    data = {"signal": refused.signal, "reason": refused.why, "at": iso(refused.at)}
    return data | {key: text for key, text in said.items() if text}


def _sender(sender: Sender) -> dict[str, Any]:
    return {"at": iso(sender.at), "by": sender.by, "why": sender.why}


def _was_due(saga: Saga, record: Record) -> bool:
    compensation = step_to_undo(saga, record).compensation
    return compensation is not None and is_due(compensation, record.outcome)


def _why_not(state: State) -> str:
    """Return why nothing was undone although something could have been; otherwise empty."""
    if state.status is Status.COMPLETED:
        return ""
    if state.pivot_passed:
        return "the pivot had passed"
    if state.stopped:
        return "an error handler said `then: stop`"
    return "an operator aborted the saga" if any(each.verb == Verb.ABORT.value for each in state.actions) else ""


def _instant(at: float | None) -> str | None:
    return None if at is None or at > LAST_INSTANT else iso(at)


def _error(error: Error | None) -> dict[str, Any] | None:
    return None if error is None else _error_data(error)


def _failure(state: State) -> dict[str, Any] | None:
    """Return why the saga failed, or said no; only here with the result, which may be large."""
    error = state.failure
    return None if error is None else _error_data(error) | ({"result": error.result[0]} if error.result else {})


def _error_data(error: Error) -> dict[str, Any]:
    data: dict[str, Any] = {"type": error.type, "message": error.message, "step": error.step}
    if error.place:
        data["place"] = error.place
    if error.causes:
        data["causes"] = [{"type": type_, "message": message} for type_, message in error.causes]
    return data


def _cell(text: str) -> str:
    """Return text that is safe in a table: one line, without markup, not long."""
    flat = " ".join(text.split())[:200]
    return "".join(f"\\{char}" if char in "|`*_<>[]\\" else char for char in flat)
