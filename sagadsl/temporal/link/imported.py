"""Imports what a user names as ``MODULE:NAME``, and keeps the process as it is meanwhile."""

from __future__ import annotations

import importlib
import os
import sys

from sagadsl.plugins.isolation import contained, place_in
from sagadsl.plugins.texts import described


class NotNamed(ValueError):
    """The text is not ``MODULE:NAME``."""


def imported(named: str) -> object:
    """Return what ``MODULE:NAME`` names; the module may be in the current folder. Raises whatever the import raises."""
    module, _, name = named.partition(":")
    if not module or not name:
        raise NotNamed("it names no module and attribute")
    folder = os.getcwd()
    if folder not in sys.path:  # as for `--module`
        sys.path.insert(0, folder)
    with contained():
        found: object = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    return found


def why(named: str, error: BaseException) -> str:
    """Say why what *named* names cannot be used, with the place in its module."""
    if isinstance(error, NotNamed):
        return str(error)
    place = place_in(error, named.partition(":")[0])
    return described(error) + (f" ({place})" if place else "")
