"""``sagadsl lsp``: the language server that an editor starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from sagadsl.cli.options import common, modules, no_plugins
from sagadsl.cli.streamed import greet
from sagadsl.cli.streams import out
from sagadsl.errors import NeedsExtra


@click.command(short_help="Serve an editor: completion, mistakes while you type, renaming.")
@no_plugins("do everything else")
@modules
@common
def lsp(*, no_plugins: bool, module: Sequence[str]) -> int:
    """Serve an editor over the language server protocol, on stdin and stdout.

    An editor starts it, see docs/editor.md. It needs the extra `lsp`. Activities come from what is
    installed beside sagadsl, and from the settings in the folder that the editor has open.

    \b
    Examples:
      sagadsl lsp
      sagadsl lsp -m activities
    """
    try:
        from sagadsl.editing.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol", "attrs", "cattrs"):
            raise
        raise NeedsExtra(error.name or str(error), extra="lsp") from None
    greet("the language server (LSP)", "an editor", "editor", f"{sys.argv[0]} lsp")
    with os.fdopen(os.dup(0), "rb") as reader, os.fdopen(os.dup(out().fileno()), "wb") as writer:
        serve(reader, writer, version("sagadsl"), module, plugins=not no_plugins)
    return 0
