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
from typing import Any, AnyStr, Self, cast


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
def compiled_later_in(*packages: str) -> Iterator[None]:
    """Let the modules of *packages* that are imported within compile their regular expressions when they first use
    them; they must use them by their methods alone."""
    compile_now = re.compile

    def compile(pattern: Any, flags: int = 0) -> Any:
        asks: str = sys._getframe(1).f_globals.get("__name__", "")
        is_theirs = asks.partition(".")[0] in packages and isinstance(pattern, str | bytes)
        return _Later(pattern, flags) if is_theirs else compile_now(pattern, flags)

    patched: Any = re
    patched.compile = compile
    try:
        yield
    finally:
        patched.compile = compile_now


class LaterModule(ModuleType):
    """Stands in for a module until somebody uses something of it; *known* is what it has already."""

    def __init__(self, name: str, **known: Any) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # what each `from … import` asks first: only a package has it
            raise AttributeError(name)
        return getattr(self.real, name)

    @property
    def real(self) -> ModuleType:
        """The module itself, imported now if nobody has done so before."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return import_module(self.__name__)

    def later(self, function: str) -> Self:
        """Have a function that imports the module when it is called; ``from … import`` shall not do so."""

        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(self.real, function)(*arguments, **named)

        setattr(self, function, call)
        return self


@contextmanager
def standing_in(*modules: LaterModule) -> Iterator[None]:
    """Let what is imported within get *modules* in place of those that are not imported yet."""
    placed = [each for each in modules if sys.modules.setdefault(each.__name__, each) is each]
    try:
        yield
    finally:
        for each in placed:
            if sys.modules.get(each.__name__) is each:
                del sys.modules[each.__name__]


@contextmanager
def imported_later(module: str, function: str) -> Iterator[None]:
    """Let what is imported within take *function* from *module*, which is imported when the function is first called.

    Where the module is imported already, or is not installed, nothing is different.
    """
    if module in sys.modules or find_spec(module) is None:
        yield
        return
    with standing_in(LaterModule(module).later(function)):
        yield


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
