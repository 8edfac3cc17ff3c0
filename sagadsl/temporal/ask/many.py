"""One request to many sagas: which ones are meant, and what each of them has answered.

Whoever calls this shows the choice first, and then lets it be carried out, so many a second. Each saga decides for
itself, as if it alone had been asked. Whatever one of them answers, the others are asked, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.engine.verbs import DECISIONS, ENDED, Verb
from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable, replace
from sagadsl.status.incidents import Kind
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.lineage import newest_runs
from sagadsl.temporal.read.listing import Listed, page
from sagadsl.temporal.read.runs import result
from sagadsl.temporal.read.waiting import waiting
from sagadsl.temporal.refusals import NotAnswered, ServerFailed

_AT_ONCE = 20
_PAGE = 200
_TIMES = 3
"""How often a saga is asked when no worker answers in time. The same request counts once."""

_MOST_TIMES = 30
"""The same while other sagas answer: then a worker is there, and has much to do."""

_QUIET_SECONDS = 60.0
"""How long ago the last answer came if nobody answers any more."""

_OPEN = "ExecutionStatus = 'Running'"

_DUE = {**ENDED, "redrive": ("failed",)}
_DECIDING = (*(verb.word for verb in DECISIONS), Verb.ABORT.word)

Fits = Callable[[str], bool]

UNCONFIRMED = "sent"
"""The status after a request that was sent, and of which nobody has said that it was carried out."""


class Addressee(Immutable):
    """One thing to ask of one saga.

    Attributes:
        id: Id of the saga; ``run_id`` where it is known, and then the run that the choice has seen.
        name: Name of its definition.
        path: The step or call that waits; empty for the saga as a whole.
        occurrence: Which wait of the path was seen; ``None`` without a path.
        reason: Why it waits: the error type, if there is one.
    """

    id: str
    name: str
    run_id: str = ""
    path: str = ""
    occurrence: int | None = None
    reason: str = ""

    @property
    def key(self) -> str:
        """Tells it from every other thing to ask, also from a later wait of the same step."""
        return " ".join(filter(None, (self.id, self.run_id, self.path, str(self.occurrence or ""))))


class Choice(Immutable):
    """What was chosen.

    Attributes:
        unanswered: How many sagas, at least, may be meant as well: nobody answered for them.
        has_more: There are more that were not looked at.
    """

    targets: tuple[Addressee, ...]
    unanswered: int = 0
    has_more: bool = False


class Answered(Immutable):
    """What became of one request.

    Attributes:
        outcome: ``unknown``: it may be carried out still.
        status: The saga's status afterwards, where it was carried out.
        problem: Why it was not carried out, or why nobody knows.
    """

    target: Addressee
    outcome: Literal["done", "refused", "unknown"]
    status: str = ""
    problem: SagadslError | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what programs get."""
        target, problem = self.target, self.problem
        return {
            "key": target.key,
            "id": target.id,
            "name": target.name,
            "path": target.path,
            "outcome": self.outcome,
            "status": self.status or None,
            "code": None if problem is None else problem.code,
            "message": None if problem is None else str(problem),
        }


async def that_take(
    client: Client,
    verb: str,
    chosen: Chosen,
    *,
    status: str = "",
    error: str = "",
    step: str = "",
    most: int,
    fits: Fits | None = None,
) -> Choice:
    """Choose what a request is for: a decision goes to what waits for one, `resume` to what is paused, `recover` and
    `redrive` to what has ended so (without a *status* `redrive` goes only to what has failed), any other request to
    what is open.

    Args:
        verb: The word of the request: ``retry``, ``cancel``, ``signal`` …
        status, error, step, fits: See ``that_are_open`` and ``that_wait``.
    """
    if verb in ENDED:
        due = (status,) if status else _DUE[verb]
        return await that_have_ended(client, chosen, due, error=error, most=most, fits=fits)
    if verb in (*_DECIDING, "resume"):
        kinds: tuple[Kind, ...] = ("paused",) if verb == "resume" else ("decision",)
        found = await that_wait(client, chosen, kinds, error=error, step=step, most=most, fits=fits)
        return once_a_saga(found) if verb == Verb.ABORT.word else found
    if error:
        return once_a_saga(await that_wait(client, chosen, ("decision",), error=error, most=most, fits=fits))
    return await that_are_open(client, chosen, status or None, most=most, fits=fits)


async def that_wait(
    client: Client,
    chosen: Chosen,
    kinds: tuple[Kind, ...],
    *,
    error: str = "",
    step: str = "",
    most: int,
    fits: Fits | None = None,
) -> Choice:
    """Choose what waits for a person.

    Args:
        error: Only what waits because of this error type; empty: any.
        step: Only this step or call: a path, or a path with ``[]`` for every round; empty: any.
        most: How many sagas are looked at.
        fits: Says whether the sagas of a definition are meant, by its name, in addition to what was *chosen*.
    """
    found = await waiting(client, chosen, most=most, fits=fits)
    meant = [
        Addressee(
            each.id, each.name, each.run_id, each.path, each.occurrence if each.kind == "decision" else None, each.type
        )
        for each in sorted(found.incidents, key=lambda each: (each.since or "~", each.id, each.path))
        if each.kind in kinds and error in ("", each.type) and step in ("", each.path, each.step)
    ]
    return Choice(tuple(meant), found.unanswered, found.has_more)


def once_a_saga(choice: Choice) -> Choice:
    """Return the same for a request about whole sagas, and not about one of their steps."""
    first: dict[str, Addressee] = {}
    for each in choice.targets:
        first.setdefault(each.id, replace(each, path="", occurrence=None))
    return replace(choice, targets=tuple(first.values()))


async def that_are_open(
    client: Client, chosen: Chosen, status: str | None = None, *, most: int, fits: Fits | None = None
) -> Choice:
    """Choose open sagas, the newest first; *status* is one of the words of ``list``, *fits* as in ``that_wait``."""
    if status is None:
        chosen = replace(chosen, query=f"({chosen.query}) AND {_OPEN}" if chosen.query else _OPEN)
    found: list[Addressee] = []
    unanswered = 0
    before: datetime | None = None
    while True:
        size = min(_PAGE, most - len(found))
        here = await page(client, chosen, status=status, fits=fits, size=size, before=before)
        found += [Addressee(each.id, each.name, each.run_id, reason=each.status) for each in here.sagas]
        unanswered, before = unanswered + here.unanswered, here.next
        if before is None or len(found) >= most:
            return Choice(tuple(found[:most]), unanswered, before is not None or len(found) > most)


async def that_have_ended(
    client: Client,
    chosen: Chosen,
    statuses: Sequence[str],
    *,
    error: str = "",
    most: int,
    fits: Fits | None = None,
) -> Choice:
    """Choose sagas whose newest run has ended in one of these ways, and whose work nobody has taken up.

    Args:
        error: Only those that have ended because of this error type; empty: any.
        fits: As in ``that_wait``.
    """
    found: list[Listed] = []
    unanswered, has_more = 0, False
    for status in statuses:
        before: datetime | None = None
        while True:
            here = await page(client, chosen, status=status, fits=fits, size=min(_PAGE, most), before=before)
            found += [each for each in here.sagas if not each.taken_up_by]
            unanswered, before = unanswered + here.unanswered, here.next
            has_more = has_more or (before is not None and len(found) >= most)
            if before is None or len(found) >= most:
                break
    newest = await newest_runs(client, [each.id for each in found])
    left = [each for each in found if newest.get(each.id, each.run_id) == each.run_id][:most]
    types = await _types(client, left) if error else {}
    return Choice(
        tuple(
            Addressee(each.id, each.name, each.run_id, reason=error or each.status)
            for each in left
            if error in ("", types.get(each.run_id))
        ),
        unanswered,
        has_more,
    )


async def _types(client: Client, runs: Sequence[Listed]) -> dict[str, str]:
    """Return the type of the error with which each run has ended, by run id."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(each: Listed) -> tuple[str, str]:
        async with turn:
            ended = await result(client, each.id, run_id=each.run_id)
        return each.run_id, ended.error[0] if ended.error else ""

    return dict(await asyncio.gather(*(one(each) for each in runs)))


async def carried_out(
    targets: Sequence[Addressee],
    ask: Callable[[Addressee], Awaitable[str]],
    *,
    rate: float,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[Answered]:
    """Ask each saga, at most *rate* of them a second; yield the answers as they come.

    Args:
        ask: Asks one saga, and returns its status afterwards, or ``UNCONFIRMED``. A ``SagadslError`` is a refusal.
        stop: Once it is set, no further saga is asked; those that have been asked still answer.
    """
    answers: asyncio.Queue[Answered | None] = asyncio.Queue()
    turn, patiently = asyncio.Semaphore(_AT_ONCE), _Patience()

    async def one(target: Addressee) -> None:
        try:
            status = await patiently(ask, target)
            answer = Answered(target, "unknown" if status == UNCONFIRMED else "done", status)
        except NotAnswered as error:
            answer = Answered(target, "unknown", problem=error)
        except SagadslError as error:
            answer = Answered(target, "refused", problem=error)
        except RPCError as error:
            answer = Answered(target, "unknown", problem=ServerFailed(target.id, error))
        finally:
            turn.release()
        await answers.put(answer)

    async def begin() -> None:
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        try:
            async with asyncio.TaskGroup() as group:
                for target in targets:
                    await turn.acquire()
                    if await _is_set_by(stop, next_at):
                        turn.release()
                        break
                    next_at = max(next_at, loop.time()) + 1 / rate
                    group.create_task(one(target))
        finally:
            await answers.put(None)

    beginning = asyncio.create_task(begin())
    try:
        while (answer := await answers.get()) is not None:
            yield answer
        await beginning
    finally:
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)


async def _is_set_by(stop: asyncio.Event | None, moment: float) -> bool:
    """Wait until a moment of the loop's clock; return at once, and ``True``, if *stop* is set before."""
    try:
        async with asyncio.timeout_at(moment):
            await (stop or asyncio.Event()).wait()
    except TimeoutError:
        return False
    return True


class _Patience:
    """Asks a saga again when nobody has answered for it, as long as others answer: its worker has much to do."""

    def __init__(self) -> None:
        self._answered_at = asyncio.get_running_loop().time()

    async def __call__(self, ask: Callable[[Addressee], Awaitable[str]], target: Addressee) -> str:
        loop = asyncio.get_running_loop()
        for time in range(1, _MOST_TIMES + 1):
            try:
                answer = await ask(target)
            except NotAnswered:
                somebody_answers = loop.time() - self._answered_at < _QUIET_SECONDS
                if time >= (_MOST_TIMES if somebody_answers else _TIMES):
                    raise
            except SagadslError:  # a refusal is an answer
                self._answered_at = loop.time()
                raise
            else:
                self._answered_at = loop.time()
                return answer
        raise AssertionError("the last time ends in an answer or an error")
