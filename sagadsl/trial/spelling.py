"""Checks the names in a suite: SD802 for each name that no call, step, activity or signal of the saga has.

Without this check, a misspelt name would have no effect, and a case that tests nothing would pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language.paths import is_path_end, parse_call, undo_path
from sagadsl.language.suggest import did_you_mean, listed
from sagadsl.trial.case import is_time
from sagadsl.trial.names import Names


def case(written: Mapping[str, Any], known: Names, signals: Collection[str], route: Route) -> Iterator[Finding]:
    """Yield the misspelt names of a case; *signals* are those for which its saga waits."""
    yield from mocks((written.get("given") or {}).get("mocks") or {}, known, (*route, "given", "mocks"))
    for index, entry in enumerate(written.get("when") or ()):
        yield from _interference(entry, known, signals, (*route, "when", index))
    yield from _expected(written["then"], known, (*route, "then"))


def defaults(written: Mapping[str, Any], sagas: list[Names]) -> Iterator[Finding]:
    """Yield the mocks of ``defaults`` that belong to none of the suite's sagas, or that one of them cannot act out."""
    for name, mock in (written.get("mocks") or {}).items() if sagas else ():
        owners = [known for known in sagas if known.is_call(name)] or sagas[:1]
        findings = (list(mocks({name: mock}, known, ("defaults", "mocks"))) for known in owners)
        yield from next(filter(None, findings), ())


def mocks(written: Mapping[str, Any], known: Names, route: Route) -> Iterator[Finding]:
    """Yield the mocks that belong to no call, and those that their call cannot act out."""
    for name in written:
        yield from _call(name, known, (*route, name), at_key=True)
    for name, attempt, place in attempts(written, route):
        if known.is_local(name):
            yield from _local(name, attempt, place)


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


def _interference(entry: Mapping[str, Any], known: Names, signals: Collection[str], route: Route) -> Iterator[Finding]:
    at = entry["at"]
    if isinstance(at, str) and not is_time(at):
        yield from _call_or_step(at, known, (*route, "at"))
    if isinstance(at, Mapping):
        for key in ("begin", "end", "retry"):
            if key in at:
                yield from _call_or_step(at[key], known, (*route, "at", key))
        if "waiting" in at:
            yield from _signal(at["waiting"], signals, (*route, "at", "waiting"))
    if "signal" in entry:
        yield from _signal(entry["signal"], signals, (*route, "signal"))
    for verb in ("retry", "skip", "abort"):
        if isinstance(entry.get(verb), str):
            yield from _decision(entry[verb], known, (*route, verb))


def _expected(then: Mapping[str, Any], known: Names, route: Route) -> Iterator[Finding]:
    for key in ("attempts", "sent"):
        for name in then.get(key) or {}:
            yield from _call(name, known, (*route, key, name), at_key=True)
    for key in ("steps", "outcomes"):
        for name in then.get(key) or {}:
            if not known.is_step(name):
                yield _unknown("step", name, known.steps, (*route, key, name), at_key=True)
    for key in ("compensated", "not_undone", "not_attempted"):
        for index, name in enumerate(then.get(key) or ()):
            if not known.is_step(name):
                yield _unknown("step", name, known.steps, (*route, key, index))
    for index, name in enumerate(then.get("attention") or ()):
        yield from _decision(name, known, (*route, "attention", index))
    for key in ("calls", "called", "never_called"):
        for index, name in enumerate(then.get(key) or ()):
            for inner, each in enumerate(name) if isinstance(name, list) else ((None, name),):
                place = (*route, key, index) if inner is None else (*route, key, index, inner)
                yield from _call(each, known, place)


def _call(name: str, known: Names, route: Route, *, at_key: bool = False) -> Iterator[Finding]:
    if not known.is_call(name):
        every = {**known.calls, **dict.fromkeys(known.activities)}
        yield _unknown("call or activity", name, every, route, at_key=at_key)


def _call_or_step(name: str, known: Names, route: Route) -> Iterator[Finding]:
    if not known.is_call(name) and not known.is_step(name):
        yield _unknown("call or step", name, {**known.calls, **known.steps}, route)


def _decision(path: str, known: Names, route: Route) -> Iterator[Finding]:
    """What an operator decides about: a step, or the compensation of one."""
    if not known.is_step(parse_call(path).step):
        undos = {undo_path(step): "" for step in known.steps}
        yield _unknown("step or compensation", path, {**known.steps, **undos}, route)


def _signal(name: str, signals: Collection[str], route: Route) -> Iterator[Finding]:
    if name not in signals:
        waits = f"it waits for {listed(signals)}" if signals else "it waits for no signal at all"
        help = did_you_mean(name, signals) or waits
        yield Finding("SD802", f"the saga does not wait for a signal `{name}`", route, help=help)


def _unknown(what: str, name: str, known: Collection[str], route: Route, *, at_key: bool = False) -> Finding:
    """A step is often called by its id alone, although it stands in a block."""
    inside = [each for each in known if is_path_end(name, each)]
    near = f"did you mean `{inside[0]}`?" if len(inside) == 1 else f"say which: {listed(inside)}" if inside else ""
    help = near or did_you_mean(name, known) or f"there are: {listed(known)}"
    return Finding("SD802", f"no {what} is named `{name}`", route, help=help, at_key=at_key)
