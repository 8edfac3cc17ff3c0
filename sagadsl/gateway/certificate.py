"""The gateway's own certificate, which is read again when its files have changed."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

from sagadsl.errors import reason_of
from sagadsl.temporal.link.shown import SettingsUnusable

log = logging.getLogger("sagadsl.gateway")

LOOK_SECONDS = 2.0
"""How often the files are looked at."""


class Certificate:
    """A certificate with its key.

    Attributes:
        context: What a listener takes. Each connection gets the certificate that is the newest when it begins.

    Raises:
        SettingsUnusable: The files cannot be used. Later such files change nothing.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key, self._refused = cert, key, ""
        self._stamp = self._seen()
        self._newest = self._read()
        self.context = self._read()
        self.context.sni_callback = self._choose

    def _choose(self, connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest  # a context that is in use cannot take certificate and key in one step

    async def watch(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take what has changed; say once what is wrong with it."""
        try:
            stamp = self._seen()
            if stamp == self._stamp:
                return
            self._newest = self._read()
        except SettingsUnusable as error:
            if str(error) != self._refused:
                self._refused = str(error)
                log.error("%s; the earlier certificate is still used", error)
            return
        self._stamp, self._refused = stamp, ""
        log.warning("the gateway's certificate has changed, and is used from now on")

    def _seen(self) -> tuple[bytes, bytes]:
        found = []
        for flag, path in (("--https-cert", self._cert), ("--https-key", self._key)):
            try:
                found.append(path.read_bytes())
            except OSError as error:
                raise SettingsUnusable(f"`{path}` cannot be read: {reason_of(error)} ({flag})") from None
        return found[0], found[1]

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._cert, self._key, password="")  # a key with a password asks nobody for it
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise SettingsUnusable(
                    f"the key `{self._key}` does not belong to the certificate `{self._cert}` (--https-key)",
                    "`openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey -pubout -in KEY` print the same "
                    "for a pair",
                ) from None
            raise SettingsUnusable(
                f"`{self._cert}` and `{self._key}` are no certificate and key in PEM form, or the key has a password "
                "(--https-cert)",
                "the certificate begins with BEGIN CERTIFICATE, its key with BEGIN PRIVATE KEY",
            ) from None
        except OSError as error:
            raise SettingsUnusable(f"`{self._cert}` cannot be read: {reason_of(error)} (--https-cert)") from None
        return context
