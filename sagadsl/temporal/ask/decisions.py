"""An operator's verbs on a saga and its child sagas: a path may lead into a child, pause and resume go down to all.

A saga and its children are separate runs, and each decides for itself what is possible. This module asks
the right one, or all of them, and reports what each has answered.
"""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.engine.verbs import DECISIONS, WITH_CHILDREN, Verb
from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable, replace
from sagadsl.language.paths import ROOT, path_below, path_in, whole_path
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.children import OpenChild, children_of
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.following import picture
from sagadsl.temporal.refusals import NotPossible, SagaNotFound, SagaOver
from sagadsl.temporal.wire.requests import UNSAID, Asked

_AT_ONCE = 8
_BEGINS_SECONDS = 5.0
"""How long a child that has just been started may take until it can be asked for something."""

_AGAIN_SECONDS = 0.2


class ChildAnswer(Immutable):
    """What a child saga has answered.

    Attributes:
        path: Path of the child from the saga that was asked. It ends with ``…`` when it means all children below
            the path, and nobody knows them.
        status: Its status afterwards; ``unknown`` when the request was not carried out.
        problem: Why the request was not carried out.
    """

    path: str
    id: str
    status: str
    problem: SagadslError | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what programs are told."""
        problem = None if self.problem is None else str(self.problem)
        return {"path": self.path, "id": self.id, "status": self.status, "problem": problem}


class Done(Immutable):
    """A request that was carried out.

    Attributes:
        id: Id of the saga to which the path has led.
        status: Its status afterwards.
        children: Answers of its child sagas, when ``pause`` or ``resume`` has asked them too.
    """

    id: str
    status: str
    children: tuple[ChildAnswer, ...] = ()

    @property
    def problems(self) -> list[ChildAnswer]:
        """The children that have not carried out the request."""
        return [each for each in self.children if each.problem is not None]


async def operate(client: Client, id: str, verb: Verb, asked: Asked = UNSAID, *, request: str = "") -> Done:
    """Carry out an operator's request (R22) in the saga that its path leads to.

    Args:
        asked: Its path is that of a step, of a child saga, or both: ``book/hotel/charge.compensation``. The blocks
            around a step that waits may be left out, but not a loop.
        request: See ``client.operate``.

    Raises:
        NotPossible, NotAnswered, NotBegun, SagaNotFound, SagaOver: See there.
    """
    target, rest = await found(client, id, asked.path, within=verb is Verb.RESET)
    if rest and verb not in (*DECISIONS, Verb.RESET):
        raise NotPossible(
            id, verb.value, f"`{asked.path}` is no child saga that is open; leave it out for the saga itself"
        )
    try:
        status = await sagas.operate(client, target, verb, replace(asked, path=rest), request=request)
    except NotPossible as refused:
        meant = await _meant(client, target, rest) if rest else None
        if meant is None:
            return await _although(client, target, verb, asked, refused)
        status = await sagas.operate(client, target, verb, replace(asked, path=meant), request=request)
    answers = await _all_below(client, target, verb, asked) if verb in WITH_CHILDREN else ()
    return Done(target, status, answers)


async def found(client: Client, id: str, path: str, *, within: bool = False) -> tuple[str, str]:
    """Return the id of the saga that *path* leads to, and what is left of the path there. Raises ``SagaNotFound``.

    Args:
        within: Only the path of a step in a child saga leads to the child, and not the path of the child itself.
    """
    while path:
        children = await children_of(client, await describe(client, id))
        ways = {child.path: path_below(path, child.path) for child in children}
        here = [child for child in children if ways[child.path] or (ways[child.path] == "" and not within)]
        if not here:
            break
        child = max(here, key=lambda each: len(each.path))
        id, path = child.id, path_below(path, child.path) or ""
    return id, path


async def _meant(client: Client, id: str, path: str) -> str | None:
    """Return the path that waits and that *path* means without the blocks around it; ``None`` if it is not just one."""
    return whole_path(path, [each["path"] for each in (await runs.status(client, id)).get("attention", ())])


async def _although(client: Client, id: str, verb: Verb, asked: Asked, refused: NotPossible) -> Done:
    """Ask the children when a saga has refused the request for itself; raise *refused* if that makes no sense."""
    if verb in WITH_CHILDREN:
        answers = await _all_below(client, id, verb, asked)
        if answers:
            return Done(id, str((await runs.status(client, id))["status"]), answers)
        raise refused
    status = (await picture(client, id)).status
    waiting = [f"`{path_in(each['path'], at['path'])}`" for each in status["children"] for at in each["attention"]]
    if status.get("attention") or not waiting:
        raise refused
    raise NotPossible(
        id, verb.value, f"nothing waits in the saga itself, but in child sagas: {', '.join(waiting[:10])}"
    )


async def _all_below(client: Client, id: str, verb: Verb, asked: Asked) -> tuple[ChildAnswer, ...]:
    """Ask all open children, at every depth, for the same; leave out those that need not be asked."""
    same = Asked(by=asked.by, why=asked.why)
    turn = asyncio.Semaphore(_AT_ONCE)

    async def ask(child: OpenChild, path: str) -> list[ChildAnswer]:
        async with turn:
            answer = await _ask_child(client, child, path, verb, same)
        return [*([answer] if answer else []), *await below(child.id, path)]

    async def below(id: str, parent: str) -> list[ChildAnswer]:
        try:
            children = await children_of(client, await describe(client, id))
        except SagaNotFound:  # it has not begun, so that it has none
            return []
        except RPCError as error:
            return [
                ChildAnswer(
                    path_in(parent, "…"), id, "unknown", NotPossible(id, verb.value, f"its child sagas: {error}")
                )
            ]
        answers = await asyncio.gather(*(ask(child, path_in(parent, child.path)) for child in children))
        return [each for answer in answers for each in answer]

    return tuple(await below(id, ROOT))


async def _ask_child(client: Client, child: OpenChild, path: str, verb: Verb, asked: Asked) -> ChildAnswer | None:
    """Ask one child, and ask again while it begins. ``None``: it is over, or it goes on anyway."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _BEGINS_SECONDS
    while True:
        try:
            return ChildAnswer(path, child.id, await sagas.operate(client, child.id, verb, asked))
        except SagaOver:
            return None
        except (NotPossible, SagaNotFound) as refused:
            is_paused = await _is_paused(client, child.id)
            if is_paused is not None and is_paused == (verb is Verb.PAUSE):
                return ChildAnswer(path, child.id, "paused") if is_paused else None
            problem: SagadslError = refused
        except SagadslError as error:  # nobody answers, or Temporal itself holds it
            return ChildAnswer(path, child.id, "unknown", error)
        except RPCError as error:
            return ChildAnswer(path, child.id, "unknown", NotPossible(child.id, verb.value, str(error)))
        if loop.time() > deadline:
            return ChildAnswer(path, child.id, "unknown", problem)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _is_paused(client: Client, id: str) -> bool | None:
    """Whether a saga is held; ``None`` when nobody knows."""
    try:
        paused = (await runs.status(client, id)).get("paused")
    except (SagaNotFound, RPCError):
        return None
    return paused if isinstance(paused, bool) else None
