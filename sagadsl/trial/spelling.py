"""Checks the names in a suite: SD802 for each name that no call, step, activity or signal of the saga has, SD809 for
types of errors.

Without this check, a misspelt name would have no effect, and a case that tests nothing would pass. A name may leave out
the blocks around its step; :func:`written_out` adds them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.immutable import Immutable
from sagadsl.language.checks.activities import OURS
from sagadsl.language.notation.error_types import class_name
from sagadsl.language.own_errors import SIGNAL_NOT_DELIVERED
from sagadsl.language.paths import is_path_end, is_pattern, pattern_of
from sagadsl.language.suggest import closest, did_you_mean, listed
from sagadsl.trial.case import is_time
from sagadsl.trial.fitting import outputs
from sagadsl.trial.names import Asks, Names

_WORDS = {
    Asks.ANY_CALL: "call or activity",
    Asks.CALL: "call or activity",
    Asks.CALL_OR_STEP: "call or step",
    Asks.STEP: "step",
    Asks.DECISION: "step or compensation",
}

_NEARLY = 0.85
"""From this likeness on a type of an error is a misspelt one. Less is like two errors of one kind: `AccountClosed` and
`AccountFrozen`, of which a case may well say that nobody handles the second."""


class NameInCase(Immutable):
    """A name in a case, and what it can mean there; ``at_key``: it is the last key of its route."""

    name: str
    asks: Asks
    route: Route
    at_key: bool = False


def case(written: Mapping[str, Any], known: Names, signals: Collection[str], route: Route) -> Iterator[Finding]:
    """Yield the misspelt names of a case; *signals* are those for which its saga waits."""
    yield from mocks((written.get("given") or {}).get("mocks") or {}, known, (*route, "given", "mocks"))
    yield from _misspelt(_in_case(written), known, route)
    for index, entry in enumerate(written.get("when") or ()):
        yield from _unlike(entry.get("mocks") or {}, known, (*route, "when", index, "mocks"))
        at = entry["at"]
        if isinstance(at, Mapping) and "waiting" in at:
            yield from _signal(at["waiting"], signals, (*route, "when", index, "at", "waiting"))
        if "signal" in entry:
            yield from _signal(entry["signal"], signals, (*route, "when", index, "signal"))


def defaults(written: Mapping[str, Any], sagas: list[Names]) -> Iterator[Finding]:
    """Yield the mocks of ``defaults`` that belong to none of the suite's sagas, or that one of them cannot act out."""
    for name, mock in (written.get("mocks") or {}).items() if sagas else ():
        owners = [each for each in sagas if (whole := each.whole(Asks.ANY_CALL, name)) and not each.beyond(whole)]
        owners = owners or sagas[:1]
        findings = (list(mocks({name: mock}, known, ("defaults", "mocks"))) for known in owners)
        yield from next(filter(None, findings), ())


def mocks(written: Mapping[str, Any], known: Names, route: Route) -> Iterator[Finding]:
    """Yield the mocks that belong to no call, and those that their call cannot act out."""
    yield from _misspelt(_in_mocks(written, ()), known, route)
    for name, attempt, place in attempts(written, route):
        if known.is_local(known.whole(Asks.ANY_CALL, name) or name):
            yield from _local(name, attempt, place)
        if known.is_sent(known.whole(Asks.ANY_CALL, name) or name):
            yield from _sent(name, attempt, place)
    yield from _unlike(written, known, route)


def written_out(written: Mapping[str, Any], known: Names) -> dict[str, Any]:
    """Return a case (or ``defaults``) with the blocks around each step that its names leave out."""
    whole: dict[str, Any] = deepcopy(dict(written))
    for place in everywhere(written):
        name = known.whole(place.asks, place.name)
        if name is None or name == place.name:
            continue
        holder = _inside(whole, place.route[:-1])
        if not place.at_key:
            holder[place.route[-1]] = name
        elif name not in holder:
            pairs = [(name if key == place.name else key, value) for key, value in holder.items()]
            holder.clear()
            holder.update(pairs)
    return whole


def _inside(data: Any, route: Route) -> Any:
    for key in route:
        data = data[key]
    return data


def attempts(written: Mapping[str, Any], route: Route) -> Iterator[tuple[str, Mapping[str, Any], Route]]:
    """Yield each attempt of mocks, with the name that it has a mock for, and its place."""
    for name, mock in written.items():
        if isinstance(mock, list):
            yield from ((name, each, (*route, name, index)) for index, each in enumerate(mock))
        else:
            yield name, mock, (*route, name)


def _local(name: str, attempt: Mapping[str, Any], route: Route) -> Iterator[Finding]:
    """SD807. Temporal gives the task of a dead worker to another one, which knows of no attempt."""
    if attempt.get("crash"):
        message = f"`{name}` is a local activity: another worker begins its first attempt again, and dies of it too"
        once = f"`when: [{{at: {name}, crash: true}}]` in a case, `--crash-at {name}` in a simulation"
        help = f"let the workers die once: {once}"
        yield Finding("SD807", message, route, help=help)
    elif attempt.get("timeout") == "schedule_to_start":
        message = f"`{name}` is a local activity, which waits in no queue"
        yield Finding("SD807", message, route, help="let it take too long: `timeout: start_to_close`")


def _sent(name: str, attempt: Mapping[str, Any], route: Route) -> Iterator[Finding]:
    """SD808: the server delivers a signal, or knows that it has not."""
    other = [key for key in attempt if key not in ("error", "message", "delay")]
    if other or attempt.get("error", SIGNAL_NOT_DELIVERED) != SIGNAL_NOT_DELIVERED:
        found = f"`{other[0]}`" if other else f"error `{attempt['error']}`"
        message = f"`{name}` sends a signal, for which there is no {found}: it is delivered, or it is not"
        help = f"write `error: {SIGNAL_NOT_DELIVERED}`, or a `delay`"
        yield Finding("SD808", message, route, help=help)


def _unlike(written: Mapping[str, Any], known: Names, route: Route) -> Iterator[Finding]:
    """Yield what no activity of the saga would do, as far as anybody knows: errors and outputs of other types."""
    yield from _errors(written, known, route)
    yield from outputs(attempts(written, route), known)


def _errors(written: Mapping[str, Any], known: Names, route: Route) -> Iterator[Finding]:
    """SD809: nearly an error that the saga knows of that call. Nobody handles a misspelt one."""
    for name, attempt, place in attempts(written, route):
        whole = known.whole(Asks.ANY_CALL, name) or name
        named = {class_name(each) for each in known.errors_of(whole)}
        for keys in (("error",), ("late", "error")):
            type_ = _inside(attempt, keys[:-1]).get("error") if keys[0] in attempt else None
            if not isinstance(type_, str) or class_name(type_) in {*named, *OURS} or known.is_sent(whole):
                continue
            near = closest(class_name(type_), named, _NEARLY)
            if near is not None:
                message = f"the saga knows of no error `{type_}` of `{name}`"
                help = f"did you mean `{near}`?"
                yield Finding("SD809", message, (*place, *keys), Severity.WARNING, help=help, focus=type_)


def everywhere(written: Mapping[str, Any]) -> Iterator[NameInCase]:
    """Yield every name in a case, or in the defaults of a suite, with its place below them."""
    yield from _in_mocks(written.get("mocks") or {}, ("mocks",))
    yield from _in_mocks((written.get("given") or {}).get("mocks") or {}, ("given", "mocks"))
    if "then" in written:
        yield from _in_case(written)


def _in_mocks(written: Mapping[str, Any], route: Route) -> Iterator[NameInCase]:
    for name in written:
        yield NameInCase(name, Asks.ANY_CALL, (*route, name), at_key=True)


def _in_case(written: Mapping[str, Any]) -> Iterator[NameInCase]:
    for index, entry in enumerate(written.get("when") or ()):
        yield from _in_interference(entry, ("when", index))
    yield from _in_expected(written["then"], ("then",))


def _in_interference(entry: Mapping[str, Any], route: Route) -> Iterator[NameInCase]:
    at = entry["at"]
    if isinstance(at, str) and not is_time(at):
        yield NameInCase(at, Asks.CALL_OR_STEP, (*route, "at"))
    if isinstance(at, Mapping):
        for key in ("begin", "end", "retry"):
            if key in at:
                yield NameInCase(at[key], Asks.CALL_OR_STEP, (*route, "at", key))
    for verb in ("retry", "complete", "skip", "abort"):
        named = entry.get(verb)
        if isinstance(named, str):
            yield NameInCase(named, Asks.DECISION, (*route, verb))
        elif isinstance(named, Mapping) and "step" in named:
            yield NameInCase(named["step"], Asks.DECISION, (*route, verb, "step"))
    if "reset" in entry:
        yield NameInCase(entry["reset"]["to"], Asks.STEP, (*route, "reset", "to"))
    if isinstance(redrive := entry.get("redrive"), Mapping):
        yield NameInCase(redrive["from"], Asks.STEP, (*route, "redrive", "from"))
    yield from _in_mocks(entry.get("mocks") or {}, (*route, "mocks"))


def _in_expected(then: Mapping[str, Any], route: Route) -> Iterator[NameInCase]:
    for keys, asks in ((("attempts", "sent"), Asks.CALL), (("steps", "outcomes"), Asks.STEP)):
        for key in keys:
            for name in then.get(key) or {}:
                yield NameInCase(name, asks, (*route, key, name), at_key=True)
    for key in ("compensated", "not_undone", "not_attempted", "goes_on", "attention"):
        for index, name in enumerate(then.get(key) or ()):
            yield NameInCase(name, Asks.DECISION if key == "attention" else Asks.STEP, (*route, key, index))
    for key in ("calls", "called", "never_called"):
        for index, name in enumerate(then.get(key) or ()):
            for inner, each in enumerate(name) if isinstance(name, list) else ((None, name),):
                place = (*route, key, index) if inner is None else (*route, key, index, inner)
                yield NameInCase(each, Asks.ANY_CALL if key == "never_called" else Asks.CALL, place)


def _misspelt(places: Iterator[NameInCase], known: Names, route: Route) -> Iterator[Finding]:
    for place in places:
        whole = known.whole(place.asks, place.name)
        help = known.beyond(whole) if whole is not None else _meant(place.asks, place.name, known)
        if whole is None or help:
            message = f"no {_WORDS[place.asks]} is named `{place.name}`"
            yield Finding("SD802", message, (*route, *place.route), help=help, at_key=place.at_key)


def unknown(asks: Asks, name: str, known: Names) -> str:
    """Return what to say of a name that nothing, or not one thing alone, has."""
    return f"no {_WORDS[asks]} is named `{name}`; {_meant(asks, name, known)}"


def _meant(asks: Asks, name: str, known: Names) -> str:
    """Say what can be meant: often a step in a loop, without its round."""
    every = list(dict.fromkeys(known.of(asks)))
    path = pattern_of(name)
    inside = [each for each in every if path == each or is_path_end(path, each)]
    if asks is not Asks.ANY_CALL and len(inside) == 1 and is_pattern(inside[0]):
        return f"say which round: `{inside[0].replace('[*]', '[0]')}` is the first"
    if inside:
        return f"did you mean `{inside[0]}`?" if len(inside) == 1 else f"say which: {listed(inside)}"
    return did_you_mean(name, every) or f"there are: {listed(every)}"


def _signal(name: str, signals: Collection[str], route: Route) -> Iterator[Finding]:
    if name not in signals:
        waits = f"it waits for {listed(signals)}" if signals else "it waits for no signal at all"
        help = did_you_mean(name, signals) or waits
        yield Finding("SD802", f"the saga does not wait for a signal `{name}`", route, help=help)
