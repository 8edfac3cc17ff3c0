"""Scenes that every host has to play alike: virtual time, and a real server with real workers.

Pure data. They use only what a worker can do and a client can ask for: activities that return,
fail or take their time, signals, a cancel, an operator's updates. All happens within seconds.
Steps of ``act`` call the activity ``do.<id>`` and are undone by ``undo.<id>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sagadsl.engine.facts import Verb
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import Script, act, flaky, gives, no, plain, saga, slow

QUICK = {"maximum_attempts": 3, "initial_interval": "100ms"}
SHORT = {"start_to_close": "1s"}
LONG = {"start_to_close": "30s", "heartbeat": "2s"}
LATE = Attempt(takes=1.6)
"""Longer than ``SHORT``: it runs into its timeout, and nobody hears how it ended."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One saga, what its participants do, who interferes, and what has to come of it.

    Attributes:
        name: A sentence.
        rules: Rules and cases that it shows.
        script: What the attempts of a call do; see ``Script``. Everything else succeeds with null.
        sagas: Definitions of its child sagas.
        cancel_at: Seconds after the start.
        signals: When (seconds after the start), which, with what.
        operator: What an operator does, one after the other, each time the saga waits for one.
        calls: Ids of the calls in the order in which they began; those in a set began in any order.
        failure: Type and step of the failure.
        attempts: How often a call was attempted.
    """

    name: str
    rules: str
    definition: Mapping[str, Any]
    script: Script = field(default_factory=dict)
    input_: Any = None
    sagas: tuple[Mapping[str, Any], ...] = ()
    cancel_at: float | None = None
    signals: tuple[tuple[float, str, Any], ...] = ()
    operator: tuple[tuple[Verb, str], ...] = ()
    status: str = "completed"
    calls: tuple[str | frozenset[str], ...] = ()
    failure: tuple[str, str] | None = None
    output: Any = None
    undone: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    attempts: Mapping[str, int] = field(default_factory=dict)


def _together(*calls: str) -> frozenset[str]:
    return frozenset(calls)


FOUR = saga(act("a"), act("b"), act("c"), act("d"))
CHILD = saga(act("x"), act("y"), name="child", output="{{ steps.x.output }}")

CONFORMANCE: tuple[Scene, ...] = (
    Scene(
        "four steps succeed",
        "R1",
        FOUR,
        {"a": gives(1)},
        calls=("a", "b", "c", "d"),
        output={"a": 1, "b": None, "c": None, "d": None},
    ),
    Scene(
        "the fourth step fails and three are undone, newest first",
        "R1 R10",
        FOUR,
        {"d": no("Broke")},
        status="compensated",
        calls=("a", "b", "c", "d", "c.compensation", "b.compensation", "a.compensation"),
        failure=("Broke", "d"),
        undone=("c", "b", "a"),
    ),
    Scene(
        "the first step fails and nothing is undone",
        "R2 R3",
        FOUR,
        {"a": no("Broke")},
        status="compensated",
        calls=("a",),
        failure=("Broke", "a"),
    ),
    Scene(
        "a step that nobody heard of again is undone, with a null output",
        "R3 R5",
        saga(
            act("a"),
            act(
                "b",
                timeouts=SHORT,
                compensation={"activity": "undo.b", "input": "{{ [step.output, step.outcome] }}"},
            ),
        ),
        {"b": LATE},
        status="compensated",
        calls=("a", "b", "b.compensation", "a.compensation"),
        failure=("timeout", "b"),
        undone=("b", "a"),
    ),
    Scene(
        "a step that succeeds at its third attempt is one step",
        "R8",
        saga(act("a", retry=QUICK), act("b")),
        {"a": [flaky(), flaky(), gives("third")]},
        calls=("a", "b"),
        output={"a": "third", "b": None},
        attempts={"a": 3},
    ),
    Scene(
        "a compensation that needs a retry has its effect once",
        "R19",
        saga(act("a", compensation={"activity": "undo.a", "retry": QUICK}), act("b")),
        {"b": no("Broke"), "a.compensation": [flaky(), Attempt()]},
        status="compensated",
        calls=("a", "b", "a.compensation"),
        failure=("Broke", "b"),
        undone=("a",),
        attempts={"a.compensation": 2},
    ),
    Scene(
        "a compensation fails, and the others are still made",
        "R20 R21 R23",
        saga(act("a"), act("b"), act("c"), compensation={"on_failure": "continue"}),
        {"c": no("Broke"), "b.compensation": no("Down")},
        status="failed",
        calls=("a", "b", "c", "b.compensation", "a.compensation"),
        failure=("Broke", "c"),
        undone=("a",),
        not_undone=("b",),
    ),
    Scene(
        "a compensation fails, and the rest is left",
        "R20 R21",
        saga(act("a"), act("b"), act("c"), compensation={"on_failure": "stop"}),
        {"c": no("Broke"), "b.compensation": no("Down")},
        status="failed",
        calls=("a", "b", "c", "b.compensation"),
        failure=("Broke", "c"),
        not_undone=("b",),
        not_attempted=("a",),
    ),
    Scene(
        "an operator has a compensation repeated, and all is undone",
        "R22",
        saga(act("a"), act("b"), act("c")),
        {"c": no("Broke"), "b.compensation": no("Down"), "b.compensation#2": Attempt()},
        operator=((Verb.RETRY_STEP, "b.compensation"),),
        status="compensated",
        calls=("a", "b", "c", "b.compensation", "b.compensation#2", "a.compensation"),
        failure=("Broke", "c"),
        undone=("b", "a"),
    ),
    Scene(
        "an operator skips a compensation",
        "R22",
        saga(act("a"), act("b"), act("c")),
        {"c": no("Broke"), "b.compensation": no("Down")},
        operator=((Verb.SKIP_STEP, "b.compensation"),),
        status="failed",
        calls=("a", "b", "c", "b.compensation", "a.compensation"),
        failure=("Broke", "c"),
        undone=("a",),
        not_undone=("b",),
    ),
    Scene(
        "a compensation of several actions makes all of them in order",
        "R13",
        saga(act("a", compensation=[{"activity": "refund"}, {"activity": "notify"}]), act("b")),
        {"b": no("Broke"), "refund": slow(0.4)},
        status="compensated",
        calls=("a", "b", "a.compensation[0]", "a.compensation[1]"),
        failure=("Broke", "b"),
        undone=("a",),
    ),
    Scene(
        "what says that it is undone already counts as undone",
        "R24",
        saga(act("a", compensation={"activity": "undo.a", "already_undone": ["NotFound"], "retry": "none"}), act("b")),
        {"b": no("Broke"), "a.compensation": no("NotFound")},
        status="compensated",
        calls=("a", "b", "a.compensation"),
        failure=("Broke", "b"),
        undone=("a",),
    ),
    Scene(
        "a cancel stops the running step, which is undone since nobody knows",
        "R25 R37",
        saga(act("a"), act("b", timeouts=LONG), act("c")),
        {"b": slow(20)},
        cancel_at=1,
        status="cancelled",
        calls=("a", "b", "b.compensation", "a.compensation"),
        failure=("cancelled", ""),
        undone=("b", "a"),
    ),
    Scene(
        "a step that completes while the cancel is pending is undone with its output",
        "R29",
        saga(act("a", compensation={"activity": "undo.a", "input": "{{ step.output.ref }}"}), act("b")),
        {"a": gives({"ref": 7}, takes=2)},
        cancel_at=0.7,
        status="cancelled",
        calls=("a", "a.compensation"),
        failure=("cancelled", ""),
        undone=("a",),
    ),
    Scene(
        "a cancel during the compensations interrupts nothing",
        "R27 R28",
        saga(act("a"), act("b"), act("c")),
        {"c": no("Broke"), "b.compensation": slow(2)},
        cancel_at=1,
        status="compensated",
        calls=("a", "b", "c", "b.compensation", "a.compensation"),
        failure=("Broke", "c"),
        undone=("b", "a"),
    ),
    Scene(
        "a cancel in a timer undoes what was done before it",
        "R26",
        saga(act("a"), {"id": "nap", "sleep": "1h"}, act("b")),
        cancel_at=0.8,
        status="cancelled",
        calls=("a", "a.compensation"),
        failure=("cancelled", ""),
        undone=("a",),
    ),
    Scene(
        "the saga's timeout stops and undoes",
        "R32 R33",
        saga(act("a"), act("b", timeouts=LONG), timeout="1s"),
        {"b": slow(20), "a.compensation": slow(1.5)},
        status="compensated",
        calls=("a", "b", "b.compensation", "a.compensation"),
        failure=("SagaTimeout", ""),
        undone=("b", "a"),
    ),
    Scene(
        "one branch fails, the other hears it, and what is done is undone",
        "R12 R38",
        saga(act("a"), {"id": "both", "parallel": [act("bad"), act("long", timeouts=LONG)]}),
        {"bad": no("Broke", takes=0.5), "long": slow(20)},
        status="compensated",
        calls=("a", _together("both/bad", "both/long"), "both/long.compensation", "a.compensation"),
        failure=("Broke", "both/bad"),
        undone=("both/long", "a"),
    ),
    Scene(
        "one branch fails, and the other may finish first",
        "R38 R40",
        saga({"id": "both", "parallel": [act("bad"), act("good")], "on_branch_failure": "wait"}),
        {"bad": no("Broke"), "good": slow(1)},
        status="compensated",
        calls=(_together("both/bad", "both/good"), "both/good.compensation"),
        failure=("Broke", "both/bad"),
        undone=("both/good",),
    ),
    Scene(
        "the first of three offers is taken, and the others are undone before the saga goes on",
        "R40",
        saga(
            {
                "id": "offers",
                "parallel": [act("x", timeouts=LONG), act("y"), act("z", timeouts=LONG)],
                "complete_when": "completed >= 1",
            },
            plain("buy", input="{{ steps.offers.output.y }}"),
        ),
        {"x": slow(20), "y": gives(3, takes=0.5), "z": slow(20)},
        calls=(
            _together("offers/x", "offers/y", "offers/z"),
            _together("offers/x.compensation", "offers/z.compensation"),
            "buy",
        ),
        output={"offers": {"y": 3}, "buy": None},
        undone=("offers/z", "offers/x"),
    ),
    Scene(
        "every round of a loop is undone with its own data",
        "R7",
        saga({"id": "lines", "for_each": {"items": "input"}, "steps": [act("take", input="{{ item }}")]}, act("pay")),
        {"pay": no("Broke")},
        input_=["p", "q"],
        status="compensated",
        calls=("lines[0]/take", "lines[1]/take", "pay", "lines[1]/take.compensation", "lines[0]/take.compensation"),
        failure=("Broke", "pay"),
        undone=("lines[1]/take", "lines[0]/take"),
    ),
    Scene(
        "after the pivot a step is tried until it succeeds, and a cancel comes too late",
        "R30 R43 R44",
        saga(act("a"), plain("p", pivot=True), act("b", retry={"initial_interval": "100ms"})),
        {"b": [flaky(), flaky(), flaky(), Attempt()]},
        cancel_at=0.6,
        calls=("a", "p", "b"),
        output={"a": None, "p": None, "b": None},
        attempts={"b": 4},
    ),
    Scene(
        "an unknown pivot asks its probe, which says that it did not happen",
        "R43",
        saga(act("a"), plain("p", pivot=True, timeouts=SHORT, probe={"activity": "ask.p"}), act("b")),
        {"p": LATE, "p.probe": gives(False)},
        status="compensated",
        calls=("a", "p", "p.probe", "a.compensation"),
        failure=("timeout", "p"),
        undone=("a",),
    ),
    Scene(
        "an unknown pivot waits for an operator, who says that it happened",
        "R22 R43",
        saga(act("a"), plain("p", pivot=True, timeouts=SHORT), act("b")),
        {"p": LATE},
        operator=((Verb.SKIP_STEP, "p"),),
        calls=("a", "p", "b"),
        output={"a": None, "p": None, "b": None},
    ),
    Scene(
        "a completed child saga undoes itself at its place",
        "R46 R47",
        saga(act("a"), {"id": "trip", "saga": "child", "compensation": "auto"}, act("b"), act("c")),
        {"c": no("Broke")},
        sagas=(CHILD,),
        status="compensated",
        calls=("a", "trip", "b", "c", "b.compensation", "trip.compensation", "a.compensation"),
        failure=("Broke", "c"),
        undone=("b", "trip", "a"),
    ),
    Scene(
        "a cancel reaches a child saga, which undoes itself before its parent does",
        "R25",
        saga(act("a"), {"id": "trip", "saga": "child", "compensation": "auto"}),
        {"do.y": slow(2)},
        sagas=(CHILD,),
        cancel_at=1,
        status="cancelled",
        calls=("a", "trip", "a.compensation"),
        failure=("cancelled", ""),
        undone=("a",),
    ),
    Scene(
        "a signal that comes before its wait is kept",
        "R59",
        saga(act("a"), {"id": "ask", "wait_for": {"signal": "approve", "timeout": "20s"}}),
        {"a": slow(1)},
        signals=((0.3, "approve", {"by": "ann"}),),
        calls=("a",),
        output={"a": None, "ask": {"by": "ann"}},
    ),
    Scene(
        "a signal that never comes undoes",
        "R1 R41",
        saga(act("a"), {"id": "ask", "wait_for": {"signal": "approve", "timeout": "1s"}}),
        status="compensated",
        calls=("a", "a.compensation"),
        failure=("SignalTimeout", "ask"),
        undone=("a",),
    ),
    Scene(
        "an error handler goes on with an output of its own",
        "R14",
        saga(
            act("a"),
            plain("b", retry=QUICK, on_error=[{"types": ["Busy"], "steps": [plain("other")], "output": "other"}]),
            plain("c", input="{{ steps.b.output }}"),
        ),
        {"b": flaky("Busy")},
        calls=("a", "b", "b.on_error/other", "c"),
        output={"a": None, "b": "other", "c": None},
        attempts={"b": 3},
    ),
    Scene(
        "a mistake in an expression undoes and ends",
        "R56",
        saga(act("a"), plain("b", input="{{ input.nowhere }}")),
        input_={},
        status="compensated",
        calls=("a", "a.compensation"),
        failure=("ExpressionError", "b"),
        undone=("a",),
    ),
    Scene(
        "a result that means no undoes what was done before",
        "R1 R3",
        saga(act("a"), act("pay", failed_if={"if": "output.status == 'DECLINED'", "type": "Declined"})),
        {"pay": gives({"status": "DECLINED"})},
        status="compensated",
        calls=("a", "pay", "a.compensation"),
        failure=("Declined", "pay"),
        undone=("a",),
    ),
    Scene(
        "the alarm comes after the compensations",
        "R23",
        saga(act("a"), act("b"), on_failure=[plain("alarm", input="{{ failure.type }}")]),
        {"b": no("Broke")},
        status="compensated",
        calls=("a", "b", "a.compensation", "on_failure/alarm"),
        failure=("Broke", "b"),
        undone=("a",),
    ),
)
