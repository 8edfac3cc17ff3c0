"""The shapes and the shipped definitions do what their comments say: run in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sagadsl.engine.facts import SignalReceived, StartActivity, Status
from sagadsl.language.build import build
from sagadsl.language.load import beside, load_many
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World

ROOT = Path(__file__).parents[1]
FILES = {
    path.name.removesuffix(".saga.yaml"): path
    for folder in (ROOT / "tests" / "shapes", ROOT / "definitions")
    for path in sorted(folder.glob("*.saga.yaml"))
}


def _child(name: str) -> dict[str, Any]:
    """A child saga for the shapes that name one: one step that can be undone."""
    step = {"id": "part", "activity": f"child.{name}", "compensation": {"activity": f"child.undo_{name}"}}
    return {"sagadsl": 1, "name": name, "version": "1", "steps": [step]}


CHILD_DATA = {name: _child(name) for name in ("pay-in-parts", "ship-one")}
CHILDREN = {name: build(data) for name, data in CHILD_DATA.items()}


@dataclass(frozen=True, slots=True)
class Story:
    """How a saga is used.

    Attributes:
        answers: What activities return, by name; null otherwise.
        fails: Activities that say no for good, with the type of their error.
        signals: What arrives, by name, and after how many seconds.
        does: Activities that are called, in order; undoing ones included.
    """

    name: str
    status: Status
    does: str
    input: Any = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    fails: Mapping[str, str] = field(default_factory=dict)
    signals: Mapping[str, tuple[float, Any]] = field(default_factory=dict)
    output: Any = ...
    failure: str = ""


def tell(story: Story) -> tuple[VirtualRun, list[str]]:
    path = FILES[story.name]
    (loaded,) = load_many([path])
    assert loaded.saga is not None
    calls: list[str] = []

    def participant(_saga_id: str, command: StartActivity, attempt: int) -> Attempt:
        if attempt == 1:
            calls.append(command.activity)
        if command.activity in story.fails:
            return Attempt(error=story.fails[command.activity], retryable=False)
        return Attempt(output=story.answers.get(command.activity))

    sagas = {**CHILDREN, **beside(path, path.read_bytes()).sagas}
    world = World(participant, sagas=sagas, replay=True)
    run = world.start(loaded.saga, story.input)
    for name, (seconds, payload) in story.signals.items():
        world.at(seconds, lambda at, name=name, payload=payload: SignalReceived(at, name, payload))  # type: ignore[misc]
    world.run()
    return run, calls


TRAVEL = "travel.validate travel.check_visa travel.cost travel.flight travel.hotel"
STORIES = {
    "W1 pays by the first arm": Story(
        "W01_choice_with_nested_saga",
        Status.COMPLETED,
        "stock.reduce bank.pay",
        {"way": "balance"},
        {"stock.reduce": {"ticket": 7}},
    ),
    "W1 undoes with the first task's output": Story(
        "W01_choice_with_nested_saga",
        Status.COMPENSATED,
        "stock.reduce stock.restore",
        {"way": "?"},
        {"stock.reduce": {"ticket": 7}},
        failure="NoSuchWay",
    ),
    "W1 takes null for a failure, and undoes nothing of it": Story(
        "W01_choice_with_nested_saga", Status.COMPENSATED, "stock.reduce", {"way": "sub"}, failure="NothingReduced"
    ),
    "W1 runs the nested saga": Story(
        "W01_choice_with_nested_saga",
        Status.COMPLETED,
        "stock.reduce child.pay-in-parts",
        {"way": "sub"},
        {"stock.reduce": {"ticket": 7}},
    ),
    "W2 undoes two of four": Story(
        "W02_bounded_parallel_then_choice",
        Status.COMPENSATED,
        "work.one work.two work.three work.four work.undo work.undo",
        failure="NotGood",
    ),
    "W3 leaves the second loop at two of five": Story(
        "W03_loops_and_quorum",
        Status.COMPLETED,
        "stock.reserve stock.reserve stock.reserve stock.reserve stock.reserve"
        " stock.ask stock.ask stock.ask stock.ask stock.ask"
        " stock.withdraw_question stock.withdraw_question stock.withdraw_question",
        {"items": [{"name": name} for name in "abcde"]},
    ),
    "W3 loops over a nested saga": Story(
        "W03_loops_and_quorum",
        Status.COMPLETED,
        "stock.reserve stock.reserve child.ship-one child.ship-one",
        {"items": [{"name": "a"}, {"name": "b"}], "nested": True},
    ),
    "W4 judges by value": Story(
        "W04_results_as_outcomes",
        Status.COMPENSATED,
        "work.first work.undo_first",
        answers={"work.first": {"code": 500}},
        failure="Refused",
    ),
    "W4 goes on with the second way": Story(
        "W04_results_as_outcomes", Status.COMPENSATED, "work.first work.undo_first", failure="NotDone"
    ),
    "W5 includes the undo of the step that failed": Story(
        "W05_travel_chain",
        Status.COMPENSATED,
        "trip.reserve_flight trip.reserve_car bank.pay bank.refund trip.cancel_car trip.cancel_flight mail.send",
        fails={"bank.pay": "CardDeclined"},
        failure="CardDeclined",
    ),
    "W6 ends well though the payment is refused": Story(
        "W06_callbacks",
        Status.COMPLETED,
        "orders.write payments.ask orders.write events.publish",
        {"order": "o-1"},
        signals={"payment": (60, {"paid": False})},
    ),
    "W6 waits twice": Story(
        "W06_callbacks",
        Status.COMPLETED,
        "orders.write payments.ask shipping.ask orders.write events.publish",
        {"order": "o-1"},
        signals={"payment": (60, {"paid": True}), "shipment": (120, {"sent": True})},
    ),
    "W7 leaves at the quorum": Story(
        "W07_quorum_of_pollers",
        Status.COMPLETED,
        "site.ask site.ask site.ask",
        answers={"site.ask": {"ready": True}},
        output={"in_time": True},
    ),
    "W8 acts after the undo": Story(
        "W08_action_after_undo",
        Status.COMPENSATED,
        "stock.reserve payments.process shipping.schedule payments.cancel stock.cancel orders.fail",
        {"order": "o-1"},
        fails={"shipping.schedule": "NoTruck"},
        failure="NoTruck",
    ),
    "W9 leaves out what nobody wanted": Story(
        "W09_travel_graph",
        Status.COMPLETED,
        f"{TRAVEL} travel.tour bank.pay",
        {"destination": "Lisbon"},
        {"travel.cost": {"base": 100}},
    ),
    "W9 adds the options": Story(
        "W09_travel_graph",
        Status.COMPLETED,
        f"{TRAVEL} travel.car travel.tour travel.insure travel.apply_visa bank.pay",
        {"destination": "Lisbon", "car": True, "insurance": True, "visa": True},
        {"travel.cost": {"base": 100}, "travel.car": {"price": 20}, "travel.insure": {"price": 5}},
        {"travel.apply_visa": "NoVisa"},
    ),
    "W10 asks the user only when it must": Story(
        "W10_payment_flow",
        Status.COMPENSATED,
        "payments.check payments.authorise payments.capture ledger.post payments.refund payments.void mail.send",
        answers={"payments.check": {"amount": 500, "risky": True}},
        fails={"ledger.post": "Closed"},
        signals={"challenge_passed": (5, None)},
        failure="Closed",
    ),
    "W11 reserves the rest elsewhere": Story(
        "W11_inventory",
        Status.COMPLETED,
        "stock.reserve stock.reserve stock.lock stock.confirm stock.unlock stock.count stock.forecast events.publish",
        {"quantity": 5},
        {"stock.reserve": {"reserved": 3, "id": "r"}},
        {"stock.forecast": "Rain"},
    ),
    "W12 has a bug on request": Story(
        "W12_money_transfer_variants",
        Status.COMPENSATED,
        "bank.validate bank.withdraw bank.undo_withdraw",
        {"variant": "buggy", "amount": 5},
        failure="SimulatedBug",
    ),
    "W12 waits for an approval in vain": Story(
        "W12_money_transfer_variants",
        Status.COMPENSATED,
        "bank.validate",
        {"variant": "approved", "amount": 5},
        failure="SignalTimeout",
    ),
    "W13 notes who approved": Story(
        "W13_approval_timeout",
        Status.COMPLETED,
        "",
        signals={"approve": (10, {"by": "ada"})},
        output={"approved_by": "ada"},
    ),
    "W13 fails without an approval": Story("W13_approval_timeout", Status.COMPENSATED, "", failure="SignalTimeout"),
    "W14 falls back": Story(
        "W14_error_fallback",
        Status.COMPLETED,
        "quotes.primary quotes.secondary",
        answers={"quotes.secondary": {"price": 3}},
        fails={"quotes.primary": "Down"},
        output={"price": 3},
    ),
    "W15 sums over all branches": Story(
        "W15_fan_out_fan_in",
        Status.COMPLETED,
        "parts.count parts.count parts.count",
        answers={"parts.count": {"count": 2}},
        output={"total": 6, "parts": {"one": {"count": 2}, "two": {"count": 2}, "three": {"count": 2}}},
    ),
    "W16 runs six, each once": Story(
        "W16_sequences_in_parallel",
        Status.COMPLETED,
        "dsl.one dsl.two dsl.four dsl.three dsl.five dsl.six",
        answers={"dsl.six": "end"},
        output="end",
    ),
    "W17 undoes only what was done": Story(
        "W17_undo_of_what_was_done",
        Status.COMPENSATED,
        "stock.reserve payments.charge shipping.create payments.refund stock.release",
        fails={"shipping.create": "AddressInvalid"},
        failure="AddressInvalid",
    ),
    "transfer_money": Story(
        "transfer_money",
        Status.COMPENSATED,
        "bank.withdraw bank.deposit bank.step_with_error bank.undo_deposit bank.undo_withdraw",
        {"from_account": "alice", "to_account": "bob", "amount": 5, "fail": True},
        fails={"bank.step_with_error": "StepWithError"},
        failure="StepWithError",
    ),
    "three_steps": Story(
        "three_steps",
        Status.COMPLETED,
        "hello.compose hello.state hello.say",
        {"name": "ada"},
        {
            "hello.compose": {"text": "hello ada"},
            "hello.state": {"message": "m", "number": 4},
            "hello.say": {"text": "x"},
        },
        output={"greeting": "hello ada!", "printed": "x"},
    ),
    "book_trip": Story(
        "book_trip",
        Status.COMPENSATED,
        "trip.book_flight trip.book_hotel trip.book_car trip.cancel_hotel trip.cancel_flight",
        {"traveller": "ada", "destination": "Lisbon", "fail_at": "car"},
        fails={"trip.book_car": "NoCars"},
        failure="NoCars",
    ),
    "fulfil_order to its end": Story(
        "fulfil_order",
        Status.COMPLETED,
        "shop.reserve_stock shop.reserve_stock bank.withdraw bank.deposit"
        " shop.pack shop.print_label shop.hand_over shop.send_invoice shop.notify",
        {
            "order": "o-1",
            "account": "alice",
            "shop_account": "shop",
            "email": "a@b.c",
            "approval_above": 5,
            "lines": [{"sku": "a", "quantity": 1, "price": 4}, {"sku": "b", "quantity": 2, "price": 6}],
        },
        {"shop.print_label": {"tracking": "t"}, "shop.pack": {"parcel": "p"}},
        {"shop.notify": "MailboxFull"},
        {"approval": (60, {"approved": True, "by": "eve"})},
        output={"tracking": "t", "amount": 10},
    ),
    "fulfil_order whose child fails": Story(
        "fulfil_order",
        Status.COMPENSATED,
        "shop.reserve_stock bank.withdraw bank.deposit shop.pack shop.print_label shop.unpack"
        " bank.undo_deposit bank.undo_withdraw shop.release_stock shop.alarm",
        {
            "order": "o-1",
            "account": "alice",
            "shop_account": "shop",
            "lines": [{"sku": "a", "quantity": 1, "price": 4}],
        },
        {"shop.pack": {"parcel": "p"}},
        {"shop.print_label": "NoCarrier"},
        failure="NoCarrier",
    ),
    "fulfil_order whose pivot says no": Story(
        "fulfil_order",
        Status.COMPENSATED,
        "shop.reserve_stock bank.withdraw bank.deposit shop.pack shop.print_label shop.hand_over"
        " shop.void_label shop.unpack bank.undo_deposit bank.undo_withdraw shop.release_stock shop.alarm",
        {
            "order": "o-1",
            "account": "alice",
            "shop_account": "shop",
            "lines": [{"sku": "a", "quantity": 1, "price": 4}],
        },
        {"shop.print_label": {"tracking": "t"}, "shop.pack": {"parcel": "p"}},
        {"shop.hand_over": "CarrierRefused"},
        failure="CarrierRefused",
    ),
    "fulfil_order that is refused": Story(
        "fulfil_order",
        Status.COMPENSATED,
        "shop.reserve_stock shop.release_stock shop.alarm",
        {
            "order": "o-1",
            "account": "alice",
            "shop_account": "shop",
            "approval_above": 0,
            "lines": [{"sku": "a", "quantity": 1, "price": 4}],
        },
        signals={"approval": (60, {"approved": False, "by": "eve"})},
        failure="OrderRefused",
    ),
    "poll_until_ready gives up": Story(
        "poll_until_ready",
        Status.COMPENSATED,
        "shop.order_report " + "shop.report_status " * 60 + "shop.cancel_report",
        {"subject": "sales", "every": "5s"},
        {"shop.order_report": {"ticket": "t"}, "shop.report_status": {"ready": False, "asked": 1}},
        failure="RepeatExhausted",
    ),
    "call_http undoes what it created": Story(
        "call_http",
        Status.COMPENSATED,
        "http.request http.request http.request",
        {"base_url": "http://x", "item": 1},
        {"http.request": {"status": 200, "json": {"id": 4, "status": "refused"}}},
        failure="NotConfirmed",
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_definition_does_what_it_says(story: Story) -> None:
    """W1 to W17, and the shipped ones."""
    run, calls = tell(story)

    assert run.close is not None
    failure = "" if run.close.failure is None else run.close.failure.type
    assert (run.close.status, failure) == (story.status, story.failure)
    assert calls == story.does.split()
    if story.output is not ...:
        assert run.close.output == story.output


def test_every_shape_and_every_shipped_definition_is_run() -> None:
    """`prepare_parcel` runs as the child of `fulfil_order`."""
    assert {story.name for story in STORIES.values()} | {"prepare_parcel"} == set(FILES)
