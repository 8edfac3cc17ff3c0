"""The search attributes of a definition, as a run sets them. Replay-critical.

A value is computed when the saga begins, and again whenever a step that it reads has ended. A run sets only what the
server has registered, by what its start says: an unknown attribute would block it for ever. What cannot be set stays
as it was, and the status says why: nothing of the saga follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.common import SearchAttributeUpdate, TypedSearchAttributes

from sagadsl.engine.journal import Frame, FrameKind, State
from sagadsl.engine.scope import scope, step_path
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Indexed, Saga
from sagadsl.language.notation.moments import read_moment
from sagadsl.language.paths import MAX_ID, ROOT
from sagadsl.temporal.wire.attributes import key_of

_LONGEST_TEXT = 2_000
_MOST_WORDS = 100
_LARGEST = 2**63


class Unfit(Exception):
    """A value that no attribute of its type can have."""


class Indexing:
    """What a run knows of its own attributes.

    Attributes:
        problems: Why an attribute is not set, by its name.
    """

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self._seen: dict[str, tuple[int, ...]] = {}

    def updates(
        self, saga: Saga, state: State, usable: Mapping[str, str], now: TypedSearchAttributes
    ) -> list[SearchAttributeUpdate[Any]]:
        """Return what has to be set now; compute only values of which a step that they read has ended since."""
        found: list[SearchAttributeUpdate[Any]] = []
        for each in saga.search_attributes:
            seen = tuple(_ended(saga, state, each))
            if self._seen.get(each.name) == seen:
                continue
            self._seen[each.name] = seen
            if usable.get(each.name) != each.type:
                self.problems[each.name] = f"as far as its start says, the server has none with type `{each.type}`"
                continue
            key, before = key_of(each.name, each.type), now.get(key_of(each.name, each.type))
            try:
                value = _value(saga, state, each)
            except (ExpressionError, Unfit) as why:
                self.problems[each.name] = str(why)
                continue
            self.problems.pop(each.name, None)
            if value is None and before is not None:
                found.append(key.value_unset())
            elif value is not None and value != before:
                found.append(key.value_set(value))
        return found


def _ended(saga: Saga, state: State, attribute: Indexed) -> list[int]:
    """Return when the steps that a value reads have ended, by their numbers; 0 for one that has not."""
    places = [saga.places[chain[1]] for chain in attribute.value.reads if chain[:1] == ("steps",) and len(chain) > 1]
    records = (state.records.get(step_path(place, {}) or "") for place in places)
    return [0 if record is None else record.ended for record in records]


def _value(saga: Saga, state: State, attribute: Indexed) -> Any:
    root = Frame(ROOT, FrameKind.SEQUENCE, "", "steps")
    value = attribute.value.render(scope(saga, state, root, lenient=True))
    return None if value is None else _fitting(attribute.type, value)


def _fitting(type_: str, value: Any) -> Any:
    """Return a value as the SDK takes it. Raises ``Unfit``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if type_ in ("keyword", "text") and isinstance(value, str):
        most = MAX_ID if type_ == "keyword" else _LONGEST_TEXT  # with a longer keyword the run is found by nothing
        if len(value) > most:
            raise Unfit(f"it has {len(value):,} characters, at most {most:,} fit")
        return value
    if type_ == "int" and is_number and int(value) == value and -_LARGEST <= value < _LARGEST:
        return int(value)
    if type_ == "double" and is_number:
        return float(value)
    if type_ == "bool" and isinstance(value, bool):
        return value
    if type_ == "datetime" and (moment := read_moment(value)) is not None:
        return moment
    if type_ == "keyword_list" and isinstance(value, list) and len(value) <= _MOST_WORDS:
        return [_fitting("keyword", each) for each in value]
    raise Unfit(f"its value does not fit the type `{type_}`")
