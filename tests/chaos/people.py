"""Those who start sagas, stop them, and decide about them: patient when nobody answers, as people are."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.facts import Verb
from sagadsl.errors import SagadslError
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import AlreadyStarted, NotAnswered, NotPossible, SagaNotFound, SagaOver
from sagadsl.temporal.wire.requests import Asked
from tests.chaos.participants import root_of
from tests.chaos.plans import ORDER, Plan
from tests.chaos.stage import QUEUE, Stage
from tests.temporal.play import data

_Out = TypeVar("_Out")
_CALM = 0.5
_OPERATORS = 4
"""Sagas that are looked at beside each other."""
_OVER = (SagaOver, SagaNotFound, NotPossible)


@dataclass(slots=True)
class Known:
    """What the world was told about one plan.

    Attributes:
        ids: Ids that starts were answered with: one, however often it was asked.
        ran: Ids of the runs whose start was answered.
    """

    plan: Plan
    ids: set[str] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)
    second: str = ""

    @property
    def id(self) -> str:
        return next(iter(self.ids), self.plan.id)


@dataclass(slots=True)
class People:
    """All of them.

    Attributes:
        acts: What was done, counted.
        gave_up: What kept an operator from looking at a saga, though everything answered.
    """

    stage: Stage
    client: Client
    http: httpx2.AsyncClient
    chance: random.Random
    known: dict[str, Known]
    acts: Counter[str] = field(default_factory=Counter)
    closing: bool = False
    gave_up: list[str] = field(default_factory=list)
    _definitions: dict[str, Any] = field(default_factory=dict)
    _signalled: dict[str, float] = field(default_factory=dict)
    _paused: dict[str, float] = field(default_factory=dict)
    _desks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OPERATORS))

    def __post_init__(self) -> None:
        for file in Path(self.stage.definitions).glob("*.saga.yaml"):
            found = data(file.read_text(encoding="utf-8"))
            self._definitions[found["name"]] = found

    async def live(self, plan: Plan, begin: float) -> None:
        """Bring one plan about."""
        await asyncio.sleep(max(0.0, begin + plan.at - time.monotonic()))
        known = self.known[plan.id]
        if plan.broken:
            (self.stage.broken / plan.id).touch()
        await asyncio.gather(*(self._start(known) for _ in range(plan.starts)))
        self.acts["starts"] += plan.starts
        if plan.cancel is not None:
            await asyncio.sleep(plan.cancel)
            await self._cancel(known.id)
        if plan.pause is not None:
            await asyncio.sleep(plan.pause)
            await self._operate(known.id, Verb.PAUSE, "")
            self._paused[known.id] = time.monotonic()
        if plan.again:
            await self._once_more(known)

    async def _start(self, known: Known) -> None:
        plan = known.plan
        match plan.how:
            case "gateway":
                # A key of the caller's, or an id: both make a repeated request harmless.
                header = {"Workflow-Id": plan.id} if plan.broken else {"Idempotency-Key": plan.id}
                answer = await self._ask("POST", f"/sagas/{plan.saga}", plan.input, header)
                assert answer.status_code == 202, answer.text
                body = answer.json()
                known.ids.add(body["id"])
                known.ran.add(body["run_id"])
            case "client":
                await self._by_client(known, once=True)
            case _:
                try:
                    handle = await self._patiently(
                        lambda: self.client.start_workflow(
                            plan.saga,
                            plan.input,
                            id=plan.id,
                            task_queue=QUEUE,
                            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                        )
                    )
                    known.ran.add(handle.first_execution_run_id or "")
                except WorkflowAlreadyStartedError:
                    pass
                known.ids.add(plan.id)

    async def _by_client(self, known: Known, *, once: bool) -> str:
        plan = known.plan
        children = {
            name: each for name, each in self._definitions.items() if name in ("prepare-parcel", "approve-advance")
        }
        try:
            started = await self._patiently(
                lambda: sagas.start(
                    self.client,
                    self._definitions[plan.saga],
                    plan.input,
                    children={} if plan.saga not in (ORDER, "advance") else children,
                    id=known.id,
                    task_queue=QUEUE,
                    once=once,
                )
            )
        except AlreadyStarted:
            known.ids.add(known.id)
            return ""
        known.ids.add(started.id)
        known.ran.add(started.run_id)
        return started.run_id

    async def _once_more(self, known: Known) -> None:
        """Start it once more under the same id when it has ended: done once, it is refused; undone, it runs anew."""
        with suppress(WorkflowFailureError):
            await self._patiently(lambda: runs.result(self.client, known.id))
        known.second = await self._by_client(known, once=False)
        self.acts["started again, ran" if known.second else "started again, refused"] += 1

    async def _cancel(self, id_: str) -> None:
        self.acts["cancels"] += 1
        if self.chance.random() < 0.5:
            await self._ask("POST", f"/sagas/{id_.replace('/', '%2F')}/cancel", {"why": "chaos"})
        else:
            with suppress(*_OVER):
                await self._patiently(lambda: sagas.cancel(self.client, id_, why="chaos"))

    async def _operate(self, id_: str, verb: Verb, path: str) -> None:
        self.acts[verb.value] += 1
        times = 2 if self.chance.random() < 0.2 else 1  # somebody clicks twice
        await asyncio.gather(*(self._verb(id_, verb, path) for _ in range(times)))

    async def _verb(self, id_: str, verb: Verb, path: str) -> None:
        if self.chance.random() < 0.5:
            body = {"why": "chaos", **({"step": path} if path and verb in (Verb.RETRY_STEP, Verb.SKIP_STEP) else {})}
            name = verb.value.removesuffix("_step")
            await self._ask("POST", f"/sagas/{id_.replace('/', '%2F')}/{name}", body)
            return
        with suppress(*_OVER, NotAnswered):
            await self._patiently(lambda: sagas.operate(self.client, id_, verb, Asked(path, by="ann", why="chaos")))

    async def watch(self) -> None:
        """Look at everything that is open, again and again, and decide what waits for somebody."""
        while True:
            with suppress(RPCError):
                open_ = [each.id async for each in self.client.list_workflows("ExecutionStatus = 'Running'")]
                await asyncio.gather(*(self._looked_at(id_) for id_ in open_))
            await asyncio.sleep(_CALM)

    async def _looked_at(self, id_: str) -> None:
        async with self._desks:
            try:
                await self._look(id_)
            except (RPCError, SagadslError, httpx2.HTTPError):
                pass  # it has ended, or nobody answers just now
            except Exception as error:  # noqa: BLE001  # the others wait all the same; the end tells of it
                self.gave_up.append(f"{id_}: {error!r}")

    async def _look(self, id_: str) -> None:
        status = await runs.status(self.client, id_)
        if status.get("source") == "history":
            return  # no worker answers
        root = root_of(id_)
        plan = self._plan_of(root)
        if plan is None or "attention" not in status:
            return  # whoever started it has had no answer yet, or it is about to begin
        for line in status["attention"]:
            (self.stage.broken / root).unlink(missing_ok=True) if plan.verb == "retry" or self.closing else None
            verb = {"retry": Verb.RETRY_STEP, "skip": Verb.SKIP_STEP, "abort": Verb.ABORT}[plan.verb]
            await self._operate(id_, verb, "" if verb is Verb.ABORT else line["path"])
        if status["paused"] and (self.closing or time.monotonic() - self._paused.get(id_, 0) > 2):
            await self._operate(id_, Verb.RESUME, "")
        if "approval" in status["waiting_for"] and time.monotonic() - self._signalled.get(id_, 0) > 5:
            self._signalled[id_] = time.monotonic()
            await self._answer(id_, root, plan.answer)

    async def _answer(self, id_: str, root: str, approved: bool | None) -> None:
        if approved is None:
            await self._cancel(root)
            return
        self.acts["approvals"] += 1
        payload = {"approved": approved, **({"by": "ann"} if "/" not in id_ else {})}
        if self.chance.random() < 0.5:
            await self._ask("POST", f"/sagas/{id_.replace('/', '%2F')}/signals/approval", payload)
        else:
            with suppress(*_OVER):
                await sagas.signal(self.client, id_, "approval", payload)

    def _plan_of(self, root: str) -> Plan | None:
        if root in self.known:
            return self.known[root].plan
        return next((known.plan for known in self.known.values() if root in known.ids), None)

    async def _ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Ask any gateway; one that does not answer, or cannot, is no answer."""
        for _ in range(200):
            url = self.chance.choice(self.stage.urls)
            with suppress(httpx2.HTTPError):
                answer = await self.http.request(method, url + path, json=body, headers=dict(headers or {}))
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
            await asyncio.sleep(0.5)
        raise AssertionError(f"no gateway answers {method} {path}")

    async def _patiently(self, act: Callable[[], Awaitable[_Out]]) -> _Out:
        """Do it again while the server is away."""
        for left in reversed(range(200)):
            try:
                return await act()
            except RPCError as error:
                if (error.status not in _AWAY and _BUSY not in str(error)) or not left:
                    raise
            await asyncio.sleep(0.3)
        raise AssertionError("unreachable")


_BUSY = "Workflow Task in failed state"
"""What the server says when a busy worker has not come to an end of its task in the SDK's two seconds."""
_AWAY = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.RESOURCE_EXHAUSTED,
)
