"""What arrives from workers in other languages, measured: ``python -m tests.foreign.measured``.

Every value and every error goes through a real saga: its step calls the worker, and what the saga
then has is written down, in ``measured.json`` and in the tables of ``docs/other-languages.md``.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest

from sagadsl.temporal.read import runs
from tests.conftest import serving
from tests.foreign import page
from tests.foreign.programs import programs
from tests.patience import PATIENCE
from tests.temporal.play import Stage, stage

RESULTS = Path(__file__).with_name("measured.json")
LANGUAGES = ("python", "go", "node", "java")
SENT = {
    "1.0": 1.0,
    "-0.0": -0.0,
    "2^53 + 1": 2**53 + 1,
    "2^63": 2**63,
    "10^21": 10**21,
    "null": None,
}
"""What a definition sends, by its name on the page."""

TYPED = {"whole": None}
"""Sent to a typed object with ``whole``, ``text`` and ``pointer``: a null, and two keys that are left out."""

_TWICE = {"maximum_attempts": 2, "initial_interval": "10ms"}
_DOUBTS = 3


async def measure(address: str, language: str) -> dict[str, Any]:
    """Return what arrives from the worker of *language*, as JSON."""
    async with serving_worker(address, language) as (queue, version, process), stage(address) as made:
        echoed = await _outputs(made, queue, {"echo": SENT})
        found = {
            "sdk": version,
            "echo": dict(zip(SENT, _as_json_text(echoed["echo"], SENT), strict=True)),
            "values": await _outputs(made, queue, dict.fromkeys(page.VALUES[language])),
            "errors": await _errors(made, queue, page.ERRORS[language]),
            "heartbeat": await _heartbeat(made, queue),
        }
        if "echo_typed" in page.TYPED[language]:
            found["typed"] = (await _outputs(made, queue, {"echo_typed": TYPED}))["echo_typed"]
        if page.STOPS[language]:
            found["stops"] = await _stopped(made, queue, page.STOPS[language], process)
        return found


def _as_json_text(echoed: Any, sent: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what has come back of each value, as JSON text: ``1.0`` and ``1`` are two."""
    for name in sent:
        yield json.dumps(echoed[name])


@asynccontextmanager
async def serving_worker(address: str, language: str) -> AsyncIterator[tuple[str, str, asyncio.subprocess.Process]]:
    """Run the worker of *language* on a queue of its own; it says which version its SDK has."""
    python = (sys.executable, "-m", "tests.foreign.plain_python")
    command = python if language == "python" else programs(language).measured
    queue = f"measured-{uuid.uuid4()}"
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--address", address, "--task-queue", queue, stderr=asyncio.subprocess.PIPE, stdout=log
        )
        assert process.stderr is not None
        reading = None
        try:
            line = (await asyncio.wait_for(process.stderr.readline(), PATIENCE)).decode()
            assert line.startswith("serves with "), line + (await process.stderr.read()).decode()
            reading = asyncio.create_task(process.stderr.read())  # a full pipe would stop it
            yield queue, line.removeprefix("serves with ").strip(), process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            if reading is not None:
                await reading


async def _played(made: Stage, queue: str, sent: Mapping[str, Any], retry: Any = "none") -> dict[str, Any]:
    """Run a saga with a step for each activity; return it all, by step.

    One after the other, as what begins late leaves doubt; all at once where it is about further attempts.
    """
    steps = [
        {
            "id": name,
            "activity": f"measured.{name}",
            "input": f"{{{{ input.{name} }}}}",
            "task_queue": queue,
            "timeouts": {"start_to_close": "20s"},
            "retry": retry,
            "compensation": "none",
            "on_error": "continue",
        }
        for name in sent
    ]
    body = steps if retry == "none" else [{"id": "all", "parallel": steps}]
    output = {name: f"{{{{ steps.{name}.output }}}}" for name in sent} if retry == "none" else None
    definition = {"sagadsl": 1, "name": "measured", "version": "1", "steps": body, "output": output}
    started = await made.start(definition, sent)
    ended = await made.end(started)
    status = await made.until_status(started, lambda found: found["status"] == "completed")
    by_step = {step["step"]: step for step in status["steps"]}
    return {name: {**by_step[name], "output": (ended.output or {}).get(name)} for name in sent}


async def _outputs(made: Stage, queue: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the saga gets from each activity: the value, or the type of the error."""
    played = await _played(made, queue, sent)
    return {
        name: step["output"]
        if step["outcome"] == "succeeded"
        else {"error": step["error"]["type"], "outcome": step["outcome"]}
        for name, step in played.items()
    }


async def _errors(made: Stage, queue: str, names: Sequence[str]) -> dict[str, Any]:
    """Return type, causes and outcome of each error, and whether there was another attempt.

    A slow machine leaves doubt where there is none, and never the other way: what is unknown is asked for again.
    """
    sent, found = dict.fromkeys(names), {}
    for _ in range(_DOUBTS):
        for name, step in (await _played(made, queue, sent)).items():
            error = step["error"]
            causes = [cause["type"] for cause in error.get("causes", ())]
            found[name] = {"type": error["type"], "causes": causes, "outcome": step["outcome"]}
        sent = {name: None for name in sent if found[name]["outcome"] == "unknown"}
    for name, step in (await _played(made, queue, dict.fromkeys(names), _TWICE)).items():
        found[name]["retried"] = step["attempts"] == 2
    return found


async def _heartbeat(made: Stage, queue: str) -> Any:
    """Return the details of a heartbeat as Python reads them."""
    started = await _running(made, queue, "heartbeat")
    request = DescribeWorkflowExecutionRequest(namespace=made.client.namespace)
    request.execution.workflow_id = started
    async with asyncio.timeout(PATIENCE):
        while True:
            described = await made.client.workflow_service.describe_workflow_execution(request)
            for pending in described.pending_activities:
                if pending.HasField("heartbeat_details"):
                    details = await made.client.data_converter.decode(pending.heartbeat_details.payloads)
                    await made.client.get_workflow_handle(started).terminate()
                    return details
            await asyncio.sleep(0.05)


async def _stopped(
    made: Stage, queue: str, names: Sequence[str], process: asyncio.subprocess.Process
) -> dict[str, dict[str, Any]]:
    """Stop the worker while activities run; return type and outcome of each error."""
    begun = {name: await _running(made, queue, name) for name in names}
    process.send_signal(signal.SIGTERM)
    found = {}
    for name, id_ in begun.items():
        async with asyncio.timeout(PATIENCE):
            while (step := (await runs.status(made.client, id_))["steps"][0])["status"] != "failed":
                await asyncio.sleep(0.05)
        found[name] = {"type": step["error"]["type"], "outcome": step["outcome"]}
    return found


async def _running(made: Stage, queue: str, name: str) -> str:
    """Start a saga of one step, and return its id when the worker has taken the step's activity."""
    step = {"id": name, "activity": f"measured.{name}", "task_queue": queue, "compensation": "none", "retry": "none"}
    limits = {"start_to_close": "30s", "heartbeat": "20s"}
    started = await made.start({"sagadsl": 1, "name": "one", "version": "1", "steps": [{**step, "timeouts": limits}]})
    handle = made.client.get_workflow_handle(started.id)
    async with asyncio.timeout(PATIENCE):
        while not any(each.state == 2 for each in (await handle.describe()).raw_description.pending_activities):
            await asyncio.sleep(0.05)
    return started.id


def read() -> dict[str, Any]:
    """Return what was measured last, by language."""
    found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return found


def main() -> None:
    """Measure, and write the page's tables."""
    with serving(Path(tempfile.mkdtemp()) / "server.log") as address:
        found = {language: asyncio.run(measure(address, language)) for language in LANGUAGES}
    RESULTS.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    page.PAGE.write_text(page.with_tables(page.PAGE.read_text("utf-8"), found), "utf-8")


if __name__ == "__main__":
    main()
