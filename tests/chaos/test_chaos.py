"""A short chaos run, and that its judges see what is untrue. docs/chaos.md tells more."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from sagadsl.temporal.read.runs import Ended
from tests.chaos.books import Books, Effect
from tests.chaos.judging import judged, money
from tests.chaos.people import Known
from tests.chaos.plans import plans
from tests.chaos.run import SHORT, run
from tests.chaos.stage import ACCOUNTS, FUNDS, SHOP
from tests.chaos.views import Views

SEED = int(os.environ.get("SEED", "20261128"))


@pytest.mark.temporal
@pytest.mark.timeout(300)
def test_what_sagas_say_is_what_stands_in_the_books(tmp_path: Path) -> None:
    """R1, R20, R49, R53: workers, server and gateway killed and frozen; starts twice, cancels, operators, children."""
    outcome = asyncio.run(run(SHORT, SEED, tmp_path / "run"))

    assert [(each.id, each.what) for each in outcome.violations] == [], f"SEED={SEED}"
    assert outcome.statuses["transfer-money completed"]
    assert outcome.statuses["transfer-money compensated"]
    assert outcome.effects["undone"]
    assert sum(outcome.broke.values()) >= SHORT.breaks


PLAN = next(iter(plans(1, 1, 0, 0, 1)))
KNOWN = Known(replace(PLAN, starts=1, again=False), {PLAN.id})
DONE = [Effect(name, f"{PLAN.id}/{name}/do", name, "done", 0, PLAN.amount) for name in ("withdraw", "deposit")]
UNDONE = [replace(each, state="undone", undone=1) for each in DONE]


def _views(status: str, *, undone: tuple[str, ...] = (), named: tuple[str, ...] = (), **other: str) -> Views:
    report = {"status": status, "undone": list(undone), "not_undone": [], "not_attempted": list(named)}
    ended = Ended(PLAN.id, status, report=None if status in ("completed", "cancelled") else report)
    closed = {"completed": "completed", "cancelled": "canceled"}.get(status, "failed")
    compensations = {**dict.fromkeys(undone, "done"), **dict.fromkeys(named, "not_attempted")}
    steps = [{"path": path, "compensation": {"status": word}} for path, word in compensations.items()]
    words = {"status": status, "the list": status, **other}
    return Views(ended, words, closed, report, (), {"steps": steps}, ended.as_json())


BOTH = ("deposit", "withdraw")
TRUE = [
    (_views("completed"), DONE),
    (_views("compensated", undone=BOTH), UNDONE),
    (_views("compensated"), []),
    (_views("cancelled", undone=BOTH), UNDONE),
    (_views("failed", undone=("deposit",), named=("withdraw",)), [DONE[0], UNDONE[1]]),
]
UNTRUE = {
    "completed, and one half is missing": (_views("completed"), DONE[:1]),
    "completed, and one half was done twice": (_views("completed"), [*DONE, DONE[1]]),
    "completed, and taken back": (_views("completed"), UNDONE),
    "compensated, and it stands": (_views("compensated", undone=("withdraw",)), [UNDONE[0], DONE[1]]),
    "nothing to undo, and it stands": (_views("compensated"), DONE[:1]),
    "undone, says the report, and it stands": (_views("failed", undone=BOTH), DONE[:1]),
    "cancelled, and it stands": (_views("cancelled"), DONE[:1]),
    "failed, and what stands is not named": (_views("failed", named=("deposit",)), DONE),
    "the list says something else": (_views("compensated", undone=BOTH, **{"the list": "failed"}), UNDONE),
}


def test_a_status_that_no_worker_has_given_is_found() -> None:
    seen = _views("completed")
    silent = replace(seen, status={**seen.status, "source": "history"})

    assert list(silent.disagreements()) == ["no worker answers for its status"]


@pytest.mark.parametrize(("seen", "effects"), TRUE)
def test_what_is_true_is_no_violation(seen: Views, effects: list[Effect]) -> None:
    books = Books({PLAN.id: effects}, (), {})

    assert list(judged(KNOWN, [seen.ended], seen, books)) == []


@pytest.mark.parametrize("name", list(UNTRUE))
def test_what_is_untrue_is_found(name: str) -> None:
    """So that no violations means something."""
    seen, effects = UNTRUE[name]
    books = Books({PLAN.id: effects}, (), {})

    assert list(judged(KNOWN, [seen.ended], seen, books)) != []


def test_a_saga_that_ran_twice_for_one_request_is_found() -> None:
    seen = _views("completed")
    books = Books({PLAN.id: DONE}, (), {})

    assert list(judged(KNOWN, [seen.ended] * 2, seen, books)) != []


def test_each_run_under_an_id_is_judged_by_its_own_keys() -> None:
    """R49: undone first, completed then; and the other way round it would be a lie."""
    seen = _views("completed")
    known = replace(KNOWN, second="run-2")
    first = _views("compensated", undone=BOTH).ended
    anew = [replace(each, generation="2") for each in DONE]
    good = Books({PLAN.id: [*UNDONE, *anew]}, (), {})
    bad = Books({PLAN.id: [*DONE, *(replace(each, generation="2") for each in UNDONE)]}, (), {})

    assert list(judged(known, [first, seen.ended], seen, good)) == []
    assert list(judged(known, [first, seen.ended], seen, bad)) != []


def test_money_that_is_made_is_found() -> None:
    balances = Counter(dict.fromkeys((*ACCOUNTS, SHOP), FUNDS))
    whole = Books({}, (), balances)
    half = Books({PLAN.id: DONE[1:]}, (), balances + Counter({PLAN.input["to_account"]: PLAN.amount}))

    assert list(money(whole, [KNOWN], ())) == []
    assert list(money(half, [KNOWN], ())) != []
    assert list(money(half, [KNOWN], {PLAN.id})) == []
