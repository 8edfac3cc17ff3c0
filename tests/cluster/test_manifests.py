"""What is offered for other machines fits its schemas, and says what the commands take. `test_composed.py` runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.cluster.__main__ import WORKERS
from sagadsl.temporal.link.server_process import SEARCH_ATTRIBUTES
from tests.cluster.manifests import KUBERNETES, check_command

DEPLOY = Path(__file__).parents[2] / "deploy"


def _manifests() -> Iterator[Any]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            yield pytest.param(each, id=f"{path.stem}-{each['kind']}")


@pytest.mark.parametrize("manifest", list(_manifests()))
def test_a_manifest_fits_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def _commands() -> Iterator[Any]:
    """Yield what every container runs."""
    for parameter in _manifests():
        manifest = parameter.values[0]
        if manifest["kind"] == "Deployment":
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                yield pytest.param(container["args"], id=f"kubernetes-{container['name']}")
                probe = container.get("startupProbe", {}).get("exec")
                if probe:
                    yield pytest.param(probe["command"][1:], id=f"kubernetes-{container['name']}-probe")
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name in ("worker", "gateway"):
        yield pytest.param(compose["services"][name]["command"], id=f"compose-{name}")


@pytest.mark.parametrize("arguments", list(_commands()))
def test_what_a_container_runs_is_a_command_with_options_that_it_has(arguments: list[str]) -> None:
    check_command(arguments)


def test_a_worker_has_more_time_to_end_than_its_activities() -> None:
    """Else the kill comes before what runs has ended."""
    worker = next(parameter.values[0] for parameter in _manifests() if parameter.id == "worker-Deployment")
    spec = worker["spec"]["template"]["spec"]
    arguments = spec["containers"][0]["args"]
    drain = float(arguments[arguments.index("--drain") + 1])

    assert spec["terminationGracePeriodSeconds"] > drain + 10


def test_compose_names_what_there_is() -> None:
    """Its services depend on ones that are there, its secret is asked for, its search attributes are ours."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]

    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for secret in service.get("secrets", ()):
            assert secret in compose["secrets"]
    assert services["worker"]["deploy"]["replicas"] == len(WORKERS)  # as `make cluster`, which a test runs
    command = services["search-attributes"]["command"][0]
    assert all(f"--name {name} --type {kind}" in command for name, kind in SEARCH_ATTRIBUTES.items())
    passwords = [
        services["postgresql"]["environment"]["POSTGRES_PASSWORD"],
        services["temporal"]["environment"]["POSTGRES_PWD"],
    ]
    assert all(each.startswith("${TEMPORAL_DB_PASSWORD:?") for each in passwords)
