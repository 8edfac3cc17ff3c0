"""Tries an address without gRPC: is there such a name, is the port open, does it speak TLS, and take our certificate?

Runs only after a connection has failed, to find the reason. Blocks for a few seconds at most.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sagadsl.errors import reason_of
from sagadsl.immutable import Immutable

TIMEOUT_SECONDS = 3.0

_AUTHORITY = "with `--tls-ca-path`"
_NOT_KNOWN = f"name the authority that signed the server's certificate {_AUTHORITY}"
_NEW_CERTIFICATE = "give a client certificate that is valid now; a worker that runs takes it from the same file"
_REMEDIES: Mapping[int, str] = {
    9: "the server's certificate is not valid yet: look at the clock of this machine",
    10: "the server needs a new certificate, unless the clock of this machine is wrong",
    62: "say with `--tls-server-name` which name the certificate carries",
    64: "say with `--tls-server-name` which name the certificate carries",
}
"""What to do about a server's certificate, by OpenSSL's number of what is wrong with it."""

_ALERTS: Mapping[str, tuple[str, str]] = {
    "CERTIFICATE_REQUIRED": (
        "the server wants a client certificate",
        "give it with `--tls-cert-path` and `--tls-key-path`",
    ),
    "CERTIFICATE_EXPIRED": ("the client's certificate has expired", _NEW_CERTIFICATE),
    "UNKNOWN_CA": (
        "the server does not know the authority of the client's certificate",
        "give a certificate whose authority the server trusts",
    ),
    "BAD_CERTIFICATE": ("the server does not take the client's certificate", _NEW_CERTIFICATE),
    "CERTIFICATE_REVOKED": ("the client's certificate has been revoked", _NEW_CERTIFICATE),
    "ACCESS_DENIED": ("the server does not take the client's certificate", _NEW_CERTIFICATE),
}
"""What servers say about a client's certificate: OpenSSL's word for it, in ours, and what to do."""


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
            return Found((f"✗ DNS: {reason_of(error)}",), remedy=f"check the spelling of `{host}`")
    try:
        with socket.create_connection((host, int(port)), TIMEOUT_SECONDS):
            pass
    except OSError as error:
        # create_connection's own timeout carries no errno text
        return Found((named, f"✗ TCP: {reason_of(error)}"))
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
        context = ssl.create_default_context(cadata=_text(authority) if authority else None)
    except (ssl.SSLError, ValueError):
        return Found((*checks, "✗ TLS: the authority is no certificate"), True, f"give a file in PEM form {_AUTHORITY}")
    context.set_alpn_protocols(["h2"])
    if wrong := _show_certificate(context, tls):
        return Found((*checks, f"✗ TLS: {wrong[0]}"), True, wrong[1])
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=name) as encrypted,
        ):
            with suppress(TimeoutError):
                encrypted.recv(
                    1
                )  # only after the handshake a server says that it does not take the client's certificate
            return Found((*checks, "✓ TLS: the certificate is good"), True)
    except ssl.SSLCertVerificationError as error:
        return Found((*checks, f"✗ TLS: {error.verify_message}"), True, _REMEDIES.get(error.verify_code, _NOT_KNOWN))
    except ssl.SSLError as error:
        return _refused(host, port, error, checks)
    except (OSError, ValueError) as error:
        return Found((*checks, f"✗ TLS: {str(error).lower() or 'the server closed the connection'}"), True)


def _show_certificate(context: ssl.SSLContext, tls: Any) -> tuple[str, str] | None:
    """Let *context* show the client's certificate. Return what is wrong with it, and what to do."""
    cert, key = getattr(tls, "client_cert", None), getattr(tls, "client_private_key", None)
    if not cert or not key or not hasattr(os, "memfd_create"):  # elsewhere the key would have to be written to a disk
        return None
    with _in_memory(cert) as cert_path, _in_memory(key) as key_path:
        try:
            context.load_cert_chain(cert_path, key_path, password="")  # a key with a password asks nobody for it
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                return (
                    "the key does not belong to the client's certificate",
                    "`openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey -pubout -in KEY` print the same "
                    "for a pair",
                )
            return (
                "the client's certificate or its key is not in PEM form, or the key has a password",
                "give `--tls-cert-path` a file with BEGIN CERTIFICATE, and `--tls-key-path` one with BEGIN PRIVATE KEY",
            )
    return None


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """Give the path of a file that is on no disk."""
    number = os.memfd_create("sagadsl")
    try:
        os.write(number, data)
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def _refused(host: str, port: int, error: ssl.SSLError, checks: tuple[str, ...]) -> Found:
    reason = error.reason or ""
    for alert, (text, remedy) in _ALERTS.items():
        if alert in reason:
            return Found((*checks, f"✗ TLS: {text}"), True, remedy)
    if _speaks_tls(host, port):
        return Found((*checks, f"✗ TLS: {(reason or 'refused').lower().replace('_', ' ')}"), True)
    return Found((*checks, "✗ TLS: the server does not speak TLS"), True, "leave out TLS, or say `--no-tls`")


def _text(authority: bytes) -> str:
    return authority.decode("ascii")


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
