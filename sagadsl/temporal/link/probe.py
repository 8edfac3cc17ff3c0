"""Tries an address without gRPC: does the name exist, is the port open, does it speak TLS?

Runs only after a connection has failed, to find the reason. Blocks for a few seconds at most.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from typing import Any

from sagadsl.immutable import Immutable

TIMEOUT_SECONDS = 3.0


class Found(Immutable):
    """What was tried, in order.

    Attributes:
        checks: One short text each, with ✓ or ✗.
        listening: Something accepts connections there.
        remedy: What to do, when the checks say it; else empty.
    """

    checks: tuple[str, ...]
    listening: bool = False
    remedy: str = ""


def look(address: str, tls: Any) -> Found:
    """Try name, port and TLS of ``host:port``; *tls* is what the connection used."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        named = "✓ the address is an IP address"
    except ValueError:
        try:
            socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
            named = f"✓ DNS: `{host}` has an address"
        except OSError as error:
            return Found((f"✗ DNS: {error.strerror or error}",), remedy=f"check the spelling of `{host}`")
    try:
        with socket.create_connection((host, int(port)), TIMEOUT_SECONDS):
            pass
    except OSError as error:
        # create_connection's own timeout carries no errno text
        return Found((named, f"✗ TCP: {(error.strerror or str(error)).lower()}"))
    checks = (named, f"✓ TCP: port {port} answers")
    if tls:
        return _with_tls(host, int(port), tls, checks)
    if _speaks_tls(host, int(port)):
        return Found((*checks, "✗ the server wants TLS"), True, "add `--tls`")
    return Found(
        (*checks, "✗ but not as a Temporal server"),
        True,
        "give the port of the gRPC front end, usually 7233; the Web UI's port does not work",
    )


def _with_tls(host: str, port: int, tls: Any, checks: tuple[str, ...]) -> Found:
    authority = getattr(tls, "server_root_ca_cert", None)
    name = getattr(tls, "domain", None) or host
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, port), TIMEOUT_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=name),
        ):
            return Found((*checks, "✓ TLS: the certificate is good"), True)
    except ssl.SSLCertVerificationError as error:
        remedy = "name its authority with `--tls-ca-path`, or the name it carries with `--tls-server-name`"
        return Found((*checks, f"✗ TLS: {error.verify_message}"), True, remedy)
    except ssl.SSLError as error:
        if _speaks_tls(host, port):
            return Found((*checks, f"✗ TLS: {(error.reason or 'refused').lower().replace('_', ' ')}"), True)
        return Found((*checks, "✗ TLS: the server does not speak TLS"), True, "leave out TLS, or say `--no-tls`")
    except (OSError, ValueError) as error:
        return Found((*checks, f"✗ TLS: {error}"), True)


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: this only asks whether it is TLS
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=host),
        ):
            return True
    except OSError:
        return False
