"""Deletes what the server keeps of a saga: its runs and those of its child sagas, with their entries in the index.

The server deletes in its own time: it only takes the request. So this looks again until the server knows nothing of a
run any more, and tells what it still knows when the time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.temporal.link.storage import storage_of
from sagadsl.temporal.read.ancestors import Above, above_of, open_above
from sagadsl.temporal.read.copies import keepers
from sagadsl.temporal.read.described import OPEN, asked, word
from sagadsl.temporal.read.lineage import rows_of, runs_under
from sagadsl.temporal.read.payloads_of import PayloadsOf, payloads_of
from sagadsl.temporal.read.sharers import Sharer, Sharers
from sagadsl.temporal.refusals import SagaNotFound, SagaOver, known

PATIENCE_SECONDS = 60.0
"""For how long it looks whether the server has deleted what it was asked to."""

_Stored = dict[str, PayloadsOf]
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 2.0


class NotForgotten(SagadslError):
    """A saga that is open is not deleted unasked: it would undo nothing, and nobody would know what it had done.

    A child of an open saga is not deleted at all: the history of that one refers to what the child has stored.

    Attributes:
        above: The id of the open saga above; empty if it is runs of the saga itself that are open.
    """

    code = "SD977"
    exit_code = 4

    def __init__(self, id: str, open_runs: tuple[KeptRun, ...], above: str = "") -> None:
        super().__init__(id, open_runs, above)
        self.id, self.open_runs, self.above = id, open_runs, above

    def __str__(self) -> str:
        if self.above:
            return f"saga `{self.id}` is not forgotten: `{self.above}`, of which it is a child saga, is open"
        named = ", ".join(f"`{each.id}`" for each in self.open_runs[:5])
        more = f" and {len(self.open_runs) - 5} more" if len(self.open_runs) > 5 else ""
        return f"saga `{self.id}` is not forgotten: {named}{more} {'is' if len(self.open_runs) == 1 else 'are'} open"

    @property
    def help(self) -> str:
        if self.above:
            return f"`{self.above}` may still read what it gave: end that one first; who forgets it forgets both"
        even_so = 'delete it without undoing anything: `--even-open`, at the gateway `{"even_open": true}`'
        return f"end it first (`sagadsl cancel` undoes what it has done), or {even_so}"


class StillKept(SagadslError):
    """The server was asked to delete runs, and still knows some of them."""

    code = "SD978"
    exit_code = 4

    def __init__(self, id: str, left: int) -> None:
        super().__init__(id, left)
        self.id, self.left = id, left

    def __str__(self) -> str:
        return f"the server has not yet deleted {self.left} {'run' if self.left == 1 else 'runs'} of saga `{self.id}`"

    @property
    def help(self) -> str:
        return "repeat the command later: it deletes in its own time"


class KeptRun(Immutable):
    """A run that the server keeps.

    Attributes:
        child: It is a run of a child saga.
        is_open: It has not ended.
        above: The sagas above, for a run of the saga that was asked for.
    """

    id: str
    run_id: str
    name: str
    is_open: bool
    child: bool = False
    above: Above = ()

    def as_json(self) -> dict[str, Any]:
        shown = {"id": self.id, "run_id": self.run_id, "name": self.name, "is_open": self.is_open}
        return shown | ({"child": True} if self.child else {})


class Forgotten(Immutable):
    """What became of the runs of a saga.

    Attributes:
        left: Those of which the server, or its index, still knows something.
        stored: How many payloads in external storages were deleted.
        unreached: How many are in storages that this process does not have.
        shared: How many stay since others refer to them, too, such as the saga that has begun a child.
        sharers: These others.
        keepers: Those besides that still keep what it got or gave: its parent, another saga, a schedule.
    """

    id: str
    runs: tuple[KeptRun, ...]
    left: tuple[KeptRun, ...]
    stored: int = 0
    unreached: int = 0
    shared: int = 0
    sharers: tuple[Sharer, ...] = ()
    keepers: tuple[Sharer, ...] = ()

    @property
    def shared_with(self) -> tuple[str, ...]:
        """The ids of the others."""
        return tuple(dict.fromkeys(each.id for each in self.sharers))

    def as_json(self, may_know: Callable[[Sharer], bool] = lambda _: True) -> dict[str, Any]:
        """Return what ``forget`` tells programs; of the others, only whom the caller *may know*."""
        hidden = {each.id for each in (*self.sharers, *self.keepers) if not may_know(each)}
        return {
            "id": self.id,
            "runs": [each.as_json() for each in self.runs],
            "left": [each.as_json() for each in self.left],
            "forgotten": not self.left and not self.unreached and not self.shared,
            "stored": self.stored,
            "unreached": self.unreached,
            "shared": self.shared,
            "shared_with": [each for each in self.shared_with if each not in hidden],
            "kept_by": [each.id for each in self.keepers if each.id not in hidden],
        }


async def kept_runs(client: Client, id: str) -> tuple[KeptRun, ...]:
    """Return all runs that the server keeps of a saga and of its child sagas. Raises ``SagaNotFound``.

    Earlier runs are found by the index, which may know of a new run a moment late, and from the newest one on by what
    each says of the run before it. Of a child saga, those that one of these runs has begun.
    """
    search = _Search(client)
    if not await search.news(id):
        raise SagaNotFound(id, client.namespace)
    return tuple(search.runs.values())


async def forget(client: Client, id: str, *, even_open: bool = False, patience: float = PATIENCE_SECONDS) -> Forgotten:
    """Delete all runs of a saga, and of its child sagas, and wait until the server knows nothing of them.

    Args:
        even_open: Also those that have not ended: they are terminated, and undo nothing. Not if a saga above is open.

    Raises:
        SagaNotFound, NotForgotten: See there.
    """
    runs = await kept_runs(client, id)
    await refuse_open(client, id, runs, even_open=even_open)
    return await delete(client, id, runs, even_open=even_open, patience=patience)


async def refuse_open(client: Client, id: str, runs: Iterable[KeptRun], *, even_open: bool) -> None:
    """Raise ``NotForgotten`` if a run is open, and nobody has said that it is deleted even so.

    Whatever has been said, also if a saga above is open: what they have stored is what its history refers to.
    """
    runs = tuple(runs)
    above = await _above(client, runs, {each.run_id: each for each in runs})
    still = () if even_open else tuple(each for each in runs if each.is_open)
    if above or still:
        raise NotForgotten(id, still, above)


async def delete(
    client: Client,
    id: str,
    runs: tuple[KeptRun, ...],
    *,
    even_open: bool,
    patience: float,
    permit: Callable[[KeptRun], None] = lambda _: None,
) -> Forgotten:
    """Delete these runs of a saga, and all that it has begun meanwhile.

    Open ones are terminated before anything is deleted, parents before children, and it is looked again whether one
    has gone on as a new run: what is deleted can no longer say what it has begun. A run that began later, and that
    is not to be deleted because it, or a saga above it, is open, counts as one that the server still knows.

    Before that it reads who else refers to the stored payloads, so that an error there deletes nothing: what runs that
    are gone have stored, nobody finds any more.

    Args:
        permit: Gets each run that has been found meanwhile, and raises an error if the caller may not delete it.

    Raises:
        NotForgotten: A saga above is open.
    """
    until = time.monotonic() + patience
    search = _Search(client, {each.run_id: each for each in runs})
    stored: _Stored = {}
    sharers = Sharers(client)
    is_first = True
    permit_all(await search.news(id), permit)
    await refuse_open(client, id, search.runs.values(), even_open=True)
    while True:
        if even_open:
            await _end(search, id, permit)
        found = tuple(search.runs.values())
        for each in found:
            stored[each.run_id] = await _stored(client, each, stored)
        await (sharers.look if is_first else sharers.look_again)(stored.values(), search.runs)
        is_first = False
        for each in found:
            if even_open or not each.is_open:
                await _ask(client, each)
        left = await _until_gone(client, found, until)
        late = await search.news(id)
        permit_all(late, permit)
        waits = not even_open or time.monotonic() >= until or await _above(client, late, search.runs)
        if left or not late or waits:
            for each in (*left, *late):  # what a run that stays has stored meanwhile stays, too
                stored[each.run_id] = await _stored(client, each, stored)
            await sharers.look_again(stored.values(), search.runs)
            return await _forgotten(search, id, (*left, *late), stored, sharers)


def permit_all(runs: Iterable[KeptRun], permit: Callable[[KeptRun], None]) -> None:
    """Ask for each run whether it may be deleted."""
    for each in runs:
        permit(each)


async def _end(search: _Search, id: str, permit: Callable[[KeptRun], None]) -> None:
    """Terminate what is open, and whatever that has begun meanwhile, until nothing is open any more."""
    waiting = [each for each in search.runs.values() if each.is_open]
    while waiting:
        for each in waiting:
            handle = search.client.get_workflow_handle(each.id, run_id=each.run_id)
            with contextlib.suppress(SagaOver, SagaNotFound), known(search.client, each.id):
                await handle.terminate("forgotten")
        late = await search.news(id)
        permit_all(late, permit)
        await refuse_open(search.client, id, search.runs.values(), even_open=True)
        waiting = [each for each in late if each.is_open]


async def _above(client: Client, runs: Iterable[KeptRun], besides: Mapping[str, KeptRun]) -> str:
    return await open_above(client, [above for each in runs for above in each.above], besides)


async def _stored(client: Client, run: KeptRun, before: _Stored) -> PayloadsOf:
    """Return the stored payloads of a run, or what was known of them *before*."""
    found = await payloads_of(client, run.id, run.run_id)
    return found if found.until else before.get(run.run_id, found)


async def _until_gone(client: Client, runs: tuple[KeptRun, ...], until: float) -> tuple[KeptRun, ...]:
    """Wait until the server knows nothing of some runs; return those that it still knows when the time is over."""
    pause = _PAUSE_SECONDS
    while (left := await _known(client, runs)) and time.monotonic() < until:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    return left


async def _forgotten(
    search: _Search, id: str, left: tuple[KeptRun, ...], stored: _Stored, sharers: Sharers
) -> Forgotten:
    """Delete the stored payloads of runs that are gone, and say what became of all of it.

    A payload that a run refers to that is still there may still be read, whose ever it is.
    """
    storages = storage_of(search.client.data_converter)
    kept = {key for each in left for key in stored.get(each.run_id, PayloadsOf()).claims}
    gone = {key: claim for each in stored.values() for key, claim in each.claims.items() if key not in kept}
    shared = sharers.of(gone, search.runs)
    others = dict.fromkeys(each for found in shared.values() for each in found)
    for key in shared:
        del gone[key]
    for name, storage in storages.items():
        if claims := [claim for (of, _), claim in gone.items() if of == name]:
            await storage.erase(claims)
    unreached = sum(name not in storages for name, _ in gone)
    runs = tuple(search.runs.values())
    told = {each.id for each in others}
    kept_by = tuple(each for each in await keepers(search.client, stored.values(), search.runs) if each.id not in told)
    return Forgotten(id, runs, left, len(gone) - unreached, unreached, len(shared), tuple(others), kept_by)


@dataclass(slots=True)
class _Search:
    client: Client
    runs: dict[str, KeptRun] = field(default_factory=dict)
    looked: dict[tuple[str, str], None] = field(default_factory=dict)

    async def news(self, id: str) -> tuple[KeptRun, ...]:
        """Look at a saga, and once more at all children that its runs have ever named; return what has come to it."""
        before, again = set(self.runs), list(self.looked)
        self.looked.clear()
        await self.look(id, parent="")
        for child, parent in again:
            await self.look(child, parent=parent)
        return tuple(each for run_id, each in self.runs.items() if run_id not in before)

    async def look(self, id: str, *, parent: str) -> None:
        """Find the runs with this id, and all below them; with *parent*, only those that it has begun."""
        if (id, parent) in self.looked:  # two parents may each have begun a child of one id
            return
        self.looked[id, parent] = None
        async for raw in runs_under(self.client, id):
            began = raw.workflow_execution_info
            if parent and began.parent_execution.workflow_id != parent:
                continue
            if "saga" not in began.memo.fields:  # it belongs to somebody else
                continue
            run_id, is_open = began.execution.run_id, word(began.status) in OPEN
            above = () if parent else above_of(began)
            self.runs[run_id] = KeptRun(id, run_id, began.type.name, is_open, child=bool(parent), above=above)
            for child in await self._children(id, run_id):
                await self.look(child, parent=id)

    async def _children(self, id: str, run_id: str) -> list[str]:
        found: dict[str, None] = {}
        async for event in self.client.get_workflow_handle(id, run_id=run_id).fetch_history_events():
            if event.HasField("start_child_workflow_execution_initiated_event_attributes"):
                found[event.start_child_workflow_execution_initiated_event_attributes.workflow_id] = None
        return list(found)


async def _ask(client: Client, run: KeptRun) -> None:
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id)
    )
    try:
        with known(client, run.id):
            await client.workflow_service.delete_workflow_execution(request, retry=True)
    except SagaNotFound:  # somebody else, or the retention, was quicker
        return


async def _known(client: Client, runs: tuple[KeptRun, ...]) -> tuple[KeptRun, ...]:
    """Return the runs of which the server or its index knows something."""
    listed = {row.execution.run_id for row in await rows_of(client, {each.id for each in runs}, whatever=True)}
    left = []
    for each in runs:
        try:
            await asked(client, each.id, each.run_id)
        except SagaNotFound:
            if each.run_id not in listed:
                continue
        left.append(each)
    return tuple(left)
