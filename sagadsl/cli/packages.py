"""Imports the packages on which every command stands, without the parts of them that no command needs.

``click``, ``msgspec`` and ``pathlib`` import modules for what few of their users ask for: half of the time until
``validate`` begins. Each of these is imported as soon as somebody uses it.
"""

from __future__ import annotations

import os
import sys
import typing

from sagadsl.later import LaterModule, compiled_later_in, standing_in


def load() -> None:
    """Import them; where they are imported already, nothing is different."""
    platform = LaterModule("platform")
    if sys.platform == "linux":
        platform.system = lambda: os.uname().sysname  # type: ignore[attr-defined] # what it would answer
    inspect = LaterModule("inspect")
    inspect.cleandoc = lambda text: text.expandtabs().lstrip() if _is_a_line(text) else inspect.real.cleandoc(text)  # type: ignore[attr-defined]
    extensions = LaterModule("typing_extensions", Required=typing.Required, NotRequired=typing.NotRequired)
    quoting = LaterModule("urllib.parse").later("quote_from_bytes")
    with standing_in(platform, inspect, quoting), compiled_later_in("click", "dataclasses", "gettext", "locale"):
        import dataclasses  # noqa: F401
        import pathlib  # noqa: F401

        import click  # noqa: F401
    schemas = LaterModule("msgspec._json_schema").later("schema").later("schema_components")
    with standing_in(extensions.later("get_type_hints"), schemas, LaterModule("msgspec.inspect")):
        import msgspec  # noqa: F401


def _is_a_line(text: object) -> bool:
    return isinstance(text, str) and "\n" not in text and text.isprintable()
