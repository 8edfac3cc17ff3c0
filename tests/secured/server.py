"""The official Temporal server with TLS in its own configuration: it wants certificates of clients, or API keys."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.needs import need
from tests.patience import PATIENCE
from tests.secured.authority import SERVER_NAME, Authority, Pair, Provider

_SERVICES = ("frontend", "history", "matching", "worker")
_CONNECTION_AGE = "3s"
"""After that the server closes a connection, so that clients have to prove again who they are."""


@dataclass(frozen=True, slots=True)
class Secured:
    """A server that runs.

    Attributes:
        client: A certificate that the server takes.
        trusted: The file with the authorities whose certificates of clients the server takes. It reads it each second.
    """

    address: str
    authority: Authority
    provider: Provider
    client: Pair
    trusted: Path
    folder: Path
    log: Path
    flags: Mapping[str, str] = field(default_factory=dict)

    def options(self, **changed: str | None) -> list[str]:
        """Return the options of ``temporal`` and ``sagadsl`` for this server; ``None`` leaves one out."""
        chosen = {**self.flags, **{name.replace("_", "-"): value for name, value in changed.items()}}
        return [word for name, value in chosen.items() if value is not None for word in (f"--{name}", value)]


@contextmanager
def secured(folder: Path, *, mutual: bool) -> Iterator[Secured]:
    """Run such a server until the end of the block.

    Args:
        mutual: Clients need a certificate; otherwise they need an API key.
    """
    (program,) = need("temporal-server")
    authority, provider = Authority(folder), Provider(folder)
    own = authority.pair("server", SERVER_NAME)
    trusted = folder / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())
    ports = _free_ports(10)
    client = authority.pair("client")
    flags = {
        "address": f"127.0.0.1:{ports[0]}",
        "tls-ca-path": str(authority.file),
        "tls-server-name": SERVER_NAME,
        **(
            {"tls-cert-path": str(client.cert), "tls-key-path": str(client.key)}
            if mutual
            else {"api-key": provider.api_key()}
        ),
    }
    config, log = folder / "server.yaml", folder / "server.log"
    config.write_text(yaml.safe_dump(_config(ports, authority, own, trusted if mutual else None, provider)))
    words = [program, "--config-file", str(config), "--allow-no-auth", "start"]
    if not mutual:  # the server's own parts have no API key, and need a way in of their own
        words += [f"--service={each}" for each in (*_SERVICES, "internal-frontend")]
    server = Secured(flags["address"], authority, provider, client, trusted, folder, log, flags)
    with log.open("wb") as output, subprocess.Popen(words, stdout=output, stderr=output) as process:
        try:
            _until(server, process, ["operator", "cluster", "health"])
            _until(server, process, ["operator", "namespace", "create", "--namespace", "default"])
            _until(server, process, ["operator", "namespace", "describe", "--namespace", "default"])
            yield server
        finally:
            process.kill()  # its data is in memory


def _until(server: Secured, process: subprocess.Popen[bytes], command: Sequence[str]) -> None:
    """Repeat a command of ``temporal`` until it succeeds."""
    words = [str(Path(sys.executable).with_name("temporal")), "--disable-config-file", "--disable-config-env"]
    deadline = time.monotonic() + PATIENCE
    while True:
        ran = subprocess.run([*words, *command, *server.options()], capture_output=True, text=True, check=False)
        if ran.returncode == 0 or "already exists" in ran.stdout + ran.stderr:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{' '.join(command)}:\n{ran.stdout}{ran.stderr}\n{server.log.read_text()[-3000:]}")
        time.sleep(0.2)


def _config(
    ports: Sequence[int], authority: Authority, own: Pair, trusted: Path | None, provider: Provider
) -> dict[str, Any]:
    names = [*_SERVICES, *([] if trusted else ["internal-frontend"])]
    places = zip(ports[::2], ports[1::2], strict=True)
    services: dict[str, dict[str, dict[str, Any]]] = {
        name: {"rpc": {"grpcPort": grpc, "membershipPort": members, "bindOnLocalHost": True}}
        for name, (grpc, members) in zip(names, places, strict=False)
    }
    services["frontend"]["rpc"]["keepAliveServerConfig"] = {
        "keepAliveServerParameters": {"maxConnectionAge": _CONNECTION_AGE, "maxConnectionAgeGrace": _CONNECTION_AGE}
    }
    files = {"certFile": str(own.cert), "keyFile": str(own.key)}
    known = {"serverName": SERVER_NAME, "rootCaFiles": [str(authority.file)]}
    clients = {} if trusted is None else {"requireClientAuth": True, "clientCaFiles": [str(trusted)]}
    tls = {"frontend": {"server": {**files, **clients}, "client": known}, "refreshInterval": "1s"}
    if trusted:
        inside = authority.pair("inside")
        tls["systemWorker"] = {"certFile": str(inside.cert), "keyFile": str(inside.key), "client": known}
    authorization = {
        "jwtKeyProvider": {"keySourceURIs": [f"file://{provider.file}"], "refreshInterval": "1s"},
        "permissionsClaimName": "permissions",
        "authorizer": "default",
        "claimMapper": "default",
    }
    here = {"enabled": True, "initialFailoverVersion": 1, "rpcName": "frontend", "rpcAddress": f"127.0.0.1:{ports[0]}"}
    return {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "defaultStore": "runs",
            "visibilityStore": "lists",
            "numHistoryShards": 1,
            "datastores": {"runs": _in_memory(), "lists": _in_memory()},
        },
        "global": {
            "membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"},
            "tls": tls,
            **({} if trusted else {"authorization": authorization}),
        },
        "services": services,
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {"active": here},
        },
        "dcRedirectionPolicy": {"policy": "noop"},
    }


def _in_memory() -> dict[str, Any]:
    attributes = {"mode": "memory", "cache": "private"}
    place = {"databaseName": "default", "connectAddr": "localhost", "connectProtocol": "tcp"}
    return {"sql": {"pluginName": "sqlite", **place, "connectAttributes": attributes, "maxConns": 1, "maxIdleConns": 1}}


def _free_ports(number: int) -> list[int]:
    """Return ports below 32,768: the server keeps those of its members in a column that ends there."""
    found: list[int] = []
    candidate = 20_000 + (time.monotonic_ns() // 1000) % 10_000
    while len(found) < number:
        candidate += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
        found.append(candidate)
    return found
