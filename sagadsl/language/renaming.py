"""Puts arguments into the texts of a fragment, and gives the steps that it reads their new ids.

It reads no more of an expression than names and quoted texts; the rest stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Set
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.later import compiled_later

_NAME = r"[a-z][a-z0-9_]*"
_WHOLE = compiled_later(rf"\s*\{{\{{\s*with\.({_NAME})\s*\}}\}}\s*")
_TOKEN = compiled_later(
    r"(?P<quoted>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
    r"|(?P<end>\}\})"
    rf"|(?<![\w.])with\.(?P<argument>{_NAME})"
    rf"|(?<![\w.])steps\.(?P<step>{_NAME})(?:\.output\.(?P<inner>{_NAME}))?"
)
_LONGEST = 100_000
_LONE = compiled_later(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.S)


class CannotPut(ValueError):
    """An argument that is not there, or that has no place in an expression; its text says which."""


class Renaming(Immutable):
    """What becomes of the names in a fragment.

    Attributes:
        prefix: Goes before each of ``ids``.
        ids: The ids of the steps in the fragment.
        blocks: Those of them whose output is an object of outputs by step id.
        arguments: The values of its parameters.
    """

    prefix: str
    ids: Set[str]
    blocks: Set[str]
    arguments: Mapping[str, Any]

    def id(self, name: str) -> str:
        """Return the new id of a step."""
        return f"{self.prefix}_{name}" if name in self.ids else name

    def value(self, text: str, *, bare: bool = False) -> Any:
        """Return what a text becomes: an argument as it was given, if the text is nothing else. Raises ``CannotPut``.

        Args:
            bare: The text is an expression without braces.
        """
        if whole := _WHOLE.fullmatch(text):
            return self._argument(whole[1])
        if bare and "{{" not in text:
            return self._expression(text, 0)[0]
        pieces, at, length = list[str](), 0, 0
        while (begin := text.find("{{", at)) >= 0:
            plain = _WHOLE.match(text, begin)
            argument = self._argument(plain[1]) if plain is not None else None
            if plain is not None and isinstance(argument, str):  # text in a text needs no expression around it
                end = begin + len(plain[0].rstrip())
                pieces += [text[at:begin], argument]
            else:
                inside, end = self._expression(text, begin + 2)
                pieces += [text[at : begin + 2], inside]
            at, length = end, length + len(pieces[-1])
            if length > _LONGEST:
                raise CannotPut(f"with its arguments, a text of the fragment has more than {_LONGEST:,} characters")
        return "".join((*pieces, text[at:]))

    def _expression(self, text: str, at: int) -> tuple[str, int]:
        """Return an expression with its new names, and where it ends: before ``}}``, or at the end of the text."""
        pieces, begin = list[str](), at
        for found in _TOKEN.finditer(text, at):
            if found["end"]:
                return "".join((*pieces, text[begin : found.start()])), found.start()
            if not found["quoted"]:
                pieces += [text[begin : found.start()], self._named(found)]
                begin = found.end()
        return "".join((*pieces, text[begin:])), len(text)

    def _named(self, found: re.Match[str]) -> str:
        if found["argument"]:
            return _spelled(found["argument"], self._argument(found["argument"]))
        step, inner = found["step"], found["inner"]
        if inner is None:
            return f"steps.{self.id(step)}"
        return f"steps.{self.id(step)}.output.{self.id(inner) if step in self.blocks else inner}"

    def _argument(self, name: str) -> Any:
        if name not in self.arguments:
            raise CannotPut(f"`with.{name}` is no parameter of the fragment")
        return self.arguments[name]


def _spelled(name: str, value: Any) -> str:
    """Return a value as a part of an expression."""
    if isinstance(value, str) and (lone := _LONE.fullmatch(value.strip())):
        return f"({lone[1].strip()})"
    text = json.dumps(value)
    if len(text) > _LONGEST // 100:
        raise CannotPut(f"`with.{name}` stands inside an expression, and is too large for that")
    if "{{" in text:
        raise CannotPut(f"`with.{name}` stands inside an expression, so it has to be one expression or plain data")
    words = {None: "none", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, list):
        return f"[{', '.join(_spelled(name, each) for each in value)}]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)}: {_spelled(name, each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)} }}"  # with a space, so that no two braces meet
    return json.dumps(value)
