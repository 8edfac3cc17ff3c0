"""Explains to people why a text is not YAML, or not the part of YAML that JSON can represent.

Offsets count code points from the start of the text. It knows nothing of routes and data.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.immutable import replace
from sagadsl.language.indentation import misplaced
from sagadsl.later import compiled_later

MAX_DEPTH = 100
MAX_KEY = 1000
_MAX_WORDS = 600
BREAK = compiled_later("\r\n|[\n\r\x85\u2028\u2029]")  # the ends of a line for libyaml
_CONTROL = compiled_later("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # the ASCII characters that YAML forbids
_MASK = "\ue000"
_QUOTED = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*'"""
_BLOCK_VALUE = compiled_later(rf"[ \t]*(?:-[ \t]+)*(?:(?:{_QUOTED}|[^\s'\"\[{{#,][^:\[{{#]*):[ \t]+)?")
_HALF_QUOTED = compiled_later(rf"(?:^|(?<=[\s,\[{{]))({_QUOTED})[ \t]*(?=[^\s,\]}}#:])")
_BRACES = compiled_later(r"\{\{.*?\}\}")


class SyntaxRefused(Exception):
    """A reason to stop reading, or to refuse a value.

    Attributes:
        start: Offset of the first wrong character.
        end: Offset after the last wrong one.
    """

    def __init__(
        self, code: str, message: str, start: int = 0, end: int = 0, *, help: str = "", label: str = "", fix: str = ""
    ) -> None:
        super().__init__(code, message, start, end)
        self.code, self.message, self.start, self.end = code, message, start, end
        self.help, self.label, self.fix = help, label, fix

    def finding(self, route: Route) -> Finding:
        return Finding(self.code, self.message, route, help=self.help, label=self.label, fix=self.fix or None)


def bounded(finding: Finding) -> Finding:
    """Cut the texts of a finding that quotes a long value, so that many findings do not repeat a file many times."""
    message, help, step = finding.message, finding.help, finding.step
    if max(len(message), len(help), len(step)) <= _MAX_WORDS:
        return finding
    cut = [text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]}..." for text in (message, help, step)]
    return replace(finding, message=cut[0], help=cut[1], step=cut[2], fix=None)


@lru_cache(maxsize=8)  # each finding asks for it
def lines(text: str) -> tuple[str, ...]:
    """Split a text where YAML ends a line; the text after the last break is a line too."""
    return tuple(BREAK.split(text))


def decode(raw: bytes) -> str:
    """Return the text of UTF-8 bytes, whatever the locale says."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SyntaxRefused("SD009", "the file is UTF-16; only UTF-8 is read", help="save it as UTF-8")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        byte, start = raw[error.start], len(raw[: error.start].decode("utf-8"))
        raise SyntaxRefused(
            "SD009",
            f"the file is not UTF-8: byte `0x{byte:02x}` at offset {error.start}",
            start,
            start + 1,
            help=f"save it as UTF-8; in Latin-1 this byte is `{chr(byte)}`" if byte >= 0xA0 else "save it as UTF-8",
        ) from None


@cache
def _unprintable() -> re.Pattern[str]:
    """Return the pattern of characters that YAML forbids. To compile it takes longer than to read a file of ASCII."""
    return re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def unprintable(text: str) -> SyntaxRefused | None:
    """Find a character that YAML does not allow. We do this because libyaml would give its place in bytes."""
    found = (_CONTROL if text.isascii() else _unprintable()).search(text)
    if found is None:
        return None
    name = f"U+{ord(found[0]):04X}"
    help = "remove it" if found[0] >= "\ud800" else f'remove it, or write it as `"\\u{ord(found[0]):04x}"`'
    return SyntaxRefused("SD009", f"the character {name} is not allowed in YAML", found.start(), found.end(), help=help)


def mask(text: str, start: int, end: int) -> str:
    """Replace a part of the text by an ordinary word of the same length."""
    return text[:start] + _MASK * (end - start) + text[end:]


def unquoted(text: str, start: int, end: int = 0) -> SyntaxRefused:
    """Return the refusal of a value with ``{{ }}`` that YAML reads as mappings, or cannot read."""
    end = end or _extent(text, start)
    value = text[start:end]
    if value[0] in "\"'" and (half := re.match(_QUOTED, value)):
        value = half[0][1:-1] + value[half.end() :]
        message = "text after a quoted `{{ }}` has to stand inside the quotes"
    else:
        message = "a value with `{{ }}` needs quotes: YAML takes `{` for a mapping"
    quoted = f'"{value}"' if '"' not in value and "\\" not in value else "'" + value.replace("'", "''") + "'"
    if value.count("{{") != value.count("}}") or "\n" in value:
        return SyntaxRefused("SD008", message, start, end, help="put the whole value in quotes")
    return SyntaxRefused("SD008", message, start, end, help=f"write `{quoted}`", fix=quoted)


def _extent(text: str, start: int) -> int:
    """Return where the author meant the value to end: with the line, or with its braces inside ``[ ]`` and ``{ }``."""
    begin, end = _line_bounds(text, start)
    braces = _BRACES.match(text, start, end)
    if _BLOCK_VALUE.fullmatch(text, begin, start) or braces is None:
        rest = re.split(r"[ \t]+#", text[start:end], maxsplit=1)[0].rstrip()
        return start + max(len(rest), 1)
    return braces.end()


def _line_bounds(text: str, index: int) -> tuple[int, int]:
    after = BREAK.search(text, index)
    begin = max(text.rfind(char, 0, index) for char in "\n\r\x85\u2028\u2029") + 1
    return begin, after.start() if after else len(text)


def too_deep(start: int) -> SyntaxRefused:
    help = "move the inner part to a saga of its own"
    return SyntaxRefused("SD011", f"nested more than {MAX_DEPTH} deep", start, start + 1, help=help)


def tagged(event: Any) -> SyntaxRefused:
    tag = str(event.tag)
    shown = "!!" + tag.removeprefix("tag:yaml.org,2002:") if tag.startswith("tag:yaml.org,2002:") else tag
    help = "remove the tag; a value in quotes is text" if shown == "!!str" else "remove the tag and write plain data"
    return SyntaxRefused("SD005", f"YAML tag `{shown}` is not supported: a definition is plain data", help=help)


def not_text(value: Any, place: Route) -> Finding:
    """Report a mapping key that is not text, because JSON has no other keys; or a key too long to be a name."""
    if isinstance(value, str) and len(value) > MAX_KEY:
        found, help = f"one of {len(value):,} characters", f"a key has at most {MAX_KEY:,}; put long text into a value"
    elif isinstance(value, str):
        found, help = (f"`{value}`", f'quote it: `"{value}":`') if value else ("nothing", "write a key before the `:`")
    else:
        found, help = "a list" if isinstance(value, list) else "a mapping", "write the entries below a key of their own"
    return Finding("SD004", f"mapping keys must be text, got {found}", place, help=help)


def not_a_definition(data: Any) -> Finding:
    if data is None:
        message = "the file is empty: a definition must be a mapping"
    else:
        found = "a list" if isinstance(data, list) else f"the text `{data}`" if isinstance(data, str) else f"`{data}`"
        message = (
            f"a definition must be a mapping, got {found}" if len(found) < 60 else "a definition must be a mapping"
        )
    return Finding("SD012", message, (), help="begin with `sagadsl: 1`, `name:` and `steps:`")


def explain(error: Any, text: str) -> SyntaxRefused:
    """Explain what libyaml (or PyYAML's own parser) has found, and say what to do about it."""
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is None:
        return SyntaxRefused("SD002", f"YAML: {error}", help=_CHECK)
    index, problem = min(mark.index, len(text)), str(error.problem)
    if found := _template_before(text, index, context.index if context else index):
        return found
    begin, _ = _line_bounds(text, index)
    indent = re.match(r"[ ]*\t", text[begin:])
    if indent or "\t" in (text[index : index + 1], problem) or "found a tab" in problem:
        tab = begin + indent.end() - 1 if indent else index
        message = "YAML: tabs cannot be used for indentation"
        return SyntaxRefused("SD001", message, tab, tab + 1, label="replace this tab by spaces")
    if "nesting" in problem:
        return too_deep(index)
    before = lines(text[:begin])
    begins = (0, *(each.end() for each in BREAK.finditer(text)))
    if found_there := misplaced(lines(text), len(before) - 1, begins, problem):
        start = found_there.start
        return SyntaxRefused("SD002", f"YAML: {found_there.message}", start, start + 1, help=found_there.help)
    for part, at_context, message, help in _EXPLAINED:
        if part in problem:
            start = context.index if at_context and context else index
            return _refused(text, start, problem, message, help)
    return SyntaxRefused("SD002", f"YAML: {problem}", index, index + 1, help=_CHECK)


def _refused(text: str, start: int, problem: str, message: str, help: str) -> SyntaxRefused:
    begin, end = _line_bounds(text, start)
    before, here = text[begin:start], text[start : start + 1]
    if "mapping values" in problem and re.search(r":\s", before):
        message, help = "a value without quotes cannot contain `: `", "quote the value"
    elif "expected key" in problem or "<block end>" in problem:
        if here in "]}" and here:
            message, help = f"there is no `{'[' if here == ']' else '{'}` for this `{here}`", "remove it"
        elif before.rstrip().endswith(('"', "'")):
            message, help = "text after the closing quote", "put the whole value in quotes"
    if "tag" in problem:
        return SyntaxRefused("SD005", message, start, end, help=help)
    escape = text[start : start + 1] if "escape" in problem else ""
    shown = message.replace("{here}", here).replace("{escape}", f"\\{escape}")  # the message may quote a brace
    return SyntaxRefused("SD002", f"YAML: {shown}", start, min(start + 1, max(end, start)), help=help)


def _template_before(text: str, index: int, context: int) -> SyntaxRefused | None:
    """Return the refusal of an unquoted ``{{`` on the line of the error, or on the line where its context begins."""
    for place in dict.fromkeys((index, context, max(index - 1, 0))):
        begin, end = _line_bounds(text, place)
        line, limit = text[begin:end], max(index, place) - begin
        for half in _HALF_QUOTED.finditer(line):
            if "{{" in half[1] and half.start() <= limit:
                return unquoted(text, begin + half.start(1))
        for braces in re.finditer(r"\{\{", line):
            before = re.sub(_QUOTED, "", line[: braces.start()])
            if braces.start() <= limit and not re.search(r"[\"']|(?:^|\s)#", before):
                return unquoted(text, begin + _value_start(line, braces.start()))
    return None


def _value_start(line: str, braces: int) -> int:
    """Return where the value begins, which may be before the braces: ``text: Hello {{ name }}: welcome``."""
    lead = _BLOCK_VALUE.match(line, 0, braces)
    return lead.end() if lead and lead.end() and not re.search(r"[\[{]", line[lead.end() : braces]) else braces


_CHECK = "check the indentation, and quote values with special characters"
_COLUMN = "keys of one mapping begin in the same column"
# For each: a part of the parsers' message, whether its context is the better place, our words, what to do.
_EXPLAINED = (
    ("mapping values are not allowed", False, "no key can stand here", f"check the lines above: {_COLUMN}"),
    ("could not find expected ':'", True, "this line has no `:`", "write `key: value`"),
    ("did not find expected key", False, "this does not belong to the mapping above", _COLUMN),
    ("expected <block end>", False, "this does not belong to what stands above", _COLUMN),
    ("expected '-' indicator", False, "a list goes on only with `- `", "indent the line, or begin it with `- `"),
    ("unexpected end of stream", True, "a quote opens here and is never closed", "close it"),
    ("unexpected document", True, "a quote opens here and is never closed", "close it"),
    ("expected ',' or ']'", True, "`[` is not closed, or a `,` is missing after it", "add `,` or `]`"),
    ("expected ',' or '}'", True, "`{` is not closed, or a `,` is missing after it", "add `,` or `}`"),
    ("expected node content", False, "a value is missing before this", "write one, or quote the text"),
    ("cannot start any token", False, "a value without quotes cannot start with `{here}`", "quote the value"),
    ("expected alphabetic or numeric", True, "`{here}` starts an anchor or alias name", "quote the value"),
    (
        "unknown escape",
        False,
        "an escape that YAML does not know",
        "use single quotes, or write `\\\\` for a backslash",
    ),
    ("Unicode character escape", False, "an escape that is no character", "write the character itself"),
    ("hexdecimal number", False, "an escape that is no character", "write the character itself"),
    ("block sequence entries", False, "a list cannot begin on the line of its key", "put `- ` on the next line"),
    ("<document start>", False, "this line starts further left than the first one", "start both in the first column"),
    ("comment or line break", False, "after `|` or `>` the text begins on the next line", "move it down, indented"),
    ("tag handle", False, "YAML tags are not supported: a definition is plain data", "remove the tag"),
    ("directive", True, "lines that begin with `%` are not supported", "remove the line"),
    ("incompatible YAML", False, "this version of YAML is not supported", "remove the line: YAML 1.2 is read"),
)
