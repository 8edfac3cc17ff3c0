"""Reads the input of a saga from the command line: JSON, a file, standard input, single values.

The saga's input schema decides the type of a ``--set`` value, and never its looks:
``zip=02142`` stays text where the schema says text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sagadsl.cli.files import near_file, why_of
from sagadsl.errors import Worded
from sagadsl.language.notation.json_text import TYPES, json_type, read_json, whole_texts
from sagadsl.language.schema.meant_keys import alternatives, of_property

_FILE = re.compile(r"[^\s{}\[\]\"'=,]+\.(json|ya?ml)")


class InputUnusable(Worded):
    """The input on the command line cannot be read, or does not fit."""

    code = "SD930"
    exit_code = 2


def read_input(
    text: str | None, file: str | None, assignments: Sequence[str], schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the input. Raises ``InputUnusable``.

    Args:
        text: ``--input``: JSON, ``@file``, or ``-`` (also ``@-``) for standard input.
        file: ``--input-file``.
        assignments: ``--set``: ``key=value`` or ``key:=JSON``, applied last and in order.
        schema: The saga's input schema.
    """
    if text is not None and file is not None:
        raise InputUnusable("both `--input` and `--input-file` are given", "leave one out, or use `--set` beside it")
    given = _read(text) if text is not None else _read_file(file) if file is not None else {}
    if not isinstance(given, dict):
        raise InputUnusable(
            f"the input is {_kind(given)}; a saga takes an object", "for example `-i '{\"amount\": 5}'`"
        )
    wrong: list[InputUnusable] = []
    for assignment in assignments:
        try:
            _assign(given, assignment, schema)
        except InputUnusable as error:
            wrong.append(error)
    if wrong:
        remedies = dict.fromkeys(each.remedy for each in wrong if each.remedy)
        raise InputUnusable("; ".join(dict.fromkeys(map(str, wrong))), "; ".join(remedies))
    return given


def read_value(text: str, flag: str) -> Any:
    """Return one JSON value from ``JSON``, ``@file`` or ``-``, e.g. the payload of a signal."""
    return _read(text, flag)


def _read(text: str, flag: str = "--input") -> Any:
    if text in {"-", "@-"}:
        return _json(sys.stdin.buffer.read(), "standard input")
    if text.startswith("@"):
        return _read_file(text[1:])
    return _json(text, f"`{flag}`")


def _read_file(name: str) -> Any:
    if name == "-":
        return _json(sys.stdin.buffer.read(), "standard input")
    path = Path(name)
    try:
        raw = path.read_bytes()
    except OSError as error:
        hint = near_file(name, (".json", ".yaml", ".yml"))
        why = f"`{name}` cannot be read: {why_of(error)}"
        raise InputUnusable(f"{why}; {hint}" if hint else why) from None
    if path.suffix in {".yaml", ".yml"}:
        return _yaml(raw, name)
    return _json(raw, f"`{name}`")


def _json(text: str | bytes, where: str) -> Any:
    if not text.strip():
        raise InputUnusable(f"{where} is empty; a JSON value is needed")
    try:
        return read_json(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputUnusable(
            f"{where} is not JSON: {error.msg.lower()} ({place})",
            _file_meant(text, where) or "text needs double quotes, also keys",
        ) from None
    except ValueError as error:
        raise InputUnusable(f"{where} is not JSON: {error}") from None


def _file_meant(text: str | bytes, where: str) -> str:
    """Return how a file is named, if *text*, the value of an option, looks like one."""
    if not isinstance(text, str) or not where.startswith("`--") or not _FILE.fullmatch(text):
        return ""
    return f"a file is named with `@`: {where.strip('`')} @{text}".replace(": ", ": `", 1) + "`"


def _yaml(text: bytes, name: str) -> Any:
    from sagadsl.language.document import parse

    document, findings = parse(text, name)
    for finding in findings:
        where = document.keys if finding.at_key else document.spans
        span = where.get(finding.route) or document.spans[document.nearest(finding.route)]
        raise InputUnusable(f"`{name}` line {span.line}, column {span.column}: {finding.message}", finding.help)
    return document.data


def _assign(given: dict[str, Any], assignment: str, schema: Mapping[str, Any] | None) -> None:
    left, equals, text = assignment.partition("=")
    is_json = left.endswith(":")
    key = left.removesuffix(":")
    if not equals or not all(key.split(".")):
        raise InputUnusable(
            f"`--set {assignment}` is no assignment",
            "write `--set key=value`, or `--set key:=JSON`; `a.b=c` goes deeper",
        )
    target = given
    root = schema or {}
    inner = alternatives([root], root)
    *parents, last = key.split(".")
    for name in parents:
        inner = of_property(inner, name, root)
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise InputUnusable(f"`--set {assignment}`: `{name}` is {_kind(target)}, which has no keys")
    target[last] = _json(text, f"`--set {key}`") if is_json else _typed(key, text, of_property(inner, last, root))


def untyped(assignments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield key and text of each ``--set key=value`` that is text for lack of a schema, but looks like another type."""
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        try:
            value = None if key.endswith(":") else read_json(text)
        except ValueError:
            continue
        if isinstance(value, bool | int | float | list | dict):
            yield key, text


def _typed(key: str, text: str, schemas: list[Mapping[str, Any]]) -> Any:
    types = set.union(*(set(_types(each)) for each in schemas)) if schemas else set()
    if not types or "string" in types:
        return _whole(text, f"`--set {key}`")
    wanted = " or ".join(sorted(types))
    try:
        value = read_json(text)
    except ValueError:
        raise InputUnusable(f"`--set {key}={text}`: the input schema wants {wanted} for `{key}`") from None
    return value


def _whole(text: str, where: str) -> str:
    """Return the argument of the shell if it is text: Python decodes other bytes to surrogates."""
    try:
        whole_texts(text)
    except ValueError:
        raise InputUnusable(f"{where} is not UTF-8 text") from None
    return text


def _types(schema: Mapping[str, Any]) -> Iterator[str]:
    said = schema.get("type", ())
    yield from (name for name in ([said] if isinstance(said, str) else said) if name in TYPES)
    values = [schema["const"]] if "const" in schema else schema.get("enum", ()) if not said else ()
    for value in values:
        yield json_type(value)


def _kind(value: Any) -> str:
    name = json_type(value)
    return name if name == "null" else f"an {name}" if name[0] in "aeio" else f"a {name}"
