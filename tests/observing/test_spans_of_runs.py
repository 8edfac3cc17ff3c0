"""The spans of sagas, as the workers that host them tell them: one tree, each span once, whoever replays."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.link.tracing import Tracing
from sagadsl.temporal.wire.requests import Asked
from sagadsl.temporal.worker import SagaPlugin
from sagadsl.virtual.calls import Attempt
from tests.conftest import Server
from tests.engine.scenes import act, flaky, gives, no, saga
from tests.observing.collecting import Seen, drawn
from tests.temporal.nexus_handler import Desk, create_endpoint, serving
from tests.temporal.play import SDK_RACE, Stage, play, playing, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

SECRET = "4111-1111"
TWICE = {"maximum_attempts": 2, "initial_interval": "10ms"}
TRIP = saga(act("hotel"), act("flight", retry=TWICE), act("car"), name="trip")


class Told:
    """What one worker has told."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(None, SimpleSpanProcessor(self._exporter))

    def spans(self) -> list[Seen]:
        return [_seen(each) for each in self._exporter.get_finished_spans()]


def _seen(span: ReadableSpan) -> Seen:
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    assert span.start_time is not None
    assert span.end_time is not None
    return Seen(
        span.name,
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        "" if parent is None else f"{parent.span_id:016x}",
        "",
        span.start_time,
        span.end_time,
        not span.status.is_ok and span.status.status_code.name == "ERROR",
        dict(span.attributes or {}),
        tuple(f"{each.context.span_id:016x}" for each in span.links),
    )


@pytest.fixture
def told() -> Iterator[Told]:
    found = Told()
    yield found
    found.tracing.provider.shutdown()


@pytest.fixture(params=[1000, 0], ids=["cached", "replayed"])
def where(request: pytest.FixtureRequest, server: Server, told: Told) -> dict[str, Any]:
    """A worker that keeps its runs in memory, and one that replays them at every workflow task."""
    return {"address": server.address, "max_cached_workflows": request.param, "tracing": told.tracing}


def test_a_saga_is_one_tree_of_spans_and_each_is_told_once(where: dict[str, Any], told: Told) -> None:
    played = play(definition=TRIP, script={"do.flight": (flaky("Busy"), gives("x")), "do.car": no("NoCars")}, **where)

    assert played.ended.status == "compensated"
    spans = told.spans()
    assert drawn(spans) == [
        "saga trip",
        "  step hotel",
        "    attempt do.hotel",
        "  step flight",
        "    attempt do.flight",
        "    attempt do.flight",
        "  step car",
        "    attempt do.car",
        "  undo flight",
        "    attempt undo.flight",
        "  undo hotel",
        "    attempt undo.hotel",
    ]
    assert len({each.trace for each in spans}) == 1
    assert [each.name for each in spans if each.failed] == [
        "attempt do.flight",
        "attempt do.car",
        "step car",
        "saga trip",
    ]
    undo, step = (_named(spans, name) for name in ("undo hotel", "step hotel"))
    assert undo.links == (step.id,)
    assert _named(spans, "saga trip").attributes["sagadsl.saga.status"] == "compensated"


def _named(spans: Sequence[Seen], name: str) -> Seen:
    (found,) = (each for each in spans if each.name == name)
    return found


BLOCKS = """
sagadsl: 1
name: blocks
version: "1"
steps:
  - id: both
    parallel:
      - {id: left, activity: do.left, compensation: none}
      - id: right
        steps:
          - {id: inner, activity: do.inner, compensation: none}
  - id: each
    for_each: {items: "{{ [1, 2] }}"}
    steps:
      - {id: one, activity: do.one, compensation: none}
  - {id: nothing, set: {a: 1}}
  - {id: left_out, if: "{{ false }}", activity: do.never, compensation: none}
"""


def test_blocks_are_around_their_steps_and_what_takes_no_time_has_no_span(server: Server, told: Told) -> None:
    play(server.address, BLOCKS, tracing=told.tracing)

    tree = [line for line in drawn(told.spans()) if "attempt" not in line]
    assert sorted(tree[1:4] + tree[4:5]) == sorted(
        ["  step both", "    step left", "    step right", "      step inner"]
    )
    assert tree[0] == "saga blocks"
    assert tree[5:] == ["  step each", "    step one", "    step one"]


CHILD = saga(act("pack"), name="packing")
PARENT = """
sagadsl: 1
name: ordering
version: "1"
steps:
  - {id: packing, saga: packing, compensation: auto}
  - {id: ship, activity: do.ship, compensation: none}
"""


def test_a_child_saga_and_its_undoing_are_in_the_trace_of_their_parent(server: Server, told: Told) -> None:
    play(server.address, PARENT, {"do.ship": no("NoShips")}, children=[CHILD], tracing=told.tracing)

    assert drawn(told.spans()) == [
        "saga ordering",
        "  step packing",
        "    saga packing",
        "      step pack",
        "        attempt do.pack",
        "  step ship",
        "    attempt do.ship",
        "  undo packing",
        "    undo saga packing",
        "      undo pack",
        "        attempt undo.pack",
    ]


LONG = """
sagadsl: 1
name: long
version: "1"
steps:
  - id: each
    for_each: {items: "{{ [1, 2, 3, 4, 5, 6, 7, 8] }}"}
    steps:
      - {id: one, activity: do.one, compensation: none}
"""


def test_a_saga_that_goes_over_to_new_runs_has_one_span(server: Server, told: Told) -> None:
    play(server.address, LONG, options={"continue_after_events": 20}, tracing=told.tracing)

    spans = told.spans()
    assert drawn(spans) == ["saga long", "  step each", *["    step one", "      attempt do.one"] * 8]
    runs = {each.attributes.get("sagadsl.saga.run_id") for each in spans if each.name.startswith("attempt")}
    assert len(runs) > 1


WAITS = """
sagadsl: 1
name: waits
version: "1"
steps:
  - {id: before, activity: do.before, compensation: none}
  - {id: go, wait_for: {signal: go, timeout: 1h}}
  - {id: after, activity: do.after, compensation: none}
"""


def test_a_saga_that_changes_its_worker_is_one_tree(server: Server) -> None:
    """The second worker ends spans that the first has begun, and tells nothing that the first has told."""
    first, second = Told(), Told()
    queue = f"q-{uuid.uuid4().hex[:12]}"

    async def scene() -> None:
        async with stage(server.address, queue=queue, tracing=first.tracing) as made:
            started = await made.start(WAITS)
            await made.until_status(started, _waits)
        async with stage(server.address, queue=queue, tracing=second.tracing) as made:
            await sagas.signal(made.client, started.id, "go")
            await made.end(started)

    asyncio.run(scene())
    assert [each.name for each in first.spans()] == ["attempt do.before", "step before"]
    assert drawn([*first.spans(), *second.spans()]) == [
        "saga waits",
        "  step before",
        "    attempt do.before",
        "  step go",
        "  step after",
        "    attempt do.after",
    ]


def _waits(found: Any) -> bool:
    return any(each["step"] == "go" and each["status"] == "running" for each in found["steps"])


def test_what_an_operator_has_repeated_is_the_same_step_with_another_attempt(server: Server, told: Told) -> None:
    patient = saga(act("a", on_error=[{"then": "pause"}]), name="patient")

    async def retries(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: found["status"] == "paused")
        made.script = {}
        await sagas.operate(made.client, started.id, Verb.RETRY_STEP, Asked(path="a"))

    play(server.address, patient, {"do.a": no("Down")}, act=retries, tracing=told.tracing)

    assert drawn(told.spans()) == ["saga patient", "  step a", "    attempt do.a", "    attempt do.a"]


def test_an_operation_of_nexus_is_told_in_which_trace_it_is(server: Server, told: Told) -> None:
    desk, name = Desk(), f"e-{uuid.uuid4().hex[:12]}"
    call = {"nexus": {"endpoint": name, "service": "Payments", "operation": "charge"}}

    async def scene() -> None:
        client = await Client.connect(server.address)
        await create_endpoint(client, name, f"q-{name}")
        async with serving(client, desk, f"q-{name}"):
            pays = saga({"id": "pay", "input": {"amount": 1}, "compensation": "none", **call}, name="pays")
            await playing(server.address, pays, tracing=told.tracing)

    asyncio.run(scene())
    step = _named(told.spans(), "step pay")
    assert desk.seen[0].headers["traceparent"] == f"00-{step.trace}-{step.id}-01"


def test_a_worker_of_ones_own_tells_its_sagas_by_the_plugin(server: Server, told: Told) -> None:
    queue = f"q-{uuid.uuid4().hex[:12]}"

    @activity.defn(name="do.a")
    async def do_a(_: Any = None) -> None: ...

    async def scene() -> None:
        client = await Client.connect(server.address)
        async with Worker(client, task_queue=queue, activities=[do_a], plugins=[SagaPlugin(tracing=told.tracing)]):
            step = {"id": "a", "activity": "do.a", "compensation": "none"}
            started = await sagas.start(client, saga(step, name="own"), None, task_queue=queue)
            await client.get_workflow_handle(started.id).result()

    asyncio.run(scene())
    assert drawn(told.spans()) == ["saga own", "  step a", "    attempt do.a"]


def test_a_saga_goes_on_although_telemetry_fails(server: Server, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no telemetry today")

    monkeypatch.setattr(told.tracing, "tell", fails)
    played = play(server.address, TRIP, {"do.flight": gives("x")}, tracing=told.tracing)

    assert played.ended.status == "completed"


def test_spans_have_no_input_no_output_and_no_message_of_an_error(server: Server, told: Told) -> None:
    declined = Attempt(error="Declined", message=f"card {SECRET}", retryable=False)
    card = saga(act("pay", input={"card": "{{ input.card }}"}), name="card")

    play(server.address, card, {"do.pay": declined}, input_={"card": SECRET}, tracing=told.tracing)

    assert told.spans()
    assert SECRET not in str(told.spans())
    assert _named(told.spans(), "step pay").attributes["error.type"] == "Declined"
