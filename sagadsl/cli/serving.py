"""The activities and queues that a worker needs for a saga. It reads models and starts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagadsl.language.model import ActivityCall, Call, Saga


def calls(saga: Saga) -> Iterator[Call]:
    """Yield all calls of *saga*: steps, compensations and probes."""
    for place in saga.places.values():
        step = place.step
        if isinstance(step.body, Call):
            yield step.body
        if step.probe is not None:
            yield step.probe
        if step.compensation is not None:
            yield from (action.call for action in step.compensation.actions)


def activities(saga: Saga) -> set[str]:
    """Return the names of all activities that *saga* calls, wherever they run."""
    return {call.activity for call in calls(saga) if isinstance(call, ActivityCall)}


def own_activities(saga: Saga) -> set[str]:
    """Return the activities on the saga's own queue, which its worker needs."""
    return {call.activity for call in calls(saga) if isinstance(call, ActivityCall) and call.task_queue is None}


def queues(sagas: Iterable[Saga]) -> set[str]:
    """Return the task queues that *sagas* name, except those that only an expression gives."""
    named = {call.task_queue.source for saga in sagas for call in calls(saga) if call.task_queue is not None}
    return {name for name in named if isinstance(name, str) and "{{" not in name}
