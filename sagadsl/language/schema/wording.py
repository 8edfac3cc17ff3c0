"""Rewords the errors of the JSON Schema library so that an author knows what to do.

It knows the words of the language, but not its kinds of steps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.immutable import Immutable, replace
from sagadsl.language.bounds import MAX_FINDINGS
from sagadsl.language.document import Document
from sagadsl.language.notation import durations
from sagadsl.language.notation.patterns import backtracking
from sagadsl.language.schema import literals
from sagadsl.language.schema.quick import BEFORE, fits
from sagadsl.language.schema.validator import validator
from sagadsl.language.schema.vocabulary import meant
from sagadsl.language.suggest import closest


class SchemaPart(Immutable):
    """A part that is validated on its own: the top level, or one step.

    Attributes:
        route: Its place in the document.
        name: Its name in messages: ``the definition``, ``step `pay```.
        step: Id of the step; empty when the step has none, ``None`` at the top level.
        definitions: The definitions of the schema; they show which of them an error comes from.
    """

    document: Document
    route: Route
    name: str
    step: str | None
    definitions: Mapping[str, Any]

    def called(self, path: Route) -> str:
        """Name a place inside this part, e.g. ``retry.maximum_attempts``, together with its step."""
        if not path:
            return self.name
        return f"`{dotted(path)}`" if self.step is None else f"`{dotted(path)}` of {self.name}"


_EXPECTED = {
    "activity": "the name of an activity, or a mapping with `name` and `one_of`",
    "compensation": "an action, a list of actions or `none`",
    "on_error": "`compensate`, `continue`, `pause` or a list of handlers",
    "retry": "a mapping or `none`",
    "failed_if": "a rule with `if`, or a list of rules",
    "if": "an expression",
    "until": "an expression",
    "complete_when": "an expression",
    "sleep_until": "a time, e.g. `2026-01-31T09:00:00Z`",
    "items": "a list, or an expression that gives one",
    "local": "`true`, `false` or `auto`",
    "at": "a time since the start, the name of a call, or a mapping",
    "takes": "a length of time, or a mapping",
}
_EVERYWHERE = ("if", "until", "at", "takes")
"""Those of the keys above that may also stand outside of steps."""
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "a mapping",
}
_VALIDATORS: dict[int, tuple[Any, Any]] = {}
_YAML_1_1 = {"yes": True, "on": True, "y": True, "no": False, "off": False, "n": False}


MOST = 2_147_483_647
"""The largest number of anything that is counted, as our schema and Temporal have it."""


def unknown(
    part: SchemaPart, path: Route, key: str, allowed: Sequence[str], kind: str = "", *, before: Sequence[str] = ()
) -> Finding:
    """SD104: *key* of the mapping at *path* is not one of *allowed*, nor of those *before* libraries are in place."""
    where = part.called(path)
    allowed = [*allowed, *before]
    suggestion = meant(key, allowed)
    help = f"did you mean `{suggestion}`?" if suggestion else ""
    if suggestion == "timeouts":
        help = "did you mean `timeouts`? E.g. `timeouts: {start_to_close: 30s}`"
    level = "a step" if part.step is not None and not path else f"`{dotted(path)}`" if path else part.name
    keys = ", ".join(allowed)
    if before and part.step is None and not path:
        keys += "; one that begins with `x-` may hold anchors"
    return Finding(
        "SD104",
        f"unknown key `{key}` in {where}",
        (*part.route, *path, key),
        help=help,
        notes=(f"keys allowed {f'in a step with `{kind}`' if kind else 'here'}: {keys}",),
        label=f"not a key of {level}",
        at_key=True,
        step=part.step or "",
        fix=closest(key, allowed),
    )


def dotted(path: Route) -> str:
    """``("retry", "types", 0)`` -> ``retry.types[0]``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def found(document: Document, route: Route, value: Any) -> str:
    """Name a value as the author wrote it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    source = document.source(route)
    if value is None:
        return f"`{source}`" if source else "nothing"
    if isinstance(value, str) and (len(source) > 60 or "\n" in source or not source):
        source = value if len(value) <= 60 and "\n" not in value else f"{value[:50].splitlines()[0]}..."
    words = "the text" if isinstance(value, str) else "" if isinstance(value, bool) else "the number"
    return f"{words} `{source or json.dumps(value)}`".lstrip()


def errors_in(value: Any, schema: Any) -> Iterator[Any]:
    """Validate *value* against a part of the definition's schema. Each part is compiled only once."""
    if fits(value, schema, ours=True):
        return iter(())
    if id(schema) not in _VALIDATORS:
        _VALIDATORS[id(schema)] = (schema, validator(schema, draft7=True))  # the reference keeps its id its own
    errors: Iterator[Any] = _VALIDATORS[id(schema)][1].iter_errors(value)
    return errors


def reword(
    part: SchemaPart, errors: Iterable[Any], path: Route = (), name: str = "", spoken_for: Set[str | None] = frozenset()
) -> Iterator[Finding]:
    """Turn the library's errors about one part into findings, each mistake once.

    Args:
        path: The place of the validated value in the part.
        name: The key of that value, if it is not the last one of *path*.
        spoken_for: Keys that the value lacks because they are misspelt: they have been reported already.
    """
    listed = list(islice(errors, MAX_FINDINGS + 1))
    meant_there = {((), key) for key in spoken_for} | {
        (tuple(error.absolute_path), suggestion)
        for error in listed
        if error.validator == "additionalProperties"
        for key in _extra(error)
        if (suggestion := meant(key, error.schema["properties"]))
    }
    computed = {tuple(error.absolute_path) for error in listed if _is_literal(error)}
    for error in listed:
        inner = tuple(error.absolute_path)
        here = (*path, *inner)
        if inner in computed and not _is_literal(error):
            continue  # its length or its form would be judged before it is clear what is meant
        if error.validator == "additionalProperties":
            for key in _extra(error):
                before = error.schema.get(BEFORE, ())
                yield unknown(part, here, key, list(error.schema["properties"]), before=before)
                if meant(key, [*error.schema["properties"], *before]) not in before:
                    yield from misspelt(part, (*here, key), error.instance[key], error.schema["properties"])
        elif error.validator == "required":
            for key in error.validator_value:
                if key not in error.instance and (inner, key) not in meant_there and f"'{key}'" in error.message:
                    yield missing(part, here, key, error.schema)
        else:
            yield _value(part, here, error, str(inner[-1] if inner else name or (path[-1] if path else "")))


def misspelt(part: SchemaPart, path: Route, value: Any, properties: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the mistakes in the value of an unknown key, if it is plain which key is meant."""
    name = closest(str(path[-1]), properties)
    if name is not None:
        errors = list(errors_in(value, properties[name]))
        if not any(error.validator == "type" and not error.absolute_path for error in errors):
            yield from reword(part, errors, path, name)


def _extra(error: Any) -> list[str]:
    patterns = error.schema.get("patternProperties", {})
    known = error.schema["properties"]
    unknown = (key for key in error.instance if key not in known and not any(backtracking(p)(key) for p in patterns))
    return list(islice(unknown, 100))  # nobody reads more, and the search for the meant name takes time for each


def missing(part: SchemaPart, path: Route, key: str, schema: Mapping[str, Any]) -> Finding:
    """SD102: the mapping at *path* lacks *key*."""
    name = part.called(path)
    route = (*part.route, *path)
    example = next(iter(schema.get("properties", {}).get(key, {}).get("examples", ())), None)
    shown = example if isinstance(example, str) else json.dumps(example)
    help = f"add `{key}: {shown}`" if example is not None and len(shown) < 40 else f"add `{key}:`"
    with_id = not path and bool(part.step)
    return Finding(
        "SD102",
        f"{name} lacks `{key}`",
        (*route, "id") if with_id and (*route, "id") in part.document.spans else route,
        help=help,
        at_key=bool(route) and isinstance(route[-1], str) and not with_id,
        step=part.step or "",
    )


def _is_literal(error: Any) -> bool:
    return error.validator == "format" and error.validator_value in literals.FORMATS


def _value(part: SchemaPart, path: Route, error: Any, key: str) -> Finding:
    value, schema, definitions = error.instance, error.schema, part.definitions
    if _is_literal(error):
        finding = literals.finding(part.called(path), (*part.route, *path), value, error.validator_value, key)
        return replace(finding, step=part.step or "")
    if any(schema is definitions.get(name) for name in ("duration", "positive_duration")):
        return _duration(part, path, value)
    if schema is definitions.get("id") and isinstance(value, str):
        return _id(part, path, value)
    counts = definitions.get("count")
    if counts is not None and schema in (counts["then"], counts["else"]["else"]):
        return _count(part, path, value, key)
    if key == "backoff_coefficient" and error.validator == "minimum":
        help = "1 keeps the pauses equal; below it they would shrink"
        return _finding(part, path, "SD506", "be at least 1", value, help=help)
    if key == "version" and isinstance(value, int | float) and not isinstance(value, bool):
        return _version(part, path, value)
    return _plain(part, path, error, key)


def _plain(part: SchemaPart, path: Route, error: Any, key: str) -> Finding:
    value, rule = error.instance, error.validator_value
    help = "change the value, or leave the key out"
    match error.validator:
        case "enum" | "const":
            allowed = rule if error.validator == "enum" else [rule]
            words = [f"`{word if isinstance(word, str) else json.dumps(word)}`" for word in allowed]
            expected = _expected(part, path, key) or " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
            texts = [word for word in allowed if isinstance(word, str)]
            suggestion = closest(value, texts) if isinstance(value, str) else None
            help = f"did you mean `{suggestion}`?" if suggestion else f"e.g. `{key}: {words[0][1:-1]}`"
            if allowed == [True] and isinstance(value, str) and value in _YAML_1_1:
                help = "write `true`, or leave it out: in YAML 1.2 only `true` and `false` are booleans"
            if value == "auto" and key == "compensation":
                help = "`auto` is for `saga` steps, whose own compensations it runs"
            return _finding(part, path, "SD107", f"be {expected}", value, help=help, fix=suggestion)
        case "type":
            types = [rule] if isinstance(rule, str) else rule
            expected = _expected(part, path, key) or " or ".join(_TYPES[name] for name in types)
            help, fix = _misspelt(key, value) or _retype(part, path, value, types, error.schema)
            if key in ("at", "takes") and isinstance(value, int | float) and not isinstance(value, bool):
                help, fix = f"durations need a unit: write `{value}s`", f"{value}s"
            if value is None and key == "compensation":
                help = "write `none` when there is nothing to undo"
            return _finding(part, path, "SD103", f"be {expected}", value, help=help, fix=fix)
        case "pattern" if r"\s" in rule:
            plain = " ".join(value.split())
            must = "be text on one line, without spaces around it"
            return _finding(part, path, "SD107", must, value, help=f"write `{plain}`", fix=plain or None)
        case "pattern" if key == "fairness_weight":
            must = "be a number from 0.001 to 1000, or an expression in `{{ }}` that gives one"
        case "pattern":
            variable = key == "as"
            slug = _slug(value, "_" if variable else "-")
            must = "be a letter, then letters, digits, `-`, `_` and `.`"
            if variable:
                must = "be a lower case letter, then lower case letters, digits and `_`"
            help = f"use `{slug}`" if slug else "begin with a letter"
            return _finding(part, path, "SD107", must, value, help=help, fix=slug or None)
        case "minimum" | "maximum" if key == "sleep_until":
            must = "be a moment between the years 1970 and 2125"
            help = "a number counts seconds since 1970: divide milliseconds by 1000"
        case "minimum" | "maximum":
            must = f"be at {'least' if error.validator == 'minimum' else 'most'} {rule}"
        case "minLength" | "uniqueItems":
            must = "not be empty" if error.validator == "minLength" else "name each only once"
        case "maxLength":
            must = f"have at most {rule} characters"
        case "minItems" | "minProperties":
            must = "have at least one entry"
        case "maxProperties":
            must = f"have at most {rule} entries, not {len(value)}"
        case _:
            must = f"satisfy the schema: {error.message}"
    return _finding(part, path, "SD107", must, value, help=help)


def _expected(part: SchemaPart, path: Route, key: str) -> str:
    at_step = part.step is not None or path[0] == "defaults"
    return _EXPECTED.get(key, "") if at_step or key in _EVERYWHERE else ""


def _finding(
    part: SchemaPart, path: Route, code: str, must: str, value: Any, *, help: str = "", fix: str | None = None
) -> Finding:
    route = (*part.route, *path)
    got = "" if value in ([], {}, "") else f", got {found(part.document, route, value)}"
    return Finding(
        code,
        f"{part.called(path)} must {must}{got}",
        route,
        help=help,
        at_key=value is None or isinstance(value, dict | list),
        step=part.step or "",
        fix=fix,
    )


def _misspelt(key: str, value: Any) -> tuple[str, str] | None:
    """Return help for a text in place of the one that may stand beside `true` and `false`."""
    meant = closest(value, ["auto"]) if key == "local" and isinstance(value, str) else None
    return (f"did you mean `{meant}`?", meant) if meant else None


def _retype(
    part: SchemaPart, path: Route, value: Any, types: list[str], schema: Mapping[str, Any]
) -> tuple[str, str | None]:
    """Say how to write *value* so that it has the right type."""
    source = part.document.source((*part.route, *path))
    if isinstance(value, str):
        if "boolean" in types and value.lower() in _YAML_1_1:
            fix = json.dumps(_YAML_1_1[value.lower()])
            return f"write `{fix}`: in YAML 1.2 only `true` and `false` are booleans", fix
        if "{{" in value and "string" not in types:
            return "an expression is not possible here: write the value itself", None
        if ({"integer", "number"} & set(types) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value)) or (
            "boolean" in types and value in ("true", "false")
        ):
            return f"write `{value}` without quotes", value
    if isinstance(value, int | float) and types == ["string"] and source:
        return f'quote it: `"{source}"`', f'"{source}"'
    if types == ["array"] and isinstance(value, Mapping):
        if value and all(re.match("-[A-Za-z_]", str(key)) for key in value):
            return f"write a blank behind each `-`: `- {str(next(iter(value)))[1:41]}: …`", None
        return "write a list: begin the entry with `- `", None
    if types == ["array"] and isinstance(value, str):
        return f"write `[{value}]`", f"[{value}]"
    example = next(iter(schema.get("examples", ())), None)
    shown = example if isinstance(example, str) else json.dumps(example)
    return (f"e.g. `{shown}`" if example is not None else f"write {' or '.join(_TYPES[name] for name in types)}"), None


def _duration(part: SchemaPart, path: Route, value: Any) -> Finding:
    route = (*part.route, *path)
    at_key = value is None or isinstance(value, dict | list)
    try:
        durations.parse(value)
    except durations.NotADuration as error:
        fix = re.search(r"^write `([^`]+)`", error.suggestion)
        return Finding(
            error.code,
            error.reason,
            route,
            help=error.suggestion,
            at_key=at_key,
            step=part.step or "",
            fix=fix[1] if fix else None,
        )
    name = part.called(path)
    return Finding(
        "SD507", f"{name} must be longer than zero", route, help="leave it out for the default", step=part.step or ""
    )


def _count(part: SchemaPart, path: Route, value: Any, key: str) -> Finding:
    code = "SD504" if key == "maximum_attempts" else "SD107"
    help, fix = "for no limit say `unlimited`", None
    if isinstance(value, int | float) and value > MOST:
        return _finding(part, path, code, f"be at most {MOST:,}, or `unlimited`", value, help=help)
    if isinstance(value, str):
        if "{{" in value:
            help = f"give it a bound: `{{value: {json.dumps(value)}, at_most: 10}}`"
        elif re.fullmatch(r"[1-9][0-9]{0,8}", value):
            help, fix = f"write `{value}` without quotes", value
        elif closest(value, ["unlimited"]) or value.lower() in ("infinite", "infinity", "forever", "none", "inf"):
            help, fix = "did you mean `unlimited`?", "unlimited"
    elif value is None or isinstance(value, bool | float):
        help = "write a whole number"
    return _finding(part, path, code, "be a whole number of at least 1, or `unlimited`", value, help=help, fix=fix)


def _id(part: SchemaPart, path: Route, value: str) -> Finding:
    route, slug = (*part.route, *path), _slug(value, "_")
    help = f"use `{slug}`" if slug else "use lower case letters, digits and `_`"
    if re.fullmatch(r"[a-z][a-z0-9_]*(?:-[a-z0-9_]+)+", value):
        first, _, rest = value.partition("-")
        message = (
            f"step ids may not contain `-` because `{{{{ steps.{value}.output }}}}` "
            f"means `steps.{first}` minus `{rest}.output`"
        )
        return Finding("SD303", message, route, help=help, step=value, fix=slug)
    expected = "a lower case letter, then lower case letters, digits and `_`"
    if len(value) > 100:
        expected, help = "at most 100 characters", "shorten it"
    got = found(part.document, route, value)
    return Finding(
        "SD107", f"the id of a step must be {expected}, got {got}", route, help=help, step=value, fix=slug or None
    )


def _version(part: SchemaPart, path: Route, value: Any) -> Finding:
    route = (*part.route, *path)
    source = part.document.source(route) or json.dumps(value)
    read = f" and would be read as {value}" if str(value) != source else ""
    return Finding(
        "SD108",
        f"`version` must be text, but `{source}` without quotes is a number{read}",
        route,
        help=f'quote it: `version: "{source}"`',
        fix=f'"{source}"',
    )


def _slug(value: str, joint: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", joint, value)
    return re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9]+", joint, snake.lower())).strip(joint)[:100]
