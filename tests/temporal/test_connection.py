"""A server that cannot be reached: the page that says why."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.link.connection import NotConnected, ServerRefused, connect, guard
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve
from tests.patience import PATIENCE


def _failure(flags: Flags, env: dict[str, str] | None = None) -> NotConnected:
    """Connect, and return why that failed."""
    with pytest.raises(NotConnected) as failed:
        asyncio.run(connect(resolve(flags, env or {})))
    return failed.value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server that is not Temporal: it accepts, answers with rubbish, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:  # closed: the test is over
                    return
                with raw:
                    try:
                        raw.settimeout(5)
                        if context:
                            with context.wrap_socket(raw, server_side=True) as encrypted:
                                encrypted.recv(1)
                        else:
                            raw.recv(1)
                            raw.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    except OSError:
                        continue  # the client went away first

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


def test_a_port_where_nobody_listens_is_explained_with_the_origin_of_each_value() -> None:
    """SD901."""
    address = f"127.0.0.1:{_free_port()}"
    failure = _failure(Flags(namespace="orders", disable_config_file=True), {"TEMPORAL_ADDRESS": address})
    width = max(len(address), len("orders"))
    assert str(failure) == (
        f"cannot reach Temporal at {address}\n"
        f"   address    {address:<{width}}  from TEMPORAL_ADDRESS\n"
        f"   namespace  {'orders':<{width}}  from --namespace\n"
        f"   tls        {'off':<{width}}  (built-in default)\n"
        "   ✓ the address is an IP address ✗ TCP: connection refused"
    )
    assert failure.help == ("start one with `temporal server start-dev`; `run` without an address brings its own")
    assert (failure.code, failure.exit_code) == ("SD901", 3)


def test_a_name_that_does_not_exist_is_told_from_a_server_that_is_down() -> None:
    failure = _failure(Flags(address="nobody.invalid:7233", disable_config_file=True))
    assert "✗ DNS: " in str(failure)
    assert failure.help == "check the spelling of `nobody.invalid`"


def test_a_server_that_does_not_speak_tls_is_told_from_one_that_is_down() -> None:
    with _listening() as port:
        failure = _failure(Flags(address=f"127.0.0.1:{port}", tls=True, disable_config_file=True))
    assert f"✓ TCP: port {port} answers ✗ TLS: the server does not speak TLS" in str(failure)
    assert failure.help == "leave out TLS, or say `--no-tls`"


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody has signed."""
    secret, name = ec.generate_private_key(ec.SECP256R1()), "temporal.example"
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(called, called, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(secret.private_bytes(*pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def test_a_server_that_wants_tls_says_so(certificate: ssl.SSLContext) -> None:
    with _listening(certificate) as port:
        failure = _failure(Flags(address=f"127.0.0.1:{port}", disable_config_file=True))
    assert "✗ the server wants TLS" in str(failure)
    assert failure.help == "add `--tls`"


@pytest.mark.parametrize(
    ("name", "trusts", "said"),
    [
        (
            "temporal.example",
            False,
            (
                "✗ TLS: self-signed certificate",
                "name the authority that signed the server's certificate with `--tls-ca-path`",
            ),
        ),
        (
            "other.example",
            True,
            ("✗ TLS: Hostname mismatch", "say with `--tls-server-name` which name the certificate carries"),
        ),
    ],
    ids=["unknown authority", "another name"],
)
def test_a_certificate_that_does_not_do_says_what_is_wrong_with_it(
    certificate: ssl.SSLContext, tmp_path: Path, name: str, trusts: bool, said: tuple[str, str]
) -> None:
    authority = str(tmp_path / "cert.pem") if trusts else None
    with _listening(certificate) as port:
        flags = Flags(
            address=f"127.0.0.1:{port}", tls=True, tls_server_name=name, tls_ca_path=authority, disable_config_file=True
        )
        failure = _failure(flags)
    assert said[0] in str(failure)
    assert failure.help == said[1]


def test_a_port_that_is_not_temporal_s_says_which_port_to_give() -> None:
    with _listening() as port:
        failure = _failure(Flags(address=f"127.0.0.1:{port}", disable_config_file=True))
    assert f"✓ TCP: port {port} answers ✗ but not as a Temporal server" in str(failure)
    assert "the Web UI's port does not work" in failure.help


def test_an_api_key_is_in_no_message() -> None:
    """Secrets never reach a screen."""
    flags = Flags(address=f"127.0.0.1:{_free_port()}", api_key="very-secret", disable_config_file=True)
    failure = _failure(flags)
    assert "very-secret" not in str(failure) + repr(failure) + failure.help
    assert "api key    set" in str(failure)


@pytest.mark.parametrize(
    ("status", "message", "headline"),
    [
        (RPCStatusCode.UNAUTHENTICATED, "no", "Temporal at h:1 does not know these credentials"),
        (RPCStatusCode.PERMISSION_DENIED, "no", "Temporal at h:1 refuses access to namespace `orders`"),
        (RPCStatusCode.NOT_FOUND, "Namespace orders is not found.", "Temporal at h:1 has no namespace `orders`"),
        (RPCStatusCode.UNAVAILABLE, "gone", "the connection to Temporal at h:1 was lost: gone"),
        (RPCStatusCode.CANCELLED, "Timeout expired", "Temporal at h:1 did not answer in time"),
    ],
)
def test_a_refusal_about_the_connection_becomes_the_same_page(
    status: RPCStatusCode, message: str, headline: str
) -> None:
    settings = resolve(Flags(address="h:1", namespace="orders", disable_config_file=True), {})
    with pytest.raises(NotConnected) as failed, guard(settings):
        raise RPCError(message, status, b"")
    assert failed.value.headline == headline
    assert "   address    h:1     from --address" in str(failed.value)
    assert failed.value.help


def test_a_refusal_about_something_else_says_what_the_server_said() -> None:
    settings = resolve(Flags(disable_config_file=True), {})
    with pytest.raises(ServerRefused) as refused, guard(settings):
        raise RPCError("WorkflowId exceeds maximum allowed length", RPCStatusCode.INVALID_ARGUMENT, b"")
    assert str(refused.value) == (
        "Temporal at localhost:7233 refuses the request (invalid argument): WorkflowId exceeds maximum allowed length"
    )
    assert (refused.value.code, refused.value.exit_code) == ("SD906", 2)


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("nothing", encoding="utf-8")
    with _listening() as port:
        flags = Flags(address=f"127.0.0.1:{port}", tls_ca_path=str(authority), disable_config_file=True)
        failure = _failure(flags)
    assert "✗ TLS: " in str(failure)
    assert "tls        on" in str(failure)
