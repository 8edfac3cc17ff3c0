"""A whole exploration: every input and every fault, on all cores.

The work is split at the first fault, always in the same way, so that the result does not depend on
the number of cores.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from sagadsl.immutable import Immutable, field
from sagadsl.language.analysis.known import Signature
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.trial.explore.moves import Move
from sagadsl.trial.explore.search import Node, Search
from sagadsl.trial.explore.summary import Summary
from sagadsl.trial.explore.world import Surroundings

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
        pauses: Operators pause the saga, too.
    """

    definition: Mapping[str, Any]
    children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    signatures: Mapping[str, Signature] | None = None
    inputs: tuple[Any, ...] = ()
    most: int = 2
    seconds: float = float("inf")
    states: int = 10**12
    pauses: bool = False


class Explored(Immutable):
    """What an exploration has found.

    Attributes:
        tried: Inputs that were tried. ``outputs``: how many outputs, for each activity that has more than one.
        unreached: Ids of steps that began in no run.
        elapsed: Seconds of real time.
    """

    around: Surroundings
    summary: Summary
    tried: tuple[Any, ...]
    outputs: Mapping[str, int]
    unreached: tuple[str, ...]
    elapsed: float

    @property
    def saga(self) -> Saga:
        return self.around.saga


def explore(task: Task, jobs: int = 1) -> Explored:
    """Explore a saga with *jobs* processes."""
    began = time.monotonic()
    deadline = began + task.seconds
    around = surroundings(task)
    inputs = task.inputs or around.inputs()
    settings = tuple(_settings(around, inputs))
    total = Summary()
    ways: list[Way] = []
    for number in range(len(settings)):
        search = _search(task, around, settings, number, deadline=deadline, states=task.states - total.states)
        if search.most >= 0:

            def aside(node: Node, move: Move, number: int = number) -> None:
                ways.append((number, (*node.way, move)))

            search.explore(search.begin(), aside)
            total.add(search.summary)
    edges = [len(ways) * index // _CHUNKS for index in range(_CHUNKS + 1)]  # neighbouring ways lead to the same places
    chunks = [chunk for low, high in pairwise(edges) if (chunk := ways[low:high])]
    share = max(0, task.states - total.states) // max(1, len(chunks))
    for summary in _in_parallel([(task, settings, chunk, deadline, share) for chunk in chunks], jobs):
        total.add(summary)
    unreached = tuple(id_ for id_ in around.saga.places if id_ not in total.steps)
    outputs = {name: number for name in around.called if (number := len(around.outputs(name))) > 1}
    return Explored(around, total, tuple(inputs), outputs, unreached, time.monotonic() - began)


def _settings(around: Surroundings, inputs: Sequence[Any]) -> Iterator[SearchSetting]:
    """Yield the settings, the usual one first. All others are deviations, and count as a fault."""
    yield from (SearchSetting(input_) for input_ in inputs)
    yield from (SearchSetting(input_, generation="2") for input_ in inputs[:1])
    for activity in around.repeated() if inputs else ():
        yield from (SearchSetting(inputs[0], (activity, number)) for number in range(1, len(around.outputs(activity))))


def _search(
    task: Task, around: Surroundings, settings: Sequence[SearchSetting], number: int, *, deadline: float, states: int
) -> Search:
    setting = settings[number]
    if setting.always is not None:
        around = replace(around, always=dict([setting.always]))
    search = Search(around.saga, around, setting.input, task.most - min(number, 1), deadline, states)
    search.generation = setting.generation
    search.summary.usual = number == 0
    return search


def surroundings(task: Task) -> Surroundings:
    """Return the saga of a task, and its surroundings."""
    children = {name: build(data) for name, data in task.children.items()}
    return Surroundings(build(task.definition), children, task.signatures, pauses=task.pauses)


def usual_jobs() -> int:
    """Return how many processes this machine has room for."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_Part = tuple[Task, Sequence[SearchSetting], list[Way], float, int]


def _in_parallel(parts: Sequence[_Part], jobs: int) -> Iterator[Summary]:
    method = _method()
    if jobs <= 1 or len(parts) <= 1 or method is None:
        yield from map(_explore_part, parts)
        return
    with multiprocessing.get_context(method).Pool(min(jobs, len(parts))) as pool:
        yield from pool.imap(_explore_part, parts)


def _method() -> str | None:
    """Return the method to start further processes; ``None`` when this process cannot have any."""
    if sys.platform == "linux" and threading.active_count() == 1:  # a fork takes over no other thread's locks
        return "fork"
    # A new interpreter runs the main module once more, so that the main module must have a file.
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return "spawn" if main is not None and os.path.isfile(main) else None


def _explore_part(part: _Part) -> Summary:
    task, settings, ways, deadline, share = part
    around = surroundings(task)
    total = Summary()
    searches: dict[int, Search] = {}
    for number, way in ways:
        if number not in searches:
            searches[number] = _search(task, around, settings, number, deadline=deadline, states=share)
        search = searches[number]
        search.nodes = share - sum(each.summary.states for each in searches.values() if each is not search)
        search.explore(search.follow(way))
    for search in searches.values():
        total.add(search.summary)
    return total
