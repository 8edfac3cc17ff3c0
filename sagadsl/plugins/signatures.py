"""Turns the types of a function into JSON Schemas, and JSON input into arguments.

Checks use the schemas and the worker uses the arguments, so that both agree. This module knows
neither entry points nor Temporal; it imports pydantic when it looks at the first type.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import typing_extensions

from sagadsl.authoring import Context, InvalidInput
from sagadsl.immutable import Immutable
from sagadsl.language.suggest import did_you_mean
from sagadsl.plugins.texts import described

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_SHOWN = 120
_PROBLEMS_SHOWN = 3


class Takes(Enum):
    """How a function takes its one JSON value."""

    NOTHING = "nothing"
    WHOLE = "whole"
    PARAMETERS = "parameters"


class Parameters(Immutable):
    """A function's parameters and result, without a schema yet.

    Attributes:
        name: The function's own name, for messages.
        takes: How it takes its input.
        parameters: Its parameters in order, without the context.
        hints: Their types; a parameter without one takes anything.
        context: Name of the parameter that receives the :class:`Context`.
        returns: The declared result; ``Any`` when nothing is declared.
        lenient: Values of types without a JSON Schema are passed unchanged (plain Temporal activities).
    """

    name: str
    takes: Takes
    parameters: tuple[inspect.Parameter, ...]
    hints: Mapping[str, Any]
    context: str | None
    returns: Any
    lenient: bool


def form(function: Callable[..., Any], *, plain: bool = False) -> Parameters:
    """Return the form of *function*. Raises ``TypeError`` for one that cannot be an activity.

    Args:
        plain: The function is a plain Temporal activity, whose only parameter is the whole input.
    """
    name = getattr(function, "__name__", type(function).__name__)
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        hints = typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"a type of `{name}` cannot be resolved: {described(error)}; define it at module level"
        ) from error
    parameters = list(inspect.signature(function).parameters.values())
    context = next((each.name for each in parameters if _is_context(hints.get(each.name))), None)
    parameters = [each for each in parameters if each.name != context]
    for parameter in parameters:
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise TypeError(f"`{name}` takes `{parameter}`: an activity names each of its parameters")
    if not parameters:
        takes = Takes.NOTHING
    elif len(parameters) == 1 and (plain or _is_object(hints.get(parameters[0].name))):
        takes = Takes.WHOLE
    else:
        takes = Takes.PARAMETERS
    return Parameters(name, takes, tuple(parameters), hints, context, hints.get("return", Any), plain)


class Arguments(Immutable):
    """The arguments of a call."""

    positional: tuple[Any, ...]
    keyword: Mapping[str, Any]


class InputReader:
    """Turns the JSON input into a function's arguments; builds its validator once."""

    def __init__(self, shape: Parameters) -> None:
        self._form = shape
        self._adapter = _input_adapter(shape)

    @property
    def schema(self) -> dict[str, Any] | None:
        """JSON Schema of the input; ``None`` takes anything."""
        if self._form.takes is Takes.NOTHING:
            return {"type": "object", "properties": {}, "additionalProperties": False}
        return None if self._adapter is None else _schema(self._adapter, "validation", self._form)

    def read(self, sent: tuple[Any, ...], context: Context) -> Arguments:
        """Return the arguments for what was *sent*: nothing, one JSON value, or (from other callers) several.

        Raises :class:`InvalidInput`. A function without parameters takes anything, because a compensation
        without its own input gets the input of its step.
        """
        shape = self._form
        extra: dict[str, Any] = {} if shape.context is None else {shape.context: context}
        if shape.takes is Takes.NOTHING:
            return Arguments((), extra)
        if shape.takes is Takes.WHOLE:
            value = self._validated(sent[0] if sent else {})
            return self._bound({shape.parameters[0].name: value}, extra)
        checked = self._validated(self._by_name(sent))
        if self._adapter is None:
            return self._bound(checked, extra)
        values = {
            each.name: getattr(checked, f"p{index}")
            for index, each in enumerate(shape.parameters)
            if f"p{index}" in checked.model_fields_set
        }
        return self._bound(values, extra)

    def _by_name(self, sent: tuple[Any, ...]) -> Any:
        if len(sent) <= 1:
            value = sent[0] if sent else {}
            if isinstance(value, dict) or not self._form.lenient:
                return value
        # A hand-written workflow calls a plain Temporal activity with its arguments in order.
        return {each.name: value for each, value in zip(self._form.parameters, sent, strict=False)}

    def _bound(self, values: Mapping[str, Any], extra: dict[str, Any]) -> Arguments:
        positional = []
        keyword = dict(extra)
        for parameter in self._form.parameters:
            if parameter.name not in values:
                continue
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                positional.append(values[parameter.name])
            else:
                keyword[parameter.name] = values[parameter.name]
        return Arguments(tuple(positional), keyword)

    def _validated(self, value: Any) -> Any:
        if self._adapter is None:
            return value
        from pydantic import ValidationError  # noqa: PLC0415 # heavy
        from pydantic_core import to_json  # noqa: PLC0415 # heavy

        try:
            return self._adapter.validate_json(to_json(value), strict=True)
        except ValidationError as error:
            whole = _whole_numbers(value)
            problems = error
        # 3.0 is an integer in JSON Schema, but not in pydantic's strict mode.
        try:
            return self._adapter.validate_json(to_json(whole), strict=True)
        except ValidationError as error:
            problems = error
        raise _invalid_input(self._form, problems.errors(include_url=False, include_context=False)) from None


def output_schema(shape: Parameters) -> dict[str, Any] | None:
    """Return the JSON Schema of the result, or ``None`` when it may be anything."""
    if shape.returns is Any:
        return None
    adapter = _adapter(shape.returns)
    return None if adapter is None else _schema(adapter, "serialization", shape)


def _is_context(hint: Any) -> bool:
    return hint is Context or Context in typing.get_args(hint)


def _is_object(hint: Any) -> bool:
    """Whether a parameter of this type is the whole input: a model, dataclass, TypedDict or dict."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    kind = typing.get_origin(hint) or hint
    if not isinstance(kind, type):
        return False
    return (
        is_dataclass(kind)
        or typing_extensions.is_typeddict(kind)
        or issubclass(kind, Mapping)
        # `hasattr` instead of `issubclass`: a plugin without models needs no pydantic here.
        or hasattr(kind, "model_validate_json")
    )


def _input_adapter(shape: Parameters) -> TypeAdapter[Any] | None:
    if shape.takes is Takes.NOTHING:
        return None
    if shape.takes is Takes.WHOLE:
        name = shape.parameters[0].name
        return _known_adapter(shape.hints.get(name, Any), shape, name)
    from pydantic import ConfigDict, Field, TypeAdapter, create_model  # noqa: PLC0415 # heavy

    fields: dict[str, Any] = {}
    for index, parameter in enumerate(shape.parameters):
        hint = shape.hints.get(parameter.name, Any)
        if _known_adapter(hint, shape, parameter.name) is None:
            hint = Any
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        # We name the fields, because `json` or `_x` can be a parameter, but not a field.
        fields[f"p{index}"] = (_modern(hint), Field(default, alias=parameter.name))
    return TypeAdapter(create_model(shape.name, __config__=ConfigDict(extra="forbid"), **fields))


def _known_adapter(hint: Any, shape: Parameters, parameter: str) -> TypeAdapter[Any] | None:
    adapter = _adapter(hint)
    if adapter is None and not shape.lenient:
        raise TypeError(f"parameter `{parameter}` of `{shape.name}` has the type `{hint!r}`, which JSON cannot carry")
    return adapter


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter  # noqa: PLC0415 # heavy

    try:
        return TypeAdapter(_modern(hint))
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None


def _schema(adapter: TypeAdapter[Any], mode: typing.Literal["validation", "serialization"], shape: Parameters) -> Any:
    from pydantic.errors import PydanticInvalidForJsonSchema  # noqa: PLC0415 # heavy

    try:
        return adapter.json_schema(mode=mode)
    except PydanticInvalidForJsonSchema:
        if shape.lenient or mode == "serialization":
            return None
        raise


@functools.cache
def _modern_typed_dict(kind: Any) -> Any:
    """Return the TypedDict of ``typing_extensions`` for *kind*: pydantic takes no other before Python 3.12."""
    if kind.__class__.__module__ != "typing":
        return kind
    fields: dict[str, Any] = {}
    for key, hint in typing.get_type_hints(kind, include_extras=True).items():
        marked = typing.get_origin(hint) in (typing.Required, typing.NotRequired)
        # The annotation decides, because `__required_keys__` does not see postponed annotations.
        required = typing.get_origin(hint) is typing.Required if marked else key in kind.__required_keys__
        wrapper: Any = typing_extensions.Required if required else typing_extensions.NotRequired
        fields[key] = wrapper[_modern(typing.get_args(hint)[0] if marked else hint)]
    made = typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[misc] # names are known at run time
    made.__doc__ = kind.__doc__
    return made


def _modern(hint: Any) -> Any:
    if typing_extensions.is_typeddict(hint):
        return _modern_typed_dict(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None or origin is typing.Literal or not arguments:
        return hint
    modern = tuple(_modern(each) if isinstance(each, type) or typing.get_origin(each) else each for each in arguments)
    if modern == arguments:
        return hint
    if origin in (typing.Union, types.UnionType):
        return typing.Union[modern]  # noqa: UP007 # built at run time
    if origin is typing.Annotated:
        return typing.Annotated[(modern[0], *hint.__metadata__)]
    return origin[modern]


def _whole_numbers(value: Any) -> Any:
    match value:
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case dict():
            return {key: _whole_numbers(each) for key, each in value.items()}
        case list():
            return [_whole_numbers(each) for each in value]
    return value


def _invalid_input(shape: Parameters, problems: Iterable[Any]) -> InvalidInput:
    every = list(problems)
    known = [each.name for each in shape.parameters] if shape.takes is Takes.PARAMETERS else []
    lines = [_sentence(each, known) for each in every[:_PROBLEMS_SHOWN]]
    if len(every) > _PROBLEMS_SHOWN:
        lines.append(f"and {len(every) - _PROBLEMS_SHOWN} more")
    details = [{"field": _field(each["loc"]), "problem": each["msg"]} for each in every[:_SHOWN]]
    return InvalidInput("; ".join(lines), details)


def _sentence(problem: Any, known: list[str]) -> str:
    where = _field(problem["loc"])
    what = f"field `{where}`" if where else "the input"
    if problem["type"] == "missing":
        return f"{what} is missing"
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        hint = did_you_mean(where, known)
        return f"{what} is not known" + (f", {hint}" if hint else "")
    found = _found(problem["input"])
    expected = problem["msg"].removeprefix("Input should be ")
    if expected == problem["msg"]:  # the words of a validator of the author's own
        return f"{what}: {expected.removeprefix('Value error, ')}, found `{found}`"
    return f"{what}: expected {expected}, found `{found}`"


def _field(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _found(value: Any) -> str:
    from pydantic_core import to_json  # noqa: PLC0415 # heavy

    text = to_json(value, fallback=repr).decode(errors="replace")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
