"""Deployments without a cluster: one pod of each, with its arguments, environment, user, mounts and probes, literally.

The server that they name is a dev server. A file has the manifests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from sagadsl.temporal.link.server_process import SEARCH_ATTRIBUTES
from tests.chaos.parts import serves
from tests.cluster.composed import saga, token
from tests.cluster.containers import BIN, Container, Image, network, until
from tests.patience import PATIENCE


def main(folder: Path) -> dict[str, Any]:
    """Bring one pod of each up, run a saga through the gateway, and take them down."""
    deployments = json.loads((folder / "deployments.json").read_text())
    network(folder, "temporal-frontend", "pod")
    up: dict[str, tuple[Container, Mapping[str, Any]]] = {}
    tokens = token()
    told: dict[str, Any] = {"probes": {}}
    server = [str(BIN / "temporal"), "server", "start-dev", "--ip", "127.0.0.1", "--port", "7233", "--headless"]
    for name, kind in SEARCH_ATTRIBUTES.items():
        server += ["--search-attribute", f"{name}={kind}"]
    log = folder / "server.log"
    with log.open("w") as output, subprocess.Popen(server, stdout=output, stderr=output) as temporal:
        try:
            until(lambda: serves("temporal-frontend:7233"), lambda: temporal.poll() is None, log)
            for each in deployments:
                pod = each["spec"]["template"]["spec"]
                (container,) = pod["containers"]
                made = _begun(each["metadata"]["name"], pod, container, folder, tokens)
                up[made.name] = made, pod
            for made, pod in up.values():
                told["probes"][made.name] = _probed(made, pod["containers"][0])
            worker = next(made for made, pod in up.values() if pod["containers"][0]["args"][0] == "worker")
            told["saga"] = saga("http://pod:8080", tokens[0], worker)
            told["metrics"] = "sagadsl" in httpx2.get("http://pod:9464/metrics", timeout=PATIENCE).text
            told["codes"] = {
                name: made.stop(pod["terminationGracePeriodSeconds"]) for name, (made, pod) in reversed(up.items())
            }
        finally:
            temporal.terminate()
    return told


def _begun(
    name: str, pod: Mapping[str, Any], spec: Mapping[str, Any], folder: Path, tokens: tuple[str, str]
) -> Container:
    image = Image.built(folder / f"image-{name}")
    security = {**pod["securityContext"], **spec["securityContext"]}
    image.user = security["runAsUser"]
    env = {each["name"]: each["value"] for each in spec["env"]}
    mounts = {each["name"]: each["mountPath"] for each in spec["volumeMounts"]}
    secrets = {f"{mounts[each['name']]}/tokens.yaml": tokens[1] for each in pod["volumes"] if "secret" in each}
    command = [*spec.get("command", []), *spec["args"]]
    made = Container(name, image, command, env, folder / f"{name}.log", secrets, security["readOnlyRootFilesystem"])
    made.begin()
    return made


def _probed(made: Container, spec: Mapping[str, Any]) -> list[str]:
    """Wait until each probe is content; return which there are."""
    ports = {each["name"]: each["containerPort"] for each in spec["ports"]}
    found = []
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = spec.get(kind)
        if probe is None:
            continue
        if "exec" in probe:
            made.until(lambda words=probe["exec"]["command"]: not made.executes(words).returncode)
        else:
            wanted = probe["httpGet"]
            made.until(lambda url=f"http://pod:{ports[wanted['port']]}{wanted['path']}": _answers(url))
        found.append(kind)
    made.until(lambda: '"ready;' in made.log.read_text() or "gateway at" in made.log.read_text())
    return found


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=PATIENCE).status_code == 200
    except httpx2.TransportError:
        return False


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
