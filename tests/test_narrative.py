"""What happened in a saga, in sentences: the ways that a run can go, as the status of virtual runs gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.status.narrative import sentences

AT = "2026-01-01T10:00:00.000Z"
LATER = "2026-01-01T10:00:02.000Z"


def _step(path: str, status: str, outcome: str = "succeeded", **more: Any) -> dict[str, Any]:
    began = {"started_at": AT, "ended_at": LATER}
    return {"path": path, "kind": "activity", "status": status, "outcome": outcome, **began, **more}


def _undo(status: str, *errors: str, at: str = AT, attempts: int = 1) -> dict[str, Any]:
    listed = [{"type": "Broke", "message": error} for error in errors]
    return {"compensation": {"status": status, "attempts": attempts, "started_at": at, "errors": listed}}


def _sentences(status: str, *steps: Mapping[str, Any], **more: Any) -> list[str]:
    known = {"id": "o-1", "name": "order", "version": "1", "started_at": AT, "changed_at": LATER}
    return list(sentences({**known, "status": status, "steps": steps, **more}))


RECOVER = "`sagadsl recover o-1` undoes what it has done; with `--forward` it finishes it."


def test_a_saga_that_completed_is_told_in_three_sentences() -> None:
    assert _sentences("completed", _step("a", "completed"), _step("b", "completed"), _step("c", "completed")) == [
        f"Saga `o-1` (order 1), started {AT}, has completed after 2.0s.",
        "`a`, `b` and `c` succeeded.",
        "Nothing is left to do.",
    ]


def test_what_nobody_knows_is_told_apart_from_what_failed() -> None:
    """R6: an unknown outcome is undone to be sure."""
    text = _sentences(
        "compensated",
        _step("a", "completed", **_undo("done", at=LATER)),
        _step("b", "failed", "unknown", attempts=3, **_undo("done")),
        failure={"type": "timeout", "message": "no answer", "step": "b", "causes": [{"type": "Lost", "message": "x"}]},
    )

    assert text[1:] == [
        "`a` succeeded.",
        "Then `b` failed after 3 attempts: timeout: no answer.",
        "Behind it: Lost: x.",
        "Nobody knows whether `b` happened; it was undone to be sure.",
        "`b` and `a` were undone, in this order.",
        "Nothing is left to do.",
    ]


def test_what_could_not_be_undone_is_what_is_left() -> None:
    text = _sentences(
        "failed",
        _step("a", "completed", **_undo("not_attempted")),
        _step("b", "completed", **_undo("failed", "down", attempts=10)),
        failure={"type": "Refused", "message": "no", "step": "c"},
        other_errors=[{"type": "Late", "message": "too", "step": "d"}, {"type": "Odd", "message": "it is", "step": ""}],
    )

    assert text[0].endswith("has failed after 2.0s, and not all of it is undone.")
    assert text[2:] == [
        "Then `c` failed: Refused: no.",
        "Later `d` failed, too: Late: too.",
        "Later another error came: Odd: it is.",
        "`a` was not undone: nobody has tried.",
        "`b` could not be undone after 10 attempts: Broke: down.",
        "Still to undo by hand: `a` and `b`.",
    ]


def test_what_is_under_way_is_told_with_what_can_be_done() -> None:
    text = _sentences(
        "compensating",
        _step("a", "completed", **_undo("running")),
        _step("b", "running"),
        actions=[{"verb": "cancel", "by": "", "why": "twice", "at": AT, "path": ""}],
        waiting_for={"approve": ["c"]},
    )

    assert text[1:] == [
        "`a` succeeded.",
        "`b` is under way.",
        "`a` is being undone.",
        f"Somebody cancelled it at {AT}: twice.",
        "To do:",
        "  waits for signal `approve`: sagadsl signal o-1 approve --payload JSON",
    ]


def test_a_saga_that_was_killed_leaves_what_it_did() -> None:
    """R31: nothing was undone, and somebody has to know what."""
    assert _sentences("terminated", _step("a", "completed"))[-2:] == ["Not undone: `a`.", RECOVER]
    assert _sentences("terminated")[-1] == "Nothing had been done."
    assert _sentences("failed")[0].endswith("has failed after 2.0s.")


def test_a_saga_that_had_nothing_to_undo_says_so() -> None:
    assert _sentences("compensated")[0].endswith(
        "was compensated after 2.0s: it had failed, and there was nothing to undo."
    )
    assert _sentences("compensated", {**_step("a", "completed"), "compensation": {"status": "done"}})[0].endswith(
        "was compensated after 2.0s: it had failed, and all that it had done has been undone."
    )


def test_many_steps_are_told_in_short() -> None:
    text = _sentences("completed", *(_step(f"s{number}", "completed") for number in range(9)))

    assert text[1] == "`s0`, `s1`, `s2`, `s3`, `s4`, `s5` and 3 more succeeded."


def test_a_saga_that_nobody_answers_for_says_so() -> None:
    text = _sentences("running", _step("a", "running"), source="history", waiting_for={})

    assert text[1] == "No worker answers for it, so this is only what the server knows."
    on_queue = _sentences("running", source="history", waiting_for={}, task_queue="payments")[1]
    assert on_queue == "No worker answers for it on task queue `payments`, so this is only what the server knows."


def test_waits_that_may_be_a_misunderstanding_are_told() -> None:
    """B12: one that nobody has answered, and one that was answered before it was asked."""
    late = {"type": "SignalTimeout", "message": "signal `approve` did not come in time", "step": "clerk"}
    text = _sentences(
        "completed",
        _step("clerk", "failed", kind="wait_for", signal="approve", error=late),
        _step("boss", "completed", kind="wait_for", signal="approve", took_kept=True),
    )

    assert text[1:3] == [
        "`clerk` waited in vain: SignalTimeout: signal `approve` did not come in time.",
        "`boss` took a signal `approve` that had come before it began to wait.",
    ]


def test_who_sent_a_signal_and_why_is_told() -> None:
    """R59."""
    sender = {"at": "2026-01-01T12:00:03Z", "by": "ann", "why": "looks fine"}
    text = _sentences("completed", _step("boss", "completed", kind="wait_for", signal="approve", sender=sender))

    assert text[1] == "`ann` sent the signal `approve` that `boss` took, at 2026-01-01T12:00:03Z: looks fine."


def test_signals_that_were_refused_are_told() -> None:
    """B7."""
    refused = {"signal": "aprove", "reason": "the saga does not wait for it", "at": "2026-01-01T12:00:03Z"}

    text = _sentences("running", refused_signals=[refused])

    assert text[1] == "Signal `aprove` was refused at 2026-01-01T12:00:03Z: the saga does not wait for it."


def test_a_saga_that_was_killed_while_it_undid_tells_what_stands_and_what_nobody_knows() -> None:
    """R31: what had been undone by then is not left; what was under way is unknown."""
    text = _sentences(
        "terminated",
        _step("a", "completed"),
        _step("b", "completed", **_undo("unknown")),
        _step("c", "completed", **_undo("done")),
        _step("d", "unknown", "unknown"),
    )

    assert text[0].endswith("was terminated: none of its code ran any more.")
    assert text[2:] == [
        "Nobody knows whether `d` happened.",
        "`c` was undone.",
        "`b` was being undone, and nobody knows whether it was.",
        "Not undone: `a`.",
        "Nobody knows whether it stands: `d` and `b`.",
        RECOVER,
    ]
    assert _sentences("timed_out", _step("c", "completed", **_undo("done")))[-1] == "All that had been done was undone."


def test_what_runs_because_a_saga_has_failed_is_told_after_that() -> None:
    text = _sentences(
        "compensated",
        _step("a", "completed", **_undo("done")),
        _step("on_failure/alarm", "completed"),
        failure={"type": "Refused", "message": "no", "step": "b"},
    )

    assert text[1:] == [
        "`a` succeeded.",
        "Then `b` failed: Refused: no.",
        "`a` was undone.",
        "Afterwards `on_failure/alarm` succeeded.",
        "Nothing is left to do.",
    ]


def test_what_the_history_alone_tells_has_no_undoing_as_a_step() -> None:
    steps = [_step("a", "completed"), _step("b", "completed"), _step("a.compensation", "completed")]
    text = _sentences("terminated", *steps, source="history")

    assert text[2:] == ["`a` and `b` succeeded.", "`a` was undone.", "Not undone: `b`.", RECOVER]


def test_a_run_that_was_reset_tells_what_the_run_before_it_had_done() -> None:
    reset = {"run_id": "r1", "at": AT, "why": "again", "done": ["b"], "undone": ["a"], "open": []}

    assert _sentences("completed", _step("a", "completed"), reset=reset)[1] == (
        f"It was reset by hand at {AT} from run r1: again; after that point that run had done `b`; had undone `a`."
    )
    forgotten = reset | {"done": None, "undone": None, "open": None}
    assert "the server no longer knows" in _sentences("completed", reset=forgotten)[1]


def test_what_told_of_a_pause_is_said_and_counts_as_nothing_that_was_done() -> None:
    """R64."""
    told = {"path": "b", "attempts": 1, "error": None}
    failed = {"attempts": 3, "error": {"type": "Mute", "message": "no line"}}
    text = _sentences(
        "completed",
        _step("b", "completed"),
        notices=[
            {**told, "call": "on_pause[0]/tell", "status": "completed"},
            {**told, **failed, "call": "on_pause[1]/tell", "path": "b.compensation", "status": "failed"},
            {**told, "call": "on_pause[2]/tell", "status": "skipped"},
            {**told, "call": "on_pause[3]/tell", "status": "unknown"},
            {
                **told,
                "call": "on_pause[4]/tell",
                "status": "unknown",
                "error": {"type": "timeout", "message": "no answer"},
            },
            {"call": "on_pause[5]/tell", "status": "running"},
        ],
    )

    assert text[1:] == [
        "`b` succeeded.",
        "`on_pause[0]/tell` has told of the pause at `b`.",
        "`on_pause[1]/tell` could not tell of the pause at `b.compensation` after 3 attempts: Mute: no line.",
        "Nobody knows whether `on_pause[3]/tell` has told of the pause at `b`: the saga ended first.",
        "Nobody knows whether `on_pause[4]/tell` has told of the pause at `b`: timeout: no answer.",
        "`on_pause[5]/tell` tells of a pause.",
        "Nothing is left to do.",
    ]
