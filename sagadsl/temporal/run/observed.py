"""What a run tells those who watch it from outside: the spans of its trace, and what is counted.

Nothing of a run follows from it, and a replay tells nothing. A span is told when it is over, as a whole: its ids follow
from what it is of, and its times from the history. So the worker that tells it need not be the one that has begun it,
and what a worker tells again, since its answer was lost, has the same ids. Names, paths, types and numbers are told;
no input, no output and no message of an error, since they may hold what only the participants should know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from temporalio import workflow

from sagadsl.engine.facts import Close, Error, Status
from sagadsl.engine.journal import State
from sagadsl.engine.noted import Noted
from sagadsl.engine.records import Progress, Record, UndoProgress
from sagadsl.immutable import Immutable
from sagadsl.language.kinds import key_of
from sagadsl.language.model import Saga
from sagadsl.language.paths import blocks_around, is_compensation, parse_call
from sagadsl.temporal.wire.trace_context import SpanOver, TraceContext, Value, root

OBSERVER = "sagadsl.observer"
"""Name of the function by which a worker hands its ``Observer`` to its workflows."""

_LEFT = (UndoProgress.FAILED, UndoProgress.SKIPPED, UndoProgress.NOT_ATTEMPTED)
_log = logging.getLogger("sagadsl.telemetry")


class Spans(Protocol):
    """Where spans go."""

    def is_kept(self, trace: TraceContext, name: str) -> bool:
        """Say whether the spans of a trace that begins here are kept."""

    def tell(self, span: SpanOver) -> None:
        """Take a span that is over."""


class Counts(Protocol):
    """Where numbers go. Every text is a name of the definition, or a status."""

    def saga_began(self, saga: str) -> None: ...

    def saga_over(self, saga: str, status: str, seconds: float) -> None: ...

    def step_over(self, saga: str, step: str, status: str, seconds: float) -> None: ...

    def undo_over(self, saga: str, step: str, status: str, seconds: float) -> None: ...

    def undo_failed(self, saga: str, step: str) -> None: ...

    def waits(self, saga: str, what: str) -> None: ...

    def decided(self, saga: str, what: str, seconds: float) -> None: ...


class Observer(Immutable):
    """Who watches the runs of a worker."""

    spans: Spans | None = None
    counts: Counts | None = None


class Observed:
    """One run, as it shows itself.

    Attributes:
        incoming: The span that has begun the run: of a client, a parent, or the saga itself in the run before.
    """

    def __init__(self) -> None:
        self.incoming: TraceContext | None = None
        self._own: TraceContext | None = None
        self._observer: Observer | None = None
        self._began = 0.0

    def begin(self, saga: Saga, state: State, *, is_new: bool, goes_on: bool) -> None:
        """Find out who watches the run.

        Args:
            is_new: The saga begins with this run.
            goes_on: The run continues the one before it.
        """
        asked = workflow.extern_functions().get(OBSERVER)
        found = None if asked is None else asked()
        if not isinstance(found, Observer):
            return
        self._observer = found
        self._began = state.started_at if goes_on else workflow.time()
        if found.spans is not None:
            _safely(partial(self._join_trace, found.spans, _saga_span(saga, state)))
        if is_new and found.counts is not None and not workflow.unsafe.is_replaying():
            _safely(partial(found.counts.saga_began, saga.name))

    def _join_trace(self, spans: Spans, name: str) -> None:
        first = workflow.info().first_execution_run_id
        if self.incoming is not None:
            self._own = self.incoming.child("saga", first)
        else:
            self._own = root(first, is_sampled=spans.is_kept(root(first, is_sampled=True), name))

    def note(self, saga: Saga, state: State, noted: Sequence[Noted]) -> None:
        """Tell what has happened. Never raises."""
        observer = self._observer
        if observer is None or not noted or workflow.unsafe.is_replaying():
            return
        for each in noted:
            _safely(partial(self._tell, observer, saga, state, each))

    def _tell(self, observer: Observer, saga: Saga, state: State, noted: Noted) -> None:
        if observer.counts is not None:
            _count(observer.counts, saga, noted)
        if observer.spans is None or self._own is None or noted.record is None:
            return
        span = None
        if noted.what == "step over":
            span = self._step(saga, state, noted.record)
        elif noted.what == "undo over":
            span = self._undo(saga, state, noted.record)
        if span is not None:
            observer.spans.tell(span)

    def over(self, saga: Saga, state: State, close: Close) -> None:
        """Tell that the saga is over. Never raises."""
        observer = self._observer
        if observer is None or workflow.unsafe.is_replaying():
            return
        _safely(partial(self._tell_end, observer, saga, state, close))

    def _tell_end(self, observer: Observer, saga: Saga, state: State, close: Close) -> None:
        now, status = workflow.time(), close.status.value
        if observer.counts is not None and not state.undo_only:
            observer.counts.saga_over(saga.name, status, now - self._began)
        if observer.spans is None or self._own is None:
            return
        attributes: dict[str, Value] = {
            **_about(saga),
            "sagadsl.saga.run_id": workflow.info().run_id,
            "sagadsl.saga.version": saga.version,
            "sagadsl.saga.status": status,
        }
        went_wrong = close.status in (Status.FAILED, Status.COMPENSATED)
        error = _type(close.failure) or status if went_wrong else ""
        name = _saga_span(saga, state)
        observer.spans.tell(SpanOver(name, self._own, self.incoming, self._began, now, attributes, error))

    def context_of(self, state: State, call_id: str) -> TraceContext | None:
        """Return the span to which a call belongs; ``None`` if nobody traces the run."""
        if self._own is None or self._observer is None:
            return None
        record = state.records.get(state.calls.get(call_id, ""))
        if record is None:  # it tells somebody of a pause
            return self._own
        return self._undo_context(record) if is_compensation(call_id) else self._step_context(record)

    def _step_context(self, record: Record) -> TraceContext:
        assert self._own is not None
        first = workflow.info().first_execution_run_id
        return self._own.child("step", first, record.path, record.started_at)

    def _undo_context(self, record: Record) -> TraceContext:
        assert self._own is not None
        assert record.undo is not None
        first = workflow.info().first_execution_run_id
        return self._own.child("undo", first, record.path, record.undo.started_at)

    def _step(self, saga: Saga, state: State, record: Record) -> SpanOver | None:
        """Return the span of a step; ``None`` for one that was left out, or took no time and called nobody."""
        ended = record.ended_at or state.now
        is_empty = record.settled == 0 and ended <= record.started_at and record.error is None
        if record.progress is Progress.SKIPPED or is_empty:
            return None
        place = saga.places.get(record.step)
        attributes = {**_about(saga), "sagadsl.step.path": record.path}
        if place is not None:
            attributes["sagadsl.step.kind"] = key_of(place.step)
        attributes["sagadsl.step.status"] = record.progress.value
        if record.settled:
            attributes["sagadsl.step.outcome"] = record.outcome.value
        if record.attempts is not None:
            attributes["sagadsl.step.attempts"] = record.attempts
        around = (state.records.get(path) for path in blocks_around(record.path))
        block = next((each for each in around if each is not None), None)
        parent = self._own if block is None else self._step_context(block)
        failed = record.progress is Progress.FAILED or record.handled
        error = (_type(record.error) or record.progress.value) if failed else ""
        name = f"step {record.step}"
        return SpanOver(name, self._step_context(record), parent, record.started_at, ended, attributes, error)

    def _undo(self, saga: Saga, state: State, record: Record) -> SpanOver | None:
        undo = record.undo
        if undo is None or undo.started_at is None:
            return None
        attributes: dict[str, Value] = {
            **_about(saga),
            "sagadsl.step.path": record.path,
            "sagadsl.undo.status": undo.progress.value,
        }
        if undo.attempts is not None:
            attributes["sagadsl.undo.attempts"] = undo.attempts
        errors = [_type(each) for each in undo.errors.values()]
        error = (errors[-1] if errors else undo.progress.value) if undo.progress in _LEFT else ""
        ended = undo.ended_at or state.now
        context, of = self._undo_context(record), self._step_context(record)
        return SpanOver(f"undo {record.step}", context, self._own, undo.started_at, ended, attributes, error, of)


def _count(counts: Counts, saga: Saga, noted: Noted) -> None:
    record = noted.record
    match noted.what:
        case "step over" if record is not None and record.progress is not Progress.SKIPPED and record.settled:
            seconds = (record.ended_at or record.started_at) - record.started_at
            counts.step_over(saga.name, record.step, record.progress.value, seconds)
        case "undo over" if record is not None and record.undo is not None and record.undo.started_at is not None:
            seconds = (record.undo.ended_at or record.undo.started_at) - record.undo.started_at
            counts.undo_over(saga.name, record.step, record.undo.progress.value, seconds)
        case "undo failed" if record is not None:
            counts.undo_failed(saga.name, record.step)
        case "waits":
            counts.waits(saga.name, _purpose(noted.path))
        case "decided":
            counts.decided(saga.name, _purpose(noted.path), noted.seconds)
        case _:
            pass


def _purpose(path: str) -> str:
    """Return what waits for an operator: ``do``, ``undo``, or ``probe``."""
    return parse_call(path).purpose.value


def _about(saga: Saga) -> dict[str, Value]:
    return {"sagadsl.saga.name": saga.name, "sagadsl.saga.id": workflow.info().workflow_id}


def _saga_span(saga: Saga, state: State) -> str:
    return f"undo saga {saga.name}" if state.undo_only else f"saga {saga.name}"


def _type(error: Error | None) -> str:
    return "" if error is None else error.type


def _safely(tell: Callable[[], None]) -> None:
    """Call *tell*; what is wrong with telemetry is no reason for a saga not to go on."""
    try:
        tell()
    except Exception:  # noqa: BLE001 # whatever it is
        _log.warning("a span or a number is lost", exc_info=True)
