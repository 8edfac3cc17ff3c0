"""One whole run: begin everything, let people and havoc at it, wait until all has settled, and judge."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.runs import Ended
from tests.chaos import books
from tests.chaos.faults import FAULTS
from tests.chaos.havoc import Size, havoc, revive
from tests.chaos.judging import Violation, judged, money
from tests.chaos.people import Known, People
from tests.chaos.plans import plans
from tests.chaos.stage import Stage, set_up
from tests.chaos.views import views, when_there_is_room
from tests.patience import PATIENCE

Log = Callable[[str], None]
_AT_ONCE = 6
"""Sagas that are judged beside each other."""


SHORT = Size(transfers=26, orders=8, advances=6, weekends=6, seconds=10, breaks=4, pause=0.8, settles=120)
LONG = Size(
    transfers=1000, orders=150, advances=50, weekends=100, seconds=1200, breaks=100, pause=6, settles=900, long=True
)
CLUSTER = Size(
    transfers=300,
    orders=30,
    advances=15,
    weekends=60,
    seconds=300,
    breaks=24,
    pause=4,
    settles=900,
    long=True,
    faults=tuple(FAULTS),
)


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    seed: int
    kind: str
    violations: list[Violation] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    plans: Counter[str] = field(default_factory=Counter)
    broke: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


async def run(size: Size, seed: int, folder: Path, log: Log = lambda _: None) -> Outcome:
    """Do it all; nothing that was begun is left when this ends."""
    began = time.monotonic()
    stage = await set_up(folder, seed, long=size.long, faults=size.faults)
    log(f"{stage.kind}; {len(stage.workers)} workers, {len(stage.gateways)} gateways; {folder}")
    outcome = Outcome(seed, stage.kind)
    try:
        client = await stage.connect()
        async with httpx2.AsyncClient(timeout=PATIENCE) as http:
            drawn = list(plans(seed, size.transfers, size.orders, size.advances, size.seconds, weekends=size.weekends))
            outcome.plans.update(each.kind for each in drawn)
            people = People(
                stage, client, http, random.Random(f"{seed} people"), {each.id: Known(each) for each in drawn}
            )
            await _live(stage, people, size, outcome, log)
            known = list(people.known.values())
            outcome.violations += await _settled(client, known, size, log)
            outcome.acts = people.acts
            await _judge(stage, client, http, known, outcome)
    finally:
        stage.end()
        outcome.seconds = time.monotonic() - began
    return outcome


async def _live(stage: Stage, people: People, size: Size, outcome: Outcome, log: Log) -> None:
    begin = time.monotonic()
    watching = asyncio.create_task(people.watch())
    reviving = asyncio.create_task(revive(stage))
    living = [asyncio.create_task(people.live(known.plan, begin)) for known in people.known.values()]
    chance = random.Random(f"{outcome.seed} havoc")
    try:
        outcome.broke = await havoc(stage, chance, size, log)
        log("nothing breaks any more")
        people.closing = True
        for known in people.known.values():
            known.plan.broken and (stage.broken / known.id).unlink(missing_ok=True)
        async with asyncio.timeout(size.settles):
            await asyncio.gather(*living)
            while [each.id async for each in people.client.list_workflows("ExecutionStatus = 'Running'")]:
                await asyncio.sleep(0.5)
            await _ends(people)
    except TimeoutError:
        log("not all has settled")
    finally:
        for task in (watching, reviving, *living):
            task.cancel()
        await asyncio.gather(watching, reviving, *living, return_exceptions=True)
        if stage.died.exists():
            between = len(stage.died.read_text(encoding="utf-8").splitlines())
            outcome.broke["workers killed between an effect and its answer"] = between
    outcome.violations += [Violation("", f"an operator gave up: {what}") for what in people.gave_up]
    for task in living:
        if not task.cancelled() and (error := task.exception()) is not None:
            outcome.violations.append(Violation("", f"somebody gave up: {error!r}"))


async def _ends(people: People) -> None:
    """The index lags: ask each one."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(id_: str) -> None:
        async with room:
            with suppress(Exception):
                await asyncio.wait_for(runs.result(people.client, id_), PATIENCE)

    await asyncio.gather(*(one(known.id) for known in people.known.values()))


async def _settled(client: Client, known: Sequence[Known], size: Size, log: Log) -> list[Violation]:
    """Return those that are lost, or still open: each with how it stands."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(each: Known) -> list[Violation]:
        async with room:
            try:
                status = await when_there_is_room(lambda: runs.status(client, each.id))
            except (sagas.SagaNotFound, RPCError) as error:
                return [Violation(each.id, f"lost: {error}")]
        if status["close_status"] != "running":
            return []
        waits = {name: status.get(name) for name in ("attention", "waiting_for", "paused")}
        running = [step["path"] for step in status["steps"] if step["status"] == "running"]
        return [Violation(each.id, f"still open: `{status['status']}`, {running}, {waits}")]

    return [lost for several in await asyncio.gather(*map(one, known)) for lost in several]


async def _judge(
    stage: Stage, client: Client, http: httpx2.AsyncClient, known: Sequence[Known], outcome: Outcome
) -> None:
    written = books.read(stage)
    open_ = {each.id for each in outcome.violations}
    failed: set[str] = set()
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(each: Known) -> list[Violation]:
        async with room:
            try:
                runs = await when_there_is_room(lambda: _runs(client, each.id))
                outcome.statuses.update(f"{each.plan.saga} {run.status}" for run in runs)
                failed.update(each.id for run in runs if run.status == "failed")
                seen = await views(client, http, stage.urls[0], each.id)
            except Exception as error:  # noqa: BLE001 # the others are judged all the same
                return [Violation(each.id, f"nobody could judge it: {error!r}")]
            return list(judged(each, runs, seen, written))

    for several in await asyncio.gather(*(one(each) for each in known if each.id not in open_)):
        outcome.violations += several
    if not outcome.violations:  # with something open, more may follow
        outcome.violations += money(written, known, failed)
    for effects in written.of.values():
        outcome.effects.update(each.state for each in effects)


async def _runs(client: Client, id_: str) -> list[Ended]:
    """Return how each run under an id has ended, oldest first; continued ones count once."""
    found = [each async for each in client.list_workflows(f"WorkflowId = '{id_}'")]
    firsts = {each.raw_info.first_run_id or each.run_id: each.start_time for each in found}
    return [
        await runs.result(client, id_, run_id=run_id) for run_id, _ in sorted(firsts.items(), key=lambda item: item[1])
    ]
