"""Printed commands reach the server of the command that prints them."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from sagadsl.cli.commands import cli
from sagadsl.cli.reach import ASKING, WITHOUT_SERVER, reaching, unasked
from sagadsl.columns import plain
from sagadsl.status.advice import page

OPTIONS = "--address example.com:7233 -n shop"


def test_exactly_the_commands_that_take_no_connection_get_none() -> None:
    names = cli.list_commands(click.Context(cli))
    assert {name for name in names if not _takes_a_connection(name)} == WITHOUT_SERVER


def _takes_a_connection(name: str) -> bool:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    return any("--address" in option.opts for each in commands for option in each.params)


def test_a_command_between_back_quotes_is_completed_once() -> None:
    text = reaching("see `sagadsl status trip-7`, or `sagadsl explain SD401`", OPTIONS)
    assert text == f"see `sagadsl status trip-7 {OPTIONS}`, or `sagadsl explain SD401`"
    assert reaching(text, OPTIONS) == text
    assert reaching(text, "") == text


def test_a_command_that_would_ask_has_yes_where_nobody_is_there() -> None:
    asks = "see `sagadsl status trip-7`; `sagadsl recover trip-7 -n shop` undoes it"
    assert unasked(asks) == "see `sagadsl status trip-7`; `sagadsl recover trip-7 -n shop --yes` undoes it"
    assert unasked(unasked(asks)) == unasked(asks)
    assert unasked("`sagadsl redrive trip-7 --dry-run`") == "`sagadsl redrive trip-7 --dry-run`"


def test_every_command_that_would_ask_takes_yes() -> None:
    for name in ASKING:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert any("--yes" in option.opts for option in command.params), name


def test_the_page_of_a_saga_has_them_in_every_command() -> None:
    for status in ("failed", "terminated"):
        shown = page({"id": "trip 7", "name": "trip", "status": status, "steps": []}, {}, _now(), OPTIONS)
        lines = [plain(line) for line in shown]
        commands = [line for line in lines if "sagadsl " in line]
        assert commands
        assert all(OPTIONS in line and "'trip 7'" in line for line in commands)


def _now() -> datetime:
    return datetime.now(UTC)
