"""What people and programs see of a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagadsl.engine.facts import Verb
from sagadsl.engine.journal import State
from sagadsl.engine.projection import markdown, report, status, summary
from sagadsl.language import kinds
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, beats, built, flaky, lost, no, operator, plain, play, saga, signal, slow
from tests.language.test_kinds import EXAMPLES

CHILD = saga(act("cx"), name="child")


def _lines(ran: Any) -> dict[str, str]:
    return {line["path"]: line["status"] for line in ran.now["steps"]}


def test_a_skipped_group_shows_its_steps_as_skipped() -> None:
    """At every depth; none of them ran, none is undone."""
    inner = {"id": "inner", "steps": [act("x")]}
    block = {"id": "block", "if": "false", "parallel": [inner, act("y")]}
    group = {"id": "group", "if": "false", "steps": [act("z"), {"id": "how", "switch": [{"else": [act("w")]}]}]}

    ran = play(saga(block, group, act("end")), {"end": no()})

    assert _lines(ran) == {
        "block": "skipped",
        "block/inner": "skipped",
        "block/inner/x": "skipped",
        "block/y": "skipped",
        "group": "skipped",
        "group/z": "skipped",
        "group/how": "skipped",
        "group/how/w": "skipped",
        "end": "failed",
    }
    assert ran.calls == ["end"]


def test_what_has_not_begun_is_pending_while_the_saga_may_reach_it_and_not_started_after() -> None:
    """R60."""
    definition = saga(act("a"), {"id": "g", "steps": [act("b"), act("c")]}, act("d"))

    assert _lines(play(definition, {"b": slow(9)}, until=1)) == {
        "a": "completed", "g": "running", "g/b": "running", "g/c": "pending", "d": "pending"
    }  # fmt: skip
    assert _lines(play(definition, {"b": no()})) == {
        "a": "completed", "g": "failed", "g/b": "failed", "g/c": "not_started", "d": "not_started"
    }  # fmt: skip


def test_the_way_that_was_not_taken_is_shown_as_skipped() -> None:
    switch = {"id": "how", "switch": [{"if": "false", "steps": [act("x")]}, {"else": [act("y")]}]}

    assert _lines(play(saga(switch))) == {"how": "completed", "how/x": "skipped", "how/y": "completed"}


def test_rounds_and_handlers_are_shown_when_they_ran() -> None:
    """R60: and failure handlers after the end."""
    loop = {"id": "l", "for_each": {"items": "[1, 2]"}, "steps": [act("x")]}
    step = act(
        "b", on_error=[{"types": ["Other"], "steps": [act("never")]}, {"steps": [act("fix")], "then": "compensate"}]
    )

    ran = play(saga(loop, step, on_failure=[act("alarm"), act("skip", **{"if": "false"})]), {"b": no()})

    assert list(_lines(ran)) == ["l", "l[0]/x", "l[1]/x", "b", "b.on_error/fix", "on_failure/alarm", "on_failure/skip"]
    assert [line["depth"] for line in ran.now["steps"]] == [0, 1, 1, 0, 1, 0, 0]


def test_what_has_not_begun_inside_a_handler_or_a_round_is_shown_too() -> None:
    """R60."""
    group = {"id": "g", "steps": [act("x"), act("y")]}
    loop = {"id": "l", "for_each": {"items": "[1]"}, "steps": [act("x"), act("y")]}
    handled = act("b", on_error=[{"steps": [group], "then": "compensate"}])

    ran = play(saga(handled, on_failure=[group]), {"b": no(), "x": no()})
    assert {path: how for path, how in _lines(ran).items() if path.endswith("y")} == {
        "b.on_error/g/y": "not_started",
        "on_failure/g/y": "not_started",
    }
    assert _lines(play(saga(loop), {"x": no()}))["l[0]/y"] == "not_started"


@pytest.mark.parametrize(
    ("script", "cancel_at", "sentence"),
    [
        ({"b": no("Broke")}, None, "step `b` failed: Broke: Broke! (1 undone)"),
        ({"b": slow(9)}, 3, "cancelled: the saga was cancelled (2 undone)"),
        ({"b": slow(90)}, None, "SagaTimeout: the saga did not end within its timeout (2 undone)"),
    ],
)
def test_the_end_is_told_in_one_sentence(script: Any, cancel_at: float | None, sentence: str) -> None:
    """R23: the message of the failed workflow."""
    ran = play(saga(act("a"), beats("b"), timeout="30s"), script, cancel_at=cancel_at)

    assert summary(ran.run.saga, ran.state) == sentence


def test_the_status_tells_which_action_of_a_compensation_failed() -> None:
    """R20, R60."""
    undo = [{"activity": f"undo.{name}", "retry": "none"} for name in "xy"]

    ran = play(
        saga(act("a", compensation=undo), act("b"), compensation={"on_failure": "continue"}),
        {"b": no(), "undo.y": no()},
    )

    assert ran.now["steps"][0]["compensation"]["errors"] == [
        {"action": 1, "type": "Refused", "message": "Refused!", "step": "a.compensation[1]"}
    ]


def test_the_status_tells_everything_about_a_step() -> None:
    """R60: in a form that does not change without notice."""
    step = act("b", retry={"maximum_attempts": 2})

    ran = play(saga(act("a"), step, timeout="1h"), {"b": [flaky(), no("Broke", takes=2)]})

    assert ran.now == {
        "schema_version": 1,
        "id": "saga-1",
        "run_id": "run-saga-1",
        "name": "scene",
        "version": "1",
        "digest": ran.run.saga.digest,
        "status": "compensated",
        "started_at": "2023-11-14T22:13:20.000Z",
        "changed_at": "2023-11-14T22:13:23.300Z",
        "paused": False,
        "pivot_passed": False,
        "timed_out": False,
        "timeout_at": None,
        "failure": {"type": "Broke", "message": "Broke!", "step": "b"},
        "other_errors": [],
        "attention": [],
        "waiting_for": {},
        "kept_signals": {},
        "steps": [
            {
                "path": "a",
                "step": "a",
                "kind": "activity",
                "depth": 0,
                "activity": "do.a",
                "status": "completed",
                "attempts": 1,
                "started_at": "2023-11-14T22:13:20.000Z",
                "ended_at": "2023-11-14T22:13:20.100Z",
                "error": None,
                "outcome": "succeeded",
                "compensation": {
                    "status": "done",
                    "attempts": 1,
                    "started_at": "2023-11-14T22:13:23.200Z",
                    "ended_at": "2023-11-14T22:13:23.300Z",
                    "errors": [],
                },
            },
            {
                "path": "b",
                "step": "b",
                "kind": "activity",
                "depth": 0,
                "activity": "do.b",
                "status": "failed",
                "attempts": 2,
                "started_at": "2023-11-14T22:13:20.100Z",
                "ended_at": "2023-11-14T22:13:23.200Z",
                "error": {"type": "Broke", "message": "Broke!", "step": "b"},
                "outcome": "failed",
            },
        ],
        "actions": [],
    }


def test_the_report_tells_what_was_undone_what_was_not_and_why() -> None:
    """R20: in a form that does not change without notice."""
    steps = act("a"), act("b"), act("c"), act("d")

    ran = play(saga(*steps, compensation={"on_failure": "stop"}), {"d": no("Broke"), "b.compensation": no("Down")})

    assert ran.report == {
        "schema_version": 1,
        "status": "failed",
        "saga": "scene",
        "version": "1",
        "id": "saga-1",
        "failed_step": "d",
        "failure": {"type": "Broke", "message": "Broke!", "step": "d"},
        "other_errors": [],
        "undone": ["c"],
        "not_undone": [
            {"path": "b", "action": 0, "skipped": False, "type": "Down", "message": "Down!", "step": "b.compensation"}
        ],
        "not_attempted": ["a"],
        "why_not": "",
    }
    assert summary(ran.run.saga, ran.state).endswith("(1 undone, 1 not undone, 1 not attempted)")


def test_the_report_of_a_completed_saga_says_that_nothing_is_left() -> None:
    """R20: nothing failed, and there is no reason why nothing was undone."""
    assert play(saga(act("a"))).report == {
        "schema_version": 1,
        "status": "completed",
        "saga": "scene",
        "version": "1",
        "id": "saga-1",
        "failed_step": "",
        "failure": None,
        "other_errors": [],
        "undone": [],
        "not_undone": [],
        "not_attempted": [],
        "why_not": "",
    }


def test_the_report_tells_the_other_errors() -> None:
    """R9, R39."""
    both = {"id": "both", "parallel": [act("a"), act("b")], "on_branch_failure": "wait"}

    ran = play(saga(both), {"a": no("Broke"), "b": no("Late", takes=1)})

    assert ran.report["other_errors"] == [{"type": "Late", "message": "Late!", "step": "both/b"}]


def test_what_did_not_have_to_be_undone_is_not_listed_as_left() -> None:
    """R20, R3: the step that said no left nothing behind."""
    ran = play(saga(act("a"), act("b", on_error=[{"then": "stop"}])), {"b": no()})

    assert ran.report["not_attempted"] == ["a"]


@pytest.mark.parametrize("until", [t / 4 for t in range(80)])
def test_the_status_can_be_read_at_any_moment(until: float) -> None:
    """R60: in every phase, as JSON."""
    definition = saga(
        act("a"),
        {"id": "l", "for_each": {"items": "[1, 2]", "max_concurrency": 2}, "steps": [beats("x"), act("y")]},
        {"id": "ask", "wait_for": {"signal": "go"}},
        {"id": "trip", "saga": "child", "compensation": "auto"},
        {"id": "p", "repeat": {"until": "item_index > 0", "every": "1s"}, "steps": [act("look")]},
        act("bad", on_error=[{"steps": [act("fix")], "then": "compensate"}]),
        on_failure=[act("alarm")],
        timeout="1h",
    )
    script = {
        "x": slow(2),
        "bad": no(),
        "fix": slow(2),
        "a.compensation": no(),
        "trip.compensation": slow(1),
        "alarm": slow(1),
    }

    ran = play(definition, script, signal(4, "go"), operator(16, Verb.SKIP_STEP), sagas=[CHILD], until=until)

    model, state = ran.run.saga, ran.state
    for view in (status, report):
        assert json.loads(json.dumps(view(model, state))) == view(model, state)
    assert markdown(model, state).startswith(f"**{ran.status}**")


def test_an_empty_state_can_be_read_too() -> None:
    """R60: before the first fact."""
    model, state = built(saga(act("a"))), State()

    assert status(model, state)["steps"] == [
        {"path": "a", "step": "a", "kind": "activity", "depth": 0, "activity": "do.a", "status": "pending"}
    ]
    assert "`a`" in markdown(model, state)


def test_the_page_shows_the_failure_what_waits_and_every_step() -> None:
    """R60, R22."""
    ran = play(saga(act("a"), act("b")), {"b": no("Broke"), "a.compensation": no("Down")})

    assert markdown(ran.run.saga, ran.state) == "\n".join(
        [
            "**paused**: Broke at `b`: Broke!",
            "",
            "- `a.compensation` waits for an operator: Down: Down!",
            "",
            "| step | state | attempts | undo |",
            "|---|---|---|---|",
            "| `a` | completed | 1 | paused |",
            "| `b` | failed | 1 | not_due |",
        ]
    )


def test_the_page_leaves_empty_what_there_is_not() -> None:
    """R60: attempts of what has not begun, the state of an undo that is not due, the step of a saga's own error."""
    nap = {"id": "nap", "sleep": "1h"}
    open_, over = (play(saga(act("a"), nap, plain("b"), timeout="1m"), until=until) for until in (5, 100))

    assert markdown(open_.run.saga, open_.state) == "\n".join(
        [
            "**running**",
            "",
            "",
            "| step | state | attempts | undo |",
            "|---|---|---|---|",
            "| `a` | completed | 1 |  |",
            "| `nap` | running |  |  |",
            "| `b` | pending |  |  |",
        ]
    )
    assert markdown(over.run.saga, over.state).startswith(
        "**compensated**: SagaTimeout: the saga did not end within its timeout\n"
    )


def test_a_message_on_the_page_is_one_line_and_not_long() -> None:
    """R60."""
    ran = play(saga(act("a")), {"a": LONG})

    text = "X two words " + "y" * 188
    assert markdown(ran.run.saga, ran.state).splitlines()[0] == f"**compensated**: Broke at `a`: {text}"


LONG = Attempt(error="Broke", message="X two\n  words " + "y" * 500, retryable=False)
HOSTILE = "](http://x) | <script>alert(1)</script> `code` *bold* _em_ \\ \n# head\n\n| a | b |\u2028" + "x" * 500


def test_hostile_text_in_an_error_stays_text() -> None:
    """Untrusted messages: they can neither break the table nor become markup, and are not long."""
    ran = play(saga(act("a")), {"a": Attempt(error=HOSTILE, message=HOSTILE, retryable=False)})

    page = markdown(ran.run.saga, ran.state)
    head = page.splitlines()[0]
    assert len(page.splitlines()) == 6
    for sign in "|<>`*_[]":
        text = head.removeprefix("**compensated**").replace("`a`", "")
        assert text.count(sign) == text.count(f"\\{sign}")
    assert len(head) < 900
    assert ran.report["failure"]["message"] == HOSTILE


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.key)
def test_every_kind_of_step_is_shown_by_its_key(kind: kinds.Kind) -> None:
    """R60."""
    ran = play(saga({"id": "a", **EXAMPLES[kind.key]}), sagas=[CHILD])

    assert ran.now["steps"][0]["kind"] == kind.key
    assert ran.now["steps"][0].get("saga") == ("child" if kind.key == "saga" else None)


def test_the_outcome_of_a_call_is_shown_and_of_nothing_else() -> None:
    """R5, R60."""
    steps = act("a"), act("b", **{"if": "false"}), {"id": "c", "set": {"x": 1}}, act("d")

    ran = play(saga(*steps), {"d": lost()})

    assert [line.get("outcome") for line in ran.now["steps"]] == ["succeeded", None, None, "unknown"]


def test_a_call_that_runs_has_an_unknown_outcome() -> None:
    """R5, R60: until somebody says how it ended; whoever undoes a dead run must not think that it never started."""
    ran = play(saga(act("a")), {"a": slow(9)}, until=5)

    assert (ran.now["steps"][0]["status"], ran.now["steps"][0]["outcome"]) == ("running", "unknown")
