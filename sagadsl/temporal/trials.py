"""Suites on a real server: real workers act out the mocks, whoever interferes does so, and crashes are crashes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from sagadsl.engine.facts import Verb
from sagadsl.errors import SagadslError
from sagadsl.language.checks.known import Signature
from sagadsl.language.durations import spell
from sagadsl.language.model import Saga
from sagadsl.temporal import client as sagas
from sagadsl.temporal.embedded import serve
from sagadsl.temporal.refusals import NotPossible, SagaOver
from sagadsl.temporal.trial_standing import has_ended, outcomes, report
from sagadsl.temporal.trial_worker import Script, packed, worker
from sagadsl.trial.case import Case, Interference
from sagadsl.trial.outputs import Outputs
from sagadsl.trial.play import play
from sagadsl.trial.played import ID, NOTHING, Call, Played
from sagadsl.trial.runner import Host
from sagadsl.trial.suite import Playable

AT_ONCE = 8
PATIENCE = 30.0
"""Seconds of virtual time above which a case is not played in real time, and of real time until one is given up."""

_POLL = 0.05
_SETTLED = 0.5
"""Seconds without a change after which a saga that is to stay open is taken to stay as it is."""

_VERBS = {
    "retry": Verb.RETRY_STEP,
    "skip": Verb.SKIP_STEP,
    "abort": Verb.ABORT,
    "pause": Verb.PAUSE,
    "resume": Verb.RESUME,
}
_OPEN = ("running", "compensating", "paused")


@contextlib.contextmanager
def real(playables: Sequence[Playable], signatures: Mapping[str, Signature]) -> Iterator[Host]:
    """Play cases on an embedded server, several at once; the host hands out what came of each.

    Raises:
        SagadslError: There is no server to be had.
    """
    _quiet()
    ready: Future[_Server] = Future()
    thread = threading.Thread(target=_serve, args=(ready,), name="trials", daemon=True)
    thread.start()
    server = ready.result()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(playable: Playable) -> Played | str:
        async with gate:
            return await _play(server.client, playable, signatures)

    try:
        futures = {id(each): asyncio.run_coroutine_threadsafe(one(each), server.loop) for each in playables}
        yield lambda playable: futures[id(playable)].result()
    finally:
        server.loop.call_soon_threadsafe(server.over.set)
        thread.join()


@dataclass(frozen=True, slots=True)
class _Server:
    """The embedded server, for as long as ``over`` is not set."""

    client: Client
    loop: asyncio.AbstractEventLoop
    over: asyncio.Event


def _serve(ready: Future[_Server]) -> None:
    """Run the server in a loop of its own; what is still being played when it is over is given up."""

    async def run() -> None:
        async with serve() as server:
            over = asyncio.Event()
            ready.set_result(_Server(await Client.connect(server.address), asyncio.get_running_loop(), over))
            await over.wait()

    try:
        asyncio.run(run())
    except BaseException as error:  # noqa: BLE001 # whoever waits for the server has to hear of it
        if not ready.done():
            ready.set_exception(error)


def _quiet() -> None:
    """Keep the SDK's core from writing what it thinks of attempts that a case has cancelled."""
    errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=errors)))
    with contextlib.suppress(RuntimeError):  # somebody else has chosen before
        Runtime.set_default(quiet)


async def _play(client: Client, playable: Playable, signatures: Mapping[str, Signature]) -> Played | str:
    case, target = playable.case, playable.target
    outputs = Outputs((target.saga, *target.sagas.values()), signatures)
    foreseen = play(target.saga, case, sagas=target.sagas, outputs=outputs)
    if not foreseen.calls and foreseen.failure is not None and foreseen.failure["type"] == "InvalidInput":
        return foreseen  # the client refuses to start it
    if foreseen.cut or foreseen.seconds > PATIENCE:
        took = "for ever" if foreseen.cut else spell(timedelta(seconds=round(foreseen.seconds)))
        return f"it takes {took}, and this server does not skip time"
    made = _prepared(playable, foreseen)
    if isinstance(made, str):
        return made
    definition, children = made
    stage = _Stage(client, target.saga, case, foreseen, f"q-{uuid.uuid4().hex[:12]}", f"trial-{uuid.uuid4().hex[:12]}")
    stage.script = Script(stage.id, case.mocks, definition, children, dict(signatures))
    try:
        async with asyncio.timeout(PATIENCE + 2 * foreseen.seconds):
            return await stage.play()
    except TimeoutError:
        return f"it did not come to `{foreseen.status}` within {PATIENCE + 2 * foreseen.seconds:.0f} s of real time"
    except SagadslError as error:
        return str(error)


def _prepared(playable: Playable, foreseen: Played) -> tuple[dict[str, Any], dict[str, Any]] | str:
    """Return definitions that one worker can serve alone, with the timeout where the case wants it to pass."""
    definition = _on_one_queue(deepcopy(dict(playable.target.definition)))
    children = {name: _on_one_queue(deepcopy(dict(data))) for name, data in playable.target.children.items()}
    for name, mocks in playable.case.mocks.entries.items():
        if any(mock.timeout == "schedule_to_start" for mock in mocks):
            step = next((each for each in _steps(definition) if each.get("id") == name), None)
            if step is None or len(mocks) > 1:
                return f"no worker can be made not to take `{name}` only at some attempts, or inside a block"
            step["task_queue"] = f"nobody-{uuid.uuid4().hex[:12]}"
    if any(each.action == "timeout" for each in playable.case.when):
        passes = next((event.at - foreseen.began for event in foreseen.events if event.what == "timeout"), None)
        if passes is not None:
            definition["timeout"] = f"{round((passes + 2) * 1000)}ms"
    return definition, children


def _on_one_queue(data: Any) -> Any:
    """Take the queues out of a definition: calls then stay on the saga's own."""
    if isinstance(data, dict):
        if {"activity", "saga", "retry", "timeouts", "sagadsl"} & data.keys():
            data.pop("task_queue", None)
        for value in data.values():
            _on_one_queue(value)
    elif isinstance(data, list):
        for value in data:
            _on_one_queue(value)
    return data


def _steps(definition: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [step for step in definition.get("steps", ()) if isinstance(step, dict)]


@dataclass
class _Made:
    activity: str
    argument: Any
    attempts: int = 0


@dataclass
class _Stage:
    """One case while it is played."""

    client: Client
    saga: Saga
    case: Case
    foreseen: Played
    queue: str
    id: str
    script: Script = field(init=False)
    made: dict[str, _Made] = field(default_factory=dict)
    fired: set[int] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    planned: list[asyncio.Task[None]] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    began: float = 0.0

    async def play(self) -> Played | str:
        """Play it to its end, or to where nothing more happens."""
        crashes = any(each.action == "crash" for each in self.case.when)
        crashes = crashes or any(mock.crash for mocks in self.case.mocks.entries.values() for mock in mocks)
        async with self._killable() if crashes else worker(self.client, self.queue, self.script, self._told):
            try:
                return await self._run()
            finally:
                for task in (*self.tasks, *self.planned):
                    task.cancel()
                with contextlib.suppress(SagadslError):
                    await sagas.terminate(self.client, self.id, "the case is over")

    async def _run(self) -> Played:
        self.began = asyncio.get_running_loop().time()
        await sagas.start(
            self.client,
            self.script.definition,
            self.case.input,
            children=self.script.children,
            id=self.id,
            task_queue=self.queue,
        )
        self.tasks.append(asyncio.create_task(self._watch()))
        for index, each in enumerate(self.case.when):
            if not each.moment.on:
                self.fired.add(index)
                self._plan(each)
        if self.foreseen.status in _OPEN:
            standing, output, told = await self._settled(), None, None
        else:
            ended = await sagas.result(self.client, self.id)
            for task in self.planned:  # what comes after the end is refused, and counts as that
                await task
            standing = await sagas.status(self.client, self.id)
            output, told = ended.output, ended.report
        return self._played(standing, output, told)

    async def _settled(self) -> Mapping[str, Any]:
        """Wait until the saga stands as foreseen, and stays so."""
        since, before = asyncio.get_running_loop().time(), None
        while True:
            found = await sagas.status(self.client, self.id)
            now = asyncio.get_running_loop().time()
            if found["status"] != self.foreseen.status or found != before:
                since, before = now, found
            elif now - since > _SETTLED and all(task.done() for task in self.planned):
                return found
            await asyncio.sleep(_POLL)

    async def _told(self, name: str, activity: str, attempt: int, argument: Any) -> None:
        """An attempt begins; it waits until whoever interferes now has done so."""
        made = self.made.setdefault(name, _Made(activity, argument[0] if argument else NOTHING))
        made.attempts = max(made.attempts, attempt)
        if self.process is not None and self.script.mocks.find(name, activity, attempt).crash:
            await self._crash()
        for index, each in enumerate(self.case.when):
            moment = each.moment
            if index not in self.fired and moment.on == "begin" and moment.name == name and moment.attempt == attempt:
                await self._fire(index, each)

    async def _fire(self, index: int, each: Interference) -> None:
        self.fired.add(index)
        if each.moment.seconds:
            self._plan(each)
        else:
            await self._interfere(each)

    def _plan(self, each: Interference) -> None:
        self.planned.append(asyncio.create_task(self._later(each)))

    async def _later(self, each: Interference) -> None:
        await asyncio.sleep(each.moment.seconds)
        await self._interfere(each)

    async def _watch(self) -> None:
        """Ask how the saga stands, for the moments that only its status tells."""
        while any(each.moment.on for index, each in enumerate(self.case.when) if index not in self.fired):
            with contextlib.suppress(SagadslError):
                found = await sagas.status(self.client, self.id)
                for index, each in enumerate(self.case.when):
                    if index not in self.fired and self._has_come(each, found):
                        await self._fire(index, each)
                        break  # the next one with this status waits for the next look
            await asyncio.sleep(_POLL)

    def _has_come(self, each: Interference, found: Mapping[str, Any]) -> bool:
        moment = each.moment
        match moment.on:
            case "status":
                return bool(found["status"] == moment.name)
            case "waiting":
                return moment.name in found.get("waiting_for", {})
            case "retry":
                return moment.name in self.made and self.made[moment.name].attempts >= moment.attempt
            case "begin" if moment.name not in self.made:
                return any(step["path"] == moment.name and step.get("started_at") for step in found["steps"])
            case "end":
                return has_ended(moment.name, found)
            case _:
                return False

    async def _interfere(self, asked: Interference) -> None:
        try:
            match asked.action:
                case "cancel":
                    await sagas.cancel(self.client, self.id)
                case "signal":
                    await sagas.signal(self.client, self.id, asked.name, asked.payload)
                case "crash":
                    await self._crash()
                case "timeout":
                    while not (await sagas.status(self.client, self.id))["timed_out"]:
                        await asyncio.sleep(_POLL)
                case _:
                    verb = _VERBS[asked.action]
                    await sagas.operate(self.client, self.id, verb, path=asked.name, by=asked.by, why=asked.why)
        except SagaOver:
            self.refused.append(f"{asked}: the saga is over")
        except NotPossible as error:
            self.refused.append(f"{asked}: {error}")

    @contextlib.asynccontextmanager
    async def _killable(self) -> AsyncIterator[None]:
        """A worker in a process of its own."""
        await self._spawn()
        try:
            yield
        finally:
            assert self.process is not None
            self.process.kill()
            await self.process.wait()

    async def _spawn(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sagadsl.temporal.trial_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        config = self.client.service_client.config.target_host
        head = json.dumps([config, self.client.namespace, self.queue, packed(self.script)])
        self.process.stdin.write(f"{head}\n".encode())
        await self.process.stdout.readline()  # it is ready
        self.tasks.append(asyncio.create_task(self._listen(self.process)))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        while line := await process.stdout.readline():
            number, *told = json.loads(line)
            self.tasks.append(asyncio.create_task(self._answer(process, number, told)))

    async def _answer(self, process: asyncio.subprocess.Process, number: int, told: list[Any]) -> None:
        assert process.stdin is not None
        await self._told(*told)
        if process.returncode is None and process is self.process:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(f"{number}\n".encode())
                await process.stdin.drain()

    async def _crash(self) -> None:
        """Kill the worker as a failing machine would, and start another one."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        await self._spawn()

    def _played(self, standing: Mapping[str, Any], output: Any, told: Mapping[str, Any] | None) -> Played:
        told = told or report(self.saga, standing)
        standing, output, told = self._renamed(standing), self._renamed(output), self._renamed(told)
        signals = [f"signal {each['signal']}: {each['reason']}" for each in standing.get("refused_signals", ())]
        ends = outcomes(standing)
        calls = tuple(
            Call(name, made.activity, self._renamed(made.argument), made.attempts, ends.get(name, ""))
            for name, made in self.made.items()
        )
        return replace(
            self.foreseen,
            status=standing["status"],
            output=output,
            failure=standing["failure"],
            calls=calls,
            standing=standing,
            report=told or {},
            seconds=asyncio.get_running_loop().time() - self.began,
            refused=(*self.refused, *signals),
            missed=tuple(index for index in range(len(self.case.when)) if index not in self.fired),
            events=(),
        )

    def _renamed(self, value: Any) -> Any:
        """Call the saga what it is called in every trial."""
        if value is NOTHING or value is None:
            return value
        return json.loads(json.dumps(value).replace(self.id, ID))
