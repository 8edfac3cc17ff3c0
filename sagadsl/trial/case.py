"""Cases: an input, what the participants do, who interferes when, and what has to come of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagadsl.diagnostics.findings import Route
from sagadsl.immutable import Immutable, field
from sagadsl.trial.mocks import Mocks, parse, seconds

_TIME = re.compile(r"[0-9]|PT?[0-9]")
ACTIONS = ("cancel", "timeout", "crash", "signal", "retry", "skip", "abort", "pause", "resume")
"""The kinds of interference, by key."""

MOMENTS = ("begin", "end", "retry", "waiting", "status")
"""The events to which a moment can refer, by key."""


class Moment(Immutable):
    """When something interferes.

    Attributes:
        on: One of ``MOMENTS``, or empty for an instant of time.
        name: Name of the call, the step or the awaited signal, or the saga's status.
        attempt: Number of the call's attempt, with ``begin`` and ``retry``.
        seconds: Seconds since the start, or after the event of ``on``.
    """

    on: str = ""
    name: str = ""
    attempt: int = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.on:
            return f"{self.seconds:g}s"
        attempt = f", attempt {self.attempt}" if self.attempt > 1 else ""
        later = f" + {self.seconds:g}s" if self.seconds else ""
        return f"{self.on}: {self.name}{attempt}{later}"


class Interference(Immutable):
    """Something from outside.

    Attributes:
        action: One of ``ACTIONS``.
        name: The signal, or the path of an operator's request; empty if there is only one.
    """

    moment: Moment
    action: str
    name: str = ""
    payload: Any = None
    by: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.action} {self.name}".rstrip()


class Case(Immutable):
    """One case of a suite.

    Attributes:
        name: Unique in its suite.
        rules: What the case shows, for people.
        then: The expectations, as written.
        route: Its place in the file.
    """

    name: str = ""
    input: Any = None
    mocks: Mocks = field(default_factory=Mocks)
    when: tuple[Interference, ...] = ()
    then: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    route: Route = ()


def interference(data: Mapping[str, Any]) -> Interference:
    """Return one entry of ``when``, from data that has been checked against the schema."""
    action = next(each for each in ACTIONS if each in data)
    named = data[action]
    return Interference(
        moment(data["at"], seconds(data["after"]) if "after" in data else 0.0),
        action,
        named if isinstance(named, str) else "",
        data.get("payload"),
        data.get("by", "somebody"),
        data.get("why", "the case says so"),
    )


def moment(at: Any, after: float = 0.0) -> Moment:
    """Return a moment: a duration since the start, a call that begins, or a mapping with one of ``MOMENTS``."""
    if isinstance(at, Mapping):
        on = next(each for each in MOMENTS if each in at)
        return Moment(on, at[on], int(at.get("attempt", 1)), after)
    if is_time(at):
        return Moment(seconds=seconds(at) + after)
    return Moment("begin", at, 1, after)


def is_time(at: str) -> bool:
    """Whether a moment is a duration since the start, in any spelling; otherwise it names a call or a step."""
    return _TIME.match(at) is not None


def case(data: Mapping[str, Any], defaults: Mapping[str, Any], route: Route) -> Case:
    """Return a case, from data that has been checked against the schema; its own keys win over *defaults*."""
    given = data.get("given") or {}
    input_, general = given.get("input"), defaults.get("input")
    if isinstance(general, Mapping) and (input_ is None or isinstance(input_, Mapping)):
        input_ = {**general, **(input_ or {})}
    elif "input" not in given:
        input_ = general
    mocks = parse(given.get("mocks") or {}).over(parse(defaults.get("mocks") or {}))
    return Case(
        data["name"],
        input_,
        mocks,
        tuple(interference(each) for each in data.get("when") or ()),
        data.get("then") or {},
        tuple(data.get("rules") or ()),
        route,
    )
