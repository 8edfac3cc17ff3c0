"""What compose.yaml, the manifests and the chart say is run: no engine, but the same commands and checks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sagadsl.temporal.link.server_process import SEARCH_ATTRIBUTES
from tests.cluster import composed, podded
from tests.cluster.charting import rendered
from tests.cluster.containers import ROOT, apart
from tests.cluster.manifests import KUBERNETES
from tests.needs import need

WENT = {"unauthorized": 401, "status": "completed", "greeting": "hello ada!", "listed": True}
pytestmark = pytest.mark.timeout(1800)


def test_compose_comes_up_and_a_saga_goes_through() -> None:
    need("postgresql")
    need("temporal-server")
    with tempfile.TemporaryDirectory(prefix="sagadsl-compose-") as made:
        Path(made).chmod(0o755)  # PostgreSQL's user has to get in
        told = apart(composed.__name__, Path(made))

    assert told["saga"] == WENT
    assert told["codes"] == {"gateway-0": 0, "worker-1": 0, "worker-0": 0}
    for name, kind in SEARCH_ATTRIBUTES.items():
        assert any(line.split() == [name, kind] for line in told["attributes"].splitlines()), told["attributes"]


def _kubernetes(_: Path) -> list[dict[str, Any]]:
    files = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    return [each for path in files for each in yaml.safe_load_all(path.read_text())]


def _chart(folder: Path) -> list[dict[str, Any]]:
    return rendered({}, folder, KUBERNETES)


@pytest.mark.parametrize(
    ("manifests", "worker", "gateway"),
    [(_kubernetes, "sagadsl-worker", "sagadsl-gateway"), (_chart, "sagas-worker-all", "sagas-gateway")],
    ids=["kubernetes", "chart"],
)
def test_a_pod_of_each_deployment_becomes_ready_and_a_saga_goes_through(
    tmp_path: Path, manifests: Callable[[Path], list[dict[str, Any]]], worker: str, gateway: str
) -> None:
    """With a root that is read-only, and as a user who is nobody."""
    deployments = [each for each in manifests(tmp_path) if each["kind"] == "Deployment"]
    (tmp_path / "deployments.json").write_text(json.dumps(deployments))

    told = apart(podded.__name__, tmp_path)

    assert told["codes"] == {gateway: 0, worker: 0}
    assert told["probes"][gateway] == ["readinessProbe", "livenessProbe"]
    assert told["probes"][worker] == (["startupProbe"] if manifests is _kubernetes else [])
    assert (told["saga"], told["metrics"]) == (WENT, True)
