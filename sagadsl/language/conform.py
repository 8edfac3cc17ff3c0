"""Does a value satisfy a JSON Schema of the definition? The input of a saga, the payload of a signal.

The schema has passed :mod:`sagadsl.language.json_schema`. Opens no file and no connection, whatever it refers to (S05).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

_SHOWN = 10
_LONGEST = 300

Check = Callable[[Any], tuple[str, ...]]
"""Takes a value; returns what is wrong with it, one sentence each, nothing when it fits."""


def checker(schema: Mapping[str, Any] | bool | None, what: str) -> Check:
    """Return the check of values against *schema*; *what* names the value in messages, e.g. ``input``."""
    if schema is None:
        return lambda _value: ()
    # Late: a command that runs nothing shall not pay for it.
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    validator = Draft202012Validator(schema, registry=Registry())

    def check(value: Any) -> tuple[str, ...]:
        try:
            errors = list(islice(validator.iter_errors(value), _SHOWN))
        except RecursionError:
            return (f"`{what}` is nested too deeply to be checked",)
        except Unresolvable as error:
            return (f"`{what}` cannot be checked: its schema refers to `{error.ref}`",)
        errors.sort(key=lambda error: [str(part) for part in error.absolute_path])
        return tuple(_sentence(what, error) for error in errors)

    return check


def _sentence(what: str, error: Any) -> str:
    place = what + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    text = error.message if len(error.message) <= _LONGEST else f"{error.message[:_LONGEST]}…"
    return f"`{place}`: {text}"
