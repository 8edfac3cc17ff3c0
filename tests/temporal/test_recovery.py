"""A run that the server ended, or that hangs, is recovered by a new run, on a real server. R31."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowFailureError

from sagadsl.engine import steps
from sagadsl.engine.facts import How, Status
from sagadsl.engine.journal import Frame
from sagadsl.engine.run import Run
from sagadsl.language.model import Step
from sagadsl.language.paths import step_id_in
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import recovery
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import AlreadyTaken, CannotTakeUp, SagaNotFound, StillRunning
from sagadsl.temporal.run import rebuilt
from sagadsl.temporal.run.completed import caused_by
from sagadsl.temporal.wire.inheritance import TakeUpRequest
from sagadsl.virtual.calls import Attempt
from tests.conftest import Server
from tests.engine.scenes import act, built, gives, no, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Stage, replay, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

QUICK = {"timeouts": {"start_to_close": "1s"}}
CHILD = saga(act("x", **QUICK), act("y", **QUICK), name="recovered-child")
SHAPES: Mapping[str, dict[str, Any]] = {
    "sequence": saga(act("a", **QUICK), act("b", **QUICK), act("c", **QUICK)),
    "parallel": saga({"id": "p", "parallel": [act("a", **QUICK), act("b", **QUICK)]}, act("c", **QUICK)),
    "loop": saga({"id": "l", "for_each": {"items": "{{ [1, 2] }}", "as": "n"}, "steps": [act("a", **QUICK)]}),
    "pivot": saga(
        act("a", **QUICK),
        plain("b", pivot=True, probe={"activity": "probe"}, **QUICK),
    ),
    "undoing": saga(act("a", **QUICK), act("b", **QUICK), plain("bad", **QUICK)),
    "local": saga(act("a", local=True), act("b", **QUICK), plain("bad", **QUICK)),
    "child": saga(act("a", **QUICK), {"id": "k", "saga": "recovered-child", "compensation": "auto"}, act("b", **QUICK)),
}
SCRIPT: Mapping[str, Attempt] = {"bad": no(), "probe": gives(False)}


async def kill(made: Stage, started: Started) -> None:
    await sagas.terminate(made.client, started.id, "for the test")


async def recover(made: Stage, started: Started, how: How = How.UNDO, *, waits: bool = True) -> Started:
    prospect = await recovery.look(made.client, started.id, "recover", how, waits=waits)
    return await recovery.take_up(made.client, prospect, by="ann", why="the server lost it", waits=waits)


async def kill_at(made: Stage, started: Started, event: int) -> bool:
    """Terminate a run as soon as its history has an event with this number; false if the run ended before."""
    handle = made.client.get_workflow_handle(started.id, run_id=started.run_id)
    async for each in handle.fetch_history_events(wait_new_event=True):
        if each.event_id >= event:
            break
    try:
        await handle.terminate("for the test")
    except Exception:  # noqa: BLE001 # it has ended
        return False
    return True


def check_books(made: Stage, definition: Mapping[str, Any]) -> None:
    """Assert that all that may have happened was undone under one key, and nothing else.

    A local call leaves no trace before it has ended, so one that has not begun may be undone too.
    """
    names = [call.partition("@")[0] for call in made.begun]
    undone = {call for call in names if call.endswith(".compensation")}
    happened = {call for call in made.ended if "." not in call and call.rpartition("/")[2] in "abcxy"}
    assert {f"{call}.compensation" for call in happened} <= undone
    traceless = {each["id"] for each in definition["steps"] if each.get("local")}
    assert {call.removesuffix(".compensation") for call in undone} <= {*names, *traceless}
    assert all(len(set(keys)) == 1 for call, keys in made.keys.items() if "." in call or definition)


def test_a_killed_run_is_undone_by_a_new_run(server: Server) -> None:
    """R31: the step in flight is unknown, so it is undone too, once its attempt can last no longer."""

    async def play() -> None:
        script = {"c": Attempt(takes=1e6)}
        definition = saga(act("a"), act("b"), act("c", timeouts={"start_to_close": "2s"}))
        async with stage(server.address, script) as made:
            started = await made.start(definition)
            await made.until("c")
            with pytest.raises(StillRunning):
                await recovery.look(made.client, started.id, "recover")
            await kill(made, started)
            prospect = await recovery.look(made.client, started.id, "recover")
            assert [each.call for each in prospect.plan.calls] == ["c.compensation", "b.compensation", "a.compensation"]
            assert prospect.plan.unknown == ("c",)
            assert prospect.not_before is not None
            new = await recover(made, started)
            ended = await made.end(new)
            assert ended.status == "compensated"
            assert made.begun[3:] == ["c.compensation", "b.compensation", "a.compensation"]
            assert ended.report is not None
            assert ended.report["failure"]["type"] == "terminated"
            status = await runs.status(made.client, started.id)
            assert [(each["verb"], each["by"]) for each in status["actions"]] == [("recover", "ann")]
            await replay(made.client, new.id)
            with pytest.raises(CannotTakeUp, match="ended by itself"):
                await recovery.look(made.client, started.id, "recover")

    asyncio.run(play())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_history_that_is_cut_at_any_event_gives_the_plan_of_that_moment(
    server: Server, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    """R31: what was sent and may have happened is undone, the newest first, and nothing else."""

    async def play() -> None:
        async with stage(server.address, SCRIPT) as made:
            started = await made.start(SHAPES[shape], children={"recovered-child": CHILD})
            await made.end(started)
            handle = made.client.get_workflow_handle(started.id, run_id=started.run_id)
            events = [event async for event in handle.fetch_history_events()][:-1]
            for end in range(1, len(events) + 1):
                if end < len(events) and caused_by(events[end]):
                    continue  # a task and its commands come together
                until = events[:end]

                async def cut(*_: Any, until: list[HistoryEvent] = until) -> list[HistoryEvent]:
                    return [*until, _termination(until)]

                monkeypatch.setattr(rebuilt, "_events", cut)
                due = _due(SHAPES[shape], until)
                if due is None:
                    with pytest.raises(CannotTakeUp, match="pivot"):
                        await recovery.look(made.client, started.id, "recover")
                    continue
                prospect = await recovery.look(made.client, started.id, "recover")
                planned = [each.call for each in prospect.plan.calls if each.what != "do"]
                if shape == "local":  # a local call leaves no trace before it has ended, so it may be planned early
                    planned = [call for call in planned if call in due or call != "a.compensation"]
                assert planned == due, end
                assert prospect.plan.status in (Status.COMPENSATED, None), end

    asyncio.run(play())


def _termination(until: Sequence[HistoryEvent]) -> HistoryEvent:
    ended = HistoryEvent(event_id=len(until) + 1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED)
    ended.event_time.CopyFrom(until[-1].event_time)
    return ended


def _due(definition: Mapping[str, Any], events: Sequence[HistoryEvent]) -> list[str] | None:
    """Return the compensations that are due, by the events alone; ``None`` when the pivot has passed.

    If nobody knows whether the pivot has happened, its probe comes first.
    """
    model = built(definition)
    sent: dict[int, str] = {}
    begun: list[str] = []
    over: set[str] = set()
    for event in events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            call = sent[event.event_id] = event.activity_task_scheduled_event_attributes.activity_id
            begun += [] if "." in call or call in begun else [call]
        elif event.HasField("activity_task_completed_event_attributes"):
            over.add(sent[event.activity_task_completed_event_attributes.scheduled_event_id])
        elif event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            begun.append("k")  # the child saga itself is over by now, and says what it has done
        elif event.HasField("marker_recorded_event_attributes"):
            data = event.marker_recorded_event_attributes
            begun += ["a"] if data.marker_name == "core_local_activity" and "a" not in begun else []
    if pivots := [call for call in begun if model.places[step_id_in(call)].step.pivot]:
        return None if pivots[0] in over else [f"{pivots[0]}.probe"]
    steps = (call for call in reversed(begun) if model.places[step_id_in(call)].step.compensation is not None)
    return [undo for undo in (f"{call}.compensation" for call in steps) if undo not in over]


SPREAD = (1, 4, 7, 11, 16, 22, 29)
"""Events at which a run is killed on the server: some of each kind."""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_that_is_killed_at_an_event_is_undone(server: Server, shape: str) -> None:
    """R31: whatever had happened by then is undone, once."""

    async def one(made: Stage, event: int) -> bool:
        started = await made.start(SHAPES[shape], children={"recovered-child": CHILD})
        if not await kill_at(made, started, event):
            return False
        try:
            new = await recover(made, started)
        except CannotTakeUp:
            return shape == "pivot"
        ended = await made.end(new)
        assert ended.status in ("compensated", "failed"), (event, ended)
        await replay(made.client, new.id)
        return True

    async def play() -> None:
        killed = 0
        for event in SPREAD:
            async with stage(server.address, SCRIPT) as made:
                if not await one(made, event):
                    break
                killed += 1
                if shape != "pivot":
                    check_books(made, SHAPES[shape])
        assert killed  # at later events, a run may be quicker than whoever kills it

    asyncio.run(play())


def test_a_child_saga_that_was_asked_for_and_never_began_is_not_undone(server: Server) -> None:
    """R2, R31: the server begins no child of a run that has ended meanwhile."""

    async def play() -> None:
        async with stage(server.address, SCRIPT) as made:
            for _ in range(6):
                started = await made.start(SHAPES["child"], children={"recovered-child": CHILD})
                handle = made.client.get_workflow_handle(started.id, run_id=started.run_id)
                async for event in handle.fetch_history_events(wait_new_event=True):
                    if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                        break
                await handle.terminate("for the test")
                assert (await made.end(await recover(made, started))).status == "compensated"

    asyncio.run(play())


def test_a_killed_run_goes_on_forwards(server: Server) -> None:
    """R31, R49: the step in flight begins again under its key; what is done is not done again."""

    async def play() -> None:
        script: dict[str, Any] = {"b": Attempt(takes=1e6)}
        definition = saga(
            act("a"), act("b", timeouts={"start_to_close": "20s"}), act("c"), output="{{ steps.b.output }}"
        )
        async with stage(server.address, script) as made:
            started = await made.start(definition)
            await made.until("b")
            await kill(made, started)
            script["b"] = gives(7)
            made.script = script
            new = await recover(made, started, How.FORWARD)
            ended = await made.end(new)
            assert (ended.status, ended.output) == ("completed", 7)
            assert made.begun == ["a", "b", "b", "c"]
            assert len(set(made.keys["b"])) == 1
            await replay(made.client, new.id)

    asyncio.run(play())


def test_two_operators_recover_a_run_once(server: Server) -> None:
    """R31: the server admits one new run after a closed one; the other operator hears of it."""

    async def play() -> None:
        async with stage(server.address, {"b": Attempt(takes=1e6)}) as made:
            started = await made.start(saga(act("a"), act("b", timeouts={"start_to_close": "2s"})))
            await made.until("b")
            await kill(made, started)
            looks = [await recovery.look(made.client, started.id, "recover") for _ in range(3)]
            found = await asyncio.gather(
                *(recovery.take_up(made.client, each, by="ann") for each in looks), return_exceptions=True
            )
            assert sum(isinstance(each, Started) for each in found) == 1
            assert sum(isinstance(each, AlreadyTaken) for each in found) == 2
            assert (await made.end(started)).status == "compensated"
            with pytest.raises(AlreadyTaken):  # also when the first recovery is over
                await recovery.take_up(made.client, looks[0])
            assert made.begun.count("a.compensation") == made.begun.count("b.compensation") == 1

    asyncio.run(play())


def test_a_recovery_that_is_killed_is_recovered(server: Server) -> None:
    """R31: at any event of the recovery, also before it has begun."""

    async def play() -> None:
        for event in (1, 3, 5, 8, 11):
            script = {"c": Attempt(takes=1e6)}
            definition = saga(act("a"), act("b"), act("c", timeouts={"start_to_close": "1s"}))
            async with stage(server.address, script) as made:
                started = await made.start(definition)
                await made.until("c")
                await kill(made, started)
                first = await recover(made, started)
                assert await kill_at(made, first, event)
                second = await recover(made, started)
                assert (await made.end(second)).status == "compensated"
                undone = [call for call in made.begun if call.endswith(".compensation")]
                assert list(dict.fromkeys(undone)) == ["c.compensation", "b.compensation", "a.compensation"]
                assert all(len(set(keys)) == 1 for keys in made.keys.values())

    asyncio.run(play())


def test_a_client_can_forge_no_state(server: Server) -> None:
    """R31: a start that names a run whose work is taken up, or none of this saga's, does nothing."""

    async def play() -> None:
        async with stage(server.address, {"b": Attempt(takes=1e6)}) as made:
            definition = saga(act("a"), act("b", timeouts={"start_to_close": "1s"}))
            started, other = await made.start(definition), await made.start(definition)
            await made.until("b")
            await kill(made, started)
            assert (await made.end(await recover(made, started))).status == "compensated"
            await made.end(other)
            begun = len(made.begun)
            for run_id in (started.run_id, other.run_id, "00000000-0000-0000-0000-000000000000"):
                asked = TakeUpRequest(run_id, How.UNDO, "recover").to_json()
                handle = await made.client.start_workflow(
                    started.name, args=[None, None, {"inherit": asked}], id=started.id, task_queue=made.queue
                )
                with pytest.raises(WorkflowFailureError):
                    await asyncio.wait_for(handle.result(), PATIENCE)
            assert len(made.begun) == begun

    asyncio.run(play())


def test_what_cannot_be_recovered_is_refused(server: Server) -> None:
    """R31: an unknown id, a saga that ended by itself, one behind its pivot."""

    async def play() -> None:
        async with stage(server.address, {"b": Attempt(takes=1e6)}) as made:
            with pytest.raises(SagaNotFound):
                await recovery.look(made.client, "nobody", "recover")
            started = await made.start(saga(act("a", pivot=True, compensation=...), plain("b")))
            await made.until("b")
            await kill(made, started)
            with pytest.raises(CannotTakeUp, match="pivot"):
                await recovery.look(made.client, started.id, "recover")
            with pytest.raises(CannotTakeUp, match="sagadsl recover"):
                await recovery.look(made.client, started.id, "redrive")

    asyncio.run(play())


def test_a_run_that_hangs_is_terminated_and_undone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """R31: its workflow task fails again and again, so its state is that of the last task that completed."""
    begin = steps.start

    def broken(run: Run, frame: Frame, step: Step) -> None:
        if step.id == "b":
            raise RuntimeError("a bug")
        begin(run, frame, step)

    monkeypatch.setattr(steps, "start", broken)

    async def play() -> None:
        async with stage(server.address, {"a": Attempt(output=1)}) as made:
            started = await made.start(saga(act("a", timeouts={"start_to_close": "1s"}), act("b")))
            await made.until("a")
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        prospect = await recovery.look(made.client, started.id, "recover")
                        break
                    except StillRunning:
                        await asyncio.sleep(0.05)
            assert "a bug" in prospect.stuck
            assert [each.call for each in prospect.plan.calls] == ["a.compensation"]
            new = await recovery.take_up(made.client, prospect, by="ann")
            assert (await made.end(new)).status == "compensated"
            assert made.begun == ["a", "a.compensation"]

    asyncio.run(play())


def test_what_a_failed_undoing_has_left_is_undone_later(server: Server) -> None:
    """R45: the keys are those of before, and what was undone is not undone again."""

    async def play() -> None:
        script: dict[str, Any] = {"bad": no(), "a.compensation": no()}
        definition = saga(act("a"), act("b"), plain("bad"), compensation={"on_failure": "continue"})
        async with stage(server.address, script) as made:
            started = await made.start(definition)
            assert (await made.end(started)).status == "failed"
            made.script = {"bad": no()}
            prospect = await recovery.look(made.client, started.id, "redrive")
            assert [each.call for each in prospect.plan.calls] == ["a.compensation"]
            assert prospect.plan.undone == ("b",)
            new = await recovery.take_up(made.client, prospect, by="ann", why="the bank is back")
            assert (await made.end(new)).status == "compensated"
            assert made.begun.count("b.compensation") == 1
            assert len(set(made.keys["a.compensation"])) == 1
            await replay(made.client, new.id)

    asyncio.run(play())


def test_a_stopped_saga_goes_on_from_its_failed_step(server: Server) -> None:
    """R45: the outputs of completed steps are kept."""

    async def play() -> None:
        script: dict[str, Any] = {"a": gives(1), "bad": no()}
        definition = saga(act("a"), plain("bad", on_error=[{"then": "stop"}]), act("c"), output="{{ steps.a.output }}")
        async with stage(server.address, script) as made:
            started = await made.start(definition)
            assert (await made.end(started)).status == "failed"
            made.script = {}
            prospect = await recovery.look(made.client, started.id, "redrive")
            assert [each.call for each in prospect.plan.calls] == ["bad#2"]
            assert prospect.plan.then == ("c",)
            assert prospect.plan.kept == ("a",)
            new = await recovery.take_up(made.client, prospect, by="ann")
            ended = await made.end(new)
            assert (ended.status, ended.output) == ("completed", 1)
            assert made.begun == ["a", "bad", "bad#2", "c"]
            await replay(made.client, new.id)

    asyncio.run(play())


def test_a_stopped_saga_goes_back_to_a_step_and_on_from_there(server: Server) -> None:
    """R80: what lies behind the step is undone first; then it is done again, with new keys."""

    async def play() -> None:
        script: dict[str, Any] = {"a": gives(1), "c": gives(2), "bad": no()}
        definition = saga(
            act("a"),
            {"id": "g", "steps": [act("b"), act("c", input={"from": "{{ steps.a.output }}"})]},
            plain("bad", on_error=[{"then": "stop"}]),
            output="{{ steps.c.output }}",
        )
        async with stage(server.address, script) as made:
            started = await made.start(definition)
            assert (await made.end(started)).status == "failed"
            made.script = {"do.c": gives(3)}
            with pytest.raises(CannotTakeUp, match="no step `nobody` has begun"):
                await recovery.look(made.client, started.id, "redrive", to="nobody")
            prospect = await recovery.look(made.client, started.id, "redrive", to="c")
            assert prospect.to == "g/c"
            assert [each.call for each in prospect.plan.calls] == ["g/c.compensation", "g/c@2#2"]
            new = await recovery.take_up(made.client, prospect, by="ann")
            ended = await made.end(new)
            assert (ended.status, ended.output) == ("completed", 3)
            assert made.begun == ["a", "g/b", "g/c", "bad", "g/c.compensation", "g/c@2#2", "bad@2#2"]
            assert made.sent["g/c@2#2"] == {"from": 1}
            keys = {call: set(made.keys[call]) for call in ("g/c", "g/c@2#2")}
            assert keys == {"g/c": {f"{started.id}/g/c/do"}, "g/c@2#2": {f"{started.id}/g/c@2/do"}}
            status = await runs.status(made.client, started.id)
            assert [(each["verb"], each["path"]) for each in status["actions"]] == [("redrive", "g/c")]
            await replay(made.client, new.id)

    asyncio.run(play())


def test_an_undone_saga_begins_anew(server: Server) -> None:
    """R45, R49: with the old input, and with keys of its own."""

    async def play() -> None:
        script: dict[str, Any] = {"bad": no()}
        definition = saga(act("a", input={"n": "{{ input.n }}"}), plain("bad"), input={"type": "object"})
        async with stage(server.address, script) as made:
            started = await made.start(definition, {"n": 5})
            assert (await made.end(started)).status == "compensated"
            made.script = {}
            prospect = await recovery.look(made.client, started.id, "redrive")
            assert prospect.how is None
            new = await recovery.take_up(made.client, prospect, by="ann")
            assert (await made.end(new)).status == "completed"
            assert made.sent["a"] == {"n": 5}
            assert len(made.keys["a"]) == 2
            with pytest.raises(CannotTakeUp, match="completed"):
                await recovery.look(made.client, started.id, "redrive")

    asyncio.run(play())
