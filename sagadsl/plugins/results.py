"""Makes the result of an activity into plain JSON data, or an error that says that the function has run."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from sagadsl.authoring import InvalidOutput
from sagadsl.plugins.texts import described, text_of

_DEEPEST = 200
_SHOWN = 120
_OUTSIDE = ("temporalio.", "asyncio.")


def to_json_data(value: Any, path: str = "output") -> Any:
    """Return *value* as plain JSON data, so that a saga and its replay see the same (sets become lists, keys text).

    Raises :class:`InvalidOutput` for a value without its own JSON form. That includes ``bytes``
    and ``Decimal``, because text that looks like a number invites arithmetic. In a pydantic
    model or dataclass they are allowed, since it declares the form of its fields.
    """
    try:
        return _json_data(value, path, 0)
    except InvalidOutput:
        raise
    except BaseException as error:
        if type(error).__module__.startswith(_OUTSIDE):  # a cancel came meanwhile
            raise
        # The value's own code failed. The function has run, so this must not count as an error without effect.
        raise InvalidOutput(f"{path} cannot become JSON: {described(error)[:_SHOWN]}") from None


def _json_data(value: Any, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise InvalidOutput(f"{path[:_SHOWN]} is nested deeper than {_DEEPEST} levels, or contains itself")
    match value:
        case None | bool():
            return value
        case Enum():
            return _json_data(value.value, path, depth + 1)
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                raise InvalidOutput(f"{path} is `{value}`, which JSON cannot carry; return null or text instead")
            return float(value)
        case Mapping():
            return _object(value, path, depth)
        case list() | tuple():
            return [_json_data(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(value)]
        case set() | frozenset():
            every = [_json_data(each, f"{path}[…]", depth + 1) for each in value]
            return sorted(
                every, key=lambda each: (type(each).__name__, repr(each) if isinstance(each, list | dict) else each)
            )
        case bytes() | bytearray() | memoryview():
            raise InvalidOutput(f"{path} is `bytes`, which JSON cannot carry; return text, e.g. `.decode()` or base64")
        case Decimal():
            raise InvalidOutput(
                f"{path} is the Decimal `{value}`, which JSON cannot carry; "
                "return `str(…)`, or a number of minor units (cents)"
            )
    return _json_data(_dumped(value, path), path, depth + 1)


def _order(each: Any) -> tuple[str, Any]:
    return type(each).__name__, repr(each) if isinstance(each, list | dict) else each


def _object(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, each in value.items():
        name = key.value if isinstance(key, Enum) else key
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise InvalidOutput(f"{path} has the key `{_shown(key)}`; keys are text or whole numbers")
        if str(name) in result:
            raise InvalidOutput(f"{path} has the key `{name}` twice: as text and as a number")
        result[str(name)] = _json_data(each, f"{path}.{name}", depth + 1)
    return result


def _dumped(value: Any, path: str) -> Any:
    """Return pydantic's JSON form of a model, dataclass, date, UUID and the like."""
    from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter  # noqa: PLC0415
    from pydantic_core import PydanticSerializationError  # noqa: PLC0415 # heavy

    kind = type(value)
    try:
        if isinstance(value, BaseModel):
            return value.model_dump(mode="json", by_alias=True, warnings=False)
        if inspect.isgenerator(value) or inspect.iscoroutine(value) or callable(value):
            raise InvalidOutput(f"{path} is `{_shown(value)}`, which JSON cannot carry")
        if kind.__module__ == "builtins" and kind.__name__ not in ("object",):
            raise InvalidOutput(f"{path} is of type `{kind.__name__}`, which JSON cannot carry")
        return TypeAdapter(kind).dump_python(value, mode="json", by_alias=True, warnings=False)
    except (PydanticSerializationError, PydanticSchemaGenerationError, PydanticUserError, UnicodeDecodeError) as error:
        reason = f": {text_of(error)[:_SHOWN]}" if isinstance(error, PydanticSerializationError) else ""
        raise _unsayable(value, path, reason) from None


def _unsayable(value: Any, path: str, reason: str) -> InvalidOutput:
    return InvalidOutput(f"{path[:_SHOWN]} is of type `{type(value).__name__}`, which JSON cannot carry{reason}")


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_SHOWN]
    except Exception:  # noqa: BLE001 # the value's own code
        return type(value).__name__
