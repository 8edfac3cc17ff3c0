"""A whole exploration: every input and every fault, on all cores.

The work is split at the first fault, always in the same way, so that the result does not depend on
the number of cores.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from sagadsl.immutable import Immutable, field
from sagadsl.language.analysis.known import Signature
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.language.raw_steps import ON_PAUSE
from sagadsl.processes import in_order
from sagadsl.trial.explore.circumstances import Move
from sagadsl.trial.explore.nodes import Node
from sagadsl.trial.explore.search import Search
from sagadsl.trial.explore.summary import Summary
from sagadsl.trial.explore.world import Surroundings
from sagadsl.trial.names import names
from sagadsl.trial.target import Target
from sagadsl.virtual.clock import BEGIN

_CHUNKS = 48
"""Parts into which the ways with faults are cut: enough to keep every core busy to the end."""

Way = tuple[int, tuple[Move, ...]]
"""The number of the setting, and the moves so far."""


class SearchSetting(Immutable):
    """What is the same in all ways of one search.

    Attributes:
        always: An activity that never gives its usual output, and the number of the output that it gives.
        generation: Set when the saga is begun anew under the id of a saga that has ended.
    """

    input: Any
    always: tuple[str, int] | None = None
    generation: str = ""


class Task(Immutable):
    """What to explore.

    Attributes:
        definition: The saga as data. ``children``: its child sagas as data, by name.
        signatures: Signatures of the activities that it may call.
        inputs: Inputs to try; if there are none, they are drawn from the schema.
        most: How many faults one run may have. An input or output other than the usual one counts as a fault.
        seconds: Budget of time; infinite means none. ``states``: budget of states, shared by the parts of the work.
        pauses: Operators pause the saga, too. ``resets``: they reset it, too.
        kills: The server ends the run, too, and a new one takes it up; a saga that has failed is redriven.
        later: A definition as data with which it may go on, and its child sagas; ``later_name``: how cases name it.
        now: When the saga begins, in seconds since 1970.
    """

    definition: Mapping[str, Any]
    children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    signatures: Mapping[str, Signature] | None = None
    inputs: tuple[Any, ...] = ()
    most: int = 2
    seconds: float = float("inf")
    states: int = 10**12
    pauses: bool = False
    resets: bool = False
    kills: bool = False
    later: Mapping[str, Any] | None = None
    later_children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    later_name: str = ""
    now: float = BEGIN


class Explored(Immutable):
    """What an exploration has found.

    Attributes:
        tried: Inputs that were tried. ``outputs``: how many outputs, for each activity that has more than one.
        unreached: Ids of steps that began in no run.
        elapsed: Seconds of real time.
    """

    surroundings: Surroundings
    summary: Summary
    tried: tuple[Any, ...]
    outputs: Mapping[str, int]
    unreached: tuple[str, ...]
    elapsed: float

    @property
    def saga(self) -> Saga:
        return self.surroundings.saga


def explore(task: Task, jobs: int = 1) -> Explored:
    """Explore a saga with *jobs* processes."""
    began = time.monotonic()
    deadline = began + task.seconds
    surroundings = surroundings_of(task)
    inputs = task.inputs or surroundings.inputs()
    settings = tuple(_settings(surroundings, inputs))
    total = Summary()
    ways: list[Way] = []
    for number in range(len(settings)):
        search = _search(task, surroundings, settings, number, deadline=deadline, states=task.states - total.states)
        if search.most >= 0:

            def aside(node: Node, move: Move, number: int = number) -> None:
                ways.append((number, (*node.way, move)))

            search.explore(search.begin(), aside)
            total.add(search.summary)
    edges = [len(ways) * index // _CHUNKS for index in range(_CHUNKS + 1)]  # neighbouring ways lead to the same places
    chunks = [chunk for low, high in pairwise(edges) if (chunk := ways[low:high])]
    share = max(0, task.states - total.states) // max(1, len(chunks))
    for summary in in_order(_explore_part, [(task, settings, chunk, deadline, share) for chunk in chunks], jobs):
        total.add(summary)
    unreached = tuple(id_ for id_ in surroundings.saga.places if id_ not in total.steps)
    outputs = {name: number for name in surroundings.called if (number := len(surroundings.outputs(name))) > 1}
    return Explored(surroundings, total, tuple(inputs), outputs, unreached, time.monotonic() - began)


def _settings(surroundings: Surroundings, inputs: Sequence[Any]) -> Iterator[SearchSetting]:
    """Yield the settings, the usual one first. All others are deviations, and count as a fault."""
    yield from (SearchSetting(input_) for input_ in inputs)
    yield from (SearchSetting(input_, generation="2") for input_ in inputs[:1])
    for activity in surroundings.repeated() if inputs else ():
        yield from (
            SearchSetting(inputs[0], (activity, number)) for number in range(1, len(surroundings.outputs(activity)))
        )


def _search(
    task: Task,
    surroundings: Surroundings,
    settings: Sequence[SearchSetting],
    number: int,
    *,
    deadline: float,
    states: int,
) -> Search:
    setting = settings[number]
    if setting.always is not None:
        surroundings = replace(surroundings, always=dict([setting.always]))
    search = Search(surroundings.saga, surroundings, setting.input, task.most - min(number, 1), deadline, states)
    search.generation = setting.generation
    search.summary.usual = number == 0
    return search


def surroundings_of(task: Task) -> Surroundings:
    """Return the saga of a task, and its surroundings, without what tells of pauses: nothing follows from it (R64)."""
    children = {name: _built(data) for name, data in task.children.items()}
    found = Surroundings(
        _built(task.definition),
        children,
        task.signatures,
        pauses=task.pauses,
        resets=task.resets,
        kills=task.kills,
        now=task.now,
    )
    if task.later is None:
        return found
    saga, sagas = _built(task.later), {name: _built(data) for name, data in task.later_children.items()}
    later = Target(saga, sagas, task.later, task.later_children, names(saga, sagas))
    return replace(found, later=later, later_name=task.later_name)


def _built(definition: Mapping[str, Any]) -> Saga:
    return build({key: value for key, value in definition.items() if key != ON_PAUSE})


_Part = tuple[Task, Sequence[SearchSetting], list[Way], float, int]


def _explore_part(part: _Part) -> Summary:
    task, settings, ways, deadline, share = part
    surroundings = surroundings_of(task)
    total = Summary()
    searches: dict[int, Search] = {}
    for number, way in ways:
        if number not in searches:
            searches[number] = _search(task, surroundings, settings, number, deadline=deadline, states=share)
        search = searches[number]
        search.nodes = share - sum(each.summary.states for each in searches.values() if each is not search)
        search.explore(search.follow(way))
    for search in searches.values():
        total.add(search.summary)
    return total
