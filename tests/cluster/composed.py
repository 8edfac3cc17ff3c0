"""`deploy/compose.yaml` without an engine: each service's command, environment and healthcheck, literally.

PostgreSQL and the server are not the images' but those of `make cluster`; their environment is what the images take,
and is held against what they were begun with. All others run in what `deploy/Dockerfile` makes, as its user.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import yaml

from deploy.cluster import parts
from deploy.cluster.parts import Cluster
from deploy.cluster.processes import State
from tests.cluster.containers import BIN, ROOT, Container, Image, network, until
from tests.patience import PATIENCE

COMPOSE = ROOT / "deploy" / "compose.yaml"
PORTS = {"postgres": 5432, "frontend": 7233}
"""Inside, as the images have them."""


def main(folder: Path) -> dict[str, Any]:
    """Bring it up in the order that it asks for, run a saga through the gateway, and take it down."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    network(folder, *services)
    os.environ.pop("XDG_CONFIG_HOME")  # it is no folder here, and not every command is told to look for no settings
    cluster, state = Cluster(folder, ROOT / "build" / "cluster" / "bin", ROOT / "definitions"), State.read(folder)
    state.ports |= PORTS
    up: dict[str, Container] = {}
    tokens = token()
    told: dict[str, Any] = {}
    try:
        while waiting := [name for name in services if name not in told]:
            name = next(each for each in waiting if set(services[each].get("depends_on", {})) <= told.keys())
            service = services[name]
            if name == "postgresql":
                parts.postgres(cluster, state)
                env = _filled(service["environment"], cluster.password)
                _connects("localhost", PORTS["postgres"], env["POSTGRES_USER"], env["POSTGRES_PASSWORD"])
            elif name == "temporal":
                parts.server(cluster, state)
                env = _filled(service["environment"], cluster.password)
                _connects(env["POSTGRES_SEEDS"], int(env["DB_PORT"]), env["POSTGRES_USER"], env["POSTGRES_PWD"])
                assert (env["DB"], env["DEFAULT_NAMESPACE"]) == ("postgres12", parts.NAMESPACE)
            elif "build" in service:
                for number in range(service.get("deploy", {}).get("replicas", 1)):
                    up[f"{name}-{number}"] = _begun(f"{name}-{number}", service, folder, tokens)
            else:
                ran = _shell(service)
                told[name] = ran.stdout + ran.stderr
            if check := service.get("healthcheck"):
                _until_healthy(check["test"], folder)
            told.setdefault(name, "up")
        told["saga"] = saga("http://gateway:8080", tokens[0], up["worker-0"])
        told["attributes"] = subprocess.run(
            _words(["temporal", "operator", "search-attribute", "list", "--address", "temporal:7233"]),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        told["codes"] = {
            name: each.stop(float(services[name.rpartition("-")[0]]["stop_grace_period"].removesuffix("s")))
            for name, each in reversed(up.items())
        }
    finally:
        for name in ("temporal", "postgres"):
            state.end(name)
    return told


def _begun(name: str, service: Mapping[str, Any], folder: Path, tokens: tuple[str, str]) -> Container:
    image = Image.built(folder / f"image-{name}")
    secrets = {f"/run/secrets/{each}": tokens[1] for each in service.get("secrets", ())}
    made = Container(name, image, service["command"], service["environment"], folder / f"{name}.log", secrets)
    made.begin()
    ready = "ready;" if service["command"][0] == "worker" else "gateway at"
    made.until(lambda: ready in made.log.read_text(errors="replace"))
    return made


def token() -> tuple[str, str]:
    """Return a token and the file that knows it, as `sagadsl token` makes them."""
    words = ("token", "front-end", "--start", "*", "--read", "*", "--json")
    ran = subprocess.run([str(BIN / "sagadsl"), *words], capture_output=True, text=True, check=True)
    made = json.loads(ran.stdout)
    return made["token"], yaml.safe_dump({"tokens": [made["entry"]]})


def _filled(env: Mapping[str, str], password: str) -> dict[str, str]:
    return {key: password if value.startswith("${TEMPORAL_DB_PASSWORD:?") else value for key, value in env.items()}


def _connects(host: str, port: int, user: str, password: str) -> None:
    with psycopg.connect(host=host, port=port, user=user, password=password, dbname="postgres") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def _shell(service: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    words = [*service["entrypoint"], *service["command"]]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=PATIENCE, check=True)


def _until_healthy(test: list[str], folder: Path) -> None:
    kind, *words = test
    assert kind == "CMD"
    log = folder / "healthcheck.log"

    def holds() -> bool:
        with log.open("w") as output:
            return not subprocess.run(_words(words), stdout=output, stderr=output, check=False).returncode

    until(holds, lambda: True, log)


def _words(words: list[str]) -> list[str]:
    """Return a command with the program that is in the image there and of `make setup` here."""
    from deploy import postgresql  # PostgreSQL's programs have names of their own

    if words[0] == "pg_isready":
        found = postgresql.installed()
        assert found is not None
        return [str(found.folder / words[0]), "-h", "localhost", *words[1:]]  # there is no socket: see `parts.postgres`
    return [str(BIN / words[0]), *words[1:]]


def saga(url: str, of: str, worker: Container) -> dict[str, Any]:
    """Start one as a front end does, with a token, and look at it."""
    headers = {"Authorization": f"Bearer {of}", "Idempotency-Key": "key-1"}
    with httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE) as client:
        refused = client.post("/sagas/three-steps", json={"name": "ada"}, headers={"Authorization": "Bearer no"})
        begun = client.post("/sagas/three-steps?wait=60s", json={"name": "ada"})
        assert begun.status_code == 200, begun.text + worker.log.read_text()
        id_ = begun.json()["id"]
        listed: list[Any] = []

        def is_listed() -> bool:
            listed[:] = client.get("/sagas?name=three-steps&status=completed").json()["sagas"]
            return bool(listed)

        worker.until(is_listed)
        return {
            "unauthorized": refused.status_code,
            "status": client.get(f"/sagas/{id_}").json()["status"],
            "greeting": client.get(f"/sagas/{id_}/result").json()["output"]["greeting"],
            "listed": [each["id"] for each in listed] == [id_],
        }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
