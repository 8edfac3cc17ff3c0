"""Reads credentials again while a process runs: certificates, keys and API keys that are renewed before they expire.

A connection keeps the certificate with which it began. So what has changed needs a new connection, which replaces the
old one for every client of the process; calls that are under way end on the old one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.message import Message
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, ServiceClient
from temporalio.worker import Worker

from sagadsl.errors import SagadslError
from sagadsl.temporal.link.api_key_setting import ApiKeySource, Reader, read_source
from sagadsl.temporal.link.connection import ask_as_client, ask_as_worker
from sagadsl.temporal.link.credentials import credentials_remedy
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import ConnectionSettings, resolve
from sagadsl.temporal.link.shown import SettingsUnusable

log = logging.getLogger("sagadsl.connection")

LOOK_SECONDS = 2.0
"""How often files are read again."""

COMMAND_SECONDS = 60.0
"""How long the key that a command has printed is used, before the command runs again."""

ASK_SECONDS = 30.0
"""How often the server is asked whether it takes the credentials."""

_CONNECT_SECONDS = 10.0
_REFUSED = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
_Answer = TypeVar("_Answer", bound=Message)


class RenewableService(ServiceClient):
    """The connection of a client, which another one can replace."""

    def __init__(self, now: ServiceClient) -> None:
        super().__init__(now.config)
        self._now = now

    def renew(self, connected: ServiceClient) -> None:
        """Let every further call go through this connection."""
        self._now, self.config = connected, connected.config

    @property
    def worker_service_client(self) -> Any:  # a class of the SDK that it does not export
        return self._now.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        self._now.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        self._now.update_api_key(api_key)

    async def _rpc_call(self, rpc: str, req: Message, resp_type: type[_Answer], **how: Any) -> _Answer:
        return await self._now._rpc_call(rpc, req, resp_type, **how)


def renewable(client: Client) -> Client:
    """Return *client* with a connection that can be replaced; clients that are made of it share that."""
    config = client.config(active_config=True)
    config["service_client"] = RenewableService(client.service_client)
    config["plugins"] = []  # they have done their work already
    return Client(**config)


def reading_again(flags: Flags, environ: Mapping[str, str]) -> Callable[[], ConnectionSettings]:
    """Return what reads the settings of *flags* and *environ* anew, with every file that they name."""
    read = remembering()
    return lambda: resolve(flags, environ, read)


def remembering(clock: Callable[[], float] = time.monotonic) -> Reader:
    """Return a reader of API keys that runs a command once in ``COMMAND_SECONDS``, also one that fails."""
    known: dict[ApiKeySource, tuple[float, str | SettingsUnusable]] = {}

    def read(source: ApiKeySource) -> str:
        if source.kind == "file":
            return read_source(source)
        if source not in known or clock() - known[source][0] >= COMMAND_SECONDS:
            known[source] = clock(), _read_or_not(source)
        found = known[source][1]
        if isinstance(found, SettingsUnusable):
            raise found
        return found

    return read


def _read_or_not(source: ApiKeySource) -> str | SettingsUnusable:
    try:
        return read_source(source)
    except SettingsUnusable as problem:
        return problem


class Renewal:
    """Keeps the credentials of one client, and of the workers on it, as the settings say."""

    def __init__(
        self,
        client: Client,
        settings: ConnectionSettings,
        again: Callable[[], ConnectionSettings],
        workers: Iterable[Worker] = (),
    ) -> None:
        """Look after *client*, one of ``renewable``.

        Args:
            again: Reads the settings anew; it may block.
            workers: Those that have to go over to a new connection.
        """
        assert isinstance(client.service_client, RenewableService)
        self._client, self._service, self._settings = client, client.service_client, settings
        self._again, self._workers = again, tuple(workers)
        self._said: dict[str, str] = {}
        self._asked = time.monotonic()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the credentials until the end of the block."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception:  # whatever it is, the process goes on with the credentials that it has
                log.exception("the credentials could not be looked at")

    async def look(self) -> None:
        """Take over what has changed, and say once what is wrong."""
        try:
            found = await asyncio.to_thread(self._again)
        except SagadslError as error:
            self._say("read", f"credentials cannot be read again: {error}; the earlier ones are still used")
            return
        self._say("read", "")
        if dict(found.secrets) != dict(self._settings.secrets):
            await self._take(found)
        await self._ask()

    async def _take(self, found: ConnectionSettings) -> None:
        new, old = found.secrets, self._settings.secrets
        if new["tls"] == old["tls"]:
            self._service.update_api_key(new["api_key"])
            self._service.update_rpc_metadata(new["rpc_metadata"])
        else:
            changed = {name: new[name] for name in ("tls", "api_key", "rpc_metadata")}
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    connected = await ServiceClient.connect(replace(self._service.config, **changed))
            except (RuntimeError, ValueError, TimeoutError) as error:
                why = str(error)[:300] or f"no answer within {_CONNECT_SECONDS:.0f} seconds"
                self._say("take", f"no connection with the changed certificate: {why}; the earlier one is still used")
                return
            self._service.renew(connected)
            for each in self._workers:
                each.client = each.client  # it asks its client for the connection
        self._settings, self._asked = found, float("-inf")
        self._say("take", "")
        what = "the certificate" if new["tls"] != old["tls"] else "the API key"
        log.warning("%s has changed, and is used from now on", what)

    async def _ask(self) -> None:
        """Ask the server whether it takes the credentials: the SDK asks again and again, whatever the server says."""
        if time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._asked = time.monotonic()
        try:
            await (ask_as_worker if self._workers else ask_as_client)(self._client)
        except RPCError as error:
            if error.status not in _REFUSED:  # the server is away: others tell of that
                return
            remedy = credentials_remedy(self._settings, "check what the credentials may do")
            whose = "worker" if self._workers else "gateway"
            text = f"Temporal refuses the credentials of this {whose} in namespace `{self._client.namespace}`"
            self._say("ask", f"{text}: {remedy}")
        else:
            self._say("ask", "")

    def _say(self, about: str, text: str) -> None:
        """Log what is wrong when it begins, and that it is over; nothing of the credentials themselves."""
        if self._said.get(about, "") == text:
            return
        before, self._said[about] = self._said.get(about, ""), text
        if text:
            log.error("%s", text)
        elif before:
            log.warning("the credentials are in order again")
