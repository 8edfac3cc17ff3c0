"""Calls of `on_pause`: they tell somebody that the saga waits, and nothing follows from them. R64."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    ContinueAsNew,
    DrainRequested,
    Error,
    How,
    OperatorAsked,
    Outcome,
    Resumed,
    Settled,
    StartActivity,
    Verb,
)
from sagadsl.engine.journal import State
from sagadsl.engine.run import NOTICES_IN_FLIGHT
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.language.model import Saga
from sagadsl.language.paths import is_notice
from sagadsl.virtual.world import World
from tests.engine.scenes import ID, act, built, gives, lost, no, operator, plain, play, saga, scripted, slow
from tests.engine.test_migration import migrated

TELL = {"id": "tell", "activity": "mail.send", "input": "{{ pause.path }} {{ pause.occurrence }}", "retry": "none"}
TELLS = {"on_pause": [TELL]}
FAILED = Settled(2, "b", Outcome.FAILED, error=Error("Broke", "no", "b"))
AB = saga(act("a"), act("b", on_error="pause"), act("c"), **TELLS)


def _told(found: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    return [(each["call"], each["path"], each["occurrence"], each["status"]) for each in found.get("notices", [])]


@pytest.mark.parametrize("verb", [Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT])
@pytest.mark.parametrize("tells", [gives(None), no("Mute"), slow(3), lost()], ids=["well", "failing", "slow", "lost"])
def test_whatever_becomes_of_it_the_saga_does_the_same_at_the_same_time(verb: Verb, tells: Any) -> None:
    """R64."""
    script = {"b": [no(), gives(2)], "tell": tells, "b#2": gives(2)}
    without = play({key: value for key, value in AB.items() if key != "on_pause"}, script, operator(9, verb))

    ran = play(AB, script, operator(9, verb))

    assert (ran.status, ran.output, ran.others) == (without.status, without.output, without.others)
    assert ran.at("close", "") == without.at("close", "")
    assert [call for call in ran.calls if call != "on_pause[0]/tell"] == without.calls
    assert ran.report == without.report


def _begun(saga: Saga) -> State:
    """Return a saga whose step `b` has just paused, and whose call that tells of it runs."""
    state = State()
    decide(saga, state, Began(0, ID, "run-1", None))
    decide(saga, state, Settled(1, "a", Outcome.SUCCEEDED))
    decide(saga, state, FAILED)
    return state


def test_a_new_run_begins_it_again_with_its_key_and_its_input() -> None:
    """R50, R64: continue-as-new waits for no call that tells of a pause."""
    definition = built(AB)
    state = _begun(definition)

    drained = decide(definition, state, DrainRequested(3))
    state = restore(json.loads(json.dumps(snapshot(state), sort_keys=True)))
    resumed = decide(definition, state, Resumed(4, "run-2"))

    assert drained == [ContinueAsNew()]
    (again,) = resumed
    assert isinstance(again, StartActivity)
    assert (again.call_id, again.arguments) == ("on_pause[0]/tell", ("b 1",))
    assert not decide(definition, state, Settled(5, "on_pause[0]/tell", Outcome.SUCCEEDED))
    assert not decide(definition, state, Settled(6, "on_pause[0]/tell", Outcome.FAILED))
    assert [each.progress.value for each in state.notices.values()] == ["completed"]


def test_a_run_that_cannot_continue_as_new_does_not_begin_it_again() -> None:
    """R64: it still hears of the call."""
    definition = built(AB)
    state = _begun(definition)
    decide(definition, state, DrainRequested(3))

    assert not decide(definition, state, Resumed(4, "run-1"))


def test_a_pause_in_the_last_moment_of_a_run_is_told_by_the_next_run() -> None:
    """R64: nobody would begin a call that the server forgets at once."""
    definition = built(AB)
    state = State()
    decide(definition, state, Began(0, ID, "run-1", None))
    decide(definition, state, Settled(1, "a", Outcome.SUCCEEDED))
    decide(definition, state, DrainRequested(1.5))

    assert decide(definition, state, FAILED) == [ContinueAsNew()]
    (told,) = decide(definition, state, Resumed(3, "run-2"))
    assert isinstance(told, StartActivity)
    assert told.call_id == "on_pause[0]/tell"


def test_it_is_over_with_the_run_and_a_run_that_takes_up_the_work_does_not_repeat_it() -> None:
    """R31, R64."""
    world = World(scripted({"b": no(), "tell": lost()}))
    world.start(built(AB))
    world.run(5.0)
    world.kill()

    run = world.take_up(How.UNDO)
    world.run()

    assert run.close is not None
    assert run.close.status.value == "compensated"
    assert [each.progress.value for each in run.state.notices.values()] == ["unknown"]
    assert sum(event.what == "start" and event.call == "on_pause[0]/tell" for event in world.events) == 1


def test_what_tells_of_a_pause_may_change_in_a_migration() -> None:
    """R64, R75: a migration does not wait for it, and what the new definition does not have is not begun again."""
    other = saga(act("a"), act("b", on_error="pause"), act("c"), on_pause=[{"id": "page", "activity": "pager.call"}])

    ran = migrated(AB, other, {"b": no(), "tell": lost(), "b#2": no()}, operator(8, Verb.RETRY_STEP))

    assert ran.calls == ["a", "b", "on_pause[0]/tell", "b#2", "on_pause[1]/page"]
    assert _told(ran.now) == [("on_pause[0]/tell", "b", 1, "unknown"), ("on_pause[1]/page", "b", 2, "completed")]
    assert ran.now["notices"][0]["error"]["message"] == "the new definition does not have it"


def test_a_child_that_undoes_itself_counts_its_pauses_on() -> None:
    """R46, R49, R64: the run that undoes it has its id, and its pauses must have other keys."""
    kid = saga(act("x", on_error="pause"), act("y"), name="kid", **TELLS)
    definition = saga({"id": "kid", "saga": "kid", "compensation": "auto"}, plain("end"))
    seen: dict[str, Any] = {}
    world = World(scripted({"x": no(), "undo.y": no(), "end": no()}, seen), sagas={"kid": built(kid)})
    world.start(built(definition))
    world.at(5, lambda at: OperatorAsked(at, Verb.SKIP_STEP, "x"), f"{ID}/kid")
    world.run()

    told = [event.call for event in world.events if event.what == "start" and is_notice(event.call)]
    assert told == ["on_pause[0]/tell", "on_pause[1]/tell"]


def test_no_more_of_them_run_at_once_than_the_server_bears() -> None:
    """R51, R64: others wait until one has ended."""
    number = NOTICES_IN_FLIGHT + 20
    each = {"items": "{{ input }}", "max_concurrency": 2 * number}
    definition = saga({"id": "loop", "for_each": each, "steps": [plain("x", on_error="pause")]}, **TELLS)
    world = World(scripted({"x": no(), "tell": slow(5)}))
    run = world.start(built(definition), list(range(number)))
    world.run(4.0)

    assert sum(each.is_sent for each in run.state.notices.values()) == NOTICES_IN_FLIGHT
    world.run(20.0)
    begun = [event.call for event in world.events if event.what == "start" and event.call.startswith("on_pause")]
    assert begun == [f"on_pause[{index}]/tell" for index in range(number)]


def test_the_link_leads_to_the_page_if_somebody_has_said_where_it_is() -> None:
    """Otherwise it is a command, with quotes where a shell needs them."""
    link = saga(act("b", on_error="pause"), on_pause=[{**TELL, "input": "{{ pause.link }}"}])
    definition, found = built(link), []

    for page in ("", "https://sagas.example.com"):
        state = State()
        decide(definition, state, Began(0, "order 7/ä", "run-1", None, page=page))
        (told,) = decide(definition, state, FAILED)
        assert isinstance(told, StartActivity)
        found += told.arguments

    assert found == ["sagadsl retry 'order 7/ä' b", "https://sagas.example.com/#/sagas/order%207%2F%C3%A4"]


def test_a_pause_that_is_over_at_once_is_not_told() -> None:
    """R64: nobody has to come. A branch beside it fails in the same moment."""
    both = {"id": "both", "parallel": [plain("one", on_error="pause"), plain("two")]}
    definition = built(saga(both, **TELLS))
    state = State()
    decide(definition, state, Began(0, ID, "run-1", None))
    decide(definition, state, Settled(1, "both/two", Outcome.FAILED, error=Error("Broke", "no", "both/two")))

    commands = decide(definition, state, Settled(1, "both/one", Outcome.FAILED, error=Error("Broke", "no", "both/one")))

    assert not any(isinstance(each, StartActivity) for each in commands)
    assert not state.notices


def test_only_the_newest_ends_are_kept() -> None:
    """The status of a saga that pauses again and again does not grow without bound."""
    definition = built(saga(act("b", on_error="pause"), **TELLS))
    state = State()
    decide(definition, state, Began(0, ID, "run-1", None))
    for time in range(1, 131):
        call = "b" if time == 1 else f"b#{time}"
        decide(definition, state, Settled(time, call, Outcome.FAILED, error=Error("Broke", "no", "b")))
        decide(definition, state, Settled(time, f"on_pause[{time - 1}]/tell", Outcome.SUCCEEDED))
        decide(definition, state, OperatorAsked(time, Verb.RETRY_STEP, "b"))

    assert next(iter(state.notices)) == "on_pause[30]/tell"
    assert len(state.notices) == 100
