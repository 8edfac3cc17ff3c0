"""A saga's status as lines for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagadsl.engine.facts import Status
from sagadsl.engine.records import Progress, UndoProgress
from sagadsl.status.advice import next_steps, page, releases
from sagadsl.status.cut import cut
from sagadsl.status.lines import SIGNS, PendingAttempt, one_line, paused, rows, spell, text, widths

NOW = datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC)


def _at(second: float) -> str:
    return (datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC) + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def _step(
    path: str, status: str, began: float | None = None, ended: float | None = None, **more: Any
) -> dict[str, Any]:
    step = {"path": path, "step": path, "kind": "activity", "activity": f"acme.{path}", "depth": 0, "status": status}
    if began is not None:
        step |= {"attempts": 1, "started_at": _at(began), "ended_at": None if ended is None else _at(ended)}
    return step | more


def _status(status: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "order",
        "version": "1.0.0",
        "id": "o-1",
        "status": status,
        "started_at": _at(0),
        "changed_at": _at(9),
        "failure": None,
        "other_errors": [],
        "attention": [],
        "waiting_for": {},
        "steps": list(steps),
        "actions": [],
        **more,
    }


def _lines(status: dict[str, Any], attempts: dict[str, PendingAttempt] | None = None) -> list[str]:
    lines = rows(status, attempts or {}, NOW)
    return [text(row, widths(lines)) for row in lines]


def test_a_call_that_an_operator_has_paused_at_the_server_is_shown_with_what_releases_it() -> None:
    """The saga hears nothing of it, and would seem to run."""
    undo = {"status": "running", "started_at": _at(8), "ended_at": None}
    status = _status(
        "running", _step("lines[1]/charge", "running", 0), _step("b", "completed", 0, 1, compensation=undo)
    )
    attempts = {"lines[1]/charge": PendingAttempt(1, paused=True, activity_id="lines[1]/charge")}
    attempts["b.compensation#2"] = PendingAttempt(3, "Busy", paused=True, activity_id="b.compensation#2~4f1c")

    lines = rows(status, attempts, NOW)
    assert [(row.sign, row.state, row.note) for row in (lines[0], lines[-1])] == [
        ("‖", "paused", "paused by an operator"),
        ("‖", "paused", "paused by an operator before attempt 3"),
    ]
    unpause = "temporal activity unpause --workflow-id o-1 --activity-id"
    assert list(releases(status, attempts)) == [
        f"an operator has paused `lines[1]/charge`: {unpause} 'lines[1]/charge'",
        f"an operator has paused `b.compensation#2`: {unpause} 'b.compensation#2~4f1c'",
    ]


DECLINED = {"type": "Declined", "message": "no money", "step": "ship"}


def test_a_failed_saga_shows_what_ran_then_what_was_undone_newest_first() -> None:
    """R1."""
    status = _status(
        "compensated",
        _step("reserve", "completed", 0, 1, compensation={"status": "done", "started_at": _at(7), "ended_at": _at(8)}),
        _step("charge", "completed", 1, 2, compensation={"status": "done", "started_at": _at(5), "ended_at": _at(6)}),
        _step("ship", "failed", 2, 4, error=DECLINED),
        _step("notify", "not_started"),
        failure=DECLINED,
    )
    assert list(page(status, {}, NOW)) == [
        "order 1.0.0   id o-1   compensated",
        "started 2026-01-01T12:00:00Z, changed 2026-01-01T12:00:09Z",
        "first error: Declined: no money (step ship)",
        "",
        " ✓ reserve  acme.reserve    1.0s",
        " ✓ charge   acme.charge     1.0s",
        " ✗ ship     acme.ship       2.0s  Declined: no money",
        " · notify   acme.notify",
        " ↩ charge   undone          1.0s",
        " ↩ reserve  undone          1.0s",
    ]


def test_a_retry_shows_the_attempt_its_reason_and_the_pause() -> None:
    status = _status("running", _step("charge", "running", 0))
    attempts = {"charge": PendingAttempt(3, "Busy: later", NOW + timedelta(seconds=4))}
    assert _lines(status, attempts) == [" ▶ charge  acme.charge     10s  attempt 3: Busy: later  (in 4.0s)"]
    attempts = {"charge": PendingAttempt(3, "Busy: later", None)}
    assert _lines(status, attempts) == [" ▶ charge  acme.charge     10s  attempt 3: Busy: later"]
    assert _lines(status, {"charge#2": PendingAttempt(2, "Busy")}) == [
        " ▶ charge  acme.charge     10s  attempt 2: Busy"
    ]
    assert _lines(status, {"charge": PendingAttempt(1)}) == [" ▶ charge  acme.charge     10s"]


def test_a_call_that_was_made_again_shows_the_attempts_of_its_last_time() -> None:
    """The history tells those of each time."""
    status = _status("completed", _step("charge", "completed", 0, 1))

    notes = [
        rows(status, {}, NOW, tried)[0].note for tried in ({"charge": 3, "charge#2": 2}, {"charge": 3, "charge#2": 1})
    ]
    assert notes == ["after 2 attempts", ""]


def test_a_compensation_that_is_retried_shows_its_attempts_too() -> None:
    status = _status(
        "compensating", _step("charge", "completed", 0, 1, compensation={"status": "running", "started_at": _at(6)})
    )
    attempts = {"charge.compensation[1]": PendingAttempt(2, "Busy")}
    assert _lines(status, attempts)[1] == " ↩ charge  undoing        4.0s  attempt 2: Busy"


def test_steps_inside_blocks_are_indented_and_rounds_numbered() -> None:
    status = _status(
        "running",
        _step("book", "running", 0, kind="parallel", activity=""),
        _step("book/flight", "completed", 0, 1, depth=1),
        _step("lines", "running", 1, kind="for_each", activity=""),
        _step("lines[0]/reserve", "completed", 1, 2, depth=1),
        _step("lines[1]/reserve", "running", 2, depth=1),
    )
    assert [line[:17].rstrip() for line in _lines(status)] == [
        " ▶ book",
        " ✓   flight",
        " ▶ lines",
        " ✓   [0] reserve",
        " ▶   [1] reserve",
    ]


def test_a_saga_that_waits_for_a_decision_says_what_can_be_done() -> None:
    """R22."""
    undo = {"path": "charge.compensation", "type": "Down", "message": "bank\nis down", "step": "charge"}
    status = _status("paused", attention=[undo])
    assert list(next_steps(status, "--address h:1")) == [
        "needs a decision: charge.compensation: Down: bank is down",
        "   sagadsl retry o-1 charge.compensation --address h:1   once more",
        "   sagadsl complete o-1 charge.compensation --address h:1   it was done by hand",
        "   sagadsl skip o-1 charge.compensation --address h:1   leave it and go on",
        "   sagadsl abort o-1 --address h:1   give up, and leave the rest as it is",
    ]
    again = _status("paused", attention=[undo | {"occurrence": 2}])
    assert "   sagadsl skip o-1 charge.compensation --occurrence 2   leave it and go on" in next_steps(again)
    step = undo | {"path": "charge"}
    assert "   sagadsl abort o-1   give up, and undo what it has done" in next_steps(
        _status("paused", attention=[step])
    )
    behind = _status("paused", attention=[step], pivot_passed=True)
    assert "   sagadsl abort o-1   give up; nothing is undone any more" in next_steps(behind)
    assert "   sagadsl abort o-1   give up" in next_steps(_status("paused", attention=[step, undo]))
    two = _status("paused", attention=[undo, {**undo, "path": "reserve.compensation"}])
    assert "   sagadsl retry o-1 charge.compensation   once more" in list(next_steps(two))
    assert list(next_steps(_status("paused", paused=True))) == ["paused: sagadsl resume o-1"]
    both = list(next_steps(_status("paused", paused=True, attention=[step])))
    assert (both[0], both[-1]) == ("needs a decision: charge: Down: bank is down", "paused: sagadsl resume o-1")
    assert list(next_steps(_status("compensated", paused=True))) == []  # a decision has ended it meanwhile
    waiting = _status("running", waiting_for={"approval": ["approve"]})
    assert list(next_steps(waiting)) == ["waits for signal `approval`: sagadsl signal o-1 approval --payload JSON"]


def test_what_operators_did_is_shown_with_who_and_why() -> None:
    action = {"at": _at(3), "verb": "skip_step", "path": "charge.compensation", "by": "ann", "why": "paid back by hand"}
    shown = list(page(_status("failed", actions=[action]), {}, NOW))
    assert shown[-1] == "2026-01-01T12:00:03Z  skip charge.compensation by ann: paid back by hand"


@pytest.mark.parametrize("word", [each.value for each in (*Status, *Progress)] + ["pending", "not_started"])
def test_every_word_of_the_engine_has_a_sign(word: str) -> None:
    """The same words everywhere."""
    assert SIGNS[word]


def test_an_undo_of_which_nobody_knows_is_said_to_be_unknown_and_not_to_have_failed() -> None:
    """So it stands when the server has ended the run while the call was under way."""
    undo = {"status": "running", "started_at": _at(6), "ended_at": None}
    ended = cut(_status("compensating", _step("charge", "completed", 0, 1, compensation=undo)), "terminated")
    (_, line) = rows(ended, {}, NOW)
    assert (line.state, line.sign, line.what) == ("unknown", "?", "nobody knows whether it was undone")


@pytest.mark.parametrize("progress", [each for each in UndoProgress if each.value not in {"registered", "not_due"}])
def test_every_state_of_a_compensation_can_be_shown(progress: UndoProgress) -> None:
    status = _status("compensating", _step("charge", "completed", 0, 1, compensation={"status": progress.value}))
    assert len(_lines(status)) == 2


@pytest.mark.parametrize(
    ("seconds", "spelt"),
    [(-1, "0.0s"), (0.44, "0.4s"), (9.94, "9.9s"), (12, "12s"), (65, "1m05s"), (7805, "2h10m"), (273600, "3d04h")],
)
def test_lengths_of_time_are_short(seconds: float, spelt: str) -> None:
    assert spell(timedelta(seconds=seconds)) == spelt


def test_a_message_cannot_move_the_cursor_or_fill_the_screen() -> None:
    """What comes from outside is data, also on a terminal."""
    assert one_line("a\x1b[2Jb\r\nc") == "a [2Jb c"
    assert len(one_line("x" * 5000)) == 200


def test_the_time_left_is_shown_of_the_saga_and_of_a_step_that_waits() -> None:
    """B14: time goes on while an operator holds the saga."""
    asked = _step("ask", "running", 0, kind="wait_for", due_at=_at(75))
    status = _status("paused", asked, paused=True, timeout_at=_at(130))

    lines = list(page(status, {}, NOW))

    assert lines[2] == f"its timeout is at {_at(130)}, in 2m00s, also while it is held"
    assert lines[4].endswith("(in 1m05s)")


def test_what_the_server_has_ended_takes_no_longer_and_waits_for_nothing() -> None:
    asked = _step("ask", "cancelled", 0, kind="wait_for", due_at=_at(75))
    ended = _status("terminated", asked, closed_at=_at(3))

    lines = list(page(ended, {}, NOW))

    assert not [line for line in lines if "(in " in line]
    assert [line.split()[-1] for line in lines if " ask " in line] == ["3.0s"]


def test_a_held_saga_whose_timeout_has_passed_says_what_its_resumption_begins() -> None:
    """B14."""
    status = _status("paused", paused=True, timed_out=True, timeout_at=None)

    assert "its timeout has passed: what it did is undone when somebody resumes it" in page(status, {}, NOW)


def test_signals_that_were_refused_or_kept_are_shown() -> None:
    """B7, R59: nobody has to look for them in a log."""
    refused = {"signal": "aprove", "reason": "the saga does not wait for it", "at": _at(3)}
    status = _status("running", refused_signals=[refused], kept_signals={"approve": 2})

    lines = list(page(status, {}, NOW))

    assert f"{_at(3)}  signal `aprove` was refused: the saga does not wait for it" in lines
    assert "signal `approve` is kept for a later wait: 2 of them" in lines


def test_the_newest_calls_that_told_of_pauses_are_shown() -> None:
    """R64."""
    notices = [
        {"call": f"on_pause[{number}]/tell", "path": "pay", "status": "completed", "attempts": 1, "error": None}
        for number in range(7)
    ]
    shown = "\n".join(page(_status("running", notices=notices), {}, NOW))

    assert "on_pause[1]/tell" not in shown
    assert "`on_pause[2]/tell` has told of the pause at `pay`" in shown


def test_who_sent_a_signal_and_why_is_shown_at_the_wait() -> None:
    """R59: a refused one says who sent it, too."""
    sender = {"at": _at(3), "by": "ann", "why": "looks fine"}
    asked = _step("ask", "completed", 0, 3, kind="wait_for", signal="approve", took_kept=True, sender=sender)
    refused = {"signal": "aprove", "reason": "the saga does not wait for it", "at": _at(3), "by": "bob"}
    lines = list(page(_status("running", asked, refused_signals=[refused]), {}, NOW))

    assert any(line.endswith("the signal had come before, from ann, because: looks fine") for line in lines)
    assert f"{_at(3)}  signal `aprove` from bob was refused: the saga does not wait for it" in lines


def _child(path: str, status: str = "running", **more: Any) -> dict[str, Any]:
    known = {"path": path, "id": f"o-1/{path}", "name": "kid", "status": status, "paused": False}
    return known | {"attention": [], "waiting_for": {}, **more}


ASKED = {"path": "pay.compensation", "type": "BankDown", "message": "the bank is down", "step": "pay"}


def test_what_waits_in_child_sagas_comes_with_the_paths_that_lead_there() -> None:
    """B4: quoted where a shell would read them in another way."""
    status = _status(
        "running",
        children=[
            _child("lines[3]/kid"),
            _child("lines[3]/kid/deep", "paused", attention=[ASKED]),
            _child("other", "paused", paused=True, waiting_for={"go": ["ask"]}),
            _child("lost", "unknown"),
            _child("stopped", "held", held={"by": "ann", "at": "", "why": ""}),
            _child("still", paused_calls={"pay": "pay"}),
            _child("broken", stuck={"message": "no such thing", "attempt": 4}),
        ],
    )

    assert list(next_steps(status, "-n x")) == [
        "needs a decision: lines[3]/kid/deep → pay.compensation: BankDown: the bank is down",
        "   sagadsl retry o-1 'lines[3]/kid/deep/pay.compensation' -n x   once more",
        "   sagadsl complete o-1 'lines[3]/kid/deep/pay.compensation' -n x   it was done by hand",
        "   sagadsl skip o-1 'lines[3]/kid/deep/pay.compensation' -n x   leave it and go on",
        "   sagadsl abort o-1 'lines[3]/kid/deep' -n x   give lines[3]/kid/deep up, and leave the rest as it is",
        "paused: other: sagadsl resume o-1 other -n x",
        "other waits for signal `go`: sagadsl signal o-1/other go --payload JSON -n x",
        "held: stopped: temporal workflow unpause --workflow-id o-1/stopped -n x",
        "an operator has paused `still/pay`: temporal activity unpause --workflow-id o-1/still --activity-id pay -n x",
        "broken: the worker cannot go on: no such thing; attempt 4",
        "nobody knows whether child saga lost waits: sagadsl status o-1/lost -n x",
    ]
    assert paused(status) == ["lines[3]/kid/deep", "other"]


def test_the_line_of_a_child_says_what_waits_in_it_or_below() -> None:
    kid = _step("kid", "running", 1, kind="saga", saga="trip")
    done = _step("done", "completed", 1, 2, compensation={"status": "running", "started_at": _at(5)})
    status = _status(
        "compensating",
        kid,
        done,
        children=[_child("kid"), _child("kid/deep", waiting_for={"go": ["ask"]}), _child("done", attention=[ASKED])],
    )
    notes = {row.key: row.note for row in rows(status, {}, NOW)}

    assert notes == {
        "kid": "deep waits for signal `go`",
        "done": "",
        "done.compensation": "waits for a decision: pay.compensation",
    }


def test_a_page_has_an_end_although_many_children_wait() -> None:
    status = _status("running", children=[_child(f"k{number}", "paused", paused=True) for number in range(12)])

    assert list(next_steps(status))[-1] == "2 more child sagas wait for somebody"


@pytest.mark.parametrize("kind", ["activity", "nexus", "saga", "send"])
def test_nobody_knows_what_became_of_a_call_that_was_under_way_when_its_run_ended(kind: str) -> None:
    found = cut({"status": "running", "steps": [{"path": "a", "kind": kind, "status": "running"}]}, "terminated")

    assert [(each["status"], each["outcome"]) for each in found["steps"]] == [("unknown", "unknown")]


def test_a_step_that_was_skipped_and_is_done_once_more_is_judged_by_its_new_end() -> None:
    """R45: a saga that goes back to a step begins it anew; the action about its first try stays."""
    skip = {"at": _at(3), "verb": "skip_step", "path": "a", "by": "", "why": ""}

    def shown(began: float, status: str) -> tuple[str, str]:
        (row,) = rows(_status("running", _step("a", status, began, began + 1, error=DECLINED), actions=[skip]), {}, NOW)
        return row.sign, row.note

    assert shown(2, "failed") == ("»", "Declined: no money; skipped by an operator")
    assert shown(5, "failed") == ("✗", "Declined: no money")
    assert shown(5, "cancelled")[0] == "⊘"


def test_what_was_given_up_with_the_saga_was_not_skipped() -> None:
    """R22: the status of both compensations is `skipped`; the actions of operators tell which one it was."""
    undo = {"status": "skipped", "started_at": _at(2), "ended_at": _at(3), "errors": []}
    steps = [_step(path, "completed", 0, 1, compensation=undo) for path in ("a", "b[1]/c")]

    def words(*actions: tuple[str, str]) -> list[str]:
        asked = [{"verb": verb, "path": path} for verb, path in actions]
        return [row.what for row in rows(_status("failed", *steps, actions=asked), {}, NOW) if row.undoes]

    skipped, given_up = "not undone: skipped", "not undone: given up"
    assert words(("skip_step", "a.compensation"), ("skip_step", "b[1]/c.compensation")) == [skipped, skipped]
    assert words(("skip_step", "b[1]/c.compensation"), ("abort", "a.compensation")) == [given_up, skipped]
    assert words(("abort", "")) == [given_up, given_up]
    assert words(("abort", "d"), ("skip_step", "a.compensation"), ("skip_step", "b[1]/c.compensation")) == [
        skipped,
        skipped,
    ]
