"""``sagadsl mcp``: the server that a language model's client starts."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.operate import acting
from sagadsl.cli.options import again, common, connection, modules, no_plugins
from sagadsl.cli.streamed import greet
from sagadsl.cli.streams import out
from sagadsl.errors import NeedsExtra
from sagadsl.language.suggest import did_you_mean, listed

if TYPE_CHECKING:
    from sagadsl.temporal.link.flags import Flags

_FROM_THE_EXTRA = ("mcp", "mcp_types", "anyio")


@click.command(short_help="Serve language models: check, try, and look at sagas.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--allow", multiple=True, metavar="VERB,...", help="Let it also do this to sagas: start, signal, retry ..."
)
@click.option("--operate", is_flag=True, help="Let it do all of these.")
@click.option("--as", metavar="NAME", help="Who does it, for histories; `USER (agent)` if left out.")
@no_plugins("check everything else")
@modules
@connection
@common
def mcp(
    *,
    folder: str,
    allow: Sequence[str],
    operate: bool,
    no_plugins: bool,
    module: Sequence[str],
    flags: Flags,
    **named: str | None,
) -> int:
    """Serve language models over the Model Context Protocol, on stdin and stdout.

    A client starts it, see docs/agents.md. It needs the extra `mcp`. It checks, simulates, explores
    and tests definitions of DIR, and looks at sagas on the server. It reads no file outside of DIR
    for a model, but for pages of its own. It changes no saga unless --allow or --operate says so; then
    the saga's history keeps who did it, and why. Values that a schema marks by `x-secret` stay `***`.

    \b
    Examples:
      sagadsl mcp
      sagadsl mcp definitions --address localhost:7233
      sagadsl mcp --allow retry,signal --as ann-s-agent
    """
    try:
        from sagadsl.agents.operating import OPERATING
        from sagadsl.agents.server import Setting, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _FROM_THE_EXTRA:
            raise
        raise NeedsExtra(error.name or str(error), extra="mcp") from None
    verbs = {each.name for each in OPERATING}
    asked = {word.strip() for text in allow for word in text.split(",") if word.strip()}
    for word in sorted(asked - verbs):
        hint = did_you_mean(word, verbs) or f"it may be one of {listed(sorted(verbs))}"
        raise click.UsageError(f"`--allow {word}` is nothing that can be allowed; {hint}")
    words, variables = again(flags)
    plugins = ("--no-plugins",) if no_plugins else tuple(f"--module={each}" for each in module)
    os.chdir(folder)  # the files of other options are named as seen from there, as their commands see them
    screen.log(logging.WARNING)  # what changes a saga is written down
    setting = Setting(
        folder=Path.cwd(),
        allowed=frozenset(verbs if operate else asked),
        by=named["as"] or f"{acting(None)} (agent)",
        plugins=plugins,
        connection=tuple(words),
        variables=variables,
    )
    greet("the server for language models (MCP)", "a model's client", "agents#setting-it-up", f"{sys.argv[0]} mcp")
    with os.fdopen(os.dup(0), "rb") as reader, os.fdopen(os.dup(out().fileno()), "wb") as writer:
        serve(setting, reader, writer, version("sagadsl"))
    return 0
