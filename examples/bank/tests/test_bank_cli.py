"""The command `bank`: whole screens and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sagadsl_bank import database, ledger
from sagadsl_bank.cli import main
from sagadsl_bank.ledger import Kind

FUNDED = ["init", "--accounts", "alice=100", "bob=50"]


@pytest.fixture(autouse=True)
def bank_url(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment names the database, as it does for the activities."""
    monkeypatch.setenv("SAGADSL_BANK_URL", url)
    return url


def _masked(line: str) -> str:
    """Without the time, which stands first."""
    return line[28:]


def test_init_opens_the_accounts_and_shows_them_with_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FUNDED) == 0
    assert capsys.readouterr().out.splitlines() == [
        "account  balance",
        "alice        100",
        "bob           50",
        "total        150",
    ]


def test_init_twice_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """R49: the command lives by the same rule as the activities."""
    main(FUNDED)
    once = capsys.readouterr().out

    assert main(FUNDED) == 0
    assert capsys.readouterr().out == once


def test_init_with_other_amounts_is_refused_and_reset_is_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    main(FUNDED)
    assert main(["init", "--accounts", "alice=7"]) == 1
    assert capsys.readouterr().err == (
        "error: key `init/alice/deposit` belongs to `deposit 100 alice`, it cannot be used for `deposit 7 alice`; "
        "`bank init --reset` starts anew\n"
    )

    assert main(["init", "--reset", "--accounts", "alice=7", "empty=0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "accounts": [
            {"account": "alice", "balance": 7, "is_open": True},
            {"account": "empty", "balance": 0, "is_open": True},
        ],
        "total": 7,
    }


def test_history_shows_what_became_of_each_key(bank_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--accounts", "alice=100"])
    engine = database.connect(bank_url)
    ledger.withdraw(engine, "s/withdraw/do", "alice", 30)
    ledger.undo(engine, "s/withdraw/do", Kind.WITHDRAW)
    ledger.undo(engine, "s/deposit/do", Kind.DEPOSIT)
    ledger.close_account(engine, "s/bob", ledger.open_account(engine, "s/open", "bob").account)
    engine.dispose()
    capsys.readouterr()

    assert main(["history"]) == 0
    assert [_masked(line) for line in capsys.readouterr().out.splitlines()] == [
        "movement       account  amount  state    key",
        "open_account   alice         0  done     init/alice/open",
        "deposit        alice       100  done     init/alice/deposit",
        "withdraw       alice        30  undone   s/withdraw/do",
        "deposit        -             0  refused  s/deposit/do",
        "open_account   bob           0  done     s/open",
        "close_account  bob           0  done     s/bob",
    ]
    main(["balances"])
    assert "bob            0  closed" in capsys.readouterr().out
    assert main(["history", "--account", "bob", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["movements"]
    assert [(each["key"], each["kind"], len(each["reference"])) for each in shown] == [
        ("s/open", "open_account", 12),
        ("s/bob", "close_account", 12),
    ]


def test_check_is_silent_about_a_sound_bank_but_for_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(FUNDED)
    capsys.readouterr()

    assert main(["check", "--total", "150"]) == 0
    assert capsys.readouterr().out == "ok: total 150; keys: 4 done\n"


def test_check_names_the_problem_and_exits_with_one(bank_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(FUNDED)
    engine = database.connect(bank_url)
    with engine.begin() as db:
        db.execute(database.ACCOUNTS.update().where(database.ACCOUNTS.c.name == "bob").values(balance=51))
    engine.dispose()
    capsys.readouterr()

    assert main(["check"]) == 1
    assert capsys.readouterr().out == (
        "problem: account `bob` holds 51, its postings give 50\n1 problem: total 151; keys: 4 done\n"
    )
    assert main(["check", "--total", "150", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "ok": False,
        "total": 151,
        "keys": {"done": 4},
        "problems": [
            "account `bob` holds 51, its postings give 50",
            "the bank holds 151 in all, 150 were expected",
        ],
    }


@pytest.mark.parametrize("command", ["balances", "history", "check"])
def test_a_missing_bank_is_said_in_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback for a user's mistake."""
    assert main([command]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: no bank in `")
    assert shown.err.count("\n") == 1


def test_a_database_that_does_not_answer_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["balances", "--url", "postgresql+psycopg://bank:secret@127.0.0.1:1/bank"]) == 3
    shown = capsys.readouterr().err
    assert shown.startswith("error: the database `postgresql+psycopg://bank:***@127.0.0.1:1/bank` cannot be used: ")
    assert shown.count("\n") == 1


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be mistaken for the header of one\n" * 9)

    assert main(["balances", "--url", f"sqlite:///{tmp_path}/notes.txt"]) == 3
    assert capsys.readouterr().err.endswith("cannot be used: file is not a database\n")


@pytest.mark.parametrize("account", ["alice", "=5", "alice=", "alice=-5", "alice=1.5", "alice=1e3", f"alice={2**53}"])
def test_an_amount_that_is_no_whole_number_is_wrong_usage(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["init", "--accounts", account])

    assert exit_.value.code == 2
    assert f"`{account}` is not NAME=AMOUNT" in capsys.readouterr().err


def test_the_module_is_the_command(bank_url: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "sagadsl_bank", *FUNDED], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("total        150\n")
