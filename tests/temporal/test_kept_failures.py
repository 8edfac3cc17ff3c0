"""Of an error that is followed by another attempt the server keeps 4 kB, as the user's codec sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec
from temporalio.exceptions import ApplicationError

from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.wire.marker import outcome_of
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga
from tests.patience import PATIENCE
from tests.temporal.codecs import aes_codec, base64_codec, sealed, secretive, wrapped
from tests.temporal.play import SDK_RACE, Stage, converter, replay, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

Make = Callable[[], PayloadCodec | DataConverter | None]

SECRET = "iban-DE02"


def _encoding_errors(codec: PayloadCodec) -> DataConverter:
    """Return a converter that has errors' messages encoded, too."""
    return DataConverter(payload_codec=codec, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


CODECS = [
    pytest.param(lambda: None, id="none"),
    pytest.param(base64_codec, id="base64"),
    pytest.param(sealed, id="sealed"),
    pytest.param(aes_codec, id="aes"),
    pytest.param(wrapped, id="wrapped"),
    pytest.param(secretive, id="aes, errors too"),
    pytest.param(lambda: _encoding_errors(base64_codec()), id="base64, errors too"),
    pytest.param(lambda: _encoding_errors(wrapped()), id="wrapped, errors too"),
]
LENGTHS = pytest.mark.parametrize("length", [0, 400, 2_000, 20_000])


def declines(length: int) -> Callable[..., Any]:
    """Return an activity that says no, at such a length: message, details, two causes, and a deep stack."""

    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise KeyError(f"{SECRET} " + "k" * length)

    @activity.defn(name="do.b")
    async def decline(_: Any = None) -> None:
        try:
            try:
                deep(length // 100)
            except KeyError as error:
                raise ValueError(f"{SECRET} " + "v" * length) from error
        except ValueError as error:
            raise ApplicationError(f"{SECRET} " + "m" * length, "d" * length, type="Declined") from error

    return decline


def notes(name: str, log: list[str]) -> Callable[..., Any]:
    """Return an activity that writes down its name."""

    @activity.defn(name=name)
    async def note(_: Any = None) -> None:
        log.append(name)

    return note


async def _kept(made: Stage, started: Started) -> Failure:
    """Return what the server keeps of an attempt that another one follows."""
    async with asyncio.timeout(PATIENCE):
        while True:
            described = await made.client.get_workflow_handle(started.id).describe()
            for each in described.raw_description.pending_activities:
                if each.HasField("last_failure"):
                    return each.last_failure
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("codec", CODECS)
@LENGTHS
def test_an_attempt_that_said_no_is_known_as_that_when_no_worker_takes_the_next_one(
    server: Server, codec: Make, length: int
) -> None:
    """R3, R5: the server kept an error that says nothing, so that the step was undone."""
    log: list[str] = []
    step = act(
        "b",
        retry={"initial_interval": "300ms", "maximum_attempts": 3},
        timeouts={"schedule_to_close": "2s"},
        compensation={"activity": "undo.b"},
    )

    async def scenario() -> tuple[str, dict[str, Any]]:
        activities = [notes(name, log) for name in ("do.a", "undo.a", "undo.b")]
        async with stage(server.address, codec=codec(), activities=activities) as made:
            queue = f"{made.queue}-b"
            async with stage(server.address, codec=codec(), activities=[declines(length)], queue=queue):
                started = await made.start(saga(act("a"), {**step, "task_queue": queue}, name="kept"))
                await _kept(made, started)
            ended = await made.end(started)
            await replay(made.client, started.id)
            steps = (await runs.status(made.client, started.id))["steps"]
            return ended.status, {each["path"]: each["outcome"] for each in steps}

    status, outcomes = asyncio.run(scenario())
    assert outcomes == {"a": "succeeded", "b": "failed"}
    assert (status, log) == ("compensated", ["do.a", "undo.a"])


@pytest.mark.parametrize("codec", CODECS)
@LENGTHS
def test_what_is_kept_of_an_error_says_what_it_was(server: Server, codec: Make, length: int) -> None:
    """Its type, the beginning of its message, what is known of its attempts; and nothing in clear that shall not be."""
    definition = saga(plain("b", retry={"initial_interval": "1h", "maximum_attempts": 3}), name="kept")
    used = converter(codec())

    async def scenario() -> tuple[bytes, BaseException]:
        async with stage(server.address, codec=used, activities=[declines(length)]) as made:
            started = await made.start(definition)
            kept = await _kept(made, started)
            await sagas.terminate(made.client, started.id, "seen")
            return kept.SerializeToString(), await used.decode_failure(kept)

    raw, error = asyncio.run(scenario())
    assert isinstance(error, ApplicationError)
    assert (error.type, outcome_of(error.details)) == ("Declined", (1, True))
    assert error.message.startswith(f"{SECRET} " + "m" * min(length, 100))
    assert isinstance(codec(), DataConverter) is not (SECRET.encode() in raw)
