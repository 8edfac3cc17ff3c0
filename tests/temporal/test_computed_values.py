"""What expressions compute is the same on a server as in virtual time, and again at every replay. R56."""

from __future__ import annotations

import pytest

from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, flaky, gives, no, plain, saga
from tests.engine.scenes import play as play_virtually
from tests.temporal.play import Stage, play

pytestmark = pytest.mark.temporal

INPUT = {"tries": 2, "ref": "INV-0042", "lines": [{"sku": "b", "price": "0.10"}, {"sku": "a", "price": "0.20"}]}
VALUES = {
    "total": "{{ input.lines | map(attribute='price') | map('decimal') | sum }}",
    "share": "{{ ('100' | decimal / 3) | round(2, 'half_even') }}",
    "groups": "{{ input.lines | group_by('sku') }}",
    "rows": "{{ 2 | range | zip(input.lines | map(attribute='sku')) }}",
    "number": "{{ (input.ref | capture('^([A-Z]+)-([0-9]+)$'))[1] }}",
    "is_invoice": "{{ input.ref is matches('^INV-') }}",
    "key": "{{ input.ref | sha256 | base64 | base64_decode | upper }}",
    "due": "{{ '2026-03-27T09:00:00Z' | plus('3d') | in_zone('Europe/Berlin') | format_time('%A %H:%M %z') }}",
}


def test_values_are_the_same_on_a_server(server: Server) -> None:
    """Also with the worker's cache switched off, and in a run that asks once more than it may."""
    count = {"value": "input.tries", "at_most": 3}
    loop = {"id": "all", "for_each": {"items": "input.lines", "max_concurrency": count}, "steps": [plain("each")]}
    definition = saga(
        plain("sent", input=VALUES), loop, plain("a", retry={"maximum_attempts": count, "initial_interval": "10ms"})
    )

    played = play(server.address, definition, {"do.a": [flaky()] * 9}, input_=INPUT, max_cached_workflows=0)
    foreseen = play_virtually(definition, {"a": [flaky()] * 9}, input_=INPUT)

    assert played.stage.sent["sent"] == foreseen.sent("sent")
    assert played.stage.sent["sent"]["total"] == "0.30"
    assert played.stage.sent["sent"]["due"] == "Monday 11:00 +0200"
    assert [each for each in played.begun if each.startswith("a")][-2:] == ["a", "a@2"]
    assert played.ended.status == foreseen.status == "compensated"


def test_a_chosen_activity_is_called_and_undone_on_a_server(server: Server) -> None:
    """R15, R22: with the worker's cache switched off, and again when an operator has it repeated."""
    pay = {"name": "{{ input.bank }}.pay", "one_of": ["north.pay", "south.pay"]}
    undo = {
        "activity": {"name": "{{ input.bank }}.refund", "one_of": ["north.refund", "south.refund"]},
        "input": "{{ step.activity }}",
    }
    definition = saga(act("pay", activity=pay, compensation=undo, on_error="pause"), plain("b"), name="chosen")

    async def repeat(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: found["status"] == "paused")
        await sagas.operate(made.client, started.id, Verb.RETRY_STEP, Asked("pay"))

    script = {"south.pay": no(), "pay#2": gives(1), "do.b": no()}
    played = play(server.address, definition, script, input_={"bank": "south"}, act=repeat, max_cached_workflows=0)

    assert played.calls == ["pay", "pay#2", "b", "pay.compensation"]
    assert played.stage.sent["pay.compensation"] == "south.pay"
    assert [each.get("activity") for each in played.status["steps"]] == ["south.pay", "do.b"]
