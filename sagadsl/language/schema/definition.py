"""Validates a document against the JSON Schema of definitions: one finding for each mistake.

Each step is validated against the schema of its own kind, so that every message is about that
kind. This module does not know to what names and expressions refer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language.bounds import first
from sagadsl.language.bundled import schema_text
from sagadsl.language.document import Document
from sagadsl.language.kinds import BRANCHES, KEYS, LISTS, OVER_STEPS, WAYS
from sagadsl.language.raw_steps import ON_PAUSE, TOP_LISTS, WAY_LISTS
from sagadsl.language.schema import json_schema, schedule_rules, step_rules, wording
from sagadsl.language.schema.quick import BEFORE
from sagadsl.language.schema.vocabulary import meant
from sagadsl.language.schema.wording import SchemaPart
from sagadsl.language.suggest import closest
from sagadsl.language.syntax import bounded

SUPPORTED = (1,)
"""Versions of the language that this tool knows."""

_EXPANDED = {"step": ("use", "with"), "retry_policy": ("use",), "timeouts": ("use",)}
"""The keys that editors know, and that a definition no longer has when its libraries are in place; nor ``imports``."""

_OF_BUNDLES = "sagas"
"""The key of a file with several sagas; each is checked as the definition that it is."""

_INSIDE = (*LISTS, *(key for key in WAYS if key in KEYS))
"""The keys of steps under which further steps stand."""


def check(document: Document) -> tuple[Finding, ...]:
    """Return every mistake of form, in the order of the file; none when the document is not a mapping."""
    if not isinstance(document.data, dict):
        return ()
    unsupported = version(document)
    findings = (unsupported,) if unsupported else map(bounded, first(_definition(document)))
    return tuple(sorted(findings, key=document.position))


def text() -> str:
    """Return the JSON Schema of a definition, in the form for editors."""
    return schema_text("saga")


@lru_cache(maxsize=1)
def _root() -> dict[str, Any]:
    """Return the schema with its references resolved. It leaves steps open: each is checked by itself."""
    root: dict[str, Any] = json.loads(text())
    definitions = root["definitions"]
    del root["properties"]["imports"], root["properties"][_OF_BUNDLES], definitions["bundled_saga"]
    root[BEFORE] = ["imports", _OF_BUNDLES]
    root["required"] += root["else"]["required"]
    del root["if"], root["then"], root["else"]
    for name, keys in _EXPANDED.items():
        definitions[name][BEFORE] = list(keys)
        for key in keys:
            del definitions[name]["properties"][key]
    generic = {"type": "object", "properties": definitions["step"]["properties"]}
    definitions["any_step"], definitions["step"] = generic, {}
    root["properties"][ON_PAUSE]["items"] = {}
    inline(root, definitions)
    return root


def top_level() -> dict[str, Any]:
    """Return the schemas of the keys of a definition, with their references resolved."""
    found: dict[str, Any] = _root()["properties"]
    return found


def definitions() -> dict[str, Any]:
    """Return the parts of the schema by name, with their references resolved."""
    found: dict[str, Any] = _root()["definitions"]
    return found


def inline(schema: Any, definitions: Mapping[str, Any]) -> None:
    """Replace each reference in *schema* by its definition, so that each part of the schema can be used alone."""
    inner = schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    for key, value in inner:
        if isinstance(value, dict) and "$ref" in value:
            schema[key] = definitions[value["$ref"].removeprefix("#/definitions/")]
        else:
            inline(value, definitions)


def _properties(kind: str) -> dict[str, Any]:
    properties: dict[str, Any] = _root()["definitions"][kind]["properties"]
    return properties


def _inner(kind: str) -> frozenset[str]:
    """Return the keys that may stand below the key of a kind of steps, such as the keys below `wait_for`."""
    rule = _properties(f"{kind}_step").get(kind, {})
    name = str(rule.get("$ref", "")).rpartition("/")[2]
    return frozenset(_root()["definitions"].get(name, rule).get("properties", ()))


def version(document: Document) -> Finding | None:
    """Return SD101 for another version: this check comes first, because another version would have other rules."""
    supported = ", ".join(map(str, SUPPORTED))
    if "sagadsl_test" in document.data:
        help = "`sagadsl test` plays its cases; `validate` checks the definitions beside it"
        return Finding("SD012", "this is a suite of cases, not a definition", ("sagadsl_test",), help=help, at_key=True)
    if "sagadsl_signatures" in document.data:
        help = "name the file that they are of, without `.sig`"
        return Finding(
            "SD012", "these are signatures, not a definition", ("sagadsl_signatures",), help=help, at_key=True
        )
    if "sagadsl" not in document.data:
        help = f"write `sagadsl: {SUPPORTED[-1]}` on the first line"
        if other := closest("sagadsl", document.data):
            help = f"did you mean `sagadsl` for `{other}`? {help}"
        return Finding("SD101", "the version of the language is missing", (), help=help)
    version = document.data["sagadsl"]
    if isinstance(version, int | float) and not isinstance(version, bool) and version in SUPPORTED:
        return None  # 1.0 is 1, for JSON Schema as well
    shown = wording.found(document, ("sagadsl",), version)
    message = f"version `{version}` of the language is not supported; this tool supports: {supported}"
    if not isinstance(version, int) or isinstance(version, bool):
        message = f"the version of the language must be one of the numbers {supported}, got {shown}"
    return Finding("SD101", message, ("sagadsl",), help=f"write `sagadsl: {SUPPORTED[-1]}`, or install a newer sagadsl")


def _definition(document: Document) -> Iterator[Finding]:
    data = document.data
    part = SchemaPart(document, (), "the definition", None, _root()["definitions"])
    allowed, before = list(top_level()), _root()[BEFORE]
    bundle = next((key for key in data if key not in allowed and meant(key, [*allowed, *before]) == _OF_BUNDLES), None)
    if bundle is not None and "steps" not in data:
        yield wording.unknown(part, (), bundle, allowed, before=before)
        return
    yield from wording.reword(part, wording.errors_in(data, _root()))
    for key in TOP_LISTS:
        if key != ON_PAUSE:
            yield from _steps(document, data.get(key), (key,))
    yield from _notices(document, data.get(ON_PAUSE))
    if isinstance(data.get("input"), dict):
        yield from json_schema.check(data["input"], ("input",))
    yield from schedule_rules.check(part, data)
    yield from step_rules.names_of_queries(part, data.get("queries"))
    if isinstance(data.get("compensation"), dict):
        yield from step_rules.pause_of_undoing(part, data["compensation"])
    defaults = data.get("defaults")
    if isinstance(defaults, dict):
        yield from step_rules.intervals(part, ("defaults", "retry"), defaults.get("retry"))
        yield from step_rules.pause_of_defaults(part, defaults)
        undo = defaults.get("compensation")
        if isinstance(undo, dict):
            yield from step_rules.intervals(part, ("defaults", "compensation", "retry"), undo.get("retry"))


def _steps(document: Document, steps: Any, route: Route, *, branches: bool = False) -> Iterator[Finding]:
    if isinstance(steps, list):
        for index, step in enumerate(steps):
            yield from _step(document, step, (*route, index), branch=branches)


def _notices(document: Document, calls: Any) -> Iterator[Finding]:
    """Check the calls of ``on_pause``, which have some of the keys of a step that calls an activity."""
    allowed = _properties("notice")
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        route: Route = (ON_PAUSE, index)
        if not isinstance(call, dict):
            yield _no_mapping(document, call, route)
            continue
        part = _part(document, call, route)
        strange = list(islice((key for key in call if key not in allowed), 100))
        for key in strange:
            if key in _properties("any_step"):
                why = "does not go with `on_pause`, whose calls only tell somebody"
                help = f"a call there has {', '.join(f'`{each}`' for each in allowed)}"
                yield step_rules.misplaced(part, key, why, help)
            else:
                yield wording.unknown(part, (), key, list(allowed), "activity")
        known = {key: value for key, value in call.items() if key in allowed}
        errors = wording.errors_in(known, _root()["definitions"]["notice"])
        yield from wording.reword(part, errors, spoken_for={meant(key, allowed) for key in strange})
        yield from step_rules.check(part, known)


def _no_mapping(document: Document, step: Any, route: Route) -> Finding:
    shown = wording.found(document, route, step)
    help = "e.g. `- {id: pay, activity: bank.pay}`"
    return Finding("SD103", f"a step must be a mapping, got {shown}", route, help=help)


def _part(document: Document, step: Mapping[str, Any], route: Route) -> SchemaPart:
    called = step.get("id")
    called = called if isinstance(called, str) else ""
    name = f"step `{called}`" if called else f"the step at `{wording.dotted(route)}`"
    return SchemaPart(document, route, name, called, _root()["definitions"])


def _step(document: Document, step: Any, route: Route, *, branch: bool) -> Iterator[Finding]:
    if not isinstance(step, dict):
        yield _no_mapping(document, step, route)
        return
    part = _part(document, step, route)
    kinds = [key for key in KEYS if key in step and not (key == "steps" and any(over in step for over in OVER_STEPS))]
    yield from _kind(part, step, kinds, branch)
    yield from _children(document, step, route)


def _kind(part: SchemaPart, step: dict[str, Any], kinds: list[str], branch: bool) -> Iterator[Finding]:
    """Validate a step by its kind: the kind that it names, the kind that a misspelt key stands for, or none."""
    every = _properties("any_step")
    use = next((key for key in step if key not in every and closest(key, ["use"])), None)
    if use is not None and not kinds and ("imports",) in part.document.keys:  # the file had some
        yield wording.unknown(part, (), use, _EXPANDED["step"])
        return
    guess = _guess(step, kinds, every)
    if len(kinds) > 1:
        yield _several(part, step, kinds)
    elif not kinds and not guess:
        yield Finding(
            "SD105",
            f"{part.name} does not say what it does",
            (*part.route, "id") if "id" in step else part.route,
            help="add the key of one kind, e.g. `activity: payments.charge`",
            notes=(f"kinds: {', '.join(KEYS)}",),
            step=part.step or "",
        )
    kind = next(iter(guess.values()), kinds[0] if len(kinds) == 1 else "")
    allowed = _properties(f"{kind}_step") if kind else every
    strange = list(islice((key for key in step if key not in allowed), 100))
    for key in strange:
        yield from _stranger(part, key, step[key], kind, guess)
    if "needs" in step and not branch:
        why = "is only for a branch of `parallel`"
        yield step_rules.misplaced(part, "needs", why, "steps of a list run in its order anyway")
    known = {key: value for key, value in step.items() if key in allowed}
    errors = wording.errors_in(known, _root()["definitions"][f"{kind}_step" if kind else "any_step"])
    reported = {*guess.values(), *(meant(key, allowed) for key in strange)}
    yield from wording.reword(part, errors, spoken_for=reported)
    if not kind and "id" not in step:
        yield wording.missing(part, (), "id", _root()["definitions"]["any_step"])
    yield from step_rules.check(part, step)


def _guess(step: Mapping[str, Any], kinds: list[str], every: Mapping[str, Any]) -> dict[str, str]:
    """Return the unknown keys that stand for a kind, each with this kind; beside `steps` it can only be a loop."""
    candidates = KEYS if not kinds else OVER_STEPS if kinds == ["steps"] else ()
    unknown = islice((key for key in step if key not in every), 100)
    return {key: kind for key in unknown if (kind := meant(key, candidates))}


def _several(part: SchemaPart, step: Mapping[str, Any], kinds: list[str]) -> Finding:
    first, second, *_ = (key for key in step if key in kinds)  # in their order: data without a text has one, too
    named = ", ".join(f"`{kind}`" for kind in kinds[:-1]) + f" and `{kinds[-1]}`"
    return Finding(
        "SD106",
        f"{part.name} is of {len(kinds)} kinds at once: {named}",
        (*part.route, second),
        help="keep one, or make a step of each",
        label="a second kind",
        at_key=True,
        step=part.step or "",
        related=(((*part.route, first), "the first"),),
    )


def _stranger(part: SchemaPart, key: str, value: Any, kind: str, guess: Mapping[str, str]) -> Iterator[Finding]:
    """SD104: say whether an unknown key belongs to another kind of step, or to none."""
    allowed = _properties(f"{kind}_step") if kind else _properties("any_step")
    owners = [other for other in KEYS if key in _properties(f"{other}_step")]
    if kind and key in _inner(kind):
        inside = f"`{kind}: {{…, {key}: …}}`"
        yield step_rules.misplaced(part, key, f"stands beside `{kind}`", f"it belongs inside of it: {inside}")
        return
    if owners and kind and f"{key}s" not in allowed:  # `timeout` of an activity: `timeouts` is meant
        instead = step_rules.INSTEAD.get((kind, key))
        *most, last = (f"`{other}`" for other in owners)
        only = f"{', '.join(most)} and {last}" if most else last
        yield step_rules.misplaced(part, key, f"does not go with `{kind}`", instead or f"it is for steps with {only}")
        return
    first = [guess[key]] if key in guess else []
    yield wording.unknown(part, (), key, first + [name for name in allowed if name not in first], kind)
    yield from wording.misspelt(part, (key,), value, allowed)


def _children(document: Document, step: Mapping[str, Any], route: Route) -> Iterator[Finding]:
    """Check the steps inside a step, even below a misspelt key."""
    for key, value in step.items():
        if not isinstance(value, list):
            continue
        name = key if key in _properties("any_step") else meant(key, _INSIDE)
        if name in LISTS:
            yield from _steps(document, value, (*route, key), branches=name in BRANCHES)
        elif name in WAYS:
            for index, inner in enumerate(value):
                for inside in WAY_LISTS if isinstance(inner, dict) else ():
                    yield from _steps(document, inner.get(inside), (*route, key, index, inside))
