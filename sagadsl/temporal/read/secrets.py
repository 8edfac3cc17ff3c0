"""Takes the secrets of a saga out of what is shown of it, where no worker has done so: in its end, in what the server
knows of attempts, and in what its history tells.

A worker leaves them out of the status itself. Here they are read from the history, and only for sagas that have any.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from sagadsl.engine import hiding
from sagadsl.immutable import replace
from sagadsl.language.schema.secrecy import NOTHING, Hiding
from sagadsl.status.lines import PendingAttempt
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.recorded import pinned
from sagadsl.temporal.read.trace import trace
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.arguments import SECRETS, TAKES_UP

if TYPE_CHECKING:
    from sagadsl.temporal.read.runs import Ended

_SAID = frozenset({"message", "result"})
_REMEMBERED = 10_000
_WITHOUT: OrderedDict[str, None] = OrderedDict()
"""The runs that have no secrets, by run id: that does not change."""


async def hides_of(client: Client, described: Described) -> Hiding:
    """Return what takes the secrets of a run out of what is shown of it."""
    if not await has_secrets(client, described):
        return NOTHING
    return (await trace(client, described.id, run_id=described.run_id)).hides


async def has_secrets(client: Client, described: Described) -> bool:
    """Whether the definition of a run, or its activities, mark values as secret."""
    if described.memo.get(SECRETS):
        return True
    if described.run_id in _WITHOUT:
        return False
    package = await pinned(client, described)
    if package is None:  # nothing has begun
        before = described.memo.get(TAKES_UP)
        with contextlib.suppress(SagaNotFound):
            return bool(before) and await has_secrets(client, await describe(client, described.id, run_id=before))
        return True  # nobody can tell
    if package.marked.is_any:
        return True
    _WITHOUT[described.run_id] = None
    if len(_WITHOUT) > _REMEMBERED:
        _WITHOUT.popitem(last=False)
    return False


def end_without(ended: Ended, hides: Hiding) -> Ended:
    """Return how a saga ended, without secrets: neither in its output, nor in what errors say."""
    if not hides:
        return ended
    report = None if ended.report is None else hides.fields(ended.report, _SAID)
    error = None if ended.error is None else (ended.error[0], hides.text(ended.error[1]))
    causes = tuple((type_, hides.text(message)) for type_, message in ended.causes)
    warnings = tuple(hides.fields(each, _SAID) for each in ended.warnings)
    return replace(ended, output=hides.data(ended.output), report=report, error=error, causes=causes, warnings=warnings)


async def end_shown(client: Client, ended: Ended, *, run_id: str | None = None) -> Ended:
    """Return how a saga ended, as people see it who may not see its secrets."""
    described = await describe(client, ended.id, run_id=run_id)
    return end_without(ended, await hides_of(client, described))


async def attempts_shown(
    client: Client, described: Described, attempts: Mapping[str, PendingAttempt]
) -> dict[str, PendingAttempt]:
    """Return attempts that wait for their next try, without secrets in what the server says of their failures."""
    if not any(each.failure for each in attempts.values()):
        return dict(attempts)
    hides = await hides_of(client, described)
    return {call: replace(each, failure=hides.text(each.failure)) for call, each in attempts.items()}


async def status_without(client: Client, described: Described, status: dict[str, Any]) -> dict[str, Any]:
    """Return a status that comes from the history, without secrets."""
    return hiding.status(status, await hides_of(client, described))
