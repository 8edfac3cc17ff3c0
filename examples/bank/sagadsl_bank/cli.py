"""The command `bank`: set a bank up, look at it, and check that it adds up. Moves no money between accounts.

Exit codes: 0 all is well; 1 the bank refused, or does not add up; 2 wrong usage; 3 no bank, or no database.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, exc

from sagadsl_bank import audit, database, ledger
from sagadsl_bank.errors import LARGEST, BankError, NoBank, OutcomeUnknown, UnsupportedDatabase


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    asked = _parser().parse_args(argv)
    command: Callable[[Engine, argparse.Namespace], int] = asked.command
    try:
        engine = database.connect(asked.url or database.url_from_environment())
        try:
            if command is not _init:
                database.require(engine)
            return command(engine, asked)
        finally:
            engine.dispose()
    except BankError as refusal:
        return _complain(str(refusal), 1)
    except (NoBank, UnsupportedDatabase, OutcomeUnknown) as error:
        return _complain(str(error), 3)
    except exc.DBAPIError as error:
        return _complain(f"the database `{database.shown(engine)}` cannot be used: {database.reason(error)}", 3)


def _init(engine: Engine, asked: argparse.Namespace) -> int:
    """Tables, accounts and their first money. Running it twice with the same accounts changes nothing."""
    (database.reset if asked.reset else database.create)(engine)
    try:
        for account, amount in asked.accounts:
            ledger.open_account(engine, f"init/{account}/open", account)
            if amount:
                ledger.deposit(engine, f"init/{account}/deposit", account, amount)
    except BankError as refusal:
        return _complain(f"{refusal}; `bank init --reset` starts anew", 1)
    return _balances(engine, asked)


def _balances(engine: Engine, asked: argparse.Namespace) -> int:
    standings = audit.balances(engine)
    total = sum(standing.balance for standing in standings)
    if asked.json:
        return _print_json({"accounts": [asdict(standing) for standing in standings], "total": total})
    rows = [(each.account, str(each.balance), "" if each.is_open else "closed") for each in standings]
    _print_table(("account", "balance", ""), [*rows, ("total", str(total), "")], right={1})
    return 0


def _history(engine: Engine, asked: argparse.Namespace) -> int:
    entries = audit.history(engine, asked.account)
    if asked.json:
        return _print_json({"movements": [asdict(entry) for entry in entries]})
    rows = [(_clock(each.created_at), each.kind, each.account or "-", each.amount, each.state) for each in entries]
    lines = [(*map(str, row), each.key) for row, each in zip(rows, entries, strict=True)]
    _print_table(("time (UTC)", "movement", "account", "amount", "state", "key"), lines, right={3})
    return 0


def _check(engine: Engine, asked: argparse.Namespace) -> int:
    found = audit.check(engine, asked.total)
    code = 1 if found.problems else 0
    if asked.json:
        return _print_json({"ok": not found.problems, **asdict(found)}, code)
    for problem in found.problems:
        print(f"problem: {problem}")
    states = ", ".join(f"{count} {state}" for state, count in sorted(found.keys.items())) or "none"
    verdict = "ok"
    if found.problems:
        verdict = f"{len(found.problems)} problem{'s' if len(found.problems) > 1 else ''}"
    print(f"{verdict}: total {found.total}; keys: {states}")
    return code


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--url", help="database; default: SAGADSL_BANK_URL, else sqlite:///bank.db in this folder")
    shared.add_argument("--json", action="store_true", help="print JSON")
    parser = argparse.ArgumentParser(prog="bank", description="The bank of the sagadsl examples.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[Engine, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[shared], help=text, description=text)
        added.set_defaults(command=command)
        return added

    init = add("init", _init, "make the tables, and accounts with their first money (minor units)")
    init.add_argument("--accounts", nargs="+", type=_account, default=[], metavar="NAME=AMOUNT")
    init.add_argument("--reset", action="store_true", help="forget everything that was there before")
    add("balances", _balances, "show all accounts and the total")
    history = add("history", _history, "show every key and what became of it")
    history.add_argument("--account", help="only this account's")
    check = add("check", _check, "check that balances, postings and keys agree; exit 1 if not")
    check.add_argument("--total", type=int, help="what all balances together have to be")
    return parser


def _account(text: str) -> tuple[str, int]:
    name, _, amount = text.rpartition("=")
    if not name or not amount.isascii() or not amount.isdigit() or int(amount) > LARGEST:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=AMOUNT with a whole amount, such as alice=100")
    return name, int(amount)


def _clock(instant: str) -> str:
    return instant[:26].replace("T", " ")


def _print_json(data: Any, code: int = 0) -> int:
    print(json.dumps({"schema_version": 1, **data}, indent=2, ensure_ascii=False))
    return code


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: set[int]) -> None:
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for row in [head, *rows]:
        cells = [cell.rjust(width) if at in right else cell.ljust(width) for at, (cell, width) in _cells(row, widths)]
        print("  ".join(cells).rstrip())


def _cells(row: tuple[str, ...], widths: list[int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))


def _complain(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code
