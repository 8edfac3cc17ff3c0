"""The bank as a saga sees it: typed, by the key of the call, with errors that say what may have happened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from sagadsl.authoring import MARK, Context, Failure, Permanent, Spec, Transient, Unknown
from sqlalchemy import Engine

from sagadsl_bank import activities, audit, database

DO = Context(idempotency_key="s/pay/do", step_idempotency_key="s/pay/do")
UNDO = Context(idempotency_key="s/pay/undo", step_idempotency_key="s/pay/do", is_compensation=True)


@pytest.fixture(autouse=True)
def bank(engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The bank of this process; alice holds 100, bob nothing."""
    monkeypatch.setenv("SAGADSL_BANK_URL", url)
    for account in ("alice", "bob"):
        activities.open_account(activities.AccountIn(account=account), Context(idempotency_key=f"open-{account}"))
    activities.deposit(_money("alice", 100), Context(idempotency_key="fund"))
    return engine


def _money(account: str, amount: int) -> activities.MoneyIn:
    return activities.MoneyIn(account=account, amount=amount)


def _spec(name: str) -> Spec:
    found = getattr(getattr(activities, name), MARK)
    assert isinstance(found, Spec)
    return found


def test_a_withdrawal_and_its_compensation_go_by_the_key_of_the_call(bank: Engine) -> None:
    """R49: the activity takes the key from its context, the compensation gets it as input."""
    taken = activities.withdraw(_money("alice", 30), DO)
    again = activities.withdraw(_money("alice", 30), DO)
    given = activities.undo_withdraw(activities.UndoIn(key=taken.key), UNDO)

    assert taken == again
    assert taken.model_dump() == {
        "reference": "482401018c92",
        "account": "alice",
        "balance": 70,
        "key": "s/pay/do",
    }
    assert given.model_dump() == {"key": "s/pay/do", "undone": True, "account": "alice", "balance": 100}
    assert audit.check(bank, total=100).problems == ()
    assert taken.reference in [entry.reference for entry in audit.history(bank)]


@pytest.mark.parametrize("name", ["undo_withdraw", "undo_deposit", "undo_open_account", "undo_close_account"])
def test_a_compensation_without_input_undoes_its_own_step(name: str) -> None:
    """R14: the context knows the step's key; nothing was done under it here."""
    undone = getattr(activities, name)(activities.UndoIn(), UNDO)

    assert undone.model_dump() == {"key": "s/pay/do", "undone": False, "account": None, "balance": None}


def test_an_undo_outside_of_a_compensation_has_to_say_what_to_undo() -> None:
    with pytest.raises(Permanent, match="`key` is missing") as caught:
        activities.undo_deposit(activities.UndoIn(), DO)

    assert caught.value.type == "InvalidInput"


def test_a_do_after_its_undo_is_refused_for_good() -> None:
    """R5: and the saga need not undo it once more."""
    activities.undo_deposit(activities.UndoIn(), UNDO)
    with pytest.raises(Permanent) as caught:
        activities.deposit(_money("bob", 5), DO)

    assert (caught.value.type, caught.value.effect_unknown) == ("AlreadyUndone", False)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: activities.withdraw(_money("alice", 101), DO), "InsufficientFunds"),
        (lambda: activities.withdraw(_money("nobody", 1), DO), "UnknownAccount"),
        (lambda: activities.deposit(_money("nobody", 1), DO), "UnknownAccount"),
        (lambda: activities.deposit(_money("shut", 1), DO), "AccountClosed"),
        (lambda: activities.close_account(activities.AccountIn(account="alice"), DO), "AccountNotEmpty"),
        (lambda: activities.open_account(activities.AccountIn(account="alice"), DO), "AccountExists"),
        (lambda: activities.balance(activities.AccountIn(account="nobody")), "UnknownAccount"),
    ],
)
def test_a_refusal_is_permanent_and_keeps_its_type(call: Callable[[], Any], name: str) -> None:
    """R3, R55: `failed` for sure, so there is nothing to undo and no sense in trying again."""
    activities.open_account(activities.AccountIn(account="shut"), Context(idempotency_key="open-shut"))
    activities.close_account(activities.AccountIn(account="shut"), Context(idempotency_key="close-shut"))
    with pytest.raises(Permanent) as caught:
        call()

    assert (caught.value.type, caught.value.retryable, caught.value.effect_unknown) == (name, False, False)


def test_another_movement_under_the_same_key_is_not_retried_but_undone(bank: Engine) -> None:
    """R5, R45: a step resumed with new input cannot say that nothing happened, since the old input may have."""
    activities.withdraw(_money("alice", 30), DO)
    with pytest.raises(Unknown) as caught:
        activities.withdraw(_money("alice", 31), DO)
    assert (caught.value.type, caught.value.retryable, caught.value.effect_unknown) == ("KeyReused", False, True)

    assert activities.undo_withdraw(activities.UndoIn(), UNDO).balance == 100
    assert audit.check(bank, total=100).problems == ()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_commit_without_an_answer_is_unknown(bank: Engine) -> None:
    """R5: the saga tries again with the same key, and undoes the step if that does not help."""
    dies = "BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END"
    at_commit = "AFTER INSERT ON postings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()"
    with bank.begin() as db:
        db.exec_driver_sql(f"CREATE FUNCTION die() RETURNS trigger AS '{dies}' LANGUAGE plpgsql")
        db.exec_driver_sql(f"CREATE CONSTRAINT TRIGGER dies {at_commit}")
    with pytest.raises(Unknown) as caught:
        activities.withdraw(_money("alice", 30), DO)

    assert (caught.value.type, caught.value.retryable) == ("OutcomeUnknown", True)


def test_a_database_without_its_tables_is_worth_another_try_and_quotes_no_statement(bank: Engine) -> None:
    """R5: it failed before the commit, so nothing has happened. R18: histories are no place for statements."""
    database.METADATA.drop_all(bank)
    with pytest.raises(Transient) as caught:
        activities.withdraw(_money("alice", 30), DO)

    assert caught.value.type == "DatabaseUnavailable"
    assert "INSERT" not in caught.value.message


def test_a_bank_that_was_never_made_is_worth_another_try(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody runs `bank init`, and the saga goes on."""
    monkeypatch.setenv("SAGADSL_BANK_URL", f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(Transient, match="run `bank init`") as caught:
        activities.balance(activities.AccountIn(account="alice"))
    assert caught.value.type == "NoBank"

    engine = database.connect(f"sqlite:///{tmp_path}/other.db")
    database.create(engine)
    engine.dispose()
    with pytest.raises(Permanent, match="there is no account `alice`"):
        activities.balance(activities.AccountIn(account="alice"))


def test_balance_shows_an_account_as_it_is() -> None:
    activities.close_account(activities.AccountIn(account="bob"), DO)

    assert activities.balance(activities.AccountIn(account="bob")).model_dump() == {
        "account": "bob",
        "balance": 0,
        "open": False,
    }
    activities.undo_close_account(activities.UndoIn(), UNDO)
    assert activities.balance(activities.AccountIn(account="bob")).open


@pytest.mark.parametrize("amount", [0, -1, True, "5", 1.5, 5.0, None, 2**53])
def test_only_a_positive_whole_number_is_an_amount(amount: object) -> None:
    """Money is neither text nor a truth."""
    with pytest.raises(ValidationError, match="amount"):
        activities.MoneyIn.model_validate({"account": "alice", "amount": amount})


@pytest.mark.parametrize("account", ["", "a\x00b", "two\nlines", "x" * 101, 7, None])
def test_only_a_short_line_of_text_is_an_account(account: object) -> None:
    """PostgreSQL takes no NUL, and no screen a line break."""
    with pytest.raises(ValidationError, match="account"):
        activities.AccountIn.model_validate({"account": account})


@pytest.mark.parametrize("model", [activities.AccountIn, activities.MoneyIn, activities.UndoIn])
def test_a_misspelt_input_is_not_ignored(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="acount"):
        model.model_validate({"acount": "alice"})


@pytest.mark.parametrize(
    ("kind", "retryable", "unknown"),
    [("transient", True, False), ("permanent", False, False), ("unknown", True, True)],
)
def test_step_with_error_fails_as_it_is_told(kind: str, retryable: bool, unknown: bool) -> None:
    """R5: each kind of error that the saga has to tell apart."""
    told = activities.StepWithErrorIn.model_validate({"kind": kind, "type": "Flood", "message": "all is wet"})
    with pytest.raises(Failure, match="all is wet") as caught:
        activities.step_with_error(told, DO)

    assert (caught.value.type, caught.value.retryable, caught.value.effect_unknown) == ("Flood", retryable, unknown)


def test_step_with_error_can_succeed_at_last_or_at_once() -> None:
    """R8: a step retried by its policy."""
    flaky = activities.StepWithErrorIn(failing_attempts=2)
    for attempt in (1, 2):
        with pytest.raises(Transient, match="failed on request"):
            activities.step_with_error(flaky, Context(attempt=attempt))

    assert activities.step_with_error(flaky, Context(attempt=3)).attempt == 3
    assert activities.step_with_error(activities.StepWithErrorIn(fail=False), DO).attempt == 1


def test_step_with_error_says_that_it_is_alive_while_it_runs() -> None:
    """R37: cancellation reaches a running activity only through heartbeats."""
    beats: list[tuple[Any, ...]] = []
    ctx = Context(send_heartbeat=lambda *details: beats.append(details))

    activities.step_with_error(activities.StepWithErrorIn(fail=False, seconds=0.3), ctx)
    assert len(beats) >= 2


def test_every_entry_point_is_an_activity_of_that_name_and_every_undo_exists() -> None:
    """What is installed can be loaded; `compensated_by` names what is there."""
    points = entry_points(group="sagadsl.activities")
    ours = {point.name: point.load() for point in points if point.name.startswith("bank.")}

    assert {name: function.__name__ for name, function in ours.items()} == {name: name[5:] for name in ours}
    assert len(ours) == 10
    for name in ("withdraw", "deposit", "open_account", "close_account"):
        assert _spec(name).compensated_by == f"bank.undo_{name}"
        assert f"bank.undo_{name}" in ours


def test_looking_at_the_activities_does_not_load_the_database() -> None:
    """Checking a file has 250 ms, the database's library alone takes longer."""
    code = "import sys, sagadsl_bank.activities; print('sqlalchemy' in sys.modules, 'temporalio' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "False False\n"
