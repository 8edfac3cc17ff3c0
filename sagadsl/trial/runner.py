"""Plays the cases of suites one after the other on a host, and keeps their results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sagadsl.immutable import Immutable
from sagadsl.language.analysis.known import Signature
from sagadsl.language.model import Saga
from sagadsl.trial.coverage import Coverage, coverage
from sagadsl.trial.judge import Miss, judge, unused
from sagadsl.trial.outputs import Outputs
from sagadsl.trial.play import play
from sagadsl.trial.played import Played
from sagadsl.trial.suite import Playable, Suite
from sagadsl.trial.target import Target

Host = Callable[[Playable], Played | str]
"""Plays a case to its end, or says in one sentence why it cannot."""


class Result(Immutable):
    """The result of one case, also of one that could not be played.

    Attributes:
        misses: The expectations that were not met; empty when the case passed.
        unplayed: Why the host could not play the case; empty when it could.
        elapsed: Seconds of real time.
    """

    suite: Suite
    playable: Playable
    played: Played | None
    misses: tuple[Miss, ...]
    unplayed: str
    elapsed: float

    @property
    def passed(self) -> bool:
        return self.played is not None and not self.misses

    @property
    def unused(self) -> tuple[str, ...]:
        """The mocks of the case that no call has used."""
        return () if self.played is None else unused(self.playable.case, self.played)

    @property
    def name(self) -> str:
        return self.playable.case.name


def outputs_of(playable: Playable, activities: Mapping[str, Signature] | None) -> Outputs:
    """Return what draws the outputs of a case: also those that only a later definition reads."""
    targets = (playable.target, *playable.case.later)
    return Outputs(
        (*(each.saga for each in targets), *(s for each in targets for s in each.sagas.values())), activities
    )


def virtual(activities: Mapping[str, Signature] | None) -> Host:
    """Return the host of virtual time."""

    known: dict[int, tuple[Target, Outputs]] = {}

    def host(playable: Playable) -> Played:
        target = playable.target
        if playable.case.later:
            return play(target.saga, playable.case, sagas=target.sagas, outputs=outputs_of(playable, activities))
        if id(target) not in known:  # held there, so that its id stays its own
            known[id(target)] = target, outputs_of(playable, activities)
        return play(target.saga, playable.case, sagas=target.sagas, outputs=known[id(target)][1])

    return host


def run(suites: Iterable[Suite], host: Host, *, wanted: str = "", timed: bool = True) -> Iterator[Result]:
    """Yield the result of each case that is *wanted*, as it comes."""
    for suite, playable in chosen(suites, wanted):
        yield run_one(suite, playable, host, timed=timed)


def chosen(suites: Iterable[Suite], wanted: str) -> Iterator[tuple[Suite, Playable]]:
    """Yield the cases whose name, or whose file's, contains *wanted*."""
    for suite in suites:
        for playable in suite.cases:
            if wanted.lower() in f"{suite.document.name}::{playable.case.name}".lower():
                yield suite, playable


def run_one(suite: Suite, playable: Playable, host: Host, *, timed: bool = True) -> Result:
    """Play one case and judge it."""
    began = time.perf_counter()
    played = host(playable)
    elapsed = time.perf_counter() - began
    if isinstance(played, str):
        return Result(suite, playable, None, (), played, elapsed)
    return Result(suite, playable, played, judge(playable.case, played, timed=timed), "", elapsed)


def covered(results: Sequence[Result]) -> tuple[Coverage, ...]:
    """Return what the cases have shown of each saga, in the order in which the sagas came."""
    sagas: dict[str, Saga] = {}
    trials: dict[str, list[Played]] = {}
    for result in results:
        saga = result.playable.target.saga
        key = f"{saga.name} {saga.digest}"
        sagas[key] = saga
        if result.played is not None:
            trials.setdefault(key, []).append(result.played)
    return tuple(coverage(saga, trials.get(key, ())) for key, saga in sagas.items())
