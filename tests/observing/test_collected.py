"""Traces and metrics as a real OpenTelemetry Collector gets them, from processes as people run them."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment, inside, ready, sagadsl
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway import house
from tests.gateway.house import House
from tests.observing.collecting import Collector, Seen, collecting

pytestmark = pytest.mark.temporal

SECRET = "4111-1111"
QUEUE, FOREIGN = f"observed-{uuid.uuid4().hex[:8]}", f"carrier-{uuid.uuid4().hex[:8]}"
CARRIED = f"""\
sagadsl: 1
name: carried
version: "1"
input: {{type: object, required: [order], properties: {{order: {{type: string}}}}}}
steps:
  - id: charge
    activity: charge
    input: {{order: "{{{{ input.order }}}}"}}
    compensation: {{activity: refund, input: {{order: "{{{{ input.order }}}}"}}}}
  - id: carry
    activity: carry
    task_queue: {FOREIGN}
    input: {{order: "{{{{ input.order }}}}"}}
    retry: none
    compensation: none
"""
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "200"}
CALLER = "11111111111111111111111111111111"
PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "observing.md").read_text("utf-8")
ON_THE_PAGE = re.findall(r"^( *\S+(?: \S+)*)", PAGE.partition("```text\n")[2].partition("```")[0], re.M)
"""The tree that the page shows, without what it says of each span."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs: a collector, a gateway, a worker of sagadsl and one of the plain SDK."""

    collector: Collector
    gateway: House


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Scene]:
    folder = lay_out(tmp_path_factory.mktemp("observed"))
    (folder / "carried.saga.yaml").write_text(CARRIED)
    with collecting(folder) as collector:
        (folder / "sagadsl.toml").write_text(
            f'modules = ["shop_activities"]\nplugins = {{allow = []}}\n[telemetry]\notlp = "{collector.url}"\n'
        )
        worker = [*SAGADSL, "worker", ".", "--task-queue", QUEUE, "--address", server.address]
        plain = [sys.executable, "-m", "tests.observing.plain_worker", server.address, FOREIGN, collector.url]
        with (
            ready(worker, folder, **QUICK),
            ready(plain, Path(__file__).parents[2]),
            house.serve(folder, server.address, "--task-queue", QUEUE, **QUICK) as gateway,
        ):
            yield Scene(collector, gateway)


def test_a_saga_over_http_is_one_tree_across_gateway_workers_and_sdks(scene: Scene) -> None:
    """The client's own span is the root; the plain SDK's interceptor goes on where the saga's step is."""
    scene.gateway.ask(
        "POST", "/sagas/carried?wait=30s", {"order": SECRET}, traceparent=f"00-{CALLER}-2222222222222222-01"
    )

    assert scene.collector.tree([each.strip() for each in ON_THE_PAGE], CALLER) == ON_THE_PAGE
    spans = [each for each in scene.collector.spans() if each.trace == CALLER]
    assert {each.service for each in spans} == {"sagadsl", "carrier"}
    assert _one(spans, "POST /sagas/{name}").parent == "2222222222222222"
    assert _one(spans, "saga carried").attributes["sagadsl.saga.status"] == "compensated"
    ours = [each for each in spans if each.service == "sagadsl"]
    assert SECRET not in str(ours)


def _one(spans: list[Seen], name: str) -> Seen:
    (found,) = (each for each in spans if each.name == name)
    return found


def test_what_is_not_sampled_has_no_spans(scene: Scene) -> None:
    unwanted, wanted = "3" * 32, "4" * 32
    for trace, flag in ((unwanted, "00"), (wanted, "01")):
        scene.gateway.ask(
            "POST", "/sagas/order?wait=30s", {"order": "1"}, traceparent=f"00-{trace}-2222222222222222-{flag}"
        )

    scene.collector.until(lambda found: any(each.trace == wanted and each.name == "saga order" for each in found))
    assert not [each for each in scene.collector.spans() if each.trace == unwanted]


def test_a_command_goes_on_with_the_trace_of_who_has_started_it(scene: Scene, server: Server) -> None:
    trace = "5" * 32
    env = {"TRACEPARENT": f"00-{trace}-2222222222222222-01"}

    ran = sagadsl(
        *("run", "order.saga.yaml", "--set", "order=1", "--task-queue", QUEUE, "--address", server.address, "-q"),
        cwd=scene.gateway.folder,
        env=env,
    )

    assert ran.code == 0, ran.err
    tree = scene.collector.tree(
        ["start order", "saga order", "step charge", "attempt charge", "step ship", "attempt ship"], trace
    )
    assert tree[:2] == ["start order", "  saga order"]


def test_the_metrics_of_sagas_come_by_otlp(scene: Scene) -> None:
    scene.gateway.ask("POST", "/sagas/carried?wait=30s", {"order": SECRET})

    scene.collector.until(lambda _: "sagadsl_undo_seconds" in scene.collector.metrics())
    assert {
        "sagadsl_sagas_started_total",
        "sagadsl_sagas_ended_total",
        "sagadsl_saga_seconds",
        "sagadsl_step_seconds",
        "sagadsl_undo_seconds",
        "temporal_workflow_task_execution_latency",
    } <= scene.collector.metrics()
    measured = [line for line in scene.collector.text().splitlines() if '"resourceMetrics"' in line]
    assert not [line for line in measured if SECRET in line]


def test_the_numbers_of_a_gateway_come_by_otlp_too(scene: Scene) -> None:
    scene.collector.until(lambda _: "sagadsl_open_sagas" in scene.collector.metrics())
    assert {"sagadsl_gateway_requests_total", "sagadsl_gateway_connections"} <= scene.collector.metrics()


def test_a_collector_that_is_away_stops_nothing(scene: Scene, server: Server) -> None:
    ran = sagadsl(
        *("run", "order.saga.yaml", "--set", "order=1", "--task-queue", QUEUE, "--address", server.address),
        *("--otlp", "http://127.0.0.1:9", "-q"),
        cwd=scene.gateway.folder,
    )

    assert (ran.code, "Traceback" in ran.err) == (0, False), ran.err


def test_traces_that_are_wanted_without_the_extra_are_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sagadsl.temporal.link import telemetry

    monkeypatch.setattr(telemetry, "lacks", lambda _: "opentelemetry.sdk")
    monkeypatch.setattr(telemetry, "_BEGUN", {})
    ran = inside("list", "--otlp", "http://127.0.0.1:4318", "--address", "127.0.0.1:1", cwd=tmp_path)

    assert ran.code == 3
    assert "error[SD955]: this command needs the package `opentelemetry.sdk`, which is not installed" in ran.err
    assert "pip install 'sagadsl[otel]'" in ran.err


def test_a_variable_of_the_whole_machine_without_the_extra_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sagadsl.temporal.link import telemetry

    monkeypatch.setattr(telemetry, "lacks", lambda _: "opentelemetry.sdk")
    monkeypatch.setattr(telemetry, "_BEGUN", {})
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    ran = inside("list", "--address", "127.0.0.1:1", cwd=tmp_path, env=env)

    assert "warning: OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and there are none: `opentelemetry.sdk`" in ran.err
    assert "SD901" in ran.err


@pytest.mark.parametrize(
    ("arguments", "env", "toml", "said"),
    [
        (["--otlp", "localhost:4318"], {}, "", "`localhost:4318` is no address of a collector (--otlp)"),
        (["--otlp", "http://["], {}, "", "`http://[` is no address of a collector (--otlp)"),
        (["--otlp", "http://h:port"], {}, "", "`http://h:port` is no address of a collector (--otlp)"),
        (["--otlp", "http://a:b@c"], {}, "", "it is no address of a collector (--otlp)"),
        (
            ["--otlp", "http://a:4318"],
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "",
            "`OTEL_EXPORTER_OTLP_PROTOCOL` is `http/json`",
        ),
        ([], {}, '[telemetry]\nurl = "x"', "[telemetry] of sagadsl.toml has `url`"),
        ([], {}, '[telemetry]\nlog_format = "xml"', "`log_format` of [telemetry] of sagadsl.toml is `xml`"),
        ([], {}, "[telemetry]\notlp = 1", "`otlp` of [telemetry] of sagadsl.toml is no text"),
        ([], {}, "telemetry = 1", "[telemetry] of sagadsl.toml is no table"),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused(
    tmp_path: Path, arguments: list[str], env: dict[str, str], toml: str, said: str
) -> None:
    (tmp_path / "sagadsl.toml").write_text(toml)
    ran = inside("list", *arguments, "--address", "127.0.0.1:1", cwd=tmp_path, env=env)

    assert ran.code == 3
    assert f"error[SD902]: {said}" in ran.err


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"ENDPOINT": "http://a:b@c"}, "it is no address of a collector (OTEL_EXPORTER_OTLP_ENDPOINT); for"),
        ({"TRACES_ENDPOINT": "a:4318"}, "`a:4318` is no address of a collector (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)"),
        ({"ENDPOINT": "http://a:4318", "PROTOCOL": "http/json"}, "`OTEL_EXPORTER_OTLP_PROTOCOL` is `http/json`"),
    ],
)
def test_a_variable_of_the_whole_machine_that_cannot_be_right_is_a_warning(
    tmp_path: Path, env: dict[str, str], said: str
) -> None:
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in env.items()}
    ran = inside("list", "--address", "127.0.0.1:1", cwd=tmp_path, env=named)

    assert f"warning: there are no traces and no metrics by OTLP: {said}" in ran.err
    assert "SD901" in ran.err


def test_opentelemetry_is_imported_only_where_it_is_wanted(tmp_path: Path) -> None:
    code = (
        "import sys, sagadsl.temporal.worker, sagadsl.cli.worker, sagadsl.temporal.link.connection;"
        "sys.exit(any(each.startswith('opentelemetry') for each in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=False).returncode == 0
