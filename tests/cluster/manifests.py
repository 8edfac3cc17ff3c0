"""What holds for every manifest, whoever writes it: by hand, or Helm."""

from __future__ import annotations

from collections.abc import Sequence

from sagadsl.cli.commands import cli

KUBERNETES = "1.33"


def check_command(arguments: Sequence[str]) -> None:
    """Hold that a container runs a command of ours with options that the command has."""
    with cli.make_context("sagadsl", ["--help"], resilient_parsing=True) as context:
        command = cli.get_command(context, arguments[0])
    assert command is not None
    with command.make_context(arguments[0], arguments[1:], resilient_parsing=True) as context:
        assert context.args == []  # nothing is left that the command does not know
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {each.partition("=")[0] for each in arguments if each.startswith("--")} <= known
