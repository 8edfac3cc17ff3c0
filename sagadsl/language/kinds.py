"""The table of the kinds of steps: the name of each, the steps in it, and its values.

It has one row for each member of ``Body``. All code that walks through a saga, lists its values or shows
its kinds reads this table. Other modules decide what a kind does, in matches that end in ``assert_never``,
so that the type checker names each match that a new kind needs.
Replay-critical: every replay reads here which steps a saga has, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.language.calls import ActivityCall, Count, Counted, Duration, SagaCall, Send, Value
from sagadsl.language.model import (
    Answer,
    Body,
    Branching,
    Expected,
    Fail,
    ForEach,
    Group,
    Loop,
    Memory,
    Parallel,
    Repeat,
    Return,
    Route,
    Set,
    Sleep,
    Step,
    Switch,
    WaitFor,
)


class Lane(Enum):
    """The lists in which a block can hold a step."""

    STEPS = auto()
    BRANCH = auto()
    ARM = auto()
    HANDLER = auto()
    ON_FAILURE = auto()
    ON_PAUSE = auto()


class RenderedAt(Enum):
    """When a value is rendered; this decides what the value can see."""

    START = auto()
    """Before any step: the saga's own timeout."""
    BEFORE = auto()
    """Before or while its step runs: ``if``, ``input`` and the like."""
    SIGNAL = auto()
    """When a signal comes for its wait: ``refused_if``, ``reply``."""
    RESULT = auto()
    """When its step has a result: ``failed_if``."""
    FIRST = auto()
    """Before each round of its own step: ``while``."""
    ROUND = auto()
    """After a round of the steps in its own step: ``next``, ``until``, ``every``."""
    BRANCHES = auto()
    """Whenever a branch or an item has ended: ``complete_when``."""
    BLOCK = auto()
    """When its block has ended, well or not: ``output`` of a block."""
    HANDLER = auto()
    """When its step has failed: ``if`` and ``output`` of a handler."""
    UNDO = auto()
    """When the saga undoes its step."""
    QUERY = auto()
    """Whenever somebody asks: ``queries``."""
    END = auto()
    """After all steps: the saga's own output."""


class StepList(Immutable):
    """One list of steps in a block.

    Attributes:
        way: The number of the arm; 0 for all other lists.
        condition: The steps run only when it holds; ``None``: always, or when the condition of no other arm holds.
    """

    steps: tuple[Step, ...]
    lane: Lane
    way: int = 0
    condition: Value | None = None


Written = tuple[Value, Route, RenderedAt]
"""A value of a step, its place below the step, and when it is rendered."""


class Kind(Immutable):
    """One kind of step.

    Attributes:
        body: Its class in the model.
        key: The key that names it in a definition, in a status and in a report.
        parts: The steps in it, as lists, in the order of the file.
        values: The values of this kind that may hold an expression, without a call's input, retries and timeouts.
        fails: Whether it can fail by itself, even if no step in it fails.
        subject: A word for its subject and the name of the subject, e.g. ``activity`` and ``payments.charge``.
        also: Further keys that name this kind.
        lists: Its keys whose values are lists of steps, as written.
        ways: Its keys whose values are lists of mappings with ``steps`` or ``else``, as written.
        drawn: The name of the kind in a drawing; empty means ``key``.
    """

    body: type[Body]
    key: str
    parts: Callable[[Any], tuple[StepList, ...]]
    values: Callable[[Any], Iterable[Written]]
    fails: Callable[[Any], bool]
    subject: Callable[[Any], tuple[str, str]] | None
    also: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    drawn: str = ""


def _steps(block: Group | Loop) -> tuple[StepList, ...]:
    return (StepList(block.steps, Lane.STEPS),)


def _branches(block: Parallel) -> tuple[StepList, ...]:
    return (StepList(block.steps, Lane.BRANCH),)


def _arms(block: Switch) -> tuple[StepList, ...]:
    return tuple(StepList(arm.steps, Lane.ARM, way, arm.condition) for way, arm in enumerate(block.arms))


def _none(_: Body) -> tuple[()]:
    return ()


def _parallel_values(body: Parallel) -> Iterator[Written]:
    yield from _count(body.max_concurrency, ("max_concurrency",))
    if body.complete_when is not None:
        yield body.complete_when, ("complete_when",), RenderedAt.BRANCHES


def _for_each_values(body: ForEach) -> Iterator[Written]:
    yield body.items, ("for_each", "items"), RenderedAt.BEFORE
    yield from _count(body.max_concurrency, ("for_each", "max_concurrency"))
    yield from _memory_values(body.memory, "for_each")
    if body.complete_when is not None:
        yield body.complete_when, ("complete_when",), RenderedAt.BRANCHES


def _memory_values(memory: Memory | None, key: str) -> Iterator[Written]:
    if memory is not None:
        yield memory.state, (key, "state"), RenderedAt.BEFORE
        if memory.next is not None:
            yield memory.next, (key, "next"), RenderedAt.ROUND


def _switch_values(body: Switch) -> Iterator[Written]:
    for number, arm in enumerate(body.arms):
        if arm.condition is not None:
            yield arm.condition, ("switch", number, "if"), RenderedAt.BEFORE


def _repeat_values(body: Repeat) -> Iterator[Written]:
    yield from _memory_values(body.memory, "repeat")
    if body.goes_on is not None:
        yield body.goes_on, ("repeat", "while"), RenderedAt.FIRST
    if body.until is not None:
        yield body.until, ("repeat", "until"), RenderedAt.ROUND
    yield from _duration(body.every, ("repeat", "every"), RenderedAt.ROUND)
    yield from _count(body.maximum_attempts, ("repeat", "maximum_attempts"))


def _sleep_values(body: Sleep) -> Iterator[Written]:
    yield from _duration(body.duration, ("sleep",))
    yield from _duration(body.until, ("sleep_until",))


def _wait_values(body: WaitFor) -> Iterator[Written]:
    yield from _duration(body.timeout, ("wait_for", "timeout"))
    for each in body.expected:
        for number, rule in enumerate(each.refused_if):
            route = (*expected_route(body, each), "refused_if", *((number,) if len(each.refused_if) > 1 else ()))
            yield rule.condition, (*route, "if"), RenderedAt.SIGNAL
            if rule.message is not None:
                yield rule.message, (*route, "message"), RenderedAt.SIGNAL
        if each.reply is not None:
            yield each.reply, (*expected_route(body, each), "reply"), RenderedAt.SIGNAL


def _set_values(body: Set) -> Iterator[Written]:
    yield body.values, ("set",), RenderedAt.BEFORE


def _fail_values(body: Fail) -> Iterator[Written]:
    yield body.message, ("fail", "message"), RenderedAt.BEFORE
    if body.result is not None:
        yield body.result, ("fail", "result"), RenderedAt.BEFORE


def _return_values(body: Return) -> Iterator[Written]:
    yield body.value, ("return",), RenderedAt.BEFORE


def _answer_values(body: Answer) -> Iterator[Written]:
    yield body.value, ("answer",), RenderedAt.BEFORE


def _duration(value: Duration | None, route: Route, phase: RenderedAt = RenderedAt.BEFORE) -> Iterator[Written]:
    if value is not None and not isinstance(value, timedelta):
        yield value, route, phase


def _count(value: Count | None, route: Route) -> Iterator[Written]:
    if isinstance(value, Counted):
        yield value.value, (*route, "value"), RenderedAt.BEFORE


def _always(_: Body) -> bool:
    return True


def _never(_: Body) -> bool:
    return False


def _repeat_fails(body: Repeat) -> bool:
    return body.maximum_attempts is not None


def _switch_fails(body: Switch) -> bool:
    return all(arm.condition is not None for arm in body.arms)


def _wait_fails(body: WaitFor) -> bool:
    return body.timeout is not None


def _activity(body: ActivityCall) -> tuple[str, str]:
    return "activity" if body.operation is None else "nexus", body.activity


def _saga(body: SagaCall) -> tuple[str, str]:
    return "saga", body.saga


def _sent(body: Send) -> tuple[str, str]:
    return "signal", body.signal


def _signal(body: WaitFor) -> tuple[str, str]:
    return "signal", body.either


_TABLE = (
    Kind(ActivityCall, "activity", parts=_none, values=_none, fails=_always, subject=_activity, also=("nexus",)),
    Kind(SagaCall, "saga", parts=_none, values=_none, fails=_always, subject=_saga),
    Kind(
        Parallel, "parallel", parts=_branches, values=_parallel_values, fails=_never, subject=None, lists=("parallel",)
    ),
    Kind(ForEach, "for_each", parts=_steps, values=_for_each_values, fails=_never, subject=None, lists=("steps",)),
    Kind(Repeat, "repeat", parts=_steps, values=_repeat_values, fails=_repeat_fails, subject=None, lists=("steps",)),
    Kind(Group, "steps", parts=_steps, values=_none, fails=_never, subject=None, lists=("steps",), drawn="group"),
    Kind(Switch, "switch", parts=_arms, values=_switch_values, fails=_switch_fails, subject=None, ways=("switch",)),
    Kind(Sleep, "sleep", parts=_none, values=_sleep_values, fails=_never, subject=None, also=("sleep_until",)),
    Kind(WaitFor, "wait_for", parts=_none, values=_wait_values, fails=_wait_fails, subject=_signal),
    Kind(Set, "set", parts=_none, values=_set_values, fails=_never, subject=None),
    Kind(Fail, "fail", parts=_none, values=_fail_values, fails=_always, subject=None),
    Kind(Return, "return", parts=_none, values=_return_values, fails=_never, subject=None),
    Kind(Send, "send", parts=_none, values=_none, fails=_always, subject=_sent),
    Kind(Answer, "answer", parts=_none, values=_answer_values, fails=_never, subject=None),
)

KINDS: dict[type[Body], Kind] = {kind.body: kind for kind in _TABLE}
"""The row of each kind, in the order of messages."""

KEYS = tuple(key for kind in _TABLE for key in (kind.key, *kind.also))
"""The keys that name a kind; ``steps`` names a kind only if no other key of the step does."""

OVER_STEPS = tuple(kind.key for kind in _TABLE if "steps" in kind.lists and kind.key != "steps")
"""The keys of the kinds that have ``steps`` beside a key of their own."""

LISTS = tuple(dict.fromkeys(key for kind in _TABLE for key in kind.lists))
"""The keys of steps whose values are lists of steps."""

BRANCHES = tuple(kind.key for kind in _TABLE if kind.key in kind.lists and kind.body is not Group)
"""The keys of ``LISTS`` whose steps are branches."""

WAYS = (*dict.fromkeys(key for kind in _TABLE for key in kind.ways), "on_error")
"""The keys of steps whose values are lists of mappings that hold steps."""


def kind_of(step: Step) -> Kind:
    """Return the row of a step's kind."""
    return KINDS[type(step.body)]


def key_of(step: Step) -> str:
    """Return the key that names the kind of a step: an activity's or an operation's own, else the first of its kind."""
    return _activity(step.body)[0] if isinstance(step.body, ActivityCall) else kind_of(step).key


def parts(step: Step) -> tuple[StepList, ...]:
    """Return the steps directly in a block, as lists, without the steps of its error handlers."""
    return KINDS[type(step.body)].parts(step.body)


def subject(body: Body) -> tuple[str, str]:
    """Return a word for the subject of a step, and the subject's name; two empty texts when it has no subject."""
    of = KINDS[type(body)].subject
    return ("", "") if of is None else of(body)


def expected_route(body: WaitFor, expected: Expected) -> Route:
    """Return the place below the step where a wait describes one of its signals."""
    return ("wait_for", "any", expected.signal) if body.says_which else ("wait_for",)


def is_loop(step: Step) -> bool:
    """Whether the steps in it run once in each round, so that their paths have the number of a round."""
    return isinstance(step.body, Loop)


def complete_when(step: Step) -> Value | None:
    """Return the condition that ends a block before all of its parts have ended; ``None`` when it has none."""
    return step.body.complete_when if isinstance(step.body, Branching) else None
