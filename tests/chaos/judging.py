"""Saga by saga: is what it says of itself what stands in the books?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagadsl.status.narrative import NOTHING_LEFT
from sagadsl.temporal.read.runs import Ended
from sagadsl.trial.invariants import untrue
from tests.chaos.books import Books, Effect
from tests.chaos.people import Known
from tests.chaos.plans import ADVANCE, ORDER, TRANSFER, WEEKEND
from tests.chaos.stage import ACCOUNTS, FUNDS, SHOP
from tests.chaos.views import Views

_KEPT = re.compile(r"on_failure/.*|invoice|tell_customer")
"""Steps that have nothing to undo, as their definitions say."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be."""

    id: str
    what: str


def judged(known: Known, runs: Sequence[Ended], seen: Views, books: Books) -> Iterator[Violation]:
    """Yield everything that is wrong with one saga. *runs* are all that were begun under its id, oldest first."""
    for what in seen.disagreements():
        yield Violation(known.id, what)
    if len(known.ids) != 1:
        yield Violation(known.id, f"one request, several sagas: {sorted(known.ids)}")
    allowed = 2 if known.second else 1
    if len(runs) > allowed:
        yield Violation(known.id, f"started {len(runs)} times; {allowed} is right")
    effects = books.of.get(known.id, ())
    generations = sorted({each.generation for each in effects})  # the first run has none
    if len(generations) > len(runs):
        yield Violation(known.id, f"effects of runs that nobody knows: {generations}")
    for number, ended in enumerate(runs):
        mine = [each for each in effects if bool(each.generation) == bool(number)]
        report = seen.report if ended == seen.ended else ended.report or {}
        yield from _one(known, ended, report, mine)
    left = [each.path for each in effects if each.stands and not _KEPT.fullmatch(each.path)]
    nothing = NOTHING_LEFT in seen.sentences and len(runs) == 1 and not seen.status.get("pivot_passed")
    if nothing and seen.ended.status == "failed" and left:
        yield Violation(known.id, f"explain-run says that nothing is left to do; it stands: {left}")


def _one(known: Known, ended: Ended, report: Mapping[str, Any], effects: Sequence[Effect]) -> Iterator[Violation]:
    """Judge one run by what it says and what stands of it."""
    if ended.status == "completed":
        yield from _completed(known, effects)
        return
    stands = [_named(each.path) for each in effects if each.stands and not _KEPT.fullmatch(each.path)]
    for breach in untrue(ended.status, report, dict.fromkeys(stands)):
        yield Violation(known.id, f"{breach.message} (`{breach.path}`, {breach.kind})")


def _completed(known: Known, effects: Sequence[Effect]) -> Iterator[Violation]:
    """Completed is said: everything is there, once, and nothing was taken back."""
    in_force = [each for each in effects if each.stands]
    counts = Counter(each.path for each in in_force)
    for path in _due(known):
        if counts[path] != 1:
            yield Violation(known.id, f"completed, and `{path}` stands {counts[path]} times")
    money = [each.amount for each in in_force if each.name in ("withdraw", "deposit")]
    if money != ([] if known.plan.saga == WEEKEND else [known.plan.amount] * 2):
        yield Violation(known.id, f"completed, and moved {money} for {known.plan.amount}")
    taken = [each.path for each in effects if each.state == "undone"]
    if taken:
        yield Violation(known.id, f"completed, and taken back: {taken}")


def _due(known: Known) -> list[str]:
    """Return the steps whose effect stands when the saga has completed."""
    lines = range(len(known.plan.input.get("lines", ())))
    return {
        TRANSFER: ["withdraw", "deposit"],
        ADVANCE: ["withdraw", "approve/form", "deposit"],
        WEEKEND: ["room", "berth"],
        ORDER: [
            *(f"reserve[{index}]/reserve_line" for index in lines),
            *("charge", "earn", "prepare/pack", "prepare/label", "hand_over"),
        ],
    }[known.plan.saga]


def _named(path: str) -> str:
    """Return the step of the root saga that answers for it: a child is undone as one."""
    return re.sub(r"^(prepare|approve)/.*", r"\1", path)


def money(books: Books, known: Sequence[Known], failed: Container[str]) -> Iterator[Violation]:
    """Yield what does not add up in the bank as a whole: only sagas that have *failed* may leave half a transfer."""
    for problem in books.problems:
        yield Violation("", problem)
    ids = {each.id for each in known}
    for id_ in books.of.keys() - ids:
        yield Violation(id_, "is in the books, and nobody was told of it")
    expected = dict.fromkeys((*ACCOUNTS, SHOP), FUNDS)
    made = 0
    for each in known:
        for effect in books.in_force(each.id):
            sign = {"withdraw": -1, "deposit": 1}.get(effect.name, 0)
            if sign:
                expected[_account(each, effect)] += sign * effect.amount
                made += 0 if each.id in failed else sign * effect.amount
    if made:
        yield Violation("", f"money was made or lost: {made:+}")
    if expected != dict(books.balances):
        yield Violation("", f"the accounts hold {dict(books.balances)}, {expected} follows from the keys")


def _account(known: Known, effect: Effect) -> str:
    given = known.plan.input
    if known.plan.saga == ORDER:
        return str(given["account"] if effect.path == "charge" else given["shop_account"])
    return str(given["from_account"] if effect.path == "withdraw" else given["to_account"])
