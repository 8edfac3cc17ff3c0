"""Plays one case on a real server, from its start to its end: who interferes when, and what came of it.

An attempt waits at its beginning until the server has heard whoever interferes there, so that the
order of events does not depend on who is faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.engine.facts import How
from sagadsl.engine.verbs import NEED_A_PATH, VERBS
from sagadsl.errors import SagadslError
from sagadsl.status.lines import OPEN_BY_ITSELF
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import migrating, recovery, signalling
from sagadsl.temporal.ask.migrating import CannotMigrate
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.refusals import (
    CannotTakeUp,
    ComesTooEarly,
    NotAnswered,
    NotAwaited,
    NotPossible,
    SagaOver,
    SignalRefused,
    StillRunning,
    UnfitPayload,
    UnknownSignal,
)
from sagadsl.temporal.run.sending import IN_TRIAL
from sagadsl.temporal.trial import calls
from sagadsl.temporal.trial.definition import CannotBePlayed, copies
from sagadsl.temporal.trial.family import clear, has_others
from sagadsl.temporal.trial.operations import endpoints
from sagadsl.temporal.trial.process import Process, Spares
from sagadsl.temporal.trial.status import outcomes, report, step_has_ended
from sagadsl.temporal.trial.worker import Begun, Script, worker
from sagadsl.temporal.wire.requests import Asked
from sagadsl.trial.case import Case, Interference, Moment
from sagadsl.trial.mocks import Mocks
from sagadsl.trial.played import Played, refused_signals
from sagadsl.trial.target import Target

_POLL = 0.05
_QUESTIONS = 5
"""How often a run is asked again for its status when no worker has answered."""

_SETTLED = 0.5
"""Seconds without a change. After them a saga that is meant to stay open is believed to stay as it is."""

_SLOW = 5.0
"""The same, while something is missing that virtual time foresaw: the machine may be slow."""

_EXACT = 0.001
"""Seconds by which an instant may be missed."""

_STOPS = ("cancel", "timeout", "abort")
_TAKING_UP = ("recover", "redrive")
_REFUSALS = (
    CannotTakeUp,
    StillRunning,
    CannotMigrate,
    ComesTooEarly,
    NotAwaited,
    NotPossible,
    SignalRefused,
    UnfitPayload,
    UnknownSignal,
)


Inspect = Callable[[Client, str], Awaitable[None]]
"""Looks at a run, named by its id, after it has been played and before it is cleared away."""


class TooEarly(Exception):
    """The saga's timeout passed before the moment at which the case wants it to pass."""


@dataclass
class Stage:
    """One case while it is played.

    Attributes:
        foreseen: How the case went in virtual time.
        nobody: Queues that no worker polls, each with its name in the definition; empty is the saga's own queue.
        inspect: Looks at the run on the server, once it has been played.
    """

    client: Client
    spares: Spares
    target: Target
    case: Case
    foreseen: Played
    script: Script
    queue: str
    nobody: Mapping[str, str]
    inspect: Inspect | None = None
    made: dict[str, Begun] = field(default_factory=dict)
    fired: set[int] = field(default_factory=set)
    due: list[tuple[float, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    stops: int = 0
    acting: int = 0
    run_id: str = ""
    taken_up: list[str] = field(default_factory=list)
    begin: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    process: Process | None = None
    mocks: Mocks | None = None
    too_early: bool = False
    over: bool = False

    @property
    def id(self) -> str:
        return self.script.root

    async def play(self, patience: float) -> Played:
        """Play the case to its end, or until nothing more happens, but no longer than *patience* seconds.

        Raises:
            TooEarly, CannotBePlayed: See there.
        """
        crashes = any(each.action == "crash" for each in self.case.when)
        if crashes or any(mock.crash for mocks in self.case.mocks.entries.values() for mock in mocks):
            self.process = Process(self.client, self.spares, self.queue, self.script, self._on_begun)
        self.mocks = self.script.mocks
        if self.process is not None and any(each.mocks is not None for each in self.case.when):
            raise CannotBePlayed("workers that crash cannot change what they do")
        async with (
            endpoints(self.client, self.script.endpoints, self.queue),
            self.process
            or worker(self.client, self.queue, self.script, self._on_begun, lambda: self.mocks or self.script.mocks),
        ):
            try:
                played = await self._run(patience)
                if self.inspect is not None:
                    await self.inspect(self.client, self.id)
                return played
            finally:
                await self._clear(self.id)
                if has_others(self.script.definition, *self.script.children.values(), *self.script.later):
                    for run in (self.run_id, *self.taken_up) if self.run_id else ():
                        await clear(self.client, self.id, run)

    async def _run(self, patience: float) -> Played:
        IN_TRIAL.set(True)
        started = await sagas.start(
            self.client,
            self.script.definition,
            self.case.input,
            children=self.script.children,
            id=self.id,
            task_queue=self.queue,
            again=True,
            same_keys=True,  # one case comes after the other, each like the first
        )
        self.run_id = started.run_id
        for index, each in enumerate(self.case.when):
            if not each.moment.on:
                self._fire_later(index, each.moment.seconds)
        ending = asyncio.create_task(self._end())
        beside = [asyncio.create_task(self._pass_time()), asyncio.create_task(self._watch())]
        try:
            async with asyncio.timeout(patience):
                await _all_the_while(ending, beside)
        except TimeoutError:
            ending.cancel()
        finally:
            self.over = True
            await asyncio.wait(beside, timeout=_SETTLED)  # let the requests end that the server has begun for us
            for task in (ending, *beside):
                task.cancel()
            await asyncio.wait((ending, *beside))
        if self.too_early:
            raise TooEarly
        output, final_report = (None, None) if ending.cancelled() else ending.result()
        return await self._played(output, final_report)

    async def _clear(self, id_: str) -> None:
        """End the runs that are left open: the next case needs the same ids."""
        with contextlib.suppress(RPCError, SagadslError):
            described = await self.client.get_workflow_handle(id_).describe()
            await sagas.terminate(self.client, id_, "the case is over")
            for child in described.raw_description.pending_children:
                await self._clear(child.workflow_id)

    async def _end(self) -> tuple[Any, Mapping[str, Any] | None]:
        """Wait until nothing more happens; return the output and the report, if the saga has ended."""
        if self.foreseen.status in OPEN_BY_ITSELF:
            await self._settled()
            return None, None
        while True:
            before = (await describe(self.client, self.id)).run_id
            ended = await runs.result(self.client, self.id)
            # What comes after the end is refused, and has to be counted as refused; or a new run takes the saga up.
            while self.due or self.acting or self._is_to_be_taken_up():
                await asyncio.sleep(_POLL)
            if (await describe(self.client, self.id)).run_id == before:
                return ended.output, ended.report

    def _is_to_be_taken_up(self) -> bool:
        """Whether somebody still has to take up the work of the run, as virtual time foresaw."""
        asked = (self.case.when[index].action for index in self._unfired() if index not in self.foreseen.missed)
        return any(action in _TAKING_UP for action in asked)

    async def _settled(self) -> None:
        """Wait until the saga has its foreseen status, and does not change any more."""
        loop = asyncio.get_running_loop()
        since, before = loop.time(), None
        while True:
            found = await runs.status(self.client, self.id)
            if found["status"] != self.foreseen.status or found != before or self.due or self.acting:
                since, before = loop.time(), found
            elif loop.time() - since > (_SLOW if self._is_behind() else _SETTLED):
                return
            await asyncio.sleep(_POLL)

    def _is_behind(self) -> bool:
        """Whether something foreseen has not happened yet."""
        if any(index not in self.foreseen.missed for index in self._unfired()):
            return True
        begun = {name: begun.attempt for name, begun in self.made.items()}
        return any(call.attempts > begun.get(call.name, 0) for call in self.foreseen.calls)

    async def _pass_time(self) -> None:
        """Let time pass until the case is over; interfere at each instant that is due."""
        while not self.over:
            now = self._elapsed()
            if self.due and self.due[0][0] <= now + _EXACT:
                await self._interfere(self.case.when[self.due[0][1]])
                self.due.pop(0)
            else:
                await asyncio.sleep(max(_EXACT, min([_POLL, *(at - now for at, _ in self.due)])))

    def _elapsed(self) -> float:
        """Return the seconds since the trial began."""
        return asyncio.get_running_loop().time() - self.begin

    def _unfired(self) -> list[int]:
        return [index for index in range(len(self.case.when)) if index not in self.fired]

    async def _on_begun(self, begun: Begun) -> bool:
        """Hear that an attempt begins, and make it wait until everything that interferes at this moment has done so."""
        before = self.made.setdefault(begun.name, begun)
        if begun.attempt > before.attempt:
            self.made[begun.name] = begun
        stops = self.stops
        if self.process is not None and self.script.mocks.find(begun.name, begun.activity, begun.attempt).crash:
            await self.process.crash()
            return False
        await self._look()
        for index in self._unfired():
            moment = self.case.when[index].moment
            if moment.on == "begin" and (moment.name, moment.attempt) == (begun.name, begun.attempt):
                await self._fire(index)
        return self.stops > stops

    async def _watch(self) -> None:
        """Look again and again for the moments that the beginning of an attempt does not show."""
        while not self.over and any(self._has_to_look(self.case.when[index].moment) for index in self._unfired()):
            await self._look()
            await asyncio.sleep(_POLL)

    async def _look(self) -> None:
        """Fire what has come. One look decides about all of it, so that what is written first also comes first."""
        async with self.looking:
            waiting = [index for index in self._unfired() if self._has_to_look(self.case.when[index].moment)]
            status = ""
            with contextlib.suppress(SagadslError):  # the saga has not begun, or nobody answers at this moment
                found = await runs.status(self.client, self.id) if waiting else {}
                for index in waiting:
                    moment = self.case.when[index].moment
                    if moment.on == "status" and status:
                        continue  # the next entry with this status waits for the next look
                    if await self._has_come(moment, found):
                        status = moment.name if moment.on == "status" else status
                        await self._fire(index)

    def _has_to_look(self, moment: Moment) -> bool:
        return moment.on not in ("", "begin") or (moment.on == "begin" and not self._is_call(moment.name))

    def _is_call(self, name: str) -> bool:
        return name in self.made or self.target.names.is_call(name)

    async def _has_come(self, moment: Moment, found: Mapping[str, Any]) -> bool:
        made = self.made.get(moment.name)
        match moment.on:
            case "status":
                return bool(found["status"] == moment.name)
            case "waiting":
                return moment.name in found.get("waiting_for", {})
            case "retry":
                return made is not None and (
                    made.attempt > moment.attempt
                    or await calls.backs_off(self.client, made.workflow, made.id, moment.attempt)
                )
            case "end" if self._is_call(moment.name):
                return made is not None and await calls.ended(self.client, made.workflow, made.id)
            case "end":
                return step_has_ended(moment.name, found)
            case _:
                return any(step["path"] == moment.name and step.get("started_at") for step in found["steps"])

    async def _fire(self, index: int) -> None:
        self.fired.add(index)
        each = self.case.when[index]
        if each.moment.seconds:
            self._fire_later(index, self._elapsed() + each.moment.seconds)
        else:
            await self._interfere(each)

    def _fire_later(self, index: int, at: float) -> None:
        self.fired.add(index)
        self.due.append((at, index))
        self.due.sort()

    async def _interfere(self, asked: Interference) -> None:
        self.acting += 1
        try:
            match asked.action:
                case "cancel":
                    await sagas.cancel(self.client, self.id)
                case "signal" if not asked.is_plain:
                    await self._deliver(asked)
                case "signal":
                    await sagas.signal(self.client, self.id, asked.name, asked.payload, by=asked.by, why=asked.why)
                case "crash":
                    assert self.process is not None
                    await self.process.crash()
                case "timeout":
                    await self._timeout()
                case "migrate":
                    await self._migrate(asked)
                case "terminate":
                    await sagas.terminate(self.client, self.id, asked.why)
                case "recover" | "redrive":
                    await self._take_up(asked)
                case _:
                    verb = VERBS[asked.action]
                    path = asked.name or (await self._one_that_waits() if verb in NEED_A_PATH else "")
                    request = Asked(path, by=asked.by, why=asked.why, given=asked.given)
                    await sagas.operate(self.client, self.id, verb, request)
        except SagaOver:
            self.refused.append(f"{asked}: the saga is over")
        except _REFUSALS as error:
            self.refused.append(f"{asked}: {error}")
        finally:
            self.acting -= 1
            self.stops += asked.action in _STOPS

    async def _deliver(self, asked: Interference) -> None:
        """Deliver a signal as our clients do. One that nobody answers has been sent, too."""
        with contextlib.suppress(NotAnswered):
            await signalling.signal(self.client, self.id, asked.name, asked.payload, by=asked.by, why=asked.why)

    async def _one_that_waits(self) -> str:
        """Return the path that `skip: true` means; empty when no step waits for an operator, or several do."""
        waiting = (await runs.status(self.client, self.id)).get("attention", ())
        return str(waiting[0]["path"]) if len(waiting) == 1 else ""

    async def _migrate(self, asked: Interference) -> None:
        assert asked.to is not None
        made = copies(asked.to, Mocks(), self.queue)
        package = await sagas.packed(self.client, made.root, made.children)
        found = await migrating.migrate(self.client, self.id, package, by=asked.by, why=asked.why)
        if found.outcome == "already":
            self.refused.append(f"{asked}: it has this definition already")

    async def _take_up(self, asked: Interference) -> None:
        """Let a new run take up the work of the closed one, and let the participants do what they do from then on."""
        how = {"undo": How.UNDO, "forward": How.FORWARD}.get(asked.name)
        await self._until_closed()
        prospect = await recovery.look(self.client, self.id, asked.action, how, waits=False, to=asked.back)
        if prospect.how is None:
            raise CannotTakeUp(self.id, asked.action, "it was undone, so it begins anew: that is another case")
        if asked.mocks is not None:
            self.mocks = asked.mocks.over(self.script.mocks)
        started = await recovery.take_up(self.client, prospect, by=asked.by, why=asked.why, waits=False)
        self.taken_up.append(started.run_id)

    async def _until_closed(self) -> None:
        """Wait for the end of the run if its saga has ended: the task that says so may still be under way."""
        found = await runs.status(self.client, self.id)
        while found["close_status"] == "running" and found["status"] not in OPEN_BY_ITSELF:
            await asyncio.sleep(_POLL)
            found = await runs.status(self.client, self.id)

    async def _timeout(self) -> None:
        """Wait until the saga's timeout has passed. It must not have passed before."""
        found = await runs.status(self.client, self.id)
        if found["timed_out"]:
            self.too_early = True
            await sagas.terminate(self.client, self.id, "too early")
        while not found["timed_out"]:
            if found["close_status"] != "running":
                raise SagaOver(self.id)
            await asyncio.sleep(_POLL)
            found = await runs.status(self.client, self.id)

    async def _answer(self) -> dict[str, Any]:
        """Return the run's own status. On a busy machine its worker may answer late, and the history knows less."""
        document = await runs.status(self.client, self.id)
        for _ in range(_QUESTIONS):
            if document.get("source") != "history":
                break
            document = await runs.status(self.client, self.id)
        return document

    async def _played(self, output: Any, final_report: Mapping[str, Any] | None) -> Played:
        document = await self._answer()
        began = (self.run_id, *self.taken_up)
        ends = outcomes(document)
        recorded = await calls.calls(self.client, self.id, began, self.made, ends=ends, endpoints=self.script.endpoints)
        final_report = final_report or report(self.target.saga, document)
        document, final_report = self._with_own_queues(document), self._with_own_queues(final_report)
        return replace(
            self.foreseen,
            status=document["status"],
            output=output,
            failure=document["failure"],
            calls=recorded,
            status_document=document,
            report=final_report,
            seconds=self._elapsed(),
            refused=(*self.refused, *refused_signals(document)),
            missed=tuple(self._unfired()),
            events=(),
        )

    def _with_own_queues(self, value: Any) -> Any:
        """Give queues and endpoints back the names that they have in the definition."""
        text = json.dumps(value)
        for queue, own in self.nobody.items():
            text = text.replace(f"task queue `{queue}`", f"task queue `{own}`" if own else "the task queue")
        for endpoint, own in self.script.endpoints.items():
            text = text.replace(endpoint, own)
        return json.loads(text)


async def _all_the_while(ending: asyncio.Task[Any], beside: list[asyncio.Task[None]]) -> None:
    """Wait for *ending*, and raise the first error of the tasks beside it."""
    waiting = {ending, *beside}
    while not ending.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
