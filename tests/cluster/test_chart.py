"""deploy/helm: what Helm makes of the chart fits Kubernetes, and runs commands that there are; no cluster ran it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.cluster.charting import CHART, helm, rendered
from tests.cluster.manifests import KUBERNETES, check_command

WANTED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "by queue": {
        "workers": {
            "sagas": {"only": "workflows", "queues": ["orders"], "cached": 5000, "pollers": "auto:2-40"},
            "payments": {
                "only": "activities",
                "queues": ["payments", "refunds"],
                "maxTaskQueueActivitiesPerSecond": 20,
                "tuner": "fixed:activities=40",
                "scaling": {"by": "backlog", "max": 30},
            },
        }
    },
    "with certificates": {
        "temporal": {"address": "temporal.example:7233", "tlsSecret": "orders-tls", "serverName": "temporal"},
        "worker": {"scaling": {"by": "backlog"}},
        "gateway": {"httpsSecret": "page-tls", "scaling": {"by": "none"}},
    },
    "on Temporal Cloud": {
        "image": {"repository": "registry.example/orders", "tag": "2026-11-30"},
        "temporal": {
            "address": "eu-central-1.aws.api.temporal.io:7233",
            "namespace": "orders.a1b2c",
            "apiKeySecret": "temporal-key",
        },
        "worker": {"arguments": ["--deployment=orders", "--build-id=2026-11-30"], "scaling": {"by": "none"}},
        "gateway": {"enabled": False},
        "pullSecrets": ["registry"],
        "serviceAccount": "orders",
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    },
}
OF_KEDA = {"endpoint", "namespace", "taskQueue", "queueTypes", "targetQueueSize", "tlsServerName"}
"""The settings of its Temporal scaler that we use, as its documentation of 2.17 to 2.22 has them."""


@pytest.fixture(params=[*WANTED])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict[str, Any]]:
    return rendered(WANTED[request.param], tmp_path, KUBERNETES)


def _of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in manifests if each["kind"] == kind]


def test_every_manifest_fits_the_schema_of_kubernetes(manifests: list[dict[str, Any]]) -> None:
    ours = [each for each in manifests if not each["apiVersion"].startswith("keda.sh/")]
    assert ours
    for each in ours:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_every_container_runs_a_command_with_options_that_it_has(manifests: list[dict[str, Any]]) -> None:
    deployments = _of_kind(manifests, "Deployment")
    assert deployments
    for each in deployments:
        for container in each["spec"]["template"]["spec"]["containers"]:
            check_command(container["args"])


def test_whatever_is_mounted_selected_and_scaled_is_there(manifests: list[dict[str, Any]]) -> None:
    """A wrong name shows only in the cluster, hours later."""
    deployments = {each["metadata"]["name"]: each for each in _of_kind(manifests, "Deployment")}
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in deployments.values()]
    for each in deployments.values():
        pod = each["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        drain = next((word for word in pod["containers"][0]["args"] if word.startswith("--drain=")), "--drain=0")
        assert pod["terminationGracePeriodSeconds"] > float(drain.partition("=")[2]) + 10
    for each in manifests:
        if each["kind"] in ("Service", "PodDisruptionBudget"):
            selector = each["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            assert sum(wanted.items() <= found.items() for found in labels) == 1
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            assert each["spec"]["scaleTargetRef"]["name"] in deployments
            assert "replicas" not in deployments[each["spec"]["scaleTargetRef"]["name"]]["spec"]


def test_scaling_by_backlog_asks_temporal_for_the_queues_of_the_worker(tmp_path: Path) -> None:
    (found,) = _of_kind(rendered(WANTED["by queue"], tmp_path, KUBERNETES), "ScaledObject")
    triggers = [each["metadata"] for each in found["spec"]["triggers"]]
    assert [(each["taskQueue"], each["queueTypes"]) for each in triggers] == [
        ("payments", "activity"),
        ("refunds", "activity"),
    ]
    assert (found["spec"]["minReplicaCount"], found["spec"]["maxReplicaCount"]) == (2, 30)
    assert all(each.keys() <= OF_KEDA for each in triggers)
    assert all(isinstance(value, str) for each in triggers for value in each.values())


def test_credentials_are_places_and_never_values(tmp_path: Path) -> None:
    """They come from secrets, whose files a worker reads again."""
    certificates = rendered(WANTED["with certificates"], tmp_path, KUBERNETES)
    (authentication,) = _of_kind(certificates, "TriggerAuthentication")
    (scaled,) = _of_kind(certificates, "ScaledObject")
    assert scaled["spec"]["triggers"][0]["authenticationRef"] == {"name": authentication["metadata"]["name"]}
    assert {each["parameter"] for each in authentication["spec"]["secretTargetRef"]} == {"cert", "key", "ca"}
    keys = _of_kind(rendered(WANTED["on Temporal Cloud"], tmp_path, KUBERNETES), "Deployment")
    (container,) = keys[0]["spec"]["template"]["spec"]["containers"]
    assert {"name": "SAGADSL_API_KEY_FROM", "value": "file:/run/temporal-key/api-key"} in container["env"]


@pytest.mark.parametrize(
    "setting",
    [
        "temporal.address=https://temporal:7233",
        "worker.scaling.by=luck",
        "workers.Orders.only=workflows",
        "colour=blue",
    ],
)
def test_a_value_that_cannot_be_right_is_refused(setting: str) -> None:
    ran = helm("template", "sagas", CHART, "--kube-version", KUBERNETES, "--set", setting)
    assert ran.returncode != 0
    assert "values don't meet the specifications of the schema" in ran.stderr


def test_helm_finds_no_fault_with_the_chart() -> None:
    ran = helm("lint", CHART, "--strict", "--kube-version", KUBERNETES)
    assert ran.returncode == 0, ran.stdout + ran.stderr
