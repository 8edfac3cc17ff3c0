"""Small changes of data and of texts, drawn by a seeded generator: the same seed makes the same change.

Knows JSON-like data and texts, and nothing of sagas but the words that somebody may write.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

Route = tuple[str | int, ...]

NUMBERS: Sequence[Any] = (0, -1, 1, 2, 1.0, 3.0, -0.0, 0.5, 1e300, -1e300, 2**53 + 1, 2**63, 10**30, 1893456000000)
TIMES: Sequence[Any] = (
    *("5s", "0s", "500ms", "5s\n", "\n5s", "36500d", "36501d", "99999999999d", "P1D", "PT0S", "P1Y", "5 s", "5S"),
    *("1.5h", "1:30", "2026-01-31", "2026-01-31T09:00:00Z", "2026-01-31t09:00:00z", "2026-01-31 09:00:00+00:00"),
    *("2026-01-31T09:00:60Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "20260131T090000Z"),
    *("\uff15s", "\u00b25s", "1e3", "1_000s"),
)
TEXTS: Sequence[Any] = (
    *("", " ", "\n", "a\n", "a b", "a-b", "A", "1", "\u00b2", "\uff11", "0x1f", "0o7", "1_000", "1e5", "1e999", "~"),
    *("null", "yes", "no", "on", "true", "none", "auto", "unlimited", "continue", "compensate", "timeout", ".inf"),
    *("NaN", "=", "<<", "e\u0301", "\U0001f600", "\u2028", "\x85", "\ufeff", "\x7f", "x" * 300, "a.b", "a/b", "a[0]"),
    *("a#1", "a~b", "$", "*"),
)
EXPRESSIONS: Sequence[Any] = (
    *("{{ input }}", "{{ input.amount }}", "{{ steps.nope.output }}", "{{ 1 / 0 }}", "{{ 10 ** 10 }}", "{{", "}}"),
    *("{{}}", "{{ 'a' * 9 }}", "{% if a %}", "{# a #}", "{{ saga.id }}", "{{ 1e999 }}", "{{ [] }}", "{{ '5s\n' }}"),
    *("{{ 36501 }}d", "{{ item }}", "input", "true", "1 == 1.0", "steps", "output.x", "{{ '\\ud800' }}"),
    *("{{ 1 }}{{ 2 }}", "a {{ null }}"),
)
EMPTY: Sequence[Any] = (None, True, False, [], {}, [[]], [{}], {"": ""}, [None])
SIGNS = "\n\t :#-[]{}\"'&*!|>%@`,?~=<0123456789aezTZ.+_\\/\u00b2\uff11\u2028\x85\ufeff\x00\x7f\U0001f600"


class Mutator:
    """Changes what it is given, a little, into something that somebody might have written by mistake.

    Args:
        choice: Decides; nothing else does.
        donors: Data of the same kind, of which parts are taken.
    """

    def __init__(self, choice: random.Random, donors: Sequence[Any] = ()) -> None:
        self.choice = choice
        self.donors = donors

    def data(self, value: Any) -> Any:
        """Return a copy of *value* with one to four changes."""
        changed = deepcopy(value)
        changes: Sequence[Callable[[Any, Route], None]] = (
            *(self._replace, self._replace, self._spell, self._spell, self._rename, self._remove),
            *(self._repeat, self._graft, self._graft, self._add, self._retype, self._swap),
        )
        for _ in range(self.choice.choice((1, 1, 1, 2, 2, 4))):
            routes = list(_routes(changed, ()))
            if len(routes) > 1:
                self.choice.choice(changes)(changed, self.choice.choice(routes[1:]))
        return changed

    def text(self, text: str) -> str:
        """Return *text* with one to three changes of its signs and lines."""
        for _ in range(self.choice.choice((1, 1, 2, 3))):
            text = self.choice.choice((self._sign, self._sign, self._cut, self._line, self._word))(text)
        return text

    def value(self) -> Any:
        """Return something that somebody may write."""
        return deepcopy(self.choice.choice(self.choice.choice((NUMBERS, TIMES, TEXTS, EXPRESSIONS, EMPTY))))

    # of data

    def _replace(self, root: Any, route: Route) -> None:
        _at(root, route[:-1])[route[-1]] = self.value()

    def _spell(self, root: Any, route: Route) -> None:
        holder = _at(root, route[:-1])
        if isinstance(holder[route[-1]], str):
            holder[route[-1]] = self.text(holder[route[-1]])
        else:
            self._rename(root, route)

    def _rename(self, root: Any, route: Route) -> None:
        holder, key = _at(root, route[:-1]), route[-1]
        if isinstance(holder, dict) and isinstance(key, str):
            others = [each for each, value in _keys(self.donors) if type(value) is type(holder[key])] or [key]
            new = self.text(key) if self.choice.random() < 0.5 else self.choice.choice(others)
            holder[new] = holder.pop(key)

    def _remove(self, root: Any, route: Route) -> None:
        del _at(root, route[:-1])[route[-1]]

    def _repeat(self, root: Any, route: Route) -> None:
        holder, key = _at(root, route[:-1]), route[-1]
        if isinstance(holder, list):
            holder.insert(self.choice.randint(0, len(holder)), deepcopy(holder[key]))
        else:
            holder[key] = [deepcopy(holder[key]), deepcopy(holder[key])]

    def _graft(self, root: Any, route: Route) -> None:
        holder, key = _at(root, route[:-1]), route[-1]
        there = [value for name, value in _keys(self.donors) if name == key] or [self.value()]
        holder[key] = deepcopy(self.choice.choice(there))

    def _add(self, root: Any, route: Route) -> None:
        found = _at(root, route)
        every = _keys(self.donors)
        if isinstance(found, dict) and every:
            key, value = self.choice.choice(every)
            found[key] = deepcopy(value) if self.choice.random() < 0.7 else self.value()
        elif isinstance(found, list):
            found.append(self.value())
        else:
            self._replace(root, route)

    def _retype(self, root: Any, route: Route) -> None:
        holder, key = _at(root, route[:-1]), route[-1]
        match holder[key]:
            case bool(value):
                holder[key] = "yes" if value else 0
            case int(value):
                holder[key] = self.choice.choice((float(value), str(value), -value, value * 10**12))
            case str(value):
                holder[key] = self.choice.choice(([value], {"value": value}, f"{value}\n", f" {value}"))
            case list(value):
                holder[key] = value[0] if value else {}
            case dict(value):
                holder[key] = [value]
            case _:
                holder[key] = self.value()

    def _swap(self, root: Any, route: Route) -> None:
        other = self.choice.choice(list(_routes(root, ()))[1:])
        one, two = _at(root, route[:-1]), _at(root, other[:-1])
        one[route[-1]] = deepcopy(two[other[-1]])

    # of text

    def _sign(self, text: str) -> str:
        at = self.choice.randint(0, len(text))
        return text[:at] + self.choice.choice(SIGNS) + text[at + self.choice.randint(0, 1) :]

    def _cut(self, text: str) -> str:
        at = self.choice.randint(0, len(text))
        return text[:at] + text[at + self.choice.randint(1, 12) :]

    def _line(self, text: str) -> str:
        lines = text.split("\n")
        at = self.choice.randrange(len(lines))
        line = self.choice.choice((lines[at], "", f" {lines[at]}", lines[at].strip(), self.choice.choice(lines)))
        return "\n".join([*lines[:at], line, *lines[at + self.choice.randint(0, 1) :]])

    def _word(self, text: str) -> str:
        at = self.choice.randint(0, len(text))
        word = str(self.value())
        return text[:at] + word + text[at + self.choice.choice((0, len(word))) :]


def _routes(value: Any, route: Route) -> list[Route]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [route, *(found for key, inner in items for found in _routes(inner, (*route, key)))]


def _at(root: Any, route: Route) -> Any:
    for key in route:
        root = root[key]
    return root


def _keys(donors: Sequence[Any]) -> list[tuple[str, Any]]:
    return [
        (str(route[-1]), _at(donor, route))
        for donor in donors
        for route in _routes(donor, ())
        if route and isinstance(route[-1], str)
    ]
