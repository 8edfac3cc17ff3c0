"""`once` and `undo`: an effect once for its key, and never again after its undo, whatever comes in which order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, Event
from typing import Any

import pytest
from pydantic import BaseModel

from sagadsl.authoring import Failure, Permanent, Transient, Unknown
from sagadsl.once.records import TakenBack
from tests.once.places import Place
from tests.patience import PATIENCE

KEY = "order-7/pay/do"
ASKED = {"amount": 5}
PAID = {"paid": {"amount": 5}}
DO, UNDO = (KEY, "do"), (KEY, "undo")


def _failure(call: Callable[[], Any]) -> tuple[type[Failure], str, bool]:
    """Return of which kind the failure is, its type, and whether another attempt follows."""
    with pytest.raises(Failure) as raised:
        call()
    kind = next(each for each in (Permanent, Transient, Unknown) if isinstance(raised.value, each))
    return kind, raised.value.type, raised.value.retryable


def test_a_repeated_attempt_gets_the_first_answer_and_has_no_effect(place: Place) -> None:
    """R49."""
    assert place.do(KEY, ASKED, answer={"reference": 1}) == {"reference": 1}
    assert place.do(KEY, ASKED, answer={"reference": 2}) == {"reference": 1}
    assert place.effects() == [DO]


def test_the_same_key_with_another_input_is_an_error(place: Place) -> None:
    """R5: what is on record may have to be undone, and another attempt would change nothing."""
    place.do(KEY, ASKED)

    assert _failure(lambda: place.do(KEY, {"amount": 6})) == (Unknown, "KeyReused", False)
    assert _failure(lambda: place.do(KEY, ASKED, name="acme.other")) == (Unknown, "KeyReused", False)
    assert _failure(lambda: place.undo(KEY, name="acme.other")) == (Unknown, "KeyReused", False)
    assert place.effects() == [DO]


def test_what_is_undone_stays_undone(place: Place) -> None:
    """R12: a late attempt is refused, and a repeated undo is told the same."""
    place.do(KEY, ASKED)
    undone = TakenBack(True, [ASKED, PAID])

    assert place.undo(KEY) == undone
    assert place.undo(KEY) == undone
    assert _failure(lambda: place.do(KEY, ASKED)) == (Permanent, "AlreadyUndone", False)
    assert place.effects() == [DO, UNDO]


def test_an_undo_before_the_call_refuses_it_from_then_on(place: Place) -> None:
    """R5, R12: nobody knew whether it happened."""
    assert place.undo(KEY) == TakenBack(False)
    assert place.undo(KEY) == TakenBack(False)
    assert _failure(lambda: place.do(KEY, ASKED)) == (Permanent, "AlreadyUndone", False)
    assert place.effects() == []


def _refuse() -> None:
    raise Permanent("the card is empty", type="CardEmpty")


def test_a_refusal_takes_everything_back_so_that_the_same_call_may_come_again(place: Place) -> None:
    assert _failure(lambda: place.do(KEY, ASKED, meanwhile=_refuse)) == (Permanent, "CardEmpty", False)
    assert place.effects() == []
    assert place.do(KEY, ASKED) == PAID


def test_an_undo_that_is_refused_leaves_the_call_done(place: Place) -> None:
    """An operator can retry the compensation later."""
    place.do(KEY, ASKED)

    assert _failure(lambda: place.undo(KEY, meanwhile=_refuse)) == (Permanent, "CardEmpty", False)
    assert place.do(KEY, ASKED) == PAID
    assert place.undo(KEY).undone
    assert place.effects() == [DO, UNDO]


def test_of_two_attempts_at_once_the_second_one_waits_and_gets_the_first_answer(place: Place) -> None:
    """The first one is in the middle of its transaction when the second one comes."""
    begun, second_runs = Event(), Event()

    def meanwhile() -> None:
        begun.set()
        assert second_runs.wait(PATIENCE)

    def second() -> Any:
        assert begun.wait(PATIENCE)
        second_runs.set()
        return place.do(KEY, ASKED, answer="second")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(place.do, KEY, ASKED, answer="first", meanwhile=meanwhile)
        late = threads.submit(second)
        assert (first.result(PATIENCE), late.result(PATIENCE)) == ("first", "first")
    assert place.effects() == [DO]


def test_when_the_first_of_two_attempts_is_taken_back_the_second_one_has_the_effect(place: Place) -> None:
    begun, second_runs = Event(), Event()

    def meanwhile() -> None:
        begun.set()
        assert second_runs.wait(PATIENCE)
        _refuse()

    def second() -> Any:
        assert begun.wait(PATIENCE)
        second_runs.set()
        return place.do(KEY, ASKED)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(_failure, lambda: place.do(KEY, ASKED, meanwhile=meanwhile))
        late = threads.submit(second)
        assert first.result(PATIENCE)[1] == "CardEmpty"
        assert late.result(PATIENCE) == PAID
    assert place.effects() == [DO]


def test_attempts_and_undos_that_come_all_at_once_leave_nothing(place: Place) -> None:
    """R5, R12: a timed-out attempt, another one and the compensation; whoever wins, in the end it is undone."""
    together = Barrier(4)

    def attempt(key: str) -> str:
        together.wait(PATIENCE)
        try:
            return str(place.do(key, ASKED))
        except Permanent as late:
            return late.type

    def undo(key: str) -> bool:
        together.wait(PATIENCE)
        return place.undo(key).undone

    with ThreadPoolExecutor(4) as threads:
        for number in range(5):
            key = f"order-{number}/pay/do"
            attempts = [threads.submit(attempt, key) for _ in range(2)]
            undone = {threads.submit(undo, key) for _ in range(2)}
            assert {each.result(PATIENCE) for each in attempts} <= {str(PAID), "AlreadyUndone"}
            (was_done,) = {each.result(PATIENCE) for each in undone}
            legs = [leg for of, leg in place.effects() if of == key]
            assert legs == (["do", "undo"] if was_done else [])


class Money(BaseModel):
    """A model, as activities have them for input."""

    amount: Decimal


@dataclass(frozen=True)
class Receipt:
    """A dataclass, as activities have them for output."""

    reference: str
    total: Decimal


def test_input_may_be_a_model_and_the_answer_a_dataclass(place: Place) -> None:
    receipt = Receipt("r-1", Decimal("5.50"))
    first = place.do(KEY, Money(amount=Decimal("5.50")), answer=receipt)

    assert place.do(KEY, {"amount": "5.50"}) == first == {"reference": "r-1", "total": "5.50"}


def test_an_answer_that_cannot_be_kept_has_no_effect(place: Place) -> None:
    with pytest.raises(TypeError, match="cannot become JSON"):
        place.do(KEY, ASKED, answer=object())

    assert place.effects() == []


def test_old_records_are_forgotten_but_not_those_of_open_sagas(place: Place) -> None:
    """Also of their child sagas, and of an id that was begun anew; the ids only look alike."""
    keys = ["a/pay/do", "b/pay/do", "b~2/pay/do", "b/child/pay/do", "bb/pay/do"]
    for key in keys:
        place.do(key, ASKED)

    assert place.forget(timedelta(hours=1), set()) == 0
    assert place.forget(timedelta(0), {"b"}) == 2
    for key in keys:
        place.do(key, ASKED)
    doubled = ["a/pay/do", "bb/pay/do"]
    assert place.effects() == [(key, "do") for key in [*keys, *doubled]]
