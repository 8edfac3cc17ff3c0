"""Scenes: a definition, what its participants do, who interferes when; played in virtual time, three ways.

Every scene is played plainly, then with the state serialised and restored after every fact
(all must happen again, event by event), then with continue-as-new asked for after every fact
(the same calls must be made, and the saga must end the same way). After each the rules that
hold for every saga are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagadsl.engine.facts import Error, Fact, OperatorAsked, SignalReceived, StartActivity, Verb
from sagadsl.engine.journal import State
from sagadsl.engine.projection import current, status
from sagadsl.engine.records import Record
from sagadsl.language.build import build
from sagadsl.language.document import parse
from sagadsl.language.model import Saga
from sagadsl.language.paths import parse_call
from sagadsl.virtual.calls import Attempt, Participant
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.engine.invariants import check

ID = "saga-1"

Script = Mapping[str, Attempt | Sequence[Attempt]]
"""What the attempts of a call do, by its id, the id's last part, or the activity's name; the last goes on for ever."""

Meddling = tuple[float, Callable[[float], Fact]]
"""Seconds after the start, and what happens then."""


def no(error: str = "Refused", **how: Any) -> Attempt:
    """An attempt in which the participant says no, for good."""
    return Attempt(error=error, message=f"{error}!", retryable=False, **how)


def flaky(error: str = "Unreachable", **how: Any) -> Attempt:
    """An attempt that fails, and the next one may not."""
    return Attempt(error=error, message=f"{error}!", **how)


def gives(output: Any, **how: Any) -> Attempt:
    """An attempt that succeeds with *output*."""
    return Attempt(output=output, **how)


def lost() -> Attempt:
    """An attempt of which nobody hears again: it runs into its timeout."""
    return Attempt(takes=1e9)


def slow(seconds: float, output: Any = None) -> Attempt:
    return Attempt(output=output, takes=seconds)


def act(id_: str, **more: Any) -> dict[str, Any]:
    """A step that calls the activity ``do.<id>`` and is undone by ``undo.<id>``, with one attempt each."""
    step: dict[str, Any] = {"id": id_, "activity": f"do.{id_}", "retry": "none"}
    step["compensation"] = {"activity": f"undo.{id_}", "input": {"key": "{{ step.idempotency_key }}"}, "retry": "none"}
    step.update(more)
    return {key: value for key, value in step.items() if value is not ...}


def plain(id_: str, **more: Any) -> dict[str, Any]:
    """A step that calls ``do.<id>`` and leaves nothing to undo."""
    return act(id_, compensation="none", **more)


def beats(id_: str, **more: Any) -> dict[str, Any]:
    """A long step that heartbeats, so that a cancel reaches it at once (R37)."""
    return act(id_, timeouts={"start_to_close": "1h", "heartbeat": "10s"}, **more)


def saga(*steps: Any, name: str = "scene", **top: Any) -> dict[str, Any]:
    """A definition."""
    return {"sagadsl": 1, "name": name, "version": "1", "steps": list(steps), **top}


def built(definition: Mapping[str, Any] | str) -> Saga:
    """Return the model of a definition, given as data or as YAML."""
    if not isinstance(definition, str):
        return build(definition)
    document, findings = parse(definition)
    assert not findings
    return build(document.data)


def signal(at: float, name: str, payload: Any = None, request: str = "") -> Meddling:
    return at, lambda now: SignalReceived(now, name, payload, request)


def operator(at: float, verb: Verb, path: str = "", *, by: str = "ann", why: str = "because", **more: Any) -> Meddling:
    return at, lambda now: OperatorAsked(now, verb, path, by=by, why=why, **more)


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a scene."""

    world: World
    run: VirtualRun
    commands: Mapping[str, StartActivity]
    """The commands for activities by call id, as the participants saw them."""

    @property
    def state(self) -> State:
        return self.run.state

    @property
    def status(self) -> str:
        return current(self.run.state).value

    @property
    def now(self) -> dict[str, Any]:
        """The answer to the status query."""
        return status(self.run.saga, self.run.state)

    @property
    def failure(self) -> Error | None:
        return self.run.state.failure

    @property
    def why(self) -> tuple[str, str]:
        """Type and step of the failure."""
        assert self.failure is not None
        return self.failure.type, self.failure.step

    @property
    def others(self) -> list[str]:
        """Types of the other errors."""
        return [error.type for error in self.run.state.others]

    @property
    def output(self) -> Any:
        return self.run.state.output

    @property
    def report(self) -> dict[str, Any]:
        return self.world.report(ID)

    @property
    def calls(self) -> list[str]:
        """Ids of the calls, in the order in which they began."""
        return self.events("start")

    @property
    def ends(self) -> list[str]:
        return self.events("end")

    def events(self, what: str, saga_id: str = ID) -> list[str]:
        return [event.call for event in self.world.events if event.what == what and event.saga == saga_id]

    def attempts(self, call: str, saga_id: str = ID) -> int:
        """How often a call was attempted."""
        return sum(
            event.what == "attempt" and event.call == call and event.saga == saga_id for event in self.world.events
        )

    def at(self, what: str, call: str, saga_id: str = ID) -> float:
        """Seconds after the start at which something happened to a call first."""
        return next(
            round(event.at - self.world.begin, 6)
            for event in self.world.events
            if (event.what, event.call, event.saga) == (what, call, saga_id)
        )

    def took(self) -> float:
        """Seconds until it closed."""
        return self.at("close", "")

    def before(self, first: tuple[str, str], second: tuple[str, str]) -> bool:
        """Whether one event, as (what, call), came before another."""
        line = [(event.what, event.call) for event in self.world.events if event.saga == ID]
        return line.index(first) < line.index(second)

    def record(self, path: str) -> Record:
        return self.run.state.records[path]

    def undo(self, path: str) -> str:
        """How the compensation of a step stands."""
        undo = self.run.state.records[path].undo
        return "none" if undo is None else undo.progress.value

    def sent(self, call: str) -> Any:
        """The argument of a call."""
        command = self.commands[call]
        return command.arguments[0] if command.arguments else ...


def names_of(call_id: str) -> tuple[str, ...]:
    """Return the names under which a script may speak of a call, the most exact first."""
    once, keyed = parse_call(call_id).path, call_id.partition("#")[0]
    return tuple(name for whole in (call_id, keyed, once) for name in (whole, whole.rpartition("/")[2]))


def scripted(script: Script, seen: dict[str, StartActivity] | None = None) -> Participant:
    """Return participants that follow *script*; what it does not name succeeds with null after 0.1 s."""

    def act_out(saga_id: str, command: StartActivity, attempt: int) -> Attempt:
        if seen is not None:
            seen[command.call_id if saga_id == ID else f"{saga_id}:{command.call_id}"] = command
        names = (*names_of(command.call_id), command.activity)
        how = next((script[name] for name in names if name in script), Attempt())
        return how if isinstance(how, Attempt) else how[min(attempt, len(how)) - 1]

    return act_out


def play(
    definition: Mapping[str, Any] | str,
    script: Script | None = None,
    *meddling: Meddling,
    input_: Any = None,
    sagas: Sequence[Mapping[str, Any] | str] = (),
    cancel_at: float | None = None,
    until: float | None = None,
    drained: bool | None = None,
) -> Ran:
    """Play a scene three ways, check what holds for every saga, and return the plain one.

    Args:
        cancel_at: Seconds after the start.
        until: Stop there, although more would happen.
        drained: Play it with continue-as-new too; by default when nobody meddles, since that changes the timing.
    """
    model, children = built(definition), {child.name: child for child in map(built, sagas)}

    def once(*, replay: bool = False, drain: bool = False) -> Ran:
        seen: dict[str, StartActivity] = {}
        world = World(scripted(script or {}, seen), sagas=children, replay=replay, drain=drain)
        if cancel_at is not None:
            world.cancel_at(cancel_at)
        for seconds, make in meddling:
            world.at(seconds, make)
        run = world.start(model, input_)
        world.run(until)
        for saga_id, each in world.runs.items():
            check(world.events, saga_id, each)
        return Ran(world, run, seen)

    ran, replayed = once(), once(replay=True)
    assert replayed.world.events == ran.world.events
    assert replayed.state == ran.state
    if drained or (drained is None and not meddling and cancel_at is None and until is None):
        continued = once(drain=True)
        assert sorted(continued.calls) == sorted(ran.calls)
        assert continued.status == ran.status
        # steps of rounds that are over have no records any more: the report tells of them
        kept = continued.state.undoable
        assert {path: continued.undo(path) for path in kept} == {path: ran.undo(path) for path in kept}
        for group in ("undone", "not_undone", "not_attempted"):
            assert sorted(map(str, continued.report[group])) == sorted(map(str, ran.report[group])), group
    return ran
