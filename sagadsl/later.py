"""Regular expressions that are compiled when they are first used.

Compiling all that the modules of a check define took a twentieth of it, and a check uses few of them.
"""

from __future__ import annotations

import re
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
