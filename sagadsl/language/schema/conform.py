"""Checks a value, the input of a saga or the payload of a signal, against a JSON Schema of the definition.

The schema has passed :mod:`sagadsl.language.schema.json_schema`. This opens no file and no connection, whatever the
schema names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from sagadsl.language.notation.json_text import is_finite
from sagadsl.language.schema.defaults import TooManyDefaults, filled
from sagadsl.language.schema.effort import MOST, TooMuch, limited
from sagadsl.language.schema.secrecy import NOTHING, Hiding, Place, hiding, places
from sagadsl.language.schema.secrecy import found as secret_values
from sagadsl.language.schema.sentences import sentence
from sagadsl.language.schema.validator import validator

_SHOWN = 10
_LONGEST = 300
_LITTLE = 5_000
"""So little work, in units (some tens of milliseconds), may block everything else."""


class ValueCheck:
    """Checks a value. Returns one sentence for each mistake, and nothing when the value fits. It may take seconds."""

    def __init__(
        self,
        what: str,
        errors: Callable[[Any], Iterator[Any]] | None,
        *,
        is_first: bool = False,
        secret: tuple[Place, ...] = (),
    ) -> None:
        """Take the function with which the library finds mistakes; without it, everything fits.

        Args:
            is_first: Judge in the way of older releases.
            secret: Places of values that no sentence quotes.
        """
        self._what, self._errors, self._is_first, self._secret = what, errors, is_first, secret

    def __call__(self, value: Any) -> tuple[str, ...]:
        """Check *value* in this thread, to the end."""
        found = self._within(MOST, value)
        return (f"`{self._what}` would take too long to be checked: {_WHY}",) if found is None else found

    def at_once(self, value: Any) -> tuple[str, ...] | None:
        """Check *value* if that is little work; return ``None`` if it is more, so that another thread has to do it."""
        return self._within(_LITTLE, value)

    def _too_deep(self) -> str:
        return f"`{self._what}` is nested too deeply to be checked"

    def _within(self, effort: int, value: Any) -> tuple[str, ...] | None:
        if not self._is_first and (problems := _unsent(value, self._what)):
            return problems
        if self._errors is None:
            return ()
        # Late: a command that runs nothing need not load it.
        from referencing.exceptions import Unresolvable  # noqa: PLC0415

        errors: list[Any] = []
        try:
            with limited(effort):
                errors.extend(islice(self._errors(value), _SHOWN))
        except RecursionError:
            return (self._too_deep(),)
        except TooManyDefaults as error:
            return (f"`{self._what}` cannot be taken: {error}",)
        except Unresolvable as error:
            return (f"`{self._what}` cannot be checked: its schema refers to `{error.ref}`",)
        except TooMuch:
            if effort < MOST or not errors:
                return None
        except BaseException as error:
            if type(error).__name__ != _PANIC:
                raise
            return (self._too_deep(),)
        errors.sort(key=lambda error: [str(part) for part in error.absolute_path])
        hides = hiding(secret_values(value, self._secret)) if self._secret and errors else NOTHING
        return tuple(_sentence(self._what, error, hides, is_first=self._is_first) for error in errors)


_PANIC = "PanicException"
"""What reaches Python from a native part of the JSON Schema library that has met Python's limit of recursion; it is no
``Exception``, and its class cannot be imported."""

_WHY = f"more than {MOST:,} rules of the schema apply to it and to its parts"


def checker(
    schema: Mapping[str, Any] | bool | None,
    what: str,
    *,
    fill: bool = False,
    first_rules: bool = False,
    accepted: bool = False,
) -> ValueCheck:
    """Return the check of values against *schema*.

    Args:
        what: The name of the value in messages, e.g. ``input``.
        fill: Add the defaults to a value before the check, as a saga does with its input.
        first_rules: Judge in the way of older releases, to replay their runs.
        accepted: The schema was accepted when its run began; see ``validator``.
    """
    if schema is None:
        return ValueCheck(what, None, is_first=first_rules)
    found = validator(schema, first_rules=first_rules, accepted=accepted)

    def errors(value: Any) -> Iterator[Any]:
        yield from found.iter_errors(filled(schema, value) if fill else value)

    return ValueCheck(what, errors, is_first=first_rules, secret=places(schema))


def _unsent(value: Any, what: str) -> tuple[str, ...]:
    return () if is_finite(value) else (f"`{what}` holds a number that JSON cannot carry, such as `NaN` or `1e999`",)


def _sentence(what: str, error: Any, hides: Hiding, *, is_first: bool) -> str:
    place = what + "".join(
        f"[{part}]" if isinstance(part, int) else f".{hides.text(str(part))}" for part in error.absolute_path
    )
    message = hides.text(error.message if is_first else sentence(error, hides.data(error.instance)))
    text = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"
    return f"`{place}`: {text}"
