"""How the arguments of a tool become the words of a command.

Every value is one word with its option (`--limit=5`) or stands behind `--`, so no value is ever taken for an option,
and JSON never begins with `@`, which would name a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from sagadsl.agents.folder import OpenFolder, ToolRefused
from sagadsl.immutable import Immutable, field


class Words(Immutable):
    """The words of a command.

    Attributes:
        stdin: What it reads from standard input.
    """

    words: tuple[str, ...]
    stdin: str = ""


class ToolCall(Immutable):
    """The arguments of a call, and what they are made into words with."""

    arguments: Mapping[str, Any]
    folder: OpenFolder
    plugins: tuple[str, ...] = field(default=())
    """The options about activities, for commands that know them."""

    def has(self, name: str) -> bool:
        return self.arguments.get(name) not in (None, "", False)

    def options(self, *names: str) -> list[str]:
        """Return the options of these names, as far as they are given."""
        found: list[str] = []
        for name in names:
            value = self.arguments.get(name)
            option = f"--{name.replace('_', '-')}"
            if value is True:
                found.append(option)
            elif value not in (None, "", False):
                found += [f"{option}={each}" for each in (value if isinstance(value, list) else [value])]
        return found

    def json(self, *names: str) -> list[str]:
        """Return the options of these names with their values as JSON; ``null`` is a value, too."""
        return [
            f"--{name.replace('_', '-')}={written(self.arguments[name])}" for name in names if name in self.arguments
        ]

    def named(self, option: str, name: str) -> list[str]:
        """Return *option* for each entry of a mapping: ``NAME=JSON``."""
        return [f"{option}={key}={written(value)}" for key, value in (self.arguments.get(name) or {}).items()]

    def file(self, name: str) -> str:
        return self.folder.inside(str(self.arguments[name]))

    def paths(self, name: str) -> list[str]:
        return [self.folder.inside(each) for each in self.arguments.get(name) or ["."]]

    def suites(self, name: str) -> list[str]:
        return [self.folder.suites(each) for each in self.arguments.get(name) or ["."]]

    def saga(self, name: str) -> str:
        """Return a file of the folder, or the name of a saga that the workers have."""
        text = str(self.arguments[name])
        is_name = not any(sign in text for sign in "/\\#") and not text.endswith((".yaml", ".yml")) and text != "-"
        # a command takes what is there for a file, whatever its name is
        return text if is_name and not os.path.lexists(self.folder.root / text) else self.folder.inside(text)


def written(value: Any) -> str:
    """Return *value* as JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise ToolRefused("a number is none that JSON can carry") from None
