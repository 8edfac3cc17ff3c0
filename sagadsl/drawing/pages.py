"""Drawings inside pages of Markdown: between two comments, put there anew without touching the rest.

Comments inside a fenced block are an example of how to write them, and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sagadsl.errors import Worded
from sagadsl.immutable import Immutable

BEGIN, END = "<!-- sagadsl graph FILE -->", "<!-- /sagadsl graph -->"

_BEGIN = re.compile(r"([ \t]*)<!--\s*sagadsl graph\s+(\S.*?)\s*-->\s*")
_END = re.compile(r"[ \t]*<!--\s*/sagadsl graph\s*-->\s*")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)")


class NotInjected(Worded):
    """A page cannot have its drawings: it, its comments or a definition cannot be used."""

    code = "SD985"
    exit_code = 2


class Injected(Immutable):
    """A page with its drawings, and how many it has."""

    text: str
    drawings: int


def inject(text: str, name: str, draw: Callable[[str, str], str]) -> Injected:
    """Return a page with the drawing of each definition that it names.

    Args:
        name: The name of the page, for messages.
        draw: Gives the source of a drawing: of the definition as the page names it, and the place of its comment.

    Raises:
        NotInjected: A comment has no partner, or there is none.
    """
    kept: list[str] = []
    fence, opened, drawings = "", 0, 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        bare = line.rstrip("\r\n")
        if opened:
            if _BEGIN.fullmatch(bare):
                break
            if _END.fullmatch(bare):
                opened = 0
                kept.append(line)
            continue
        kept.append(line)
        if fence or ((found := _FENCE.fullmatch(bare)) is not None and "`" not in found[2]):
            fence = _fence_after(bare, fence)
        elif begin := _BEGIN.fullmatch(bare):
            source = f"```mermaid\n{draw(begin[2], f'{name}:{number}')}\n```"
            ending = line[len(bare) :] or "\n"
            kept += [f"{begin[1]}{each}{ending}" for each in source.splitlines()]
            opened, drawings = number, drawings + 1
        elif _END.fullmatch(bare):
            raise NotInjected(f"{name}:{number}: `{END}` has no comment before it", f"begin with `{BEGIN}`")
    if opened:
        raise NotInjected(f"{name}:{opened}: the comment of the drawing has no end", f"end it with `{END}`")
    if not drawings:
        raise NotInjected(f"{name}: there is no place for a drawing", f"write `{BEGIN}` and below it `{END}`")
    return Injected("".join(kept), drawings)


def _fence_after(line: str, fence: str) -> str:
    """Return the fence that is open after a line; empty when none is."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    if not fence:
        return found[1]
    return "" if found[1].startswith(fence) and not found[2].strip() else fence
