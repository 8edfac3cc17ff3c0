"""The data of expressions: JSON, and missing values. Replay-critical.

Everything here is total: a failed computation is an ``ExpressionError``, and never another
exception (R56). This module knows no syntax.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Never, TypeVar

from sagadsl.language.suggest import did_you_mean, listed

Path = tuple[str | int, ...]
Number = TypeVar("Number", int, float)
T = TypeVar("T")

MAX_DEPTH = 100
"""The deepest nesting of data; the same as for YAML."""
MAX_INTEGER_BITS = 1024
"""The largest computed integer: about 300 digits, so that it can still be compared with every float."""
MAX_TEXT = 1 << 20
"""The most characters of a computed text."""
BUDGET = 1_000_000
"""The most work for the rendering of one value: each element, and each 16 characters of text, cost one unit.

That is some tenths of a second at most. Temporal regards a workflow that computes for two seconds as dead.
"""

_PLAIN = frozenset((str, int, bool, type(None)))


class ExpressionError(Exception):
    """An expression that the given data does not let us compute.

    Attributes:
        message: What is wrong, and what was found instead.
        expression: The text as written; empty as long as it is not known.
        path: The place of the expression in the rendered value, e.g. ``("lines", 0, "amount")``.
    """

    def __init__(self, message: str, expression: str = "", path: Path = ()) -> None:
        super().__init__(message, expression, path)  # every argument, so that pickle can make it again
        self.message, self.expression, self.path = message, expression, path

    def __str__(self) -> str:
        written = f" in `{shortened(self.expression, 200)}`" if self.expression else ""
        place = f", at `{path_text(self.path)}`" if self.path else ""
        return f"{self.message}{written and ',' + written}{place}"

    def within(self, expression: str) -> ExpressionError:
        """Return the same error with its expression; an expression that is already known stays."""
        return self if self.expression else ExpressionError(self.message, expression, self.path)

    def below(self, key: str | int) -> ExpressionError:
        """Return the same error as seen from the value around: *key* goes to the front of its path."""
        return ExpressionError(self.message, self.expression, (key, *self.path))


class Meter(threading.local):
    """The work that renderings have cost in this thread. Callers that bound many renderings together read it.

    Attributes:
        spent: The work so far, in units of ``Budget``.
        most: When so much is spent, no rendering may begin: that is an error. ``None`` sets no bound.
    """

    spent: int = 0
    most: int | None = None


METER = Meter()


class Budget:
    """The work that one rendering may still cost. Unlike time, it is the same at every replay."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = BUDGET

    def render(self, compute: Callable[[Mapping[str, Any], Budget], T], scope: Mapping[str, Any]) -> T:
        """Render a whole value within this budget, and add its cost to the meter."""
        if METER.most is not None and METER.spent >= METER.most:
            raise ExpressionError(
                "the saga computes too much before it waits for anything: let a step do it, or look at less data"
            )
        try:
            return compute(scope, self)
        finally:
            METER.spent += BUDGET - self.left

    def spend(self, units: int) -> None:
        """Pay for *units* more elements."""
        self.left -= units
        if self.left < 0:
            raise ExpressionError("the expressions take too much work for the size of their data")

    def text(self, text: str) -> str:
        """Pay for a text and return it. A text that is too long is an error."""
        if len(text) > MAX_TEXT:
            raise ExpressionError(f"the text gets longer than {MAX_TEXT} characters")
        self.spend(len(text) >> 4)
        return text


class Missing:
    """A value that is not there. Only ``default`` and ``is defined`` accept it. It words its message when asked."""

    __slots__ = ("_base", "_key", "_label")

    def __init__(self, base: Any, key: Any, label: str) -> None:
        self._base, self._key, self._label = base, key, label

    def or_null(self) -> None:
        """Return null if the missing value counts as null in its place; otherwise raise the error."""
        if self._key not in nulls_of(self._base):
            raise self.error()

    def error(self) -> ExpressionError:
        """Return the error for the use of this missing value; the message names what is there instead."""
        base, key, label = self._base, self._key, self._label
        if not label:
            return ExpressionError(str(key))
        whole = label + step_text(key) if label != "." else str(key)
        if isinstance(base, Mapping):
            names = [name for name in base if isinstance(name, str)]
            hint = did_you_mean(key, names) if isinstance(key, str) else ""
            hint = f" ({hint})" if hint else ""
            where = "the names here are" if label == "." else f"`{label}` has"
            status = base.get("status") if label.startswith("steps.") and key == "output" else None
            found = f"the step is `{status}`" if isinstance(status, str) else f"{where} {listed(names)}"
            return ExpressionError(f"`{whole}` is not defined{hint}: {found}")
        if isinstance(base, list | tuple) and isinstance(key, int):
            return ExpressionError(f"`{whole}` is not defined: `{label}` has {len(base)} elements")
        return ExpressionError(f"`{whole}` is not defined: `{label}` is {found_text(base)}")


def nulls_of(value: Any) -> Collection[Any]:
    """Return the keys of *value* that read as null when they are missing; all below them reads as null too."""
    return getattr(value, "nulls", ())


def nothing_there(message: str) -> Missing:
    """Return a missing value that has no name, e.g. the first element of an empty list."""
    return Missing(None, message, "")


def lookup(value: Any, key: Any) -> Any:
    """Return one element. It reads keys of mappings and positions of lists, but never attributes.

    Raises ``KeyError`` when there is no such element.
    """
    if isinstance(key, str):
        if key.startswith("__"):
            raise ExpressionError(f"`{key}` cannot be read: names that start with `__` are closed")
        if isinstance(value, dict):
            if key in value:  # not by [], which would create the key in a defaultdict
                return value[key]
        elif isinstance(value, Mapping):
            return value[key]
    elif isinstance(value, list | tuple | str) and isinstance(key, int) and not isinstance(key, bool):
        try:
            return value[key]
        except IndexError:
            raise KeyError(key) from None
    raise KeyError(key)


def kind(value: Any) -> str:
    """Return the word that messages use for the kind of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case Decimal():
            return "a decimal"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "an object"
        case _:
            return f"a Python `{type(value).__name__}`"


def found_text(value: Any) -> str:
    """Return a value as messages show it: its kind, and the value itself if it is short."""
    match value:
        case Decimal():
            return f"{kind(value)} `{shortened(plain(value), 40)}`"
        case bool() | int() | float() | str():
            return f"{kind(value)} `{shortened(_json(value[:50] if isinstance(value, str) else value), 40)}`"
        case _:
            return kind(value)


def shortened(text: str, length: int) -> str:
    """Return a text, cut if it is longer than *length*."""
    return text if len(text) <= length else text[: length - 1] + "…"


def step_text(key: Any) -> str:
    """Return one link of a chain as people write it: ``.name``, ``["odd name"]`` or ``[0]``."""
    if isinstance(key, str):
        return f".{key}" if key.isidentifier() else f"[{json.dumps(key, ensure_ascii=False)}]"
    return f"[{shortened(str(key), 40)}]"


def path_text(path: Path) -> str:
    """Return ``lines[0].amount`` for a path."""
    return "".join(map(step_text, path)).removeprefix(".")


def refuse(needs: str, value: Any) -> Never:
    """Raise the error of a value of the wrong kind, e.g. ``refuse("`upper` needs text", 5)``."""
    if isinstance(value, Missing):
        raise value.error()
    raise ExpressionError(f"{needs}, found {found_text(value)}")


def truth(value: Any, asker: str) -> bool:
    """Return a boolean unchanged. No other value is true or false: not the text "false", not 0, not null."""
    if value is True or value is False:
        return value
    refuse(f"{asker} must be true or false", value)


def spelled(value: Any) -> str:
    """Return a value as it stands inside text: text verbatim, numbers and booleans as JSON spells them."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(finite(value))
    if isinstance(value, Decimal):
        return plain(value)
    if value is None:
        raise ExpressionError('null cannot stand inside text; say what to write instead, e.g. `| default("-", true)`')
    if isinstance(value, list | tuple | Mapping):
        raise ExpressionError(f"{kind(value)} cannot stand inside text; write `| to_json`, or `| join` for a list")
    refuse("text can hold text, numbers and booleans", value)


def finite(value: Number) -> Number:
    """Return a number if JSON can hold it; otherwise raise."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError(f"the number is {value}, which JSON cannot hold")
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise ExpressionError("the integer has more than 300 digits")
    return value


def exact(value: float | Decimal) -> Decimal:
    """Return a number as it is written: 0.1 is a tenth."""
    return Decimal(repr(finite(value))) if isinstance(value, float) else Decimal(value)


def plain(value: Decimal) -> str:
    """Return a decimal in digits, without an exponent."""
    return f"{value:f}"


def equal(left: Any, right: Any, budget: Budget) -> bool:
    """Compare as JSON does: 1 is 1.0, but true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return all(isinstance(each, int | float | Decimal) for each in (left, right)) and exact(left) == exact(right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        budget.spend(8 + len(left))
        if len(left) != len(right):
            return False
        return all(key in right and equal(left[key], right[key], budget) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        budget.spend(8 + len(left))
        if len(left) != len(right):
            return False
        return all(equal(a, b, budget) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def as_json(value: Any, budget: Budget, depth: int = 0) -> Any:
    """Return a computed value as JSON data; data that is already JSON is not copied. Anything else is an error."""
    type_ = type(value)
    if type_ in _PLAIN:
        return value
    if type_ is float:
        return finite(value)
    if isinstance(value, list | tuple):
        return _json_list(value, budget, depth + 1)
    if isinstance(value, dict):
        return _json_object(value, budget, depth + 1)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Missing):
        raise value.error()
    to_data = getattr(value, "to_data", None)
    if isinstance(value, Mapping) and to_data is not None:
        return as_json(to_data(), budget, depth)
    raise ExpressionError(f"the result is {kind(value)}, which JSON cannot hold")


def _json_list(value: list[Any] | tuple[Any, ...], budget: Budget, depth: int) -> list[Any]:
    _enter(value, budget, depth)
    changed: list[Any] | None = None if isinstance(value, list) else list(value)
    for index, item in enumerate(value):
        if type(item) in _PLAIN:
            continue
        try:
            new = as_json(item, budget, depth)
        except ExpressionError as error:
            raise error.below(index) from None
        if new is not item:
            changed = list(value) if changed is None else changed
            changed[index] = new
    return value if changed is None else changed  # type: ignore[return-value]  # a tuple has been copied above


def _json_object(value: dict[Any, Any], budget: Budget, depth: int) -> dict[str, Any]:
    _enter(value.values(), budget, depth)
    changed: dict[str, Any] | None = None
    for key, item in value.items():
        if not isinstance(key, str):
            raise ExpressionError(f"an object has the key `{key!r}`, but keys must be text")
        if type(item) in _PLAIN:
            continue
        try:
            new = as_json(item, budget, depth)
        except ExpressionError as error:
            raise error.below(key) from None
        if new is not item:
            changed = dict(value) if changed is None else changed
            changed[key] = new
    return value if changed is None else changed


def _enter(items: Collection[Any], budget: Budget, depth: int) -> None:
    """Pay for a list or an object, and for the texts directly in it."""
    if depth > MAX_DEPTH:
        raise ExpressionError(f"the result is nested deeper than {MAX_DEPTH} levels")
    budget.spend(8 + len(items) + sum([len(item) >> 4 for item in items if type(item) is str]))


def _json(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return "more than 300 digits"  # Python refuses to spell an integer from 4,300 digits on
    return json.dumps(value, ensure_ascii=False)
