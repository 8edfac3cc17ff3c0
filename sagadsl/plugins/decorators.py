"""Finds the activities of a module or an object, and the names that their author gave them.

It reads the marks of both decorators without importing Temporal.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagadsl.authoring import Spec

_PLAIN_MARK = "__temporal_activity_definition"  # of `@temporalio.activity.defn`


def is_activity(target: Any) -> bool:
    """Whether *target* has a decorator's mark; a proxy that has every attribute does not count."""
    return spec_of(target) is not None or plain_definition(target) is not None


def spec_of(target: Any) -> Spec | None:
    """Return what our decorator was told about *target*, or ``None``."""
    from sagadsl.authoring import MARK, Spec  # noqa: PLC0415 # 3 ms that who imports no activity need not pay

    spec = getattr(target, MARK, None)
    return spec if isinstance(spec, Spec) else None


def plain_definition(target: Any) -> Any:
    """Return the definition that `@temporalio.activity.defn` put on *target*, or ``None``."""
    definition = getattr(target, _PLAIN_MARK, None)
    return definition if type(definition).__module__ == "temporalio.activity" else None


def own_name(function: Callable[..., Any]) -> str:
    """Return the author's name for an activity, for use where no entry point names it."""
    spec = spec_of(function)
    if spec is not None and spec.name is not None:
        return spec.name
    plain = getattr(plain_definition(function), "name", None)
    return str(plain or getattr(function, "__name__", type(function).__name__))


def members_of(target: Any, prefix: str) -> dict[str, Callable[..., Any]]:
    """Return the activities of a module or an object, by name. Raises ``ValueError`` when two have one name."""
    members: dict[str, Callable[..., Any]] = {}
    functions = _of_module(target) if isinstance(target, ModuleType) else _of_object(target)
    for function in functions:
        name = prefix + own_name(function)
        if name in members:
            raise ValueError(f"`{whereabouts(members[name])}` and `{whereabouts(function)}` are both named `{name}`")
        members[name] = function
    return members


def _of_object(target: Any) -> list[Callable[..., Any]]:
    marked = (name for name, value in inspect.getmembers_static(type(target)) if is_activity(_unwrapped(value)))
    return [getattr(target, name) for name in marked]


def _of_module(module: ModuleType) -> list[Callable[..., Any]]:
    """Return marked functions, methods of objects, and methods of classes whose constructor needs no argument."""
    public = set(getattr(module, "__all__", ()))
    functions: list[Callable[..., Any]] = []
    objects: list[Any] = []
    classes: list[type] = []
    for name, value in sorted(vars(module).items()):
        if isinstance(value, type):
            if _belongs(value, module) and any(is_activity(_unwrapped(each)) for each in vars(value).values()):
                classes.append(value)
        elif is_activity(value):
            if (name in public or _belongs(value, module)) and value not in functions:
                functions.append(value)
        elif not isinstance(value, ModuleType) and _belongs(type(value), module) and value not in objects:
            objects.append(value)
    made = {type(each) for each in objects}
    objects += [_made(each) for each in classes if each not in made]
    return functions + [method for each in objects for method in _of_object(each)]


def _made(kind: type) -> Any:
    try:
        return kind()
    except TypeError as error:
        raise TypeError(
            f"class `{kind.__name__}` cannot be made without arguments ({error}); make an object of it in the module"
        ) from error


def _unwrapped(value: Any) -> Any:
    return value.__func__ if isinstance(value, staticmethod | classmethod) else value


def _belongs(value: Any, module: ModuleType) -> bool:
    """Whether *value* was defined in *module* or below it, rather than imported from elsewhere."""
    home = str(getattr(value, "__module__", ""))
    return home == module.__name__ or home.startswith(f"{module.__name__}.")


def whereabouts(function: Any) -> str:
    """Return where *function* was written, for messages."""
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
