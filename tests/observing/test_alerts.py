"""The alerts and the dashboard that come with sagadsl: they parse, fire as they should, and name metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sagadsl.gateway.metrics import Metrics
from sagadsl.temporal.work.meters import Meters
from tests.needs import need

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "sagas.rules.yaml"
PAGE = (ROOT / "docs" / "operations" / "alerts.md").read_text("utf-8")
OBSERVING = (ROOT / "docs" / "operations" / "observing.md").read_text("utf-8")
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "sagas.json").read_text("utf-8"))
NAME = re.compile(r"sagadsl_\w+")
_PARTS = re.compile("_(bucket|count|sum)$")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[str]:
    """Yield what the dashboard asks, with Grafana's variables filled in."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m").replace("$saga", ".*")


class _Named:
    """A meter that only notes the names of what is made of it."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def create_counter(self, name: str, *_: object) -> None:
        self.names.add(name)

    create_histogram_float = create_counter


def worker_metrics() -> set[str]:
    named = _Named()
    Meters(named)  # type: ignore[arg-type]
    return named.names


def gateway_metrics() -> set[str]:
    families = Metrics().registry.collect()
    return {f"{each.name}_total" if each.type == "counter" else each.name for each in families}


def promtool(*arguments: str | Path, cwd: Path) -> None:
    ended = subprocess.run(
        [*need("promtool"), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_alerts_are_right_and_fire_when_they_should() -> None:
    promtool("check", "rules", RULES.name, cwd=RULES.parent)
    promtool("test", "rules", "sagas.test.yaml", cwd=RULES.parent)


def test_each_alert_is_tested_and_has_its_section() -> None:
    tested = (RULES.parent / "sagas.test.yaml").read_text("utf-8")
    for each in alerts():
        name = each["alert"]
        assert f"alertname: {name}\n" in tested, name
        assert each["annotations"]["runbook_url"] == f"docs/operations/alerts.md#{name.lower()}"
        section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert "**What it means.**" in section, name
        assert "**What to do.**" in section, name
    assert re.findall("^## (.*)$", PAGE, re.M) == sorted(
        (each["alert"] for each in alerts()), key=lambda name: PAGE.index(f"## {name}")
    )


def test_what_the_dashboard_asks_can_be_asked(tmp_path: Path) -> None:
    rules = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(expressions())]
    (tmp_path / "asked.yaml").write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))

    assert len(rules) > 15
    promtool("check", "rules", "asked.yaml", cwd=tmp_path)


def test_the_panels_lie_beside_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for each in panels:
        place = each["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_alerts_and_dashboard_name_metrics_that_exist() -> None:
    known = worker_metrics() | gateway_metrics()
    asked = [*expressions(), *(each["expr"] for each in alerts())]
    named = {_PARTS.sub("", name) for text in asked for name in NAME.findall(text)}

    assert named <= known, named - known


@pytest.mark.parametrize(
    "name", sorted(worker_metrics() | {each for each in gateway_metrics() if "gateway" not in each})
)
def test_each_metric_about_sagas_is_on_the_page(name: str) -> None:
    assert f"\n| `{name}` |" in OBSERVING
