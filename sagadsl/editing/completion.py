"""What may stand at a cursor: names, fields, filters and tests in expressions; in YAML keys, activities and choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from sagadsl.diagnostics.findings import Route
from sagadsl.editing import cursor, described
from sagadsl.editing.cursor import Typed
from sagadsl.editing.schema_at import keys_at, replaced, values_at
from sagadsl.editing.shapes_at import Reading, is_bare, operand, reading
from sagadsl.editing.source import At, Range, Source, value_of
from sagadsl.immutable import Immutable
from sagadsl.language.analysis import filter_types
from sagadsl.language.analysis.known import Signature
from sagadsl.language.analysis.types import Fill, Shape, of_schema
from sagadsl.language.calls import ActivityCall, SagaCall
from sagadsl.language.expressions.filters import FILTERS, signature
from sagadsl.language.expressions.predicates import TESTS
from sagadsl.language.load import beside
from sagadsl.language.loaded import Loaded
from sagadsl.language.notation.scalars import write_flow
from sagadsl.language.walk import calls
from sagadsl.reporting.schema_text import example_step

_WORD = re.compile(r"[A-Za-z_]\w*\Z")
_TEST = re.compile(r"\bis\s+(?:not\s+)?\Z")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off)\Z)[a-z][a-z_-]*")
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=")


class What(Enum):
    """What a proposal is."""

    STEP = "step"
    FIELD = "field"
    NAME = "name"
    FILTER = "filter"
    TEST = "test"
    KEY = "key"
    ACTIVITY = "activity"
    SAGA = "saga"
    VALUE = "value"


class Proposal(Immutable):
    """Something that may stand at the cursor.

    Attributes:
        label: What is shown and looked for.
        text: What is put in place of ``range``.
        detail: A few words beside it.
        documentation: Markdown.
        rank: Those of a lower rank come first.
    """

    label: str
    what: What
    range: Range
    text: str
    detail: str = ""
    documentation: str = ""
    rank: int = 0


def proposals(source: Source, offset: int) -> list[Proposal]:
    """Return what may stand at a cursor, the likeliest first."""
    if source.is_suite:
        return list(_typed(source, offset))
    braces = cursor.in_braces(source, offset)
    if braces is not None:
        loaded = braces.source.part_at(braces.start)
        if loaded is None:
            return []
        found = reading(braces.source, braces.source.at_in(loaded, braces.start))
        return [] if found is None else _in_expression(found, source.text[braces.start : offset], offset)
    return list(_typed(source, offset))


def _in_expression(found: Reading, text: str, offset: int) -> list[Proposal]:
    """Return what may follow the beginning of an expression."""
    word = _WORD.search(text)
    head = text[: word.start()] if word is not None else text
    if len(re.findall(r'(?<!\\)"', head)) % 2 or head.count("'") % 2:
        return []  # a text in quotes is anything
    place = Range(offset - len(text) + len(head), offset)
    before = head.rstrip()
    if before.endswith("."):
        return list(_fields(found, operand(before[:-1]), place))
    if before.endswith("|"):
        return list(_filters(found.shape(operand(before[:-1])), place))
    if _TEST.search(head):
        return [_function(name, What.TEST, TESTS[name], place) for name in sorted(TESTS) if name not in _OPERATORS]
    return list(_names(found, place))


def _names(found: Reading, place: Range) -> Iterator[Proposal]:
    for name, shape in found.names.items():
        detail = "the steps that have run" if name == "steps" else shape.said()
        yield Proposal(
            label=name, what=What.NAME, range=place, text=name, detail=detail, documentation=described.shape(shape)
        )


def _fields(found: Reading, whole: str, place: Range) -> Iterator[Proposal]:
    if whole == "steps":
        for rank, step in enumerate(found.steps()):
            output = found.analysis.shapes.output(step)
            text = f"{described.step(step)}\n\noutput: {described.shape(output)}"
            yield Proposal(
                label=step.id,
                what=What.STEP,
                range=place,
                text=step.id,
                detail=described.step(step),
                documentation=text,
                rank=rank,
            )
        return
    shape = found.shape(whole)
    for name in () if shape is None else shape.fields:
        inner = shape.field(name)  # type: ignore[union-attr]
        assert inner is not None
        is_step = re.fullmatch(r"steps\.\w+", whole) is not None  # whether it has run is said elsewhere
        missing = ", may be missing" if shape.may_lack(name) and not is_step else ""  # type: ignore[union-attr]
        is_name = _NAME.fullmatch(name) is not None
        said = described.of_field(shape, name)  # type: ignore[arg-type]
        yield Proposal(
            label=name,
            what=What.FIELD,
            range=place if is_name else Range(place.start - 1, place.end),
            text=name if is_name else f"['{name}']",
            detail=inner.said() + missing,
            documentation="\n\n".join(filter(None, (said, described.shape(inner)))),
        )


def _filters(shape: Shape | None, place: Range) -> Iterator[Proposal]:
    """Yield the filters that take a value of this shape; of one that may be missing first what says what it is then."""
    for name in sorted(FILTERS):
        takes = filter_types.TAKES.get(name)
        if shape is None or takes is None or shape.can_be(*takes):
            yield _function(name, What.FILTER, FILTERS[name], place)


def _function(name: str, what: What, function: Any, place: Range) -> Proposal:
    arguments = ", ".join(signature(function).parameters)
    gives = filter_types.GIVES.get(name)
    detail = f"({arguments})" if arguments else ""
    detail += f" → {gives.said()}" if what is What.FILTER and gives is not None else ""
    rank = 0 if name in filter_types.TAKES or what is What.TEST else 1
    return Proposal(label=name, what=what, range=place, text=name, detail=detail.strip(), rank=rank)


def _typed(source: Source, offset: int) -> Iterator[Proposal]:
    seen: set[tuple[str, What]] = set()
    for typed in cursor.typed(source, offset):
        for each in _keys(typed) if typed.at_key else _values(source, typed, offset):
            if (each.label, each.what) not in seen:
                seen.add((each.label, each.what))
                yield each


def _keys(typed: Typed) -> Iterator[Proposal]:
    loaded, data = _document(typed)
    parent = typed.route[:-1]
    there = value_of(data, parent)
    used = set(there) - {cursor.MARK} if isinstance(there, dict) else set()
    given = _input_shape(typed.source, loaded, parent)
    if given is not None:
        yield from _inputs(typed, given, used)
        return
    if not isinstance(there, dict) or not _may_have_keys(typed, data, parent):
        return
    for rank, key in enumerate(keys_at(_schema(typed.source), _without_mark(data, parent), parent)):
        if key.name not in used:
            yield Proposal(
                label=key.name,
                what=What.KEY,
                range=typed.word,
                text=key.name + _after_key(typed),
                detail="required" if key.required else "",
                documentation=described.key(key.schema),
                rank=rank if not key.required else -1,
            )


def _may_have_keys(typed: Typed, data: Any, parent: Route) -> bool:
    """Whether a mapping may stand at *parent*: an item of a list may be one, and may be a text."""
    if not parent or not isinstance(parent[-1], int):
        return True
    return bool(keys_at(_schema(typed.source), _without_mark(data, parent), parent))


def _inputs(typed: Typed, given: Shape, used: set[str]) -> Iterator[Proposal]:
    for name in given.fields:
        inner = given.field(name)
        if name in used or inner is None:
            continue
        required = name in given.required
        yield Proposal(
            label=name,
            what=What.FIELD,
            range=typed.word,
            text=name + _after_key(typed),
            detail=inner.said() + (", required" if required else ""),
            documentation=described.of_field(given, name),
            rank=0 if required else 1,
        )


def _values(source: Source, typed: Typed, offset: int) -> Iterator[Proposal]:
    loaded, data = _document(typed)
    key = next((each for each in reversed(typed.route) if isinstance(each, str)), "")
    if not source.is_suite:
        site = typed.source.site_at(At(loaded, typed.route, False))
        if site is not None and is_bare(site) and site.route[-1:] != ("input",):
            found = reading(typed.source, At(loaded, typed.route, False))
            start = _value_start(typed)
            if found is not None:
                yield from _in_expression(found, source.text[start:offset], offset)
                return
    named: Iterable[Proposal] = ()
    if key in ("activity", "one_of", "name") and "activity" in typed.route:
        named = _activities(typed, source)
    elif key == "saga":
        named = _sagas(typed, loaded)
    elif key == "needs":
        named = _branches(typed, data)
    found_any = False
    for each in named:
        found_any = True
        yield each
    if found_any:
        return
    choices = values_at(_schema(typed.source), data, typed.route)
    for rank, choice in enumerate(choices):
        text = choice if isinstance(choice, str) and _PLAIN.fullmatch(choice) else write_flow(choice)
        yield Proposal(label=text, what=What.VALUE, range=typed.word, text=text, rank=rank)


def _activities(typed: Typed, source: Source) -> Iterator[Proposal]:
    for found in (source.activities or {}).values():
        if found.name:
            yield _activity(typed, found, source)


def _activity(typed: Typed, found: Signature, source: Source) -> Proposal:
    undo = (source.activities or {}).get(found.compensated_by or "")
    step = example_step(found, undo)
    text = f"{described.activity(found)}\n\n```yaml\n{step}\n```"
    first = found.description.strip().split("\n", 1)[0]
    return Proposal(
        label=found.name, what=What.ACTIVITY, range=typed.word, text=found.name, detail=first, documentation=text
    )


def _sagas(typed: Typed, loaded: Loaded) -> Iterator[Proposal]:
    # a saga that calls a saga of no name makes the folder be looked through
    known = beside(typed.source.path, typed.source.text)
    for name in known.neighbours or ():
        if name != (loaded.draft.name if loaded.draft is not None else ""):
            yield Proposal(label=name, what=What.SAGA, range=typed.word, text=name)


def _branches(typed: Typed, data: Any) -> Iterator[Proposal]:
    at = max((number for number, key in enumerate(typed.route) if key == "parallel"), default=None)
    branches = None if at is None else value_of(data, typed.route[: at + 1])
    own = typed.route[at + 1] if at is not None and len(typed.route) > at + 1 else None
    for number, branch in enumerate(branches if isinstance(branches, list) else ()):
        if number != own and isinstance(branch, dict) and isinstance(branch.get("id"), str):
            name = branch["id"]
            yield Proposal(label=name, what=What.STEP, range=typed.word, text=name, rank=number)


def _input_shape(source: Source, loaded: Loaded, parent: Route) -> Shape | None:
    """Return the shape of the part of a call's input at *parent*; ``None`` if it is in no input that is known."""
    analysis = source.analysis(loaded)
    if analysis is None:
        return None
    for spot in analysis.structure.spots:
        for call, route, _phase in calls(spot[-1].step):
            inside = (*route, "input")
            if parent[: len(inside)] != inside:
                continue
            if isinstance(call, SagaCall):
                child = analysis.known.sagas.get(call.saga)
                shape = None if child is None else of_schema(child.input_schema, filled=Fill.SENT)
            else:
                names = call.names if isinstance(call, ActivityCall) else ()
                known = analysis.known.signature(names[0]) if len(names) == 1 else None
                shape = None if known is None else of_schema(known.input_schema, filled=Fill.SENT)
            for key in parent[len(inside) :]:
                if shape is None:
                    return None
                shape = shape.field(key) if isinstance(key, str) else shape.element
            return shape
    return None


def _document(typed: Typed) -> tuple[Loaded, Any]:
    for loaded in typed.source.loaded:
        if typed.route in (loaded.document.keys if typed.at_key else loaded.document.spans):
            return loaded, loaded.document.data
    return typed.source.loaded[0], typed.source.loaded[0].document.data


def _schema(source: Source) -> str:
    return "suite" if source.is_suite else "saga"


def _without_mark(data: Any, route: Route) -> Any:
    """Return data without the placeholder, which might change what the schema asks for."""
    holder = value_of(data, route)
    if not isinstance(holder, dict) or cursor.MARK not in holder:
        return data
    return replaced(data, route, {key: each for key, each in holder.items() if key != cursor.MARK})


def _after_key(typed: Typed) -> str:
    text = typed.source.text
    return "" if re.match(rf"{cursor.MARK}\s*:(?!\s*null)", text[text.find(cursor.MARK) :]) else ": "


def _value_start(typed: Typed) -> int:
    """Return where the value begins in which something is typed: all of it may be one expression."""
    text = typed.source.text
    at = text.find(cursor.MARK)
    line = text.rfind("\n", 0, at) + 1
    head = text[line:at]
    found = re.match(r"""(?:.*[{,]\s*|\s*(?:-\s+)*)[\w-]+:\s+["']?""", head)
    return line + (found.end() if found is not None else len(head))
