"""Paths of a command that are addresses: what is there is fetched, and gone when the command ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from sagadsl.cli.screen import session


def here(paths: Sequence[str]) -> tuple[str, ...]:
    """Return *paths* with a folder in place of each address. Raises ``NotFetched``."""
    return tuple(_folder(each) if "://" in each else each for each in paths)


def _folder(text: str) -> str:
    from sagadsl.trust.fetching import fetch, is_remote, remote

    if not is_remote(text):
        return text
    folder = click.get_current_context().with_resource(TemporaryDirectory(prefix="sagadsl-"))
    fetch(text, Path(folder))
    known = remote(text)
    sources = session().sources
    sources[folder] = text
    if (Path(folder) / known.name).is_file():  # the address is that of the file itself
        sources[str(Path(folder) / known.name)] = text
    return folder
