"""Certificates and API keys, as commands, worker and gateway take them: on the official server, which checks them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from tests.cli.shell import SAGADSL, Ran, inside, ready, sagadsl
from tests.cli.shop import lay_out
from tests.gateway.house import fresh, queue_of, serve
from tests.secured.authority import SERVER_NAME, Authority, Provider
from tests.secured.server import Secured

pytestmark = pytest.mark.temporal

MONTH_AGO = timedelta(days=-1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    return tmp_path


def _forms(server: Secured, folder: Path) -> Mapping[str, tuple[list[str], dict[str, str]]]:
    """Return the ways to say the same: options, variables with paths, variables with data, a profile."""
    flags = server.flags
    is_mutual = "tls-cert-path" in flags
    variables = {"TEMPORAL_ADDRESS": server.address, "TEMPORAL_TLS_SERVER_NAME": SERVER_NAME}
    paths = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": flags["tls-ca-path"]}
    data = {"TEMPORAL_TLS_SERVER_CA_CERT_DATA": Path(flags["tls-ca-path"]).read_text()}
    tls = [f'server_name = "{SERVER_NAME}"', f'server_ca_cert_path = "{flags["tls-ca-path"]}"']
    profile = ["[profile.secured]", f'address = "{server.address}"']
    if is_mutual:
        cert, key = flags["tls-cert-path"], flags["tls-key-path"]
        paths |= {"TEMPORAL_TLS_CLIENT_CERT_PATH": cert, "TEMPORAL_TLS_CLIENT_KEY_PATH": key}
        data |= {
            "TEMPORAL_TLS_CLIENT_CERT_DATA": Path(cert).read_text(),
            "TEMPORAL_TLS_CLIENT_KEY_DATA": Path(key).read_text(),
        }
        tls += [f'client_cert_path = "{cert}"', f'client_key_path = "{key}"']
    else:
        variables["TEMPORAL_API_KEY"] = flags["api-key"]
        profile.append(f'api_key = "{flags["api-key"]}"')
    (folder / "temporal.toml").write_text("\n".join([*profile, "[profile.secured.tls]", *tls]))
    return {
        "options": (server.options(), {}),
        "variables with paths": ([], variables | paths),
        "variables with data": ([], variables | data),
        "a profile": (["--profile", "secured", "--config-file", str(folder / "temporal.toml")], {}),
    }


@pytest.mark.parametrize("form", ["options", "variables with paths", "variables with data", "a profile"])
@pytest.mark.parametrize("kind", ["wants_certificates", "wants_keys"])
def test_a_saga_runs_however_the_credentials_are_given(
    kind: str, form: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    """By `worker`, `run` and `status`, with the same words for each."""
    options, env = _forms(request.getfixturevalue(kind), folder)[form]
    saga, queue = fresh(), ("--task-queue", queue_of(folder))
    with ready([*SAGADSL, "worker", ".", *queue, *options], folder, **env):
        ran = inside("run", "order", "-i", '{"order": "1"}', "--id", saga, *queue, *options, "-q", cwd=folder, env=env)
        assert ran == Ran(0, '{\n  "tracking": "t_1"\n}\n', "")
        status = inside("status", saga, *options, "--json", cwd=folder, env=env)
    assert (status.code, '"status": "completed"' in status.out) == (0, True), status


@pytest.mark.parametrize("kind", ["wants_certificates", "wants_keys"])
def test_a_gateway_starts_sagas_with_credentials(kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
    server: Secured = request.getfixturevalue(kind)
    options = server.options(address=None)
    with ExitStack() as stack:
        queue = ("--task-queue", queue_of(folder))
        stack.enter_context(ready([*SAGADSL, "worker", ".", *queue, *server.options()], folder))
        house = stack.enter_context(serve(folder, server.address, *options))
        answer = house.ask("POST", "/sagas/order?wait=true", {"order": "1"}, Workflow_Id=fresh())
        assert (answer.status_code, answer.json()["output"]) == (200, {"tracking": "t_1"})
        assert httpx2.get(f"{house.url}/readyz").status_code == 200


def test_headers_may_carry_the_credentials(wants_keys: Secured) -> None:
    """`--grpc-meta` and `TEMPORAL_GRPC_META_*` reach the server."""
    bearer = f"Bearer {wants_keys.flags['api-key']}"
    options = wants_keys.options(api_key=None)
    by_option = inside("list", *options, "--grpc-meta", f"authorization={bearer}", "--json")
    by_variable = inside("list", *options, "--json", env={"TEMPORAL_GRPC_META_AUTHORIZATION": bearer})
    without = inside("list", *options, "--json")
    assert (by_option.code, by_variable.code, without.code) == (0, 0, 3)


def test_an_api_key_may_be_in_a_file_or_come_from_a_command(wants_keys: Secured, tmp_path: Path) -> None:
    key, file = wants_keys.flags["api-key"], tmp_path / "api.key"
    file.write_text(f"{key}\n")
    options = wants_keys.options(api_key=None)
    for words in (f"file:{file}", f"command:cat {file}"):
        assert inside("list", *options, "--api-key-from", words).code == 0
        assert inside("list", *options, env={"SAGADSL_API_KEY_FROM": words}).code == 0
    for text in ('{file = "api.key"}', '{command = ["cat", "api.key"]}'):
        (tmp_path / "sagadsl.toml").write_text(f"[connection]\napi_key = {text}\n")
        assert inside("list", *options, cwd=tmp_path).code == 0


def _foreign(server: Secured, folder: Path) -> dict[str, str | None]:
    pair = Authority(folder, "other").pair("foreign")
    return {"tls_cert_path": str(pair.cert), "tls_key_path": str(pair.key)}


def _expired(server: Secured, folder: Path) -> dict[str, str | None]:
    pair = server.authority.pair(f"expired-{folder.name}", lasts=MONTH_AGO)
    return {"tls_cert_path": str(pair.cert), "tls_key_path": str(pair.key)}


def _key_of_another(server: Secured, folder: Path) -> dict[str, str | None]:
    return {"tls_key_path": str(Authority(folder, "other").pair("foreign").key)}


def _no_certificate(server: Secured, folder: Path) -> dict[str, str | None]:
    (folder / "junk.pem").write_text("junk")
    return {"tls_cert_path": str(folder / "junk.pem")}


WRONG = {
    "no client certificate": (
        lambda server, folder: {"tls_cert_path": None, "tls_key_path": None},
        "✗ TLS: the server wants a client certificate",
        "give it with `--tls-cert-path` and `--tls-key-path`",
    ),
    "expired": (
        _expired,
        "✗ TLS: the client's certificate has expired",
        "give a client certificate that is valid now; a worker that runs takes it from the same file",
    ),
    "of another authority": (
        _foreign,
        "✗ TLS: the server does not know the authority of the client's certificate",
        "give a certificate whose authority the server trusts",
    ),
    "the key of another": (
        _key_of_another,
        "✗ TLS: the key does not belong to the client's certificate",
        "`openssl x509 -noout -pubkey -in CERTIFICATE` and `openssl pkey -pubout -in KEY` print the same for a pair",
    ),
    "no certificate in the file": (
        _no_certificate,
        "✗ TLS: the client's certificate or its key is not in PEM form, or the key has a password",
        "give `--tls-cert-path` a file with BEGIN CERTIFICATE, and `--tls-key-path` one with BEGIN PRIVATE KEY",
    ),
    "another authority than the server's": (
        lambda server, folder: {"tls_ca_path": str(Authority(folder, "other").file)},
        "✗ TLS: unable to get local issuer certificate",
        "name the authority that signed the server's certificate with `--tls-ca-path`",
    ),
    "another name than the server's": (
        lambda server, folder: {"tls_server_name": "elsewhere.example"},
        "✗ TLS: Hostname mismatch, certificate is not valid for 'elsewhere.example'.",
        "say with `--tls-server-name` which name the certificate carries",
    ),
}


@pytest.mark.parametrize("wrong", [*WRONG])
def test_a_certificate_that_does_not_do_is_one_clear_error(
    wrong: str, wants_certificates: Secured, tmp_path: Path
) -> None:
    """What is wrong, where it comes from, what to do; no stack."""
    change, check, remedy = WRONG[wrong]
    options = wants_certificates.options(**change(wants_certificates, tmp_path))
    ran = inside("status", "x", *options)
    assert ran.code == 3
    assert ran.err.startswith(f"error[SD901]: cannot reach Temporal at {wants_certificates.address}\n")
    assert check in ran.err
    assert f"   = help: {remedy}\n" in ran.err
    for option, value in zip(options[::2], options[1::2], strict=True):
        assert any(value in line and f"from {option}" in line for line in ran.err.splitlines())


@pytest.mark.parametrize("command", [("worker",), ("serve", "--bind", "127.0.0.1:0"), ("list",)])
def test_a_worker_and_a_gateway_end_at_once_with_the_same_error(
    command: tuple[str, ...], wants_certificates: Secured
) -> None:
    """They do not ask again and again for what they do not get."""
    ran = sagadsl(*command, *wants_certificates.options(tls_cert_path=None, tls_key_path=None))
    assert (ran.code, "✗ TLS: the server wants a client certificate" in ran.err) == (3, True)
    assert "Traceback" not in ran.err


def test_a_connection_in_clear_to_a_server_with_tls_says_which_option_is_missing(wants_certificates: Secured) -> None:
    ran = inside("status", "x", "--address", wants_certificates.address)
    assert (ran.code, "✗ the server wants TLS" in ran.err, "= help: add `--tls`\n" in ran.err) == (3, True, True)


def test_half_of_a_pair_says_which_half(wants_certificates: Secured) -> None:
    """SD902: nothing is sent."""
    ran = inside("status", "x", *wants_certificates.options(tls_key_path=None))
    assert ran == Ran(
        3,
        "",
        "error[SD902]: a client certificate and its key go together, and only one of them is set (--tls-cert-path)\n"
        "   = help: name the key, too: `--tls-key-path FILE`\n",
    )


KEYS = {
    "none": (lambda provider: None, "refuses access", "no API key is given: `--api-key`"),
    "no key": (lambda provider: "junk", "does not know these credentials", "check the API key or the certificate"),
    "expired": (
        lambda provider: provider.api_key(lasts=MONTH_AGO),
        "does not know these credentials",
        "the API key has expired (",
    ),
    "for another namespace": (
        lambda provider: provider.api_key(["other:admin"]),
        "refuses access to namespace `default`",
        "check the namespace and what the API key may do",
    ),
}


@pytest.mark.parametrize("wrong", [*KEYS])
def test_an_api_key_that_does_not_do_is_one_clear_error(wrong: str, wants_keys: Secured) -> None:
    make, headline, remedy = KEYS[wrong]
    key = make(wants_keys.provider)
    ran = inside("status", "x", *wants_keys.options(api_key=key))
    assert ran.code == 3
    assert ran.err.startswith(f"error[SD901]: Temporal at {wants_keys.address} {headline}")
    assert f"   = help: {remedy}" in ran.err
    assert key is None or key not in ran.err


def test_a_worker_whose_key_may_only_read_does_not_start(wants_keys: Secured) -> None:
    """The SDK would ask for tasks for ever, in vain and without a word."""
    provider: Provider = wants_keys.provider
    ran = sagadsl("worker", *wants_keys.options(api_key=provider.api_key(["default:read"])))
    assert ran.code == 3
    assert f"error[SD901]: Temporal at {wants_keys.address} refuses access to namespace `default`" in ran.err
    assert "= help: check the namespace and what the API key may do" in ran.err


@pytest.mark.parametrize(
    ("options", "env", "message"),
    [
        (("--api-key", "a", "--api-key-from", "file:b"), {}, "`--api-key` and `--api-key-from` both give an API key"),
        (("--api-key-from", "very-secret"), {}, "no place of an API key (--api-key-from)"),
        (
            (),
            {"SAGADSL_API_KEY_FROM": "file:/no/such"},
            "the API key cannot be read: `/no/such` cannot be read: no such file or directory (SAGADSL_API_KEY_FROM)",
        ),
        (
            ("--api-key-from", "command:sh -c 'echo no >&2; exit 4'"),
            {},
            "the API key cannot be read: `sh` ended with code 4; run it by hand to see why (--api-key-from)",
        ),
        (
            ("--api-key-from", "command:echo very secret"),
            {},
            "the API key cannot be used: command `echo very secret` gives 11 characters that are no key "
            "(--api-key-from)",
        ),
    ],
)
def test_a_place_that_gives_no_key_is_refused_before_anything_is_sent(
    options: tuple[str, ...], env: dict[str, str], message: str
) -> None:
    """SD902. What may be a key is not shown."""
    ran = inside("list", *options, env=env)
    assert (ran.code, ran.err.splitlines()[0]) == (3, f"error[SD902]: {message}")
