"""Ends what waits as soon as its token is taken away: a stream or a long poll may outlive its token by far.

Whoever waits is woken when the file of tokens has changed, and looks whether the token is still valid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from sagadsl.gateway.access import Authenticator, TokensLost

LOOK_SECONDS = 1.0
"""How often the file of tokens is looked at while nobody sends a request."""


class Revocation:
    """Wakes those who wait when other tokens may be valid than before.

    Attributes:
        edition: How often that has been.
    """

    def __init__(self) -> None:
        self.edition = 0
        self._next = asyncio.Event()

    def told(self) -> Coroutine[Any, Any, object]:
        """Return what waits until tokens have changed since this call."""
        return self._next.wait()

    def tell(self) -> None:
        """Wake all who wait."""
        self.edition += 1
        before, self._next = self._next, asyncio.Event()
        before.set()

    async def watch(self, authenticators: Sequence[Authenticator]) -> None:
        """Look after the tokens until cancelled."""
        known = _states(authenticators)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (now := _states(authenticators)) != known:
                known = now
                self.tell()


def _states(authenticators: Sequence[Authenticator]) -> list[int]:
    return [_state(each) for each in authenticators]


def _state(authenticator: Authenticator) -> int:
    """Return a number that changes when other tokens are valid; -1 while none is."""
    try:
        authenticator.check()
    except TokensLost:
        return -1
    return authenticator.edition
