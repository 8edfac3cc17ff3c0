"""Cases: an input, what the participants do, who interferes when, and what has to come of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sagadsl.diagnostics.findings import Route
from sagadsl.engine.facts import NOTHING_GIVEN, Given
from sagadsl.immutable import Immutable, field
from sagadsl.language.notation.moments import instant
from sagadsl.trial.mocks import Mocks, parse, seconds
from sagadsl.trial.target import Target

_TIME = re.compile(r"[0-9]|PT?[0-9]")
ACTIONS = (
    "cancel",
    "timeout",
    "crash",
    "signal",
    "retry",
    "complete",
    "skip",
    "abort",
    "pause",
    "resume",
    "reset",
    "migrate",
    "terminate",
    "recover",
    "redrive",
)
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
        name: The signal, or the path of an operator's request (empty if there is only one), or the new definition.
        to: With ``migrate``: the new definition.
        given: What an operator gives with the request.
        back: With ``redrive``: the step to which the saga goes back.
        mocks: What the participants do from then on, over what they did before; ``None``: the same.
        is_plain: The signal is sent as any Temporal client sends it: the saga does not judge it before it takes it.
    """

    moment: Moment
    action: str
    name: str = ""
    payload: Any = None
    by: str = ""
    why: str = ""
    given: Given = NOTHING_GIVEN
    to: Target | None = None
    back: str = ""
    mocks: Mocks | None = None
    is_plain: bool = False

    def __str__(self) -> str:
        return f"{self.action} {self.name}".rstrip()


class Case(Immutable):
    """One case of a suite.

    Attributes:
        name: Unique in its suite.
        rules: What the case shows, for people.
        given: The names of the mocks that the case itself gives.
        now: The instant at which virtual time begins, in seconds since 1970; ``None`` is always the same.
        then: The expectations, as written, with whole names.
        route: Its place in the file.
    """

    name: str = ""
    input: Any = None
    mocks: Mocks = field(default_factory=Mocks)
    when: tuple[Interference, ...] = ()
    then: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    route: Route = ()
    given: tuple[str, ...] = ()
    now: float | None = None

    @property
    def later(self) -> tuple[Target, ...]:
        """The definitions to which its saga migrates."""
        return tuple(each.to for each in self.when if each.to is not None)


Definitions = Mapping[str, Target]
"""The definitions that cases name, by ``key_of`` what they write."""


def key_of(named: Any) -> str:
    """Return the key of a definition that is named by its file, or stands in the suite itself."""
    return named if isinstance(named, str) else json.dumps(named)


def interference(data: Mapping[str, Any], definitions: Definitions | None = None) -> Interference:
    """Return one entry of ``when``, from data that has been checked against the schema."""
    action = next(each for each in ACTIONS if each in data)
    named = data[action]
    more = named if isinstance(named, Mapping) else {}
    by, why = ("", "") if action == "signal" else ("somebody", "the case says so")
    at = moment(data["at"], seconds(data["after"]) if "after" in data else 0.0)
    if action in ("recover", "redrive"):
        back = named["from"] if isinstance(named, Mapping) else ""
        name = named if isinstance(named, str) else f"from {back}" if back else ""
        then = parse(data["mocks"]) if "mocks" in data else None
        by, why = data.get("by", by), data.get("why", why)
        return Interference(at, action, name, by=by, why=why, back=back, mocks=then)
    if action == "migrate":
        to = (definitions or {})[key_of(named)]
        name = named if isinstance(named, str) else f"to {to.saga.name} {to.saga.version}".rstrip()
        return Interference(at, action, name, by=data.get("by", by), why=data.get("why", why), to=to)
    return Interference(
        at,
        action,
        named if isinstance(named, str) else more.get("step", more.get("to", "")),
        data.get("payload"),
        data.get("by", by),
        data.get("why", why),
        Given.read(more),
        is_plain=data.get("plain", False),
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


def case(
    data: Mapping[str, Any], defaults: Mapping[str, Any], route: Route, definitions: Definitions | None = None
) -> Case:
    """Return a case, from data that has been checked against the schema; its own keys win over *defaults*."""
    given = data.get("given") or {}
    input_, general = given.get("input"), defaults.get("input")
    if isinstance(general, Mapping) and (input_ is None or isinstance(input_, Mapping)):
        input_ = {**general, **(input_ or {})}
    elif "input" not in given:
        input_ = general
    own = parse(given.get("mocks") or {})
    return Case(
        data["name"],
        input_,
        own.over(parse(defaults.get("mocks") or {})),
        tuple(interference(each, definitions) for each in data.get("when") or ()),
        data.get("then") or {},
        tuple(data.get("rules") or ()),
        route,
        tuple(own.entries),
        instant(given.get("now", defaults.get("now"))),
    )
