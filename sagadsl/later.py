"""What is compiled or imported when it is first used.

Compiling all regular expressions that the modules of a check define took a twentieth of it, and a check uses few.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, AnyStr, cast


class _Later:
    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self._pattern, self._flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(re.compile(self._pattern, self._flags), name)
        setattr(self, name, found)
        return found


def compiled_later(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what has the methods of ``re.compile(pattern, flags)``; a wrong pattern is an error only when it is used.

    Functions of ``re`` do not take it in place of a pattern.
    """
    return cast("re.Pattern[AnyStr]", _Later(pattern, flags))


@contextmanager
def imported_later(module: str, function: str) -> Iterator[None]:
    """Let what is imported within take *function* from *module*, which is imported when the function is first called.

    Where the module is imported already, or is not installed, nothing is different.
    """
    if module in sys.modules or find_spec(module) is None:
        yield
        return
    stand_in = ModuleType(module)

    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(import_module(module), function)(*arguments, **named)

    setattr(stand_in, function, call)
    sys.modules[module] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(module) is stand_in:
            del sys.modules[module]


OWN_THRESHOLD = 100_000
"""How many new objects a process of ours has before it looks for garbage: most live as long as the command does."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Let nobody look for garbage while modules are imported, nor among what they have made: it stays.

    Only in a process of ours: another one may have garbage.
    """
    if not gc.isenabled() or gc.get_threshold()[0] != OWN_THRESHOLD:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
