"""`saga.now` in virtual time: the moment of the fact, and in a compensation the moment at which its step began. R15."""

from __future__ import annotations

from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, flaky, gives, no, plain, play, saga

BEGIN = "2023-11-14T22:13:20.000Z"


def test_a_value_is_computed_at_the_moment_of_the_workflow() -> None:
    ran = play(
        saga(plain("a"), plain("b", input="{{ saga.now }}"), plain("c", input={"first": "{{ saga.started_at }}"}))
    )

    assert ran.sent("b") == "2023-11-14T22:13:20.100Z"
    assert ran.sent("c") == {"first": BEGIN}


def test_all_attempts_of_a_call_get_the_moment_of_its_begin() -> None:
    step = plain("a", input="{{ saga.now }}", retry={"maximum_attempts": 3})

    ran = play(saga(step), {"a": [flaky(), flaky(), Attempt()]})

    assert (ran.attempts("a"), ran.sent("a")) == (3, BEGIN)


def test_a_saga_waits_for_a_moment_that_it_computes() -> None:
    until = "{{ saga.now | plus('36h') | in_zone('Europe/Berlin') }}"
    rest = "{{ saga.now | until(saga.started_at | plus('3d')) }}"

    ran = play(saga({"id": "a", "sleep_until": until}, {"id": "b", "sleep": rest}, plain("c", input="{{ saga.now }}")))

    assert ran.sent("c") == "2023-11-17T22:13:20.000Z"


def test_a_compensation_sees_when_its_step_began() -> None:
    """R15: whether it is computed before its step, when the step is undone, or when the step is packed away."""
    undo = {"activity": "undo.a", "input": {"at": "{{ saga.now }}", "of": "{{ step.output.id }} at {{ saga.now }}"}}
    loop = {"id": "all", "for_each": {"items": "[1, 2]"}, "steps": [act("a", compensation=undo)]}

    ran = play(saga(loop, plain("b")), {"a": gives({"id": 7}), "b": no(takes=5)}, drained=True)

    assert ran.sent("all[0]/a.compensation") == {"at": BEGIN, "of": f"7 at {BEGIN}"}
    later = "2023-11-14T22:13:20.100Z"
    assert ran.sent("all[1]/a.compensation") == {"at": later, "of": f"7 at {later}"}


def test_a_moment_that_cannot_be_computed_fails_the_step_and_undoes_the_saga() -> None:
    """R56."""
    ran = play(saga(act("a"), plain("b", input="{{ steps.a.output | plus('1d') }}")), {"a": gives("tomorrow")})

    assert ran.failure is not None
    assert (ran.status, ran.failure.type) == ("compensated", "ExpressionError")
    assert "`plus` needs a moment with its offset" in ran.failure.message
