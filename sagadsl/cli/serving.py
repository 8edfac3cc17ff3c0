"""The activities and queues that a worker needs for a saga. It reads models and starts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagadsl.language import walk
from sagadsl.language.calls import ActivityCall, Call, Send
from sagadsl.language.model import Saga


def calls(saga: Saga) -> Iterator[Call]:
    """Yield all calls of *saga*: steps, compensations, probes, and what tells of pauses."""
    for spot in walk.spots(saga):
        yield from (call for call, _route, _phase in walk.calls(spot[-1].step))


def activities(saga: Saga) -> set[str]:
    """Return the names of all activities that *saga* calls, wherever they run."""
    return {name for call in _activity_calls(saga) for name in call.names}


def own_activities(saga: Saga) -> set[str]:
    """Return the activities on the saga's own queue, which its worker needs."""
    own = [call for call in _activity_calls(saga) if call.task_queue is None]
    return {name for call in own for name in call.names}


def endpoints(sagas: Iterable[Saga]) -> set[str]:
    """Return the Nexus endpoints that *sagas* name."""
    called = (call for saga in sagas for call in calls(saga) if isinstance(call, ActivityCall))
    return {call.operation.endpoint for call in called if call.operation is not None}


def _activity_calls(saga: Saga) -> Iterator[ActivityCall]:
    yield from (call for call in calls(saga) if isinstance(call, ActivityCall) and call.operation is None)


def queues(sagas: Iterable[Saga]) -> set[str]:
    """Return the task queues that *sagas* name, except those that only an expression gives."""
    started = [call for saga in sagas for call in calls(saga) if not isinstance(call, Send)]
    named = {call.task_queue.source for call in started if call.task_queue is not None}
    return {name for name in named if isinstance(name, str) and "{{" not in name}
