"""Plays a case in virtual time, with the engine that runs in production."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sagadsl.engine import operator, projection
from sagadsl.engine.facts import CancelRequested, OperatorAsked, SignalReceived, StartActivity
from sagadsl.engine.verbs import VERBS
from sagadsl.language.model import ActivityCall, Saga
from sagadsl.language.own_errors import INVALID_INPUT
from sagadsl.language.schema.conform import ValueCheck, checker
from sagadsl.trial.case import Case, Interference
from sagadsl.trial.mocks import call_name, participant
from sagadsl.trial.outputs import Outputs
from sagadsl.trial.played import ID, NOTHING, Call, Played
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import Event, VirtualRun, World

MAX_EVENTS = 200_000
"""Events after which a trial is stopped, since its repetitions may have no bound."""


class _TooLong(Exception):
    """The trial has too many events."""


def play(
    saga: Saga,
    case: Case,
    *,
    sagas: Mapping[str, Saga] | None = None,
    outputs: Outputs | None = None,
    until: float | None = None,
    replay: bool = False,
) -> Played:
    """Play a case to its end, or until nothing more happens.

    Args:
        sagas: Definitions that child steps may name.
        outputs: Draws the outputs without a mock; if left out, from what the definitions read.
        until: Seconds of virtual time after which the trial stops.
        replay: Write each state down and restore it after each fact, as if another worker took over every time.
    """
    problems = checker(saga.input_schema, "input", fill=True)(case.input)
    if problems and case.input is None:
        return _refused("the saga wants an input: write `given: {input: …}` in the case, or `input` in `defaults`")
    if problems:
        return _refused(f"the input does not fit the saga: {'; '.join(problems)}")
    drawn = outputs if outputs is not None else Outputs((saga, *(sagas or {}).values()))
    return _Stage(saga, case, sagas or {}, drawn, replay).play(until)


@dataclass(slots=True)
class _Waiting:
    index: int
    interference: Interference
    fired: bool = False


@dataclass(slots=True)
class _Stage:
    """One trial while it is played."""

    saga: Saga
    case: Case
    sagas: Mapping[str, Saga]
    outputs: Outputs
    replay: bool
    made: dict[tuple[str, str], StartActivity] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    waiting: list[_Waiting] = field(default_factory=list)
    checks: dict[str, ValueCheck] = field(default_factory=dict)
    world: World = field(init=False)

    def play(self, until: float | None) -> Played:
        acts = participant(self.case.mocks, self.outputs.draw, ID)

        def seen(saga_id: str, command: StartActivity, attempt: int) -> Attempt:
            if attempt == 1:
                self.made[saga_id, command.call_id] = command
            if len(self.world.events) > MAX_EVENTS:
                raise _TooLong
            return acts(saga_id, command, attempt)

        hooked = any(each.moment.on for each in self.case.when)  # who waits for nothing shall not pay for it
        self.world = World(
            seen,
            sagas=self.sagas,
            replay=self.replay,
            on_event=self._on_event if hooked else None,
            after_fact=self._after_fact if hooked else None,
        )
        for index, each in enumerate(self.case.when):
            waiting = _Waiting(index, each)
            self.waiting.append(waiting)
            if not each.moment.on:
                waiting.fired = True
                self.world.clock.later(each.moment.seconds, self._act(each))
        cut = False
        run = None
        try:
            run = self.world.start(self.saga, self.case.input, ID)
            self.world.run(until)
        except _TooLong:
            cut = True
            run = self.world.runs[ID]
        return self._played(run, cut)

    def _on_event(self, event: Event) -> None:
        if event.what not in ("attempt", "retry", "end"):
            return
        name = call_name(event.saga, ID, event.call)
        for waiting in self.waiting:
            moment = waiting.interference.moment
            if waiting.fired or moment.name != name:
                continue
            begins = event.what == "attempt" and moment.on == "begin" and moment.attempt == event.attempt
            retries = event.what == "retry" and moment.on == "retry" and moment.attempt == event.attempt
            if begins or retries or (event.what == "end" and moment.on == "end"):
                self._fire(waiting)

    def _after_fact(self, saga_id: str) -> None:
        if saga_id != ID:
            return
        status: str | None = None
        for waiting in self.waiting:
            if waiting.fired:
                continue
            state, moment = self.world.runs[ID].state, waiting.interference.moment
            match moment.on:
                case "status":
                    if status is None:
                        status = projection.current(state).value
                        if status == moment.name:
                            self._fire(waiting)  # the next one with this status waits for the next fact
                case "waiting":
                    if moment.name in state.waiting:
                        self._fire(waiting)
                case "begin" | "end":
                    record = state.records.get(moment.name)
                    if record is None or isinstance(self.saga.places[record.step].step.body, ActivityCall):
                        continue
                    if moment.on == "begin" or record.ended:
                        self._fire(waiting)
                case _:
                    pass

    def _fire(self, waiting: _Waiting) -> None:
        waiting.fired = True
        self.world.clock.later(waiting.interference.moment.seconds, self._act(waiting.interference))

    def _act(self, interference: Interference) -> Any:
        return lambda: self._interfere(interference)

    def _interfere(self, asked: Interference) -> None:
        world, run = self.world, self.world.runs[ID]
        if run.close is not None:
            self.refused.append(f"{asked}: the saga is over")
            return
        match asked.action:
            case "cancel":
                world.tell(ID, CancelRequested(world.now))
            case "timeout":
                world.pass_timeout(ID)
            case "crash":
                world.crash()
            case "signal":
                self._signal(asked)
            case _:
                verb = VERBS[asked.action]
                why_not = operator.refusal(run.state, verb, asked.name)
                if why_not is not None:
                    self.refused.append(f"{asked}: {why_not}")
                    return
                world.tell(ID, OperatorAsked(world.now, verb, asked.name, asked.by, asked.why))

    def _signal(self, asked: Interference) -> None:
        name = asked.name
        if name not in self.saga.signals:
            self.refused.append(f"{asked}: the saga does not wait for it")
            return
        check = self.checks.setdefault(name, checker(self.saga.signals[name], name))
        if problems := check(asked.payload):
            self.refused.append(f"{asked}: {'; '.join(problems)}")
            return
        self.world.tell(ID, SignalReceived(self.world.now, name, asked.payload))

    def _played(self, run: VirtualRun, cut: bool) -> Played:
        standing = projection.status(self.saga, run.state)
        close = run.close
        attempts, outcomes = {}, {}
        for event in self.world.events:
            if event.what == "attempt":
                attempts[event.saga, event.call] = event.attempt
            elif event.what == "end":
                outcomes[event.saga, event.call] = event.detail
        calls = (
            Call(
                call_name(made[0], ID, made[1]),
                command.activity,
                _argument(command),
                attempts.get(made, 0),
                outcomes.get(made, ""),
            )
            for made, command in self.made.items()
        )
        return Played(
            status=standing["status"],
            output=None if close is None else close.output,
            failure=standing["failure"],
            calls=tuple(calls),
            standing=standing,
            report=projection.report(self.saga, run.state),
            seconds=round(self._last(run) - self.world.begin, 6),
            refused=tuple(self.refused),
            missed=tuple(each.index for each in self.waiting if not each.fired),
            events=tuple(self.world.events),
            began=self.world.begin,
            cut=cut,
        )

    def _last(self, run: VirtualRun) -> float:
        if run.close is not None:
            return next(event.at for event in reversed(self.world.events) if event.what == "close" and event.saga == ID)
        return max((event.at for event in self.world.events), default=self.world.begin)


def _argument(command: StartActivity) -> Any:
    return command.arguments[0] if command.arguments else NOTHING


def _refused(message: str) -> Played:
    """The saga does not begin."""
    failure = {"type": INVALID_INPUT, "message": message, "step": ""}
    report = {"status": "failed", "failure": failure, "undone": [], "not_undone": [], "not_attempted": []}
    return Played("failed", None, failure, (), {"status": "failed", "failure": failure, "steps": []}, report, 0.0)
