"""``grpc.request`` against a real gRPC server of this process, on the loopback interface."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sagadsl import Context
from sagadsl.activities import grpc_call, grpc_request, grpc_types, reach
from sagadsl.authoring import Failure, InvalidInput
from sagadsl.language.analysis.known import Signature
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.problems import PluginBroken
from tests.built_in import called, permit
from tests.grpc_server import SERVICE, Shop, files, shop
from tests.web import Answer, web


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    permit(monkeypatch, "127.0.0.0/8, ::1", TOKEN="hush-hush")
    for name in (grpc_types.FOLDER, "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    grpc_types._reflected.clear()


@pytest.fixture
def server() -> Iterator[Shop]:
    with shop() as made:
        yield made


def _send(server: Shop, card: str = "", written: Any = None, **more: Any) -> Any:
    message = {"amount": "5", "cardNumber": card}
    call = {"target": server.target, "service": SERVICE, "method": "Charge", "message": message, "tls": False, **more}
    said = None if written is None else {**call, **written}
    return asyncio.run(called(grpc_request.request, call, said, idempotency_key="order-7/pay/do"))


def _error(server: Shop, card: str = "", **more: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        _send(server, card, **more)
    return raised.value


def _kind(error: Failure) -> tuple[str, bool, bool]:
    return error.type, error.retryable, error.effect_unknown


def test_a_message_goes_out_and_one_comes_back(server: Shop) -> None:
    """The server is asked for its types; the key makes the call safe to repeat (R49)."""
    result = _send(
        server,
        message={"amount": "9007199254740993", "currency": "USD", "at": "2026-01-02T03:04:05Z", "note": "aGk="},
    )
    assert result["message"] == {
        "id": "ch-1",
        "amount": "9007199254740993",  # as text: JSON's numbers are not that exact
        "tries": 0,  # said, although it is what a missing number means
        "tags": [],
        "currency": "USD",
        "at": "2026-01-02T03:04:05Z",
    }
    ((name, request, metadata),) = server.seen
    assert (name, request.amount, request.note) == ("Charge", 9007199254740993, b"hi")
    assert metadata["idempotency-key"] == "order-7/pay/do"
    assert "x-raw-bin" not in result["metadata"]


def test_a_whole_number_may_be_written_as_a_number(server: Shop) -> None:
    """Also by the name that the field has in the proto file."""
    _send(server, message={"amount": 7, "card_number": "x", "tries": 3.0})
    assert (server.seen[0][1].amount, server.seen[0][1].card_number, server.seen[0][1].tries) == (7, "x", 3)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"amuont": 1}, 'has no field named "amuont"'),
        ({"amount": "much"}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"tries": 2**40}, "tries"),
        ({"currency": "GBP"}, "GBP"),
        ({"at": "soon"}, "at"),
    ],
)
def test_a_message_that_does_not_fit_is_not_sent(server: Shop, message: Any, says: str) -> None:
    error = _error(server, message=message)
    assert _kind(error) == ("InvalidInput", False, False)
    assert str(error).startswith("`message` is no `shop.ChargeRequest`:")
    assert says in str(error)
    assert server.seen == []


@pytest.mark.parametrize(
    ("code", "retryable", "unknown"),
    [
        ("INVALID_ARGUMENT", False, False),
        ("NOT_FOUND", False, False),
        ("ALREADY_EXISTS", False, False),
        ("PERMISSION_DENIED", False, False),
        ("UNAUTHENTICATED", False, False),
        ("FAILED_PRECONDITION", False, False),
        ("OUT_OF_RANGE", False, False),
        ("UNIMPLEMENTED", False, False),
        ("RESOURCE_EXHAUSTED", True, False),
        ("ABORTED", True, False),
        ("CANCELLED", True, True),
        ("UNKNOWN", True, True),
        ("DEADLINE_EXCEEDED", True, True),
        ("INTERNAL", True, True),
        ("UNAVAILABLE", True, True),
        ("DATA_LOSS", True, True),
    ],
)
def test_a_code_says_whether_to_try_again_and_whether_it_happened(
    server: Shop, code: str, retryable: bool, unknown: bool
) -> None:
    """R5, R55: after a read there is nothing to undo, whatever the code."""
    error_type = "Grpc" + "".join(word.capitalize() for word in code.split("_"))
    assert error_type in grpc_request.ERRORS
    server.codes.append(code)
    error = _error(server, "card-1")
    assert _kind(error) == (error_type, retryable, unknown)
    assert error.details == ({"code": code, "message": "no, card-1"},)
    server.codes.append(code)
    assert _kind(_error(server, method="Find")) == (error_type, retryable, False)


def test_every_code_is_in_the_table_of_the_test_above() -> None:
    named_here = {grpc_call.error_type(code) for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
    assert named_here <= set(grpc_request.ERRORS)
    assert len(named_here) == 16


def test_a_read_carries_no_key(server: Shop) -> None:
    """The service itself says that the method has no side effects."""
    _send(server, method="Find")
    _send(server, idempotency_key_metadata=None)
    _send(server, idempotency_key_metadata="x-key")
    _send(server, metadata={"idempotency-key": "mine"})
    read, none, own, mine = (metadata for _, _, metadata in server.seen)
    assert "idempotency-key" not in {**read, **none}
    assert (own["x-key"], mine["idempotency-key"]) == ("order-7/pay/do", "mine")


def test_no_answer_in_time_is_unknown_and_after_a_read_it_is_not(server: Shop) -> None:
    assert _kind(_error(server, "slow", timeout="1s")) == ("GrpcDeadlineExceeded", True, True)
    assert _kind(_error(server, "slow", timeout="1s", method="Find")) == ("GrpcDeadlineExceeded", True, False)


def test_a_call_that_is_cancelled_ends(server: Shop) -> None:
    async def cancelled() -> None:
        call = grpc_request.Unary(
            target=server.target, service=SERVICE, method="Charge", message={"cardNumber": "slow"}, tls=False
        )
        task = asyncio.create_task(grpc_request.request(call, Context()))
        while not server.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_a_connection_that_was_never_made_is_a_sure_no() -> None:
    """R5: nothing was sent; also when the other side speaks no TLS."""
    assert _kind(_error(Shop("127.0.0.1:9"))) == ("GrpcConnectionError", True, False)
    assert _kind(_error(Shop("nowhere.invalid:9"))) == ("GrpcConnectionError", True, False)


def test_a_server_without_tls_gets_nothing(server: Shop) -> None:
    assert _kind(_error(server, tls=True)) == ("GrpcConnectionError", True, False)
    assert server.seen == []


def test_a_reply_that_is_too_long_is_not_asked_for_again(server: Shop) -> None:
    """R52: it was done; the library's code would say that nothing was."""
    assert _kind(_error(server, "big")) == ("GrpcResponseTooLarge", False, True)
    assert _kind(_error(server, "big", method="Find")) == ("GrpcResponseTooLarge", False, False)


def test_a_reply_that_is_no_message_was_given_after_the_call(server: Shop) -> None:
    assert _kind(_error(server, "garbage")) == ("GrpcDataLoss", False, True)


def test_a_descriptor_set_needs_no_reflection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.binpb").write_bytes(files().SerializeToString())
    monkeypatch.setenv(grpc_types.FOLDER, str(tmp_path))
    with shop(described=False) as server:
        assert _send(server, descriptors="shop.binpb")["message"]["id"] == "ch-1"
        assert server.asked == []
        error = _error(server)
    assert _kind(error) == ("GrpcTypesNotFound", False, False)
    assert "does not describe its services (no reflection): give `descriptors`" in str(error)


def test_a_descriptor_set_that_cannot_be_used_says_why(
    server: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "SAGADSL_GRPC_DESCRIPTORS of the worker" in str(_error(server, descriptors="shop.binpb"))
    monkeypatch.setenv(grpc_types.FOLDER, str(tmp_path))
    assert "cannot be read: no such file" in str(_error(server, descriptors="shop.binpb"))
    (tmp_path / "text").write_text("no descriptors")
    assert "`text` is no complete descriptor set" in str(_error(server, descriptors="text"))
    part = files()
    del part.file[1]
    (tmp_path / "part").write_bytes(part.SerializeToString())
    error = _error(server, descriptors="part")
    assert (_kind(error), "`part` is no complete descriptor set" in str(error)) == (
        ("GrpcTypesNotFound", False, False),
        True,
    )
    assert server.seen == []


@pytest.mark.parametrize("name", ["../shop", "/etc/passwd", ".hidden", "a/b"])
def test_a_definition_reads_no_other_files_of_the_worker(server: Shop, name: str) -> None:
    with pytest.raises(InvalidInput, match="field `descriptors`"):
        _send(server, descriptors=name)


def test_a_server_that_only_knows_the_newer_reflection_is_asked_by_it() -> None:
    with shop(only="v1") as server:
        assert _send(server)["message"]["id"] == "ch-1"
        assert {version for version, _ in server.asked} == {"v1alpha", "v1"}


def test_types_are_asked_for_once_in_a_while_with_the_metadata_of_the_call(
    server: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may describe itself only to those whom it knows."""
    now = [1000.0]
    monkeypatch.setattr(grpc_types, "monotonic", lambda: now[0])
    _send(server, metadata={"x-tenant": "t"})
    count = len(server.asked)
    assert {metadata["x-tenant"] for _, metadata in server.asked} == {"t"}
    _send(server)
    assert len(server.asked) == count
    now[0] += 61
    _send(server)
    assert len(server.asked) > count


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"service": "shop.Other"}, "GrpcTypesNotFound", "knows no service `shop.Other`"),
        ({"method": "Chrage"}, "GrpcTypesNotFound", "knows no method `Chrage` of `shop.Payments`"),
        ({"method": "Watch"}, "InvalidInput", "`shop.Payments/Watch` is a stream"),
    ],
)
def test_what_cannot_be_called_is_not_called(server: Shop, change: Any, kind: str, says: str) -> None:
    error = _error(server, **change)
    assert _kind(error) == (kind, False, False)
    assert says in str(error)
    assert server.seen == []


def test_a_secret_is_sent_and_appears_nowhere_else(server: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """R18: also when the server repeats it."""
    metadata = {"authorization": "Bearer ${secret:TOKEN}"}
    with caplog.at_level(logging.DEBUG):
        result = _send(server, metadata=metadata)
        server.codes.append("INTERNAL")
        error = _error(server, "hush-hush", metadata=metadata)
    assert server.seen[0][2]["authorization"] == "Bearer hush-hush"
    assert (result["message"]["tags"], result["metadata"]["x-saw"]) == (["Bearer ***"], "Bearer ***")
    assert error.details[0]["message"] == "no, ***"
    assert "hush" not in f"{result} {error} {error.details} {caplog.text}"


def test_a_secret_goes_where_operator_and_definition_say(server: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = {"x-key": "${secret:TOKEN}"}
    assert "comes from data" in str(_error(server, metadata=metadata, written={"metadata": "{{ input.m }}"}))
    monkeypatch.setenv(reach.SECRETS, "TOKEN")
    monkeypatch.setenv(reach.HOSTS, "127.0.0.1")
    assert "write the host into `target`" in str(_error(server, metadata=metadata, written={"target": "{{ input.t }}"}))
    assert server.seen == []
    assert _send(server, metadata=metadata)["message"]["id"] == "ch-1"


def test_no_call_reaches_what_is_not_public(server: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the address, whatever the name says; gRPC looks up no name by itself."""
    port = server.target.partition(":")[2]
    monkeypatch.delenv(reach.NETWORKS)
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "169.254.169.254"):
        error = _error(Shop(f"{host}:{port}"))
        assert _kind(error) == ("HttpForbidden", False, False)
    monkeypatch.setenv(reach.HOSTS, "api.example.com")
    assert "is not among those that SAGADSL_HTTP_HOSTS" in str(_error(server))
    assert server.seen == []


def test_one_permitted_address_of_a_name_is_enough(server: Shop) -> None:
    """`localhost` may have an IPv6 address, too, at which nobody listens."""
    port = server.target.partition(":")[2]
    assert _send(Shop(f"localhost:{port}"))["message"]["id"] == "ch-1"


def test_a_token_is_fetched_sent_and_renewed(server: Shop) -> None:
    with web() as site:
        grant = {"token_url": f"{site.url}/token", "client_id": "shop", "client_secret": {"secret": "TOKEN"}}
        site.says("POST /token", *(Answer(200, {"access_token": f"t-{number}"}) for number in (1, 2, 3)))
        _send(server, auth={"oauth2": grant})
        server.codes.append("UNAUTHENTICATED")
        result = _send(server, auth={"oauth2": grant})
        sent = [metadata["authorization"] for _, _, metadata in server.seen]
        assert sent == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]
        assert result["metadata"]["x-saw"] == "Bearer ***"
        server.codes += ["UNAUTHENTICATED", "UNAUTHENTICATED"]
        assert _kind(_error(server, auth={"oauth2": grant})) == ("GrpcUnauthenticated", False, False)


@pytest.mark.parametrize("name", ["X-Key", "grpc-timeout", "x-bin", "a b", ":path"])
def test_metadata_of_the_connection_is_refused(server: Shop, name: str) -> None:
    assert _kind(_error(server, metadata={name: "1"})) == ("InvalidInput", False, False)
    assert server.asked == []


def test_a_value_that_cannot_travel_is_refused_without_showing_it(
    server: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hush\r\nx: 1")
    error = _error(server, metadata={"x-key": {"secret": "TOKEN"}})
    assert str(error) == "metadata `x-key` holds a character that gRPC does not carry"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"target": "127.0.0.1"}, "field `target`"),
        ({"target": "https://127.0.0.1:1"}, "field `target`"),
        ({"service": "/x"}, "field `service`"),
        ({"message": [1]}, "field `message`"),
        ({"deadline": "1s"}, "field `deadline` is not known"),
        ({"metadata": {"authorization": "x"}, "auth": {"oauth2": {}}}, "auth"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_sent(server: Shop, change: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _send(server, **change)
    assert says in str(refused.value)


def test_tls_checks_the_name_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the target, although gRPC connects to an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "roots.pem").write_bytes(certificate)
    with shop(credentials=grpc.ssl_server_credentials([(private, certificate)])) as server:
        port = server.target.partition(":")[2]
        assert _kind(_error(Shop(f"localhost:{port}"), tls=True)) == ("GrpcConnectionError", True, False)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
        assert _send(Shop(f"localhost:{port}"), tls=True)["message"]["id"] == "ch-1"
        assert _kind(_error(server, tls=True)) == ("GrpcConnectionError", True, False)
        assert len(server.seen) == 1


def test_grpc_request_is_installed_with_its_types() -> None:
    signature = Catalogue.discover().signature("grpc.request")
    assert isinstance(signature, Signature)
    assert signature.input_schema is not None
    assert {"target", "service", "method", "message"} <= set(signature.input_schema["properties"])
    assert {"GrpcUnavailable", "TokenRefused"} <= set(signature.errors)


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "sagadsl.activities.grpc_request")
    broken = Catalogue.discover().load("grpc.request")
    assert isinstance(broken, PluginBroken)
    assert str(broken).endswith("grpc is not installed; run `pip install 'sagadsl[grpc]'`")
