"""A gateway with a certificate of its own, which is replaced while it runs."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator

import httpx2
import pytest

from sagadsl.gateway.connections import Patience
from tests.cli.shell import inside
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway.house import House, serve, worker
from tests.patience import PATIENCE
from tests.secured.authority import Authority, Pair

pytestmark = pytest.mark.temporal

NAME = "sagas.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(lay_out(tmp_path_factory.mktemp("https")))


@pytest.fixture(scope="module")
def own(authority: Authority) -> Pair:
    """The files that the gateway reads."""
    own = Pair(authority.folder / "own.pem", authority.folder / "own.key")
    own.replace(authority.pair("first", "127.0.0.1", NAME))
    return own


@pytest.fixture(scope="module")
def house(server: Server, own: Pair, authority: Authority) -> Iterator[House]:
    options = ("--https-cert", str(own.cert), "--https-key", str(own.key))
    with serve(authority.folder, server.address, *options, trusts=authority.file) as house:
        yield house


def _shown(house: House, authority: Authority) -> bytes:
    """Return the certificate that the gateway shows to somebody who comes now."""
    context = ssl.create_default_context(cafile=str(authority.file))
    host, _, port = house.url.removeprefix("https://").rpartition(":")
    with (
        socket.create_connection((host, int(port)), PATIENCE) as raw,
        context.wrap_socket(raw, server_hostname=NAME) as encrypted,
    ):
        return encrypted.getpeercert(binary_form=True) or b""


def _until_shown(house: House, authority: Authority, pair: Pair) -> None:
    deadline = time.monotonic() + PATIENCE
    while _shown(house, authority) != ssl.PEM_cert_to_DER_cert(pair.cert.read_text()):
        assert time.monotonic() < deadline, list(house.lines)
        time.sleep(0.1)


def test_a_saga_is_started_and_followed_over_https(house: House, server: Server) -> None:
    assert house.url.startswith("https://127.0.0.1:")
    with worker(house.folder, server.address):
        saga = house.start()
        with house.client() as client, client.stream("GET", f"/sagas/{saga}/events") as stream:
            kinds = [line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event: ")]
    assert kinds[-1] == "end"


def test_a_new_certificate_is_shown_to_those_who_come_from_now_on(
    house: House, own: Pair, authority: Authority
) -> None:
    """Whoever is connected stays so."""
    with house.client() as client:
        assert client.get("/healthz").status_code == 200
        own.replace(authority.pair("second", "127.0.0.1", NAME))
        _until_shown(house, authority, own)
        assert client.get("/healthz").status_code == 200


def test_a_certificate_without_its_key_changes_nothing_and_is_told_once(
    house: House, own: Pair, authority: Authority
) -> None:
    before = _shown(house, authority)
    other = authority.pair("other", "127.0.0.1", NAME)
    own.cert.write_bytes(other.cert.read_bytes())
    deadline = time.monotonic() + PATIENCE
    while not any("does not belong to the certificate" in line for line in house.lines):
        assert time.monotonic() < deadline, list(house.lines)
        time.sleep(0.1)
    assert _shown(house, authority) == before
    own.replace(other)
    _until_shown(house, authority, other)


def test_who_does_not_finish_the_handshake_is_let_go(house: House) -> None:
    """It would hold a descriptor for as long as it likes."""
    host, _, port = house.url.removeprefix("https://").rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as raw:
        assert Patience().head < PATIENCE
        assert raw.recv(1) == b""


def test_a_request_in_clear_gets_no_answer(house: House) -> None:
    with pytest.raises(httpx2.TransportError):
        httpx2.get(house.url.replace("https", "http") + "/healthz", timeout=PATIENCE)


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        ("none.pem", "own.key", "`none.pem` cannot be read: no such file or directory (--https-cert)"),
        ("own.pem", "foreign.key", "the key `foreign.key` does not belong to the certificate `own.pem` (--https-key)"),
        ("own.key", "own.key", "`own.key` and `own.key` are no certificate and key in PEM form, or the key has a pass"),
    ],
)
@pytest.mark.usefixtures("own")
def test_a_certificate_that_cannot_be_used_is_refused(cert: str, key: str, message: str, authority: Authority) -> None:
    """SD902: before anything listens."""
    authority.pair("foreign", NAME)
    ran = inside("serve", "--bind", "127.0.0.1:0", "--https-cert", cert, "--https-key", key, cwd=authority.folder)
    assert (ran.code, ran.err.startswith(f"error[SD902]: {message}")) == (3, True), ran


def test_half_of_a_pair_is_refused() -> None:
    ran = inside("serve", "--https-cert", "own.pem")
    assert (ran.code, "`--https-cert` and `--https-key` go together" in ran.err) == (2, True), ran
