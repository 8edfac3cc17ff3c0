"""The names that expressions can read at a place of a run. Replay-critical.

Views are lazy: an expression costs the names that it reads, and not the size of the saga.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

from sagadsl.engine.facts import Error
from sagadsl.engine.journal import Frame, Phase, State
from sagadsl.engine.records import Progress, Record, Undo
from sagadsl.language.model import ForEach, Group, Leaf, Parallel, Place, Repeat, Saga, Step, Switch
from sagadsl.language.notation.moments import spell_moment
from sagadsl.language.paths import ROOT, forward_key, path_in, round_path

if TYPE_CHECKING:  # a run has steps to undo, which this module finds
    from sagadsl.engine.run import Run


STATE = "state"
"""The name by which the steps of a loop read what it keeps from round to round."""


class StepsView(Mapping[str, Any]):
    """``steps``: the steps by id, as seen from one frame.

    Args:
        loops: The number of the round, for every loop around the frame.
        as_of: Show only steps that had ended by this moment; ``None`` is now (R14).
        lenient: The output of a step without one is null.
    """

    __slots__ = ("_as_of", "_lenient", "_loops", "_saga", "_state")

    def __init__(
        self, saga: Saga, state: State, loops: Mapping[str, int], as_of: int | None = None, *, lenient: bool = False
    ) -> None:
        self._saga, self._state, self._loops, self._as_of = saga, state, loops, as_of
        self._lenient = lenient

    def __getitem__(self, step_id: str) -> StepView:
        path = step_path(self._saga.places[step_id], self._loops)
        if path is None:
            raise KeyError(step_id)
        record = self._state.records.get(path)
        if record is not None and self._as_of is not None and not 0 < record.ended <= self._as_of:
            record = None
        return LenientStepView(record, self._saga.places[step_id].step) if self._lenient else StepView(record)

    def __iter__(self) -> Iterator[str]:
        return iter(self._saga.places)

    def __len__(self) -> int:
        return len(self._saga.places)


class StepView(Mapping[str, Any]):
    """``steps.<id>``: its status, and its output once there is one."""

    __slots__ = ("_record",)

    def __init__(self, record: Record | None) -> None:
        self._record = record

    def __getitem__(self, name: str) -> Any:
        record = self._record
        if name == "output" and record is not None and record.has_output:
            return record.output
        if name == "status":
            return "pending" if record is None else record.progress.value
        if name == "error" and record is not None and record.error is not None:
            return {"type": record.error.type, "message": record.error.message}
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield "status"
        if self._record is not None and self._record.has_output:
            yield "output"
        if self._record is not None and self._record.error is not None:
            yield "error"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def to_data(self) -> dict[str, Any]:
        return {name: self[name] for name in self}


class LenientStepView(StepView):
    """A step whose output is null if it has none; the same holds for the steps in it, at every depth."""

    __slots__ = ("_step",)
    nulls = ("output",)

    def __init__(self, record: Record | None, step: Step) -> None:
        super().__init__(record)
        self._step = step

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        record = self._record
        by_itself = record is not None and record.progress is Progress.COMPLETED
        return _viewed(self._step, value) if name == "output" and by_itself else value


class BlockView(Mapping[str, Any]):
    """The output of a block, by step id; null for steps without an output.

    Attributes:
        nulls: The ids of its steps.
    """

    __slots__ = ("_output", "_steps", "nulls")

    def __init__(self, steps: tuple[Step, ...], output: Mapping[str, Any]) -> None:
        self._output = output
        self._steps = {step.id: step for step in steps}
        self.nulls = tuple(self._steps)

    def __getitem__(self, name: str) -> Any:
        value = self._output[name]
        return _viewed(self._steps[name], value) if name in self._steps else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._output)

    def __len__(self) -> int:
        return len(self._output)

    def to_data(self) -> Mapping[str, Any]:
        return self._output


def _viewed(step: Step, output: Any) -> Any:
    """Return the output of *step*; for a block, as a view of the steps in it."""
    if isinstance(step.body, Leaf):
        return output
    match step.body:
        case Group(steps) | Parallel(steps) | Repeat(steps=steps):
            return BlockView(steps, output) if isinstance(output, Mapping) else output
        case Switch(arms):
            inside = tuple(inner for arm in arms for inner in arm.steps)
            return BlockView(inside, output) if isinstance(output, Mapping) else output
        case ForEach(steps=steps):
            if not isinstance(output, list):
                return output
            return [BlockView(steps, each) if isinstance(each, Mapping) else each for each in output]
        case _:
            assert_never(step.body)


def step_path(place: Place, loops: Mapping[str, int]) -> str | None:
    """Return the path of a step as seen from inside *loops*; ``None`` when the step is in another loop."""
    if not place.blocks:
        return place.step.id
    path = ROOT
    for block, is_loop in zip(place.blocks, place.loops, strict=True):
        if is_loop:
            if block not in loops:
                return None
            path = path_in(path, round_path(block, loops[block]))
        else:
            path = path_in(path, block)
    return path_in(path, place.step.id)


def saga_to_undo(saga: Saga, record: Record) -> Saga:
    """Return the definition that says how to undo a step: the one under which the step began (R72)."""
    undo = record.undo
    return saga.former[undo.definition] if undo is not None and undo.definition else saga


def step_to_undo(saga: Saga, record: Record) -> Step:
    """Return a step as that definition has it."""
    return saga_to_undo(saga, record).places[record.step].step


def scope(
    saga: Saga,
    state: State,
    frame: Frame,
    *,
    lenient: bool = False,
    now: float | None = None,
) -> dict[str, Any]:
    """Return the names that every expression in *frame* can read; see ``StepsView`` and ``SagaView``."""
    names: dict[str, Any] = {
        "input": state.input,
        "steps": StepsView(saga, state, frame.loops, lenient=lenient),
        "saga": SagaView(saga, state, now),
    }
    at: Frame | None = frame
    while at is not None:  # `outwards`, without the cost of a generator for each value
        if at.variables:
            for name, value in at.variables.items():
                names.setdefault(name, value)
        at = _around(state, at) if at.owner else None
    return names


def past_scope(saga: Saga, state: State, undo: Undo, *, as_of: int | None, now: float) -> dict[str, Any]:
    """Return the same names for a step whose own frames are long closed (R7), as they were at the moment *as_of*."""
    return {
        **undo.variables,
        "input": state.input,
        "steps": StepsView(saga, state, undo.loops, as_of),
        "saga": SagaView(saga, state, now),
    }


class LazyNames(Mapping[str, Any]):
    """Names that are made when the first of them is read: most values are known before, or read none of them."""

    __slots__ = ("_make", "_names")

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make = make
        self._names: Mapping[str, Any] | None = None

    def _all(self) -> Mapping[str, Any]:
        if self._names is None:
            self._names = self._make()
        return self._names

    def __getitem__(self, name: str) -> Any:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def names_of(run: Run, record: Record, now: float | None = None) -> dict[str, Any]:
    """Return the names for the expressions of a forward step; *now*: see ``SagaView``."""
    return names_in(run.saga, run.state, record, now)


def names_in(saga: Saga, state: State, record: Record, now: float | None = None) -> dict[str, Any]:
    """Do the same as ``names_of``, outside of a run's work."""
    names = scope(saga, state, state.frames[record.frame], now=now)
    names["idempotency_key"] = forward_key(state.caller, record.path, record.key)
    if state.failure is not None and state.phase is not Phase.FORWARD:
        names["failure"] = failure_view(state.failure)
    return names


class SagaView(Mapping[str, Any]):
    """``saga``: the running saga. Moments are text, so that they can be joined, compared and sent.

    Args:
        now: The present, for values that are computed again later, or at a moment that nobody can know: their
            ``saga.now`` is when their step began. ``None`` is the moment of the fact that is being decided.
    """

    __slots__ = ("_now", "_saga", "_state")
    NAMES = ("id", "run_id", "name", "version", "started_at", "now")

    def __init__(self, saga: Saga, state: State, now: float | None = None) -> None:
        self._saga, self._state, self._now = saga, state, now

    def __getitem__(self, name: str) -> str:
        match name:
            case "id":
                return self._state.saga_id
            case "run_id":
                return self._state.run_id
            case "name":
                return self._saga.name
            case "version":
                return self._saga.version
            case "started_at":
                return iso(self._state.started_at)
            case "now":
                return iso(self._state.now if self._now is None else self._now)
            case _:
                raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)

    def to_data(self) -> dict[str, Any]:
        return {name: self[name] for name in self}


def failure_view(error: Error) -> dict[str, Any]:
    """Return ``failure`` (or ``error``) as expressions see it."""
    view = {"type": error.type, "message": error.message, "step": error.step}
    return view | {"result": error.result[0]} if error.result else view


LAST_INSTANT = 253_402_300_799.0
"""The end of the year 9999; a timer may be set beyond it."""


@lru_cache(maxsize=1024)  # one step ends at the instant at which the next one begins
def iso(instant: float) -> str:
    """Return an instant as RFC 3339 text in UTC, to the millisecond; later than ``LAST_INSTANT``, that one."""
    return spell_moment(datetime.fromtimestamp(min(instant, LAST_INSTANT), UTC))


def outwards(state: State, frame: Frame) -> Iterator[Frame]:
    """Yield *frame* and all frames around it; the round of a loop comes before the loop."""
    at: Frame | None = frame
    while at is not None:
        yield at
        at = _around(state, at)


def _around(state: State, frame: Frame) -> Frame | None:
    """Return the frame around a frame, if it is open still; a round has an owner too, the loop's."""
    if frame.parent is not None:
        return state.frames.get(frame.parent)
    return state.frames.get(state.records[frame.owner].frame) if frame.owner else None
