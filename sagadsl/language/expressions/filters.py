"""The fixed list of filters and tests: pure, eager, bounded. Replay-critical.

They have the names of Jinja2's filters and do the same, with three differences: a value of the
wrong kind is an error instead of a guess, results are lists instead of generators, and a yes or no
is always a boolean. Nothing here reads a clock, a random source or an attribute. Some kinds of values
have their filters in modules of their own, ``…_filters``.

Each function takes the budget, the value, and then the arguments as written.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any
from urllib.parse import quote

from sagadsl.language.expressions.data import (
    MAX_TEXT,
    Budget,
    ExpressionError,
    Missing,
    as_json,
    exact,
    finite,
    nothing_there,
    refuse,
    spelled,
    truth,
)
from sagadsl.language.expressions.decimals import combine, make_decimal, rounded, written_fixed
from sagadsl.language.expressions.filter_arguments import (
    as_elements,
    as_members,
    as_number,
    as_text,
    as_whole,
    attribute_of,
    there,
)
from sagadsl.language.expressions.list_filters import LIST_FILTERS, identity
from sagadsl.language.expressions.predicates import TESTS
from sagadsl.language.expressions.text_filters import TEXT_FILTERS
from sagadsl.language.expressions.time_filters import TIME_FILTERS
from sagadsl.later import compiled_later

Function = Callable[..., Any]

NAMESPACE = uuid.UUID("6f1d3f0c-1b4f-5d0e-9a57-5a6a64736c31")
"""The default namespace of ``uuid5``. It never changes, because sagas make keys with it."""
_WORD = compiled_later(r"([-\s({\[<]+)")


def _default(_budget: Budget, value: Any, default_value: Any = "", boolean: Any = False) -> Any:
    if isinstance(value, Missing) or (truth(boolean, "the second argument of `default`") and not value):
        return default_value
    return value


def _length(_budget: Budget, value: Any) -> int:
    if not isinstance(value, str | list | tuple | Mapping):
        refuse("`length` needs text, a list or an object", value)
    return len(value)


def _first(budget: Budget, value: Any) -> Any:
    items = value if isinstance(value, str) else as_elements(value, budget, "`first`")
    return items[0] if items else nothing_there("`first` finds nothing: the list is empty")


def _last(budget: Budget, value: Any) -> Any:
    items = value if isinstance(value, str) else as_elements(value, budget, "`last`")
    return items[-1] if items else nothing_there("`last` finds nothing: the list is empty")


def _lower(budget: Budget, value: Any) -> str:
    return budget.text(as_text(value, "`lower`").lower())


def _upper(budget: Budget, value: Any) -> str:
    return budget.text(as_text(value, "`upper`").upper())


def _title(budget: Budget, value: Any) -> str:
    words = _WORD.split(as_text(value, "`title`"))
    return budget.text("".join(word[0].upper() + word[1:].lower() for word in words if word))


def _capitalize(budget: Budget, value: Any) -> str:
    return budget.text(as_text(value, "`capitalize`").capitalize())


def _trim(budget: Budget, value: Any, chars: Any = None) -> str:
    return budget.text(as_text(value, "`trim`").strip(None if chars is None else as_text(chars, "`trim`")))


def _replace(budget: Budget, value: Any, old: Any, new: Any, count: Any = None) -> str:
    text, old, new = as_text(value, "`replace`"), as_text(old, "`replace`"), as_text(new, "`replace`")
    times = -1 if count is None else as_whole(count, "the count of `replace`", 0, MAX_TEXT)
    budget.text(text)
    found = text.count(old)
    grown = len(text) + max(len(new) - len(old), 0) * (found if times < 0 else min(found, times))
    if grown > MAX_TEXT:
        raise ExpressionError(f"`replace` makes the text longer than {MAX_TEXT} characters")
    return budget.text(text.replace(old, new, times))


def _truncate(  # noqa: PLR0917  # Jinja2's own arguments, in its order
    budget: Budget, value: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = 5
) -> str:
    text, end = as_text(value, "`truncate`"), as_text(end, "`truncate`")
    length = as_whole(length, "the length of `truncate`", len(end), MAX_TEXT)
    if len(text) <= length + as_whole(leeway, "the leeway of `truncate`", 0, MAX_TEXT):
        return budget.text(text)
    cut = text[: length - len(end)]
    if not truth(killwords, "the second argument of `truncate`"):
        cut = cut.rsplit(" ", 1)[0]
    return budget.text(cut + end)


def _split(budget: Budget, value: Any, separator: Any = None, maximum: Any = None) -> list[str]:
    text = budget.text(as_text(value, "`split`"))
    if separator is not None and not as_text(separator, "`split`"):
        raise ExpressionError("`split` needs a separator that is not empty")
    times = -1 if maximum is None else as_whole(maximum, "the maximum of `split`", 0, MAX_TEXT)
    parts = text.split(separator, times)
    budget.spend(len(parts))
    return parts


def _join(budget: Budget, value: Any, d: Any = "", attribute: Any = None) -> str:
    items = as_elements(value, budget, "`join`")
    if attribute is not None:
        items = [there(attribute_of(item, attribute)) for item in items]
    between = as_text(d, "`join`")
    budget.spend(2 * len(items))
    texts = [spelled(item) for item in items]
    if sum(map(len, texts)) + len(between) * len(texts) > MAX_TEXT:
        raise ExpressionError(f"`join` makes a text longer than {MAX_TEXT} characters")
    return budget.text(between.join(texts))


def _urlencode(budget: Budget, value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = [(as_text(k, "`urlencode`"), spelled(v)) for k, v in as_members(value, budget, "`urlencode`").items()]
        return budget.text("&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs))
    return budget.text(quote(budget.text(spelled(value)), safe="/"))


def _abs(_budget: Budget, value: Any) -> Any:
    return value.copy_abs() if isinstance(value, Decimal) else abs(as_number(value, "`abs`"))


def _round(_budget: Budget, value: Any, precision: Any = 0, method: Any = "common") -> Any:
    places = as_whole(precision, "the precision of `round`", -300, 300)
    if isinstance(value, Decimal):
        return rounded(value, places, method)
    number = as_number(value, "`round`")
    if method in ("half_even", "half_up"):
        found = rounded(number, places, method)
        return finite(int(found) if isinstance(number, int) else float(found))
    if method == "common":
        return finite(round(number, places))
    if method not in ("ceil", "floor"):
        refuse('the method of `round` is "common", "half_even", "half_up", "ceil" or "floor"', method)
    step = math.ceil if method == "ceil" else math.floor
    return finite(step(number * 10.0**places) / 10.0**places)


def _fixed(_budget: Budget, value: Any, places: Any = 2) -> str:
    digits = as_whole(places, "the places of `fixed`", 0, 30)
    return written_fixed(value, digits) if isinstance(value, Decimal) else f"{as_number(value, '`fixed`'):.{digits}f}"


def _int(_budget: Budget, value: Any, default: Any = None) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= 300 and re.fullmatch(r"[+-]?[0-9]+", text):
            return int(text)
    elif isinstance(value, int | float):
        return finite(int(finite(value)))
    elif isinstance(value, Decimal):
        return int(value)
    return refuse("`int` needs a number, or text that is a whole number", value) if default is None else default


def _float(_budget: Budget, value: Any, default: Any = None) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= 300 and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
            return finite(float(text))
    elif isinstance(value, int | float):
        return finite(float(finite(value)))
    elif isinstance(value, Decimal):
        return finite(float(value))
    return refuse("`float` needs a number, or text that is one", value) if default is None else default


def _bool(_budget: Budget, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else refuse('`bool` needs a boolean, or the text "true" or "false"', value)


def _string(budget: Budget, value: Any) -> str:
    return budget.text(spelled(value))


def _to_json(budget: Budget, value: Any, indent: Any = None) -> str:
    spaces = None if indent is None else as_whole(indent, "the indent of `to_json`", 0, 8)
    data, separators = as_json(value, budget), (",", ":") if spaces is None else (",", ": ")
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, indent=spaces, separators=separators, allow_nan=False)
    return budget.text(text)


def _from_json(budget: Budget, value: Any) -> Any:
    text = budget.text(as_text(value, "`from_json`"))
    try:
        data = json.loads(text)
    except RecursionError:
        raise ExpressionError("`from_json` reads text that is nested too deeply") from None
    except ValueError as error:
        raise ExpressionError(f"`from_json` needs JSON text: {error}") from None
    return as_json(data, budget)


def _uuid5(_budget: Budget, value: Any, namespace: Any = None) -> str:
    name = as_text(value, "`uuid5`")
    if namespace is None:
        return str(uuid.uuid5(NAMESPACE, name))
    try:
        return str(uuid.uuid5(uuid.UUID(as_text(namespace, "the namespace of `uuid5`")), name))
    except ValueError:
        refuse("the namespace of `uuid5` must be a UUID", namespace)


def _list(budget: Budget, value: Any) -> list[Any]:
    if isinstance(value, str):
        budget.spend(len(value))
    return list(value) if isinstance(value, str | Mapping) else as_elements(value, budget, "`list`")


def _reverse(budget: Budget, value: Any) -> Any:
    return budget.text(value[::-1]) if isinstance(value, str) else as_elements(value, budget, "`reverse`")[::-1]


def _order_key(value: Any, case_sensitive: bool, asker: str) -> Any:
    if isinstance(value, str):
        return value if case_sensitive else value.lower()
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(f"{asker} orders numbers or text", value)
    return finite(value)


def _order_keys(budget: Budget, items: list[Any], *, case_sensitive: Any, attribute: Any, asker: str) -> list[Any]:
    """Return the sort keys: only numbers or only text, because numbers and text have no common order."""
    budget.spend(4 * len(items))
    values = items if attribute is None else [there(attribute_of(item, attribute)) for item in items]
    as_written = truth(case_sensitive, f"`case_sensitive` of {asker}")
    keys = [_order_key(value, as_written, asker) for value in values]
    for value, key in zip(values, keys, strict=True):
        if isinstance(key, str) is not isinstance(keys[0], str):
            refuse(f"{asker} cannot order numbers and text together", value)
    return [exact(key) for key in keys] if any(isinstance(key, Decimal) for key in keys) else keys


def _sort(
    budget: Budget, value: Any, reverse: Any = False, case_sensitive: Any = False, attribute: Any = None
) -> list[Any]:
    items = as_elements(value, budget, "`sort`")
    keys = _order_keys(budget, items, case_sensitive=case_sensitive, attribute=attribute, asker="`sort`")
    turned = truth(reverse, "`reverse` of `sort`")
    return [items[i] for i in sorted(range(len(items)), key=keys.__getitem__, reverse=turned)]


def _dictsort(
    budget: Budget, value: Any, case_sensitive: Any = False, by: Any = "key", reverse: Any = False
) -> list[Any]:
    if by not in ("key", "value"):
        refuse('`by` of `dictsort` is "key" or "value"', by)
    return _sort(budget, _pairs(budget, value), reverse, case_sensitive, attribute=0 if by == "key" else 1)


def _extreme(budget: Budget, value: Any, best: Function, asker: str, *, case_sensitive: Any, attribute: Any) -> Any:
    items = as_elements(value, budget, asker)
    if not items:
        return nothing_there(f"{asker} finds nothing: the list is empty")
    keys = _order_keys(budget, items, case_sensitive=case_sensitive, attribute=attribute, asker=asker)
    return items[best(range(len(items)), key=keys.__getitem__)]


def _min(budget: Budget, value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    return _extreme(budget, value, min, "`min`", case_sensitive=case_sensitive, attribute=attribute)


def _max(budget: Budget, value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    return _extreme(budget, value, max, "`max`", case_sensitive=case_sensitive, attribute=attribute)


def _unique(budget: Budget, value: Any, case_sensitive: Any = False, attribute: Any = None) -> list[Any]:
    exact = truth(case_sensitive, "`case_sensitive` of `unique`")
    seen: dict[str, Any] = {}
    for item in as_elements(value, budget, "`unique`"):
        key = item if attribute is None else there(attribute_of(item, attribute))
        key = key.lower() if isinstance(key, str) and not exact else key
        seen.setdefault(identity(budget, key), item)
    return list(seen.values())


def _sum(budget: Budget, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    total = start if isinstance(start, Decimal) else as_number(start, "the start of `sum`")
    for item in as_elements(value, budget, "`sum`"):
        part = item if attribute is None else there(attribute_of(item, attribute))
        if isinstance(part, Decimal) or isinstance(total, Decimal):
            total = combine("+", total, part)
        else:
            total += as_number(part, "`sum`")
    return total if isinstance(total, Decimal) else finite(total)


def _map(budget: Budget, value: Any, name: Any = None, *args: Any, **options: Any) -> list[Any]:
    items = as_elements(value, budget, "`map`")
    budget.spend(4 * len(items))
    if name is not None:
        return [there(FILTERS[name](budget, item, *args, **options)) for item in items]
    found = [attribute_of(item, options["attribute"]) for item in items]
    if "default" in options:
        return [options["default"] if isinstance(item, Missing) else item for item in found]
    return [there(item) for item in found]


def _chosen(
    budget: Budget, items: list[Any], values: list[Any], test: tuple[Any, ...], *, wanted: bool, asker: str
) -> list[Any]:
    name, args = (test[0], test[1:]) if test else (None, ())
    budget.spend(4 * len(items))
    kept = []
    for item, value in zip(items, values, strict=True):
        held = TESTS[name](budget, value, *args) if name else truth(there(value), f"what {asker} looks at")
        if held is wanted:
            kept.append(item)
    return kept


def _select(budget: Budget, value: Any, *test: Any) -> list[Any]:
    items = as_elements(value, budget, "`select`")
    return _chosen(budget, items, items, test, wanted=True, asker="`select`")


def _reject(budget: Budget, value: Any, *test: Any) -> list[Any]:
    items = as_elements(value, budget, "`reject`")
    return _chosen(budget, items, items, test, wanted=False, asker="`reject`")


def _selectattr(budget: Budget, value: Any, attribute: Any, *test: Any) -> list[Any]:
    items = as_elements(value, budget, "`selectattr`")
    values = [attribute_of(item, attribute) for item in items]
    return _chosen(budget, items, values, test, wanted=True, asker="`selectattr`")


def _rejectattr(budget: Budget, value: Any, attribute: Any, *test: Any) -> list[Any]:
    items = as_elements(value, budget, "`rejectattr`")
    values = [attribute_of(item, attribute) for item in items]
    return _chosen(budget, items, values, test, wanted=False, asker="`rejectattr`")


def _batch(budget: Budget, value: Any, linecount: Any, fill_with: Any = None) -> list[list[Any]]:
    items, size = as_elements(value, budget, "`batch`"), as_whole(linecount, "the size of `batch`", 1, 100_000)
    batches = [items[at : at + size] for at in range(0, len(items), size)]
    if batches and fill_with is not None:
        budget.spend(size)
        batches[-1] += [fill_with] * (size - len(batches[-1]))
    return batches


def _flatten(budget: Budget, value: Any) -> list[Any]:
    return [
        inner for item in as_elements(value, budget, "`flatten`") for inner in as_elements(item, budget, "`flatten`")
    ]


def _pairs(budget: Budget, value: Any) -> list[list[Any]]:
    return [[key, item] for key, item in as_members(value, budget, "`items`").items()]


def _keys(budget: Budget, value: Any) -> list[Any]:
    return list(as_members(value, budget, "`keys`"))


def _values(budget: Budget, value: Any) -> list[Any]:
    return list(as_members(value, budget, "`values`").values())


def _merge(budget: Budget, value: Any, other: Any) -> dict[Any, Any]:
    return {**as_members(value, budget, "`merge`"), **as_members(other, budget, "`merge`")}


FILTERS: Mapping[str, Function] = {
    **LIST_FILTERS,
    **TEXT_FILTERS,
    **TIME_FILTERS,
    "abs": _abs,
    "batch": _batch,
    "bool": _bool,
    "capitalize": _capitalize,
    "count": _length,
    "d": _default,
    "decimal": make_decimal,
    "default": _default,
    "dictsort": _dictsort,
    "first": _first,
    "fixed": _fixed,
    "flatten": _flatten,
    "float": _float,
    "from_json": _from_json,
    "int": _int,
    "items": _pairs,
    "join": _join,
    "keys": _keys,
    "last": _last,
    "length": _length,
    "list": _list,
    "lower": _lower,
    "map": _map,
    "max": _max,
    "merge": _merge,
    "min": _min,
    "reject": _reject,
    "rejectattr": _rejectattr,
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "select": _select,
    "selectattr": _selectattr,
    "sort": _sort,
    "split": _split,
    "string": _string,
    "sum": _sum,
    "title": _title,
    "to_json": _to_json,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _unique,
    "upper": _upper,
    "urlencode": _urlencode,
    "uuid5": _uuid5,
    "values": _values,
}


@cache
def signature(function: Function) -> inspect.Signature:
    """Return the arguments that a filter or test takes in an expression."""
    whole = inspect.signature(function)
    return whole.replace(parameters=list(whole.parameters.values())[2:])
