"""The event loop on which a worker runs: uvloop's, which takes less CPU, or asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Loop(StrEnum):
    """Whose event loop: ``AUTO`` is uvloop's where there is one, as there is none for Windows."""

    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


def run_on(loop: Loop, main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end, as ``asyncio.run`` does. Raises ``SettingsUnusable`` if uvloop was asked for in vain."""
    try:
        factory = _factory(loop)
    except BaseException:
        main.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def _factory(loop: Loop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop is Loop.ASYNCIO:
        return None
    try:
        import uvloop
    except ImportError:
        if loop is Loop.AUTO:
            return None
        from sagadsl.temporal.link.shown import SettingsUnusable

        help_ = "`pip install uvloop`, which exists for Linux and macOS; or leave `--event-loop` at `auto`"
        raise SettingsUnusable("the event loop `uvloop` is not installed", help_) from None
    return uvloop.new_event_loop
