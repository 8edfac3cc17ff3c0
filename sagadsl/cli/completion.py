"""``sagadsl completion``: the script that makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sagadsl.cli.options import common


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      echo 'eval "$(sagadsl completion bash)"' >> ~/.bashrc
      echo 'eval "$(sagadsl completion zsh)"' >> ~/.zshrc
      sagadsl completion fish > ~/.config/fish/completions/sagadsl.fish
    """
    from sagadsl.cli.commands import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "sagadsl", "_SAGADSL_COMPLETE").source())
