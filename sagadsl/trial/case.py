"""A trial to play: an input, what its participants do, who interferes when, and what has to come of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagadsl.diagnostics.findings import Route
from sagadsl.immutable import Immutable, field
from sagadsl.trial.mocks import Mocks, parse, seconds

_TIME = re.compile(r"[0-9]|PT?[0-9]")
ACTIONS = ("cancel", "timeout", "crash", "signal", "retry", "skip", "abort", "pause", "resume")
"""What can interfere, by its key."""

MOMENTS = ("begin", "end", "retry", "waiting", "status")
"""What a moment can hang on, by its key."""


class Moment(Immutable):
    """When something interferes.

    Attributes:
        on: One of ``MOMENTS``, or empty for an instant of time.
        name: Of the call or step, of the signal that is waited for, or the saga's status.
        attempt: With ``begin`` and ``retry``: of a call, which attempt.
        seconds: Since the start, or after what ``on`` says.
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
        name: The signal, or the path that an operator means; empty for the only one.
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
        rules: What it shows, for people.
        then: What has to come of it, as it was written.
        route: Where it stands in its file.
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
    """Whether a moment is a length of time since the start, in whichever spelling; else it names a call or step."""
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
