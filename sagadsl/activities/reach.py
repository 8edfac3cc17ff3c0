"""Where the built-in calls may go, and which secret may go along: what the worker's operator has said, and nobody else.

Definitions and inputs are not trusted, so that a call reaches public addresses alone: not this machine, its
network, or what a cloud tells its machines. The address that is connected to is looked at, whatever its name
says, so that nobody's DNS answers lead inside.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from sagadsl.authoring import Permanent
from sagadsl.errors import reason_of
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.own_errors import INVALID_INPUT

if TYPE_CHECKING:
    from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream

SECRETS = "SAGADSL_HTTP_SECRETS"
"""Secrets that requests may send, with commas: ``NAME@host``, or ``NAME`` for the hosts of ``SAGADSL_HTTP_HOSTS``."""
HOSTS = "SAGADSL_HTTP_HOSTS"
"""Hosts that requests may go to, with commas; ``*.example.com`` covers its subdomains. Unset: all public ones."""
NETWORKS = "SAGADSL_HTTP_NETWORKS"
"""Networks and addresses that are not public and may be reached all the same, with commas: ``10.1.0.0/16``."""

FORBIDDEN = "HttpForbidden"
NO_CONNECTION = "HttpConnectionError"
NO_ANSWER = "HttpTimeout"
TOO_LARGE = "HttpResponseTooLarge"

_NAT64 = ip_network("64:ff9b::/96")
_Address = IPv4Address | IPv6Address


def permitted_host(url: str) -> str:
    """Return the host of *url*, if the worker's operator lets requests go there."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        port = parts.port
    except ValueError:
        raise Permanent("the url cannot be read: check its host and port", type=INVALID_INPUT) from None
    if parts.username is not None or parts.password is not None:
        raise Permanent(
            "the url holds credentials, which would end up in the history; send a header with `${secret:NAME}` instead",
            type=INVALID_INPUT,
        )
    allowed = _listed(HOSTS)
    if not host or (allowed is not None and not any(matches(host, port, each.lower()) for each in allowed)):
        raise Permanent(f"host `{host}` is not among those that {HOSTS} of the worker permits", type=FORBIDDEN)
    check_address(host, _literal(host))
    return host


def matches(host: str, port: int | None, allowed: str) -> bool:
    """Whether a host is one of those that ``SAGADSL_HTTP_HOSTS`` speaks of."""
    if allowed in (host, f"{host}:{port}"):
        return True
    return allowed.startswith("*.") and host.endswith(allowed[1:])


def secret(name: str, url: str, place: str, named: Named, address: str = "url") -> str:
    """Return the value of a secret. Raises ``Permanent`` unless definition and operator both let it go there.

    Args:
        place: Where in the input it is named.
        named: The secrets that the definition itself names.
        address: Where in the input *url* stands.
    """
    if name not in named.at(place):
        raise Permanent(
            f"the secret `{name}` in `{place}` comes from data, not from the definition, and data must not choose "
            f"secrets: write `${{secret:{name}}}` into the definition",
            type=FORBIDDEN,
        )
    may_go(name, url, named, address)
    value = os.environ.get(name) or _from_file(name)
    if not value:
        raise Permanent(
            f"secret `{name}` is not set in the worker's environment, and neither is `{name}_FILE`", type=FORBIDDEN
        )
    return value


def _from_file(name: str) -> str:
    """Return a secret that the operator keeps in a file, as it is now; empty if there is none."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is no text"
        raise Permanent(
            f"the file that `{name}_FILE` of the worker names cannot be read: {why}", type=FORBIDDEN
        ) from None


def may_go(name: str, url: str, named: Named, address: str = "url") -> None:
    """Raise ``Permanent`` unless a secret, or what it buys, may be sent to *url*."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    listed = [each.partition("@") for each in _listed(SECRETS) or ()]
    if not any(allowed == name and only.lower() in ("", host) for allowed, _, only in listed):
        raise Permanent(
            f"secret `{name}` is not among those that {SECRETS} of the worker permits for `{host}`", type=FORBIDDEN
        )
    if any(allowed == name and only.lower() == host for allowed, _, only in listed):
        return
    if _listed(HOSTS) is None:
        raise Permanent(
            f"{SECRETS} of the worker does not say where secret `{name}` may go: write `{name}@{host}` there, or "
            f"name the hosts in {HOSTS}",
            type=FORBIDDEN,
        )
    if named.host_at(address) != parts.netloc.lower():
        raise Permanent(
            f"the host for secret `{name}` comes from data, not from the definition: write the host into `{address}`, "
            f"or have the worker's operator write `{name}@{host}` into {SECRETS}",
            type=FORBIDDEN,
        )


def check_address(host: str, address: _Address | None) -> None:
    """Raise ``Permanent`` for an address that is not public, unless the worker's operator has named it."""
    if address is None or _is_public(address) or _is_allowed(host, address):
        return
    shown = f"`{host}`" if str(address) == host else f"`{host}` leads to `{address}`, which"
    raise Permanent(
        f"{shown} is no public address; {NETWORKS} of the worker can permit it, e.g. `{NETWORKS}={address}`",
        type=FORBIDDEN,
    )


def _is_public(address: _Address) -> bool:
    inner = _inside(address)
    if inner is not None:
        return _is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inside(address: _Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _is_allowed(host: str, address: _Address) -> bool:
    named = [each.lower() for each in _listed(HOSTS) or ()]
    if host in named and (_literal(host) is not None or (host == "localhost" and address.is_loopback)):
        return True
    inner = _inside(address) or address
    for each in _listed(NETWORKS) or ():
        try:
            network = ip_network(each, strict=False)
        except ValueError:
            raise Permanent(f"{NETWORKS} of the worker has `{each}`, which is no network", type=FORBIDDEN) from None
        if inner in network:
            return True
    return False


def _literal(host: str) -> _Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def guard(client: Any) -> None:
    """Have a client connect to permitted addresses alone; a proxy of the worker's environment is one."""
    proxies = {urlsplit(each if "://" in each else f"http://{each}").hostname for each in getproxies().values()}
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            pool = transport._pool
            pool._network_backend = _guarded(pool._network_backend, frozenset(filter(None, proxies)))


def _guarded(inner: AsyncNetworkBackend, proxies: frozenset[str]) -> AsyncNetworkBackend:
    from httpcore2 import AsyncNetworkBackend, ConnectError, ConnectTimeout  # noqa: PLC0415 # an extra, and heavy

    class Guarded(AsyncNetworkBackend):
        async def connect_tcp(self, host: str, port: int, *args: Any, **more: Any) -> AsyncNetworkStream:
            if host in proxies:
                return await inner.connect_tcp(host, port, *args, **more)
            problem: Exception | None = None
            for address in await _addresses(host, port, ConnectError):
                try:
                    check_address(host, ip_address(address.partition("%")[0]))
                    return await inner.connect_tcp(address, port, *args, **more)
                except (Permanent, ConnectError, ConnectTimeout) as error:
                    problem = problem if isinstance(error, Permanent) and problem is not None else error
            raise problem or ConnectError(f"`{host}` has no address")

    return Guarded()


async def permitted_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host that may be reached, for a client that connects by itself.

    Raises ``Permanent`` if none may be, and ``OSError`` if there is none.
    """
    permitted, problem = [], None
    for address in await _addresses(host, port, OSError):
        try:
            check_address(host, ip_address(address.partition("%")[0]))
            permitted.append(address)
        except Permanent as error:
            problem = problem or error
    if not permitted:
        raise problem or OSError(f"`{host}` has no address")
    return permitted


async def _addresses(host: str, port: int, failed: type[Exception]) -> Iterable[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise failed(str(error)) from None
    return dict.fromkeys(str(address[0]) for *_, address in found)


def _listed(variable: str) -> tuple[str, ...] | None:
    """Return the names in an environment variable; ``None`` when it is not set."""
    text = os.environ.get(variable)
    return None if text is None else tuple(each.strip() for each in text.split(",") if each.strip())
