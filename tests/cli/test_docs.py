"""The page about the command line knows every command and every option."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from sagadsl.cli.commands import COMMANDS, cli
from sagadsl.cli.outcome import EXIT_CODES

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def _commands(name: str) -> list[click.Command]:
    with cli.make_context("sagadsl", ["--help"], resilient_parsing=True) as context:
        command = cli.get_command(context, name)
    assert command is not None
    return [command, *(command.commands.values() if isinstance(command, click.Group) else ())]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_a_section_and_every_option_is_named(name: str) -> None:
    """A setting without documentation fails the build."""
    assert f"\n### `sagadsl {name}`\n" in PAGE
    for command in _commands(name):
        for option in command.params:
            if isinstance(option, click.Option):
                assert any(flag in PAGE for flag in (*option.opts, *option.secondary_opts)), option.opts


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_form_of_output_is_named(name: str) -> None:
    """In the section of its command, or before the first of them, where `--json` stands for all."""
    before, *sections = PAGE.split("\n### `sagadsl ")
    section = next(each for each in sections if each.startswith(f"{name}`"))
    words = set(re.findall(r"\w+", before + section))

    for command in _commands(name):
        for option in command.params:
            if option.name in ("output", "format") and isinstance(option.type, click.Choice):
                assert {str(form) for form in option.type.choices} - words == set()


@pytest.mark.parametrize("code", [*EXIT_CODES.values(), 1, 2, 3, 4, 70, 130, 141])
def test_every_exit_code_is_explained(code: int) -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| ")]
    assert any(str(code) in row.replace(",", " ").split() for row in rows)
