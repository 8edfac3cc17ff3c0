"""A real OpenTelemetry Collector for tests. ``python -m tests.observing.collecting`` builds it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.needs import need
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "collector"
PROGRAM = ROOT / "build" / "collector" / "collector"


CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: "{file}", flush_interval: 50ms}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
    metrics: {{receivers: [otlp], exporters: [file]}}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as the collector has it."""

    name: str
    trace: str
    id: str
    parent: str
    service: str
    began: int
    ended: int
    failed: bool
    attributes: Mapping[str, Any]
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector that runs.

    Attributes:
        file: Where it writes all that it gets, one JSON document a line.
    """

    url: str
    file: Path

    def text(self) -> str:
        """Return all that has come, as it is."""
        return self.file.read_text() if self.file.exists() else ""

    def _documents(self) -> Iterator[Mapping[str, Any]]:
        for line in self.text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)

    def spans(self) -> list[Seen]:
        """Return the spans that have come so far."""
        return [
            _seen(span, _values(whole["resource"].get("attributes", ())))
            for document in self._documents()
            for whole in document.get("resourceSpans", ())
            for scope in whole["scopeSpans"]
            for span in scope["spans"]
        ]

    def metrics(self) -> set[str]:
        """Return the names of the metrics that have come so far."""
        return {
            metric["name"]
            for document in self._documents()
            for whole in document.get("resourceMetrics", ())
            for scope in whole["scopeMetrics"]
            for metric in scope["metrics"]
        }

    def until(self, holds: Callable[[Sequence[Seen]], bool]) -> list[Seen]:
        """Wait until what has come *holds*, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not holds(found := self.spans()):
            assert time.monotonic() < deadline, "\n".join(map(str, found))
            time.sleep(0.05)
        return found

    def tree(self, names: Sequence[str], trace: str = "") -> list[str]:
        """Wait for spans of these names in one trace, and return its tree as indented lines, in the order of time."""
        wanted = sorted(names)

        def is_whole(found: Sequence[Seen]) -> bool:
            return sorted(each.name for each in found if not trace or each.trace == trace) == wanted

        return drawn([each for each in self.until(is_whole) if not trace or each.trace == trace])


def drawn(spans: Sequence[Seen]) -> list[str]:
    """Return spans as a tree of indented names."""
    known = {each.id for each in spans}

    def lines(parent: str | None, depth: int) -> Iterator[str]:
        for each in sorted(spans, key=lambda span: (span.began, span.ended)):
            if each.parent == parent or (parent is None and each.parent not in known):
                yield f"{'  ' * depth}{each.name}"
                yield from lines(each.id, depth + 1)

    return list(lines(None, 0))


def _seen(span: Mapping[str, Any], resource: Mapping[str, Any]) -> Seen:
    return Seen(
        span["name"],
        span["traceId"],
        span["spanId"],
        span.get("parentSpanId", ""),
        resource.get("service.name", ""),
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
        span.get("status", {}).get("code") == 2,
        _values(span.get("attributes", ())),
        tuple(each["spanId"] for each in span.get("links", ())),
    )


def _values(attributes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values()), None) for each in attributes}


@contextmanager
def collecting(folder: Path) -> Iterator[Collector]:
    """Run a collector until the end of the block."""
    (program,) = need("collector")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file, config, log = folder / "collected.jsonl", folder / "collector.yaml", folder / "collector.log"
    config.write_text(CONFIG.format(port=port, file=file))
    with (
        log.open("wb") as output,
        subprocess.Popen([program, "--config", f"file:{config}"], stdout=output, stderr=output) as process,
    ):
        try:
            _wait_for(port, process, log)
            yield Collector(f"http://127.0.0.1:{port}", file)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def build() -> int:
    """Build the collector from its Go modules, unless it is there; return the exit code."""
    newest = max(each.stat().st_mtime for each in SOURCE.iterdir())
    if PROGRAM.exists() and PROGRAM.stat().st_mtime >= newest:
        return 0
    go = shutil.which("go", path=str(Path(sys.executable).parent)) or shutil.which("go")
    if go is None:
        print("error: the collector is built from its Go modules: `make setup` installs Go", file=sys.stderr)
        return 1
    print("building the OpenTelemetry Collector for the tests; the first time takes a minute or two", flush=True)
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOTOOLCHAIN": "auto", "CGO_ENABLED": "0"}
    return subprocess.run([go, "build", "-o", str(PROGRAM), "."], cwd=SOURCE, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(build())
