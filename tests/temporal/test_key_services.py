"""Keys that AWS KMS and Vault's transit engine open: against servers that check each request as the services do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sagadsl.temporal.link.keys import KeySource, KeyUnusable, read_keys, source_in

SECRET = bytes(range(32))
WRAPPED = base64.b64encode(b"wrapped by the service").decode()
ACCESS = Credentials("AKIDEXAMPLE", "secret-of-the-client")


@dataclass
class Service:
    """What a service was asked, and how it answers: by the path and the body of a request."""

    url: str = ""
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    status: int = 200
    answer: Any = None


def _is_signed(request: BaseHTTPRequestHandler, body: bytes, host: str) -> bool:
    """Whether a request has the signature that botocore's own signer makes of it with the client's secret."""
    given = request.headers["Authorization"]
    if not given.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"):
        return False
    region, service = given.partition("Credential=")[2].split("/")[2:4]
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    again = AWSRequest("POST", f"http://{host}{request.path}", {n: request.headers[n] for n in names}, body)
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = SigV4Auth(ACCESS, service, region)
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return given.endswith(f"Signature={signer.signature(text, again)}") and service == "kms"


@contextmanager
def _serving(service: Service, check: Any) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            host = f"127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            is_known = check(self, body, host)
            named = {name.lower(): value for name, value in self.headers.items()}
            service.asked.append({"path": self.path, **named, **json.loads(body)})
            status, answer = (service.status, service.answer) if is_known else (403, {"errors": ["permission denied"]})
            raw = json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{service.url}/elsewhere")
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS.secret_key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    plain = base64.b64encode(SECRET).decode()
    with _serving(Service(answer={"KeyId": "arn:k", "Plaintext": plain}), _is_signed) as service:
        yield service


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.token")
    monkeypatch.setenv("VAULT_NAMESPACE", "payments")
    monkeypatch.delenv("VAULT_CACERT", raising=False)
    answer = {"data": {"plaintext": base64.b64encode(SECRET).decode()}}
    known = lambda request, _body, _host: request.headers["X-Vault-Token"] == "hvs.token"  # noqa: E731
    with _serving(Service(answer=answer), known) as service:
        monkeypatch.setenv("VAULT_ADDR", service.url)
        yield service


def _of_kms(kms: Service, **more: Any) -> KeySource:
    table = {"id": "a", "provider": "aws-kms", "wrapped": WRAPPED, "region": "eu-central-1", "endpoint": kms.url}
    return source_in(table | more, "[encryption]")


def _of_vault(**more: Any) -> KeySource:
    table = {"id": "a", "provider": "vault-transit", "wrapped": "vault:v1:abc", "key": "sagas"}
    return source_in(table | more, "[encryption]")


def _refused(source: KeySource) -> str:
    with pytest.raises(KeyUnusable) as refused:
        read_keys([source], {})
    assert refused.value.code == "SD917"
    return str(refused.value)


def test_kms_opens_a_key_by_a_signed_request(kms: Service) -> None:
    (key,) = read_keys([_of_kms(kms, key="arn:aws:kms:eu-central-1:1:key/k", context={"app": "sagas"})], {})

    assert (key.id, key.secret) == ("a", SECRET)
    (asked,) = kms.asked
    assert asked["x-amz-target"] == "TrentService.Decrypt"
    assert (asked["CiphertextBlob"], asked["EncryptionContext"]) == (WRAPPED, {"app": "sagas"})
    assert asked["KeyId"] == "arn:aws:kms:eu-central-1:1:key/k"


def test_kms_refuses_what_another_secret_has_signed(kms: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert "403" in _refused(_of_kms(kms))


def test_what_kms_says_is_told(kms: Service) -> None:
    kms.status, kms.answer = 400, {"__type": "AccessDeniedException", "message": "no kms:Decrypt"}
    assert _refused(_of_kms(kms)).endswith("AccessDeniedException: no kms:Decrypt")


def test_vault_opens_a_key(vault: Service) -> None:
    (key,) = read_keys([_of_vault()], {})

    assert key.secret == SECRET
    (asked,) = vault.asked
    assert (asked["path"], asked["ciphertext"]) == ("/v1/transit/decrypt/sagas", "vault:v1:abc")
    assert (asked["x-vault-token"], asked["x-vault-namespace"]) == ("hvs.token", "payments")


def test_vault_refuses_another_token_and_is_followed_nowhere(vault: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.status, vault.answer = 302, {}
    assert "Vault answers 302" in _refused(_of_vault())
    assert [each["path"] for each in vault.asked] == ["/v1/transit/decrypt/sagas"]
    monkeypatch.setenv("VAULT_TOKEN", "hvs.other")
    said = _refused(_of_vault())
    assert said.endswith("Vault answers 403: permission denied")
    assert "hvs" not in said


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"provider": "aws-kms", "wrapped": "no base64!"}, "no ciphertext in base64"),
        ({"provider": "aws-kms", "wrapped": WRAPPED, "arn": "a"}, "its table has `arn`"),
        ({"provider": "vault-transit", "wrapped": "vault:v1:abc"}, "its table has no `key`"),
        (
            {"provider": "vault-transit", "wrapped": "v", "key": "k", "address": "http://vault.example:8200"},
            "no address of a Vault",
        ),
        ({"provider": "vault-transit", "wrapped": "v", "key": "k", "token_file": "/nowhere"}, "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(table: dict[str, Any], words: str, vault: Service) -> None:
    assert words in _refused(source_in({"id": "a", **table}, "[encryption]"))
    assert vault.asked == []
