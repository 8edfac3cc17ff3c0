"""Plays a case in virtual time, with the engine that runs in production."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagadsl.engine import migration, operator, projection, redriven, waits
from sagadsl.engine.facts import CancelRequested, How, OperatorAsked, SignalReceived, StartActivity
from sagadsl.engine.given import find
from sagadsl.engine.redriven import what_is_due
from sagadsl.engine.verbs import VERBS
from sagadsl.engine.waits import Came, Fate
from sagadsl.language.analysis.given_values import problems
from sagadsl.language.analysis.known import Signature
from sagadsl.language.calls import KeyedCall
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import INVALID_INPUT
from sagadsl.language.schema.conform import ValueCheck, checker
from sagadsl.status.cut import cut
from sagadsl.trial.case import Case, Interference
from sagadsl.trial.mocks import call_name, participant
from sagadsl.trial.outputs import Outputs
from sagadsl.trial.played import ID, NOTHING, Call, Played, refused_signals
from sagadsl.virtual.calls import Attempt, Participant
from sagadsl.virtual.clock import BEGIN
from sagadsl.virtual.runs import Event, VirtualRun
from sagadsl.virtual.world import World

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
    unfit = checker(saga.input_schema, "input", fill=True)(case.input)
    if unfit and case.input is None:
        return _refused("the saga wants an input: write `given: {input: …}` in the case, or `input` in `defaults`")
    if unfit:
        return _refused(f"the input does not fit the saga: {'; '.join(unfit)}")
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
    signature: Callable[[str], Signature | None] = lambda _name: None
    refused: list[str] = field(default_factory=list)
    waiting: list[_Waiting] = field(default_factory=list)
    checks: dict[tuple[str, str], ValueCheck] = field(default_factory=dict)
    world: World = field(init=False)
    acts: Participant = field(init=False)

    def play(self, until: float | None) -> Played:
        self.acts = participant(self.case.mocks, self.outputs.draw, ID)

        def seen(saga_id: str, command: StartActivity, attempt: int) -> Attempt:
            if attempt == 1:
                self.made[saga_id, command.call_id] = command
            if len(self.world.events) > MAX_EVENTS:
                raise _TooLong
            return self.acts(saga_id, command, attempt)

        hooked = any(each.moment.on for each in self.case.when)  # who waits for nothing shall not pay for it
        self.world = World(
            seen,
            sagas=self.sagas,
            replay=self.replay,
            start=BEGIN if self.case.now is None else self.case.now,
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
                        status = "terminated" if self.world.runs[ID].killed else projection.current(state).value
                        if status == moment.name:
                            self._fire(waiting)  # the next one with this status waits for the next fact
                case "waiting":
                    if moment.name in state.waiting:
                        self._fire(waiting)
                case "begin" | "end":
                    record = state.records.get(moment.name)
                    places = self.world.runs[ID].saga.places
                    if record is None or isinstance(places[record.step].step.body, KeyedCall):
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
        if asked.action in ("recover", "redrive"):
            self._take_up(run, asked)
            return
        if run.close is not None or run.killed:
            self.refused.append(f"{asked}: the saga is over")
            return
        match asked.action:
            case "cancel":
                world.tell(ID, CancelRequested(world.now))
            case "timeout":
                world.pass_timeout(ID)
            case "crash":
                world.crash()
            case "terminate":
                world.kill(ID)
                self._after_fact(ID)
            case "migrate":
                self._migrate(run, asked)
            case "signal":
                self._signal(run, asked)
            case _:
                verb = VERBS[asked.action]
                why_not = operator.refusal(run.state, verb, asked.name, saga=run.saga, given=asked.given)
                if why_not is None and (asked.given.input or asked.given.output):
                    why_not = self._unfit(run, asked)
                if why_not is not None:
                    self.refused.append(f"{asked}: {why_not}")
                    return
                world.tell(ID, OperatorAsked(world.now, verb, asked.name, asked.by, asked.why, given=asked.given))

    def _take_up(self, run: VirtualRun, asked: Interference) -> None:
        why_not, how = _due(run, asked)
        if how is None or why_not:
            self.refused.append(f"{asked}: {why_not}")
            return
        if asked.mocks is not None:
            self.acts = participant(asked.mocks.over(self.case.mocks), self.outputs.draw, ID)
        self.world.take_up(how, ID, verb=asked.action, to=asked.back, by=asked.by, why=asked.why)

    def _migrate(self, run: VirtualRun, asked: Interference) -> None:
        to = asked.to
        assert to is not None
        why_not = migration.refusal(run.saga, run.state, to.saga.digest)
        if not why_not:
            judged = self.world.migrate(to.saga, ID, sagas=to.sagas, by=asked.by, why=asked.why)
            why_not = "; ".join(each.message for each in judged.reasons)
        if why_not:
            self.refused.append(f"{asked}: {why_not}")

    def _unfit(self, run: VirtualRun, asked: Interference) -> str | None:
        path = asked.name or next(iter(run.state.attention))
        record, _ = find(run.state, path)
        step = run.saga.places[record.step].step
        return problems(step, path, asked.given.input, asked.given.output, self.signature) or None

    def _signal(self, run: VirtualRun, asked: Interference) -> None:
        if (why_not := self._signal_refusal(run, asked)) is not None:
            self.refused.append(f"{asked}: {why_not}")
            return
        self.world.tell(ID, SignalReceived(self.world.now, asked.name, asked.payload, by=asked.by, why=asked.why))

    def _signal_refusal(self, run: VirtualRun, asked: Interference) -> str | None:
        name, signals = asked.name, run.saga.signals
        if name not in signals:
            return "the saga does not wait for it"
        check = self.checks.setdefault((run.saga.digest, name), checker(signals[name], name))
        if unfit := check(asked.payload):
            return "; ".join(unfit)
        if asked.is_plain:
            return None  # the status tells of one that the waits refuse
        if why_not := waits.taker(run.saga, run.state, Came(name, asked.payload, self.world.now))[1]:
            return why_not
        match waits.fate_of(run.saga, run.state, name, self.world.now):
            case Fate.NOT_AWAITED:
                return "nothing in the saga will wait for it any more"
            case Fate.TOO_EARLY:
                return "too early: only what comes after the wait has begun counts"
            case Fate.TAKEN | Fate.KEPT:
                return None

    def _played(self, run: VirtualRun, is_cut: bool) -> Played:
        run = self.world.runs[ID]  # another one may have taken up the work of the first
        document = projection.status(run.saga, run.state)
        if run.killed:
            document = cut(document, "terminated")
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
            status=document["status"],
            output=None if close is None else close.output,
            failure=document["failure"],
            calls=tuple(calls),
            status_document=document,
            report=projection.report(run.saga, run.state),
            seconds=round(self._last(run) - self.world.begin, 6),
            refused=(*self.refused, *refused_signals(document)),
            missed=tuple(each.index for each in self.waiting if not each.fired),
            events=tuple(self.world.events),
            began=self.world.begin,
            cut=is_cut,
        )

    def _last(self, run: VirtualRun) -> float:
        if run.close is not None:
            return next(event.at for event in reversed(self.world.events) if event.what == "close" and event.saga == ID)
        return max((event.at for event in self.world.events), default=self.world.begin)


def _due(run: VirtualRun, asked: Interference) -> tuple[str, How | None]:
    """Return why a run's work cannot be taken up as a case asks, and how it is taken up otherwise."""
    if not run.killed and run.close is None:
        return "the saga is still running", None
    if run.killed != (asked.action == "recover"):
        return "the server ended it: recover it" if run.killed else "it ended by itself: redrive it", None
    if asked.action == "recover":
        how = How.FORWARD if asked.name == "forward" else How.UNDO
    elif asked.back:
        how = How.FORWARD
    else:
        how = How.UNDO if asked.name == "undo" else what_is_due(run.state)
    return redriven.refusal(run.saga, run.state, how, killed=run.killed, to=asked.back) or "", how


def _argument(command: StartActivity) -> Any:
    return command.arguments[0] if command.arguments else NOTHING


def _refused(message: str) -> Played:
    """The saga does not begin."""
    failure = {"type": INVALID_INPUT, "message": message, "step": ""}
    report = {"status": "failed", "failure": failure, "undone": [], "not_undone": [], "not_attempted": []}
    return Played("failed", None, failure, (), {"status": "failed", "failure": failure, "steps": []}, report, 0.0)
