"""A form of output that is added: whoever fails to say what it is when a command fails is told here."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
import pytest

from sagadsl.cli.commands import cli
from sagadsl.cli.forms import FORMS
from sagadsl.reporting import report
from tests.cli.shell import inside


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _forms() -> Iterator[tuple[tuple[str, ...], str, str]]:
    for path, command in _commands(cli):
        for option in command.params:
            if option.name in ("output", "format") and isinstance(option.type, click.Choice):
                yield from ((path, option.opts[-1], str(form)) for form in option.type.choices)


def test_each_form_of_each_command_is_in_the_table() -> None:
    chosen = list(_forms())

    assert len({path for path, _, _ in chosen}) > 10
    assert {form for _, _, form in chosen} == set(FORMS)
    assert set(report.FORMATS) <= set(FORMS)


@pytest.mark.parametrize(
    ("path", "option", "form"), [each for each in _forms() if each[2] in ("json", "jsonl", "sarif")]
)
def test_a_command_that_fails_says_so_in_its_form(path: tuple[str, ...], option: str, form: str) -> None:
    """Also when click does not come to look at the form: another option is unknown."""
    ran = inside(*path, option, form, "--no-such-option")

    assert ran.code == 2
    assert "no-such-option" in json.loads(ran.out)["error"]["message"]
