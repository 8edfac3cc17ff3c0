"""Does a value satisfy a JSON Schema of the definition? The input of a saga, the payload of a signal.

The schema has passed :mod:`sagadsl.language.json_schema`. Opens no file and no connection, whatever it refers to (S05).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from sagadsl.language.defaults import TooManyDefaults, filled
from sagadsl.language.json_text import is_finite
from sagadsl.language.validator import validator

_SHOWN = 10
_LONGEST = 300

Check = Callable[[Any], tuple[str, ...]]
"""Takes a value; returns what is wrong with it, one sentence each, nothing when it fits."""


def checker(
    schema: Mapping[str, Any] | bool | None,
    what: str,
    *,
    fill: bool = False,
    first_rules: bool = False,
    accepted: bool = False,
) -> Check:
    """Return the check of values against *schema*.

    Args:
        what: Names the value in messages, e.g. ``input``.
        fill: Check a value with the defaults of what it leaves out, as a saga takes its input.
        first_rules: Judge as older releases did, for what replays their runs.
        accepted: The schema was taken when its run began; see ``validator``.
    """
    if schema is None:
        return (lambda _value: ()) if first_rules else (lambda value: _unsent(value, what))
    # Late: a command that runs nothing shall not pay for it.
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    found = validator(schema, first_rules=first_rules, accepted=accepted)

    def check(value: Any) -> tuple[str, ...]:
        if not first_rules and (problems := _unsent(value, what)):
            return problems
        try:
            errors = list(islice(found.iter_errors(filled(schema, value) if fill else value), _SHOWN))
        except RecursionError:
            return (f"`{what}` is nested too deeply to be checked",)
        except TooManyDefaults as error:
            return (f"`{what}` cannot be taken: {error}",)
        except Unresolvable as error:
            return (f"`{what}` cannot be checked: its schema refers to `{error.ref}`",)
        errors.sort(key=lambda error: [str(part) for part in error.absolute_path])
        return tuple(_sentence(what, error) for error in errors)

    return check


def _unsent(value: Any, what: str) -> tuple[str, ...]:
    return () if is_finite(value) else (f"`{what}` holds a number that JSON cannot carry, such as `NaN` or `1e999`",)


def _sentence(what: str, error: Any) -> str:
    place = what + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    text = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]}…"
    return f"`{place}`: {text}"
