"""A page of the documentation for a terminal: no line is longer than the screen, and links are commands to follow.

It knows the little Markdown that our pages have. Code and drawings stay as they are.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from sagadsl.cli.page_tables import table
from sagadsl.columns import wrap

_LINK = re.compile(r"!?\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<to>[^)\s]+)\)")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})")
_HEADING = re.compile(r"(?P<level>#+)\s+(?P<title>.*)")
_ITEM = re.compile(r"\s*(?:[-*]|\d+\.)\s+")
_KEPT = ("|", "#", "<!--", "!")


def shown(text: str, page: str, width: int | None = None) -> str:
    """Return *page* as a terminal shows it.

    Args:
        page: Its path among the pages, from which its links are seen.
        width: The most characters of a line of prose or of a table; ``None`` keeps the lines.
    """
    return "\n".join(_lines(text, page, width)).rstrip()


def section(text: str, anchor: str) -> str | None:
    """Return the part of a page below one heading, by the anchor that links name; ``None`` if it has none such."""
    found: list[str] = []
    level = 0
    for line, is_code in _told_apart(text):
        heading = None if is_code else _HEADING.fullmatch(line)
        if heading is not None:
            if level and len(heading["level"]) <= level:
                break
            if not level and anchor_of(heading["title"]) == anchor:
                level = len(heading["level"])
        if level:
            found.append(line)
    return "\n".join(found).rstrip() if found else None


def anchors(text: str) -> list[str]:
    """Return the anchors of all headings below the title."""
    headings = (_HEADING.fullmatch(line) for line, is_code in _told_apart(text) if not is_code)
    return [anchor_of(each["title"]) for each in headings if each is not None and len(each["level"]) > 1]


def anchor_of(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    plain = _LINK.sub(lambda link: link["text"], title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def command_of(link: str, page: str) -> str | None:
    """Return the command that shows what a link leads to; ``None`` if it leads out of the pages."""
    path, _, anchor = link.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else f"{page}.md"
    if re.match(r"[a-z]+:", link) or target.startswith("..") or not target.endswith(".md"):
        return None
    name = target.removesuffix(".md")
    code = name.removeprefix("diagnostics/")
    return f"sagadsl explain {code if code != name else name}" + (f"#{anchor}" if anchor else "")


def _lines(text: str, page: str, width: int | None) -> Iterator[str]:
    paragraph: list[str] = []
    rows: list[str] = []
    for line, is_code in _told_apart(text):
        is_row = width is not None and not is_code and line.lstrip().startswith("|")
        is_kept = is_code or not line.strip() or line.lstrip().startswith(_KEPT)
        if paragraph and (is_kept or _ITEM.match(line)):
            yield from _filled(paragraph, page, width)
            paragraph = []
        if rows and width is not None and not is_row:
            yield from table(rows, width)
            rows = []
        if is_row:
            rows.append(_linked(line, page))
        elif is_code:
            yield line
        elif is_kept:
            kept = _linked(line, page)
            yield from [kept] if width is None or not _HEADING.fullmatch(line) else wrap(kept, width, "", "  ")
        else:
            paragraph.append(line)
    yield from _filled(paragraph, page, width)
    if rows and width is not None:
        yield from table(rows, width)


def _filled(lines: list[str], page: str, width: int | None) -> Iterator[str]:
    linked = _linked("\n".join(lines), page)  # a link may go on in the next line
    if width is None or not lines:
        yield from linked.splitlines()
        return
    item = _ITEM.match(lines[0])
    indent = " " * (len(lines[0]) - len(lines[0].lstrip()))
    hanging = " " * item.end() if item else indent
    whole = " ".join(line.strip() for line in linked.splitlines())
    yield from wrap(whole, width, indent, hanging)


def _linked(line: str, page: str) -> str:
    def told(link: re.Match[str]) -> str:
        command = command_of(link["to"], page)
        if command is not None:
            is_said = command == f"sagadsl explain {link['text'].strip('`')}" and "/SD" in f"/{link['to']}"
            return f"`{command}`" if is_said else f"{link['text']} (`{command}`)"
        return f"{link['text']} ({link['to']})" if "://" in link["to"] else link["text"]

    return _LINK.sub(told, line)


def _told_apart(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it belongs to a block of code."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        is_edge = found is not None and (not fence or line.strip() == fence)
        yield line, bool(fence) or is_edge
        if found is not None and is_edge:
            fence = "" if fence else found[0].strip()
