"""A run migrates to another definition: when it may, and what becomes of it. R70 to R75."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sagadsl.engine.facts import OperatorAsked, Verb
from sagadsl.engine.migration import judge
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.engine.stations import stations
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World
from tests.engine.invariants import check
from tests.engine.scenes import ID, Ran, Script, act, built, gives, no, operator, plain, saga, scripted, signal, slow

WAIT = {"id": "approval", "wait_for": {"signal": "approved"}}


def migrated(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    script: Script | None = None,
    *meddling: Any,
    at: float = 5.0,
    input_: Any = None,
    cancel_at: float | None = None,
    **world_options: bool,
) -> Ran:
    """Play *old*, and migrate it to *new* at an instant; which has to be accepted."""
    seen: dict[str, Any] = {}
    world = World(scripted(script or {}, seen), **world_options)
    run = world.start(built(old), input_)

    def migrate() -> None:
        assert world.migrate(built(new), by="ann").reasons == ()

    world.clock.later(at, migrate)
    for seconds, make in meddling:
        world.at(seconds, make)
    if cancel_at is not None:
        world.cancel_at(cancel_at)
    world.run()
    check(world.events, ID, run)
    return Ran(world, run, seen)


def reasons(old: Mapping[str, Any], new: Mapping[str, Any], script: Script | None = None, **more: Any) -> list[str]:
    """Return why a run of *old* cannot migrate to *new* after a while, as rule and sentence."""
    world = World(scripted(script or {}))
    run = world.start(built(old), more.get("input_"))
    for seconds, make in more.get("meddling", ()):
        world.at(seconds, make)
    world.run(more.get("until", 5.0))
    before = snapshot(run.state)
    found = [f"{each.rule} {each.message}" for each in judge(run.saga, run.state, built(new)).reasons]
    assert snapshot(run.state) == before
    return found


def test_a_run_that_waits_goes_on_with_the_steps_of_the_new_definition() -> None:
    """R70."""
    ran = migrated(
        saga(act("pay"), WAIT, act("ship")),
        saga(act("pay"), WAIT, act("pack"), act("ship")),
        {},
        signal(9.0, "approved"),
    )
    assert ran.calls == ["pay", "pack", "ship"]
    assert ran.status == "completed"
    assert [(each["from_version"], each["version"]) for each in ran.now["migrations"]] == [("1", "1")]
    assert [(each["verb"], each["by"]) for each in ran.now["actions"]] == [("migrate", "ann")]


def test_a_migration_waits_until_the_calls_in_flight_have_ended_and_then_runs_steps_behind_the_former_end() -> None:
    """R75: nothing begins meanwhile, and a saga does not end under its old definition."""
    ran = migrated(saga(act("pay"), act("ship")), saga(act("pay"), act("check"), act("ship")), {"pay": slow(60)})
    assert ran.calls == ["pay", "check", "ship"]
    ran = migrated(saga(act("pay")), saga(act("pay"), act("ship")), {"pay": slow(60)})
    assert ran.calls == ["pay", "ship"]
    assert ran.before(("end", "pay"), ("continue_as_new", ""))


def test_timers_keep_their_moment() -> None:
    """R75."""
    sleeps = {"id": "rest", "sleep": "100s"}
    ran = migrated(saga(sleeps, act("ship")), saga({**sleeps, "sleep": "1h"}, act("ship")))
    assert ran.at("start", "ship") == 100


def test_what_was_promised_is_undone_by_the_old_definitions_call() -> None:
    """R72: also when the same step runs again under the new definition."""
    old = saga(act("pay"), WAIT, act("ship"))
    undo = {"activity": "undo.pay_2", "input": {"version": 2}, "retry": "none"}
    new = saga(act("pay", compensation=undo), WAIT, act("ship"))
    ran = migrated(old, new, {"do.ship": no()}, signal(9.0, "approved"))
    assert ran.commands["pay.compensation"].activity == "undo.pay"
    assert ran.sent("pay.compensation") == {"key": f"{ID}/pay/do"}
    assert ran.status == "compensated"
    assert list(ran.run.saga.former) == [built(old).digest]


def test_a_compensation_that_is_gone_is_still_done() -> None:
    """R72."""
    ran = migrated(
        saga(act("pay"), WAIT, act("ship")),
        saga(plain("pay"), WAIT, act("ship")),
        {"do.ship": no()},
        signal(9.0, "approved"),
    )
    assert ran.calls == ["pay", "ship", "pay.compensation"]
    assert ran.report["undone"] == ["pay"]


def test_rounds_keep_their_promise_and_later_rounds_have_a_new_one() -> None:
    """R72, also for rounds that are packed."""

    def loop(undo: str, **more: Any) -> dict[str, Any]:
        body = [act("pay", compensation={"activity": undo, "input": {"n": "{{ n }}"}}), {"id": "rest", "sleep": "10s"}]
        return saga({"id": "all", "for_each": {"items": "input", "as": "n"}, "steps": body}, act("ship"), **more)

    for options in ({}, {"drain": True}, {"replay": True}):
        ran = migrated(loop("undo.one"), loop("undo.two"), {"do.ship": no()}, input_=[1, 2, 3, 4], at=15.0, **options)
        undone = {call: command.activity for call, command in ran.commands.items() if call.endswith("compensation")}
        assert undone == {
            "all[3]/pay.compensation": "undo.two",
            "all[2]/pay.compensation": "undo.two",
            "all[1]/pay.compensation": "undo.one",
            "all[0]/pay.compensation": "undo.one",
        }
        assert [ran.sent(call)["n"] for call in undone] == [4, 3, 2, 1]


def test_a_second_migration_keeps_the_first_promise() -> None:
    """R72."""

    def version(number: int) -> dict[str, Any]:
        return saga(act("pay", compensation={"activity": f"undo.v{number}"}), WAIT, act("ship"), version=str(number))

    world = World(scripted({"do.ship": no()}, seen := {}))
    run = world.start(built(version(1)))
    for number, at in ((2, 5.0), (3, 6.0)):
        world.clock.later(at, lambda number=number: world.migrate(built(version(number))))
    world.at(*signal(9.0, "approved"))
    world.run()
    check(world.events, ID, run)
    assert run.saga.version == "3"
    assert [each.version for each in run.state.migrations] == ["2", "3"]
    assert seen["pay.compensation"].activity == "undo.v1"


def test_a_new_branch_begins_beside_those_that_run() -> None:
    """R71."""

    def both(*more: Any) -> dict[str, Any]:
        return saga({"id": "both", "parallel": [*more, WAIT, act("pack")]}, act("ship"))

    ran = migrated(both(), both(act("label")), {}, signal(20.0, "approved"))
    assert ran.calls == ["both/pack", "both/label", "ship"]


def test_a_run_migrates_while_it_undoes() -> None:
    """R72: what is still to be undone is undone as promised."""
    old = saga(act("one"), act("two"), act("three"))
    new = saga(*(act(each, compensation={"activity": f"new.{each}"}) for each in ("one", "two", "three")))
    ran = migrated(old, new, {"do.three": no(), "undo.two": Attempt(takes=30)})
    assert [ran.commands[f"{each}.compensation"].activity for each in ("two", "one")] == ["undo.two", "undo.one"]
    assert ran.status == "compensated"


def test_a_cancel_undoes_by_the_old_calls() -> None:
    """R72."""
    new = saga(act("pay", compensation={"activity": "undo.new"}), WAIT)
    ran = migrated(saga(act("pay"), WAIT), new, cancel_at=20.0)
    assert ran.commands["pay.compensation"].activity == "undo.pay"
    assert ran.status == "cancelled"


@pytest.mark.parametrize(
    ("new", "found"),
    [
        (saga(WAIT, act("ship")), "R70 `pay` has run, and the new definition has no such step"),
        (saga(act("pay"), act("check"), WAIT, act("ship")), "R71 `check` is new and lies before what has run"),
        (saga(act("ship"), act("pay"), WAIT), "R71 `ship` has not run and lies before what has run"),
        (saga({"id": "pay", "sleep": "1s"}, WAIT), "R70 `pay` has run as `activity`, and is now `sleep`"),
        (
            saga({"id": "pay", "nexus": {"endpoint": "e", "service": "S", "operation": "o"}}, WAIT),
            "R70 `pay` has run as `activity`, and is now `nexus`",
        ),
        (
            saga({"id": "both", "steps": [act("pay")]}, WAIT),
            "R70 `pay` has run at the top, and now stands in `both`",
        ),
        (saga(act("pay", pivot=True), WAIT), "R73 `pay` is the pivot of the new definition, and has run"),
        (
            saga(act("pay"), {"id": "approval", "wait_for": {"signal": "granted"}}),
            "R74 `approval` waits for the signal `approved`, and would wait for `granted`",
        ),
        (
            saga(act("pay"), WAIT, plain("ship", input={"id": "{{ steps.pay.output.id }}"})),
            "R74 `ship` reads `steps.pay.output.id`: the output of `pay` in this run has no `id`",
        ),
        (
            saga(act("pay"), WAIT, plain("ship", input="{{ input.zip }}"), input={"type": "object"}),
            "R74 `ship` reads `input.zip`: the input of this run has no `zip`",
        ),
        (
            saga(act("pay"), WAIT, input={"type": "object", "required": ["zip"]}),
            "R74 the input of this run does not fit any more: `input`: `zip` is missing",
        ),
        (saga(act("pay"), WAIT, name="other"), "R70 the new definition is of saga `other`"),
    ],
)
def test_a_run_does_not_migrate_where_its_steps_have_no_place(new: dict[str, Any], found: str) -> None:
    old = saga(act("pay"), WAIT, act("ship"))
    told = reasons(old, new, {"pay": gives({"reference": 7})}, input_={"amount": 1})
    assert any(each.startswith(found) for each in told), told


def test_an_expression_that_counts_with_a_missing_value_is_no_reason() -> None:
    """R74."""
    old = saga(act("pay"), WAIT)
    new = saga(act("pay"), WAIT, plain("ship", input="{{ steps.pay.output.id | default('none') }}"))
    assert reasons(old, new, {"pay": gives({})}) == []


def test_a_pivot_that_was_passed_stays_one() -> None:
    """R73."""
    old = saga(act("pay", pivot=True, compensation=...), WAIT)
    assert reasons(old, saga(act("pay"), WAIT)) == [
        "R73 the pivot `pay` has been passed, and is no pivot in the new definition"
    ]


def test_a_signal_that_is_kept_has_to_fit() -> None:
    """R74."""
    late = {"id": "late", "wait_for": {"signal": "parcel"}}
    old = saga(WAIT, late)
    narrow = {"id": "late", "wait_for": {"signal": "parcel", "payload": {"type": "object"}}}
    kept = [signal(2.0, "parcel", "text")]
    assert reasons(old, saga(WAIT, narrow), meddling=kept) == [
        'R74 a signal `parcel` is kept that does not fit any more: `parcel`: must be an object, got `"text"`'
    ]
    assert reasons(old, saga(WAIT), meddling=kept) == [
        "R74 a signal `parcel` is kept, and nothing in the new definition waits for it"
    ]


def test_outputs_that_are_forgotten_cannot_be_read_anew() -> None:
    """R74: continue-as-new has dropped what nothing in the old definition reads."""
    old = saga(plain("pay"), WAIT, act("ship"), output="{{ 1 }}")
    new = saga(plain("pay"), WAIT, act("ship", input="{{ steps.pay.output.id }}"), output="{{ 1 }}")
    world = World(scripted({"pay": gives({"id": 7})}), drain=True)
    run = world.start(built(old))
    world.run(5.0)
    found = [each.message for each in judge(run.saga, run.state, built(new)).reasons]
    assert found == ["`ship` reads `steps.pay.output.id`: the run has not kept the output of `pay`"]


def test_a_run_whose_last_call_changes_what_fits_stays_as_it_is() -> None:
    """R75: it is judged again at the quiet point, and goes on when it cannot migrate."""
    handler = {"types": ["Refused"], "steps": [act("help")], "then": "continue"}
    old = saga(act("pay", on_error=[handler]), act("ship"))
    new = saga(act("pay"), act("ship"))
    world = World(scripted({"do.pay": Attempt(takes=60, error="Refused", message="no", retryable=False)}))
    run = world.start(built(old))
    world.clock.later(5.0, lambda: world.migrate(built(new)))
    world.run()
    check(world.events, ID, run)
    assert run.saga.digest == built(old).digest
    assert run.close is not None
    assert run.close.status.value == "completed"
    assert [each.verb for each in run.state.actions] == ["migrate", "stay"]


def test_a_block_that_is_over_gets_no_new_steps() -> None:
    """R71."""

    def group(*inner: Any) -> dict[str, Any]:
        return saga({"id": "both", "steps": list(inner)}, WAIT)

    assert reasons(group(act("pay")), group(act("pay"), act("check"))) == [
        "R71 `check` is new and lies before what has run, so this run would never come to it"
    ]


def test_a_loop_that_repeats_runs_new_steps_in_its_next_round() -> None:
    """R71."""

    def poll(*more: Any) -> dict[str, Any]:
        ask = plain("ask")
        rounds = {"until": "item_index >= 3", "every": "10s"}
        return saga({"id": "poll", "repeat": rounds, "steps": [ask, *more]})

    ran = migrated(poll(), poll(plain("tell")), at=15.0)
    assert ran.calls == ["poll[0]/ask", "poll[1]/ask", "poll[2]/ask", "poll[2]/tell", "poll[3]/ask", "poll[3]/tell"]


def test_steps_without_a_compensation_get_none_later() -> None:
    world = World(scripted({}))
    run = world.start(built(saga(plain("pay"), WAIT)))
    world.run(5.0)
    judged = judge(run.saga, run.state, built(saga(act("pay"), WAIT)))
    assert judged.reasons == ()
    assert judged.notes == ("`pay` has begun without a compensation, and gets none in this run",)


def test_the_state_of_a_migrated_run_can_be_written_down() -> None:
    ran = migrated(
        saga(act("pay"), WAIT), saga(act("pay"), WAIT, act("ship")), {}, signal(9.0, "approved"), replay=True
    )
    assert restore(snapshot(ran.state)) == ran.state


def test_every_station_of_a_definition_may_stay_as_it_is() -> None:
    one = built(saga(act("a"), {"id": "b", "parallel": [act("c"), act("d", needs=["c"])]}, WAIT))
    assert [each.step for each in stations(one)] == ["a", "c", "d", "approval"]
    assert all(judge(one, each.state, one).reasons == () for each in stations(one))


def test_a_guard_counts_for_the_value_that_it_guards_alone() -> None:
    """R74: beside it, and where the old definition had a guard and the new one has none."""
    old = saga(act("pay"), WAIT, plain("ship", input={"a": "{{ input.zip | default('') }}"}))
    beside = {"a": "{{ input.zip | default('') }}", "b": "{{ steps.pay.output.id }}"}
    assert reasons(old, saga(act("pay"), WAIT, plain("ship", input=beside)), {"pay": gives({})}, input_={}) == [
        "R74 `ship` reads `steps.pay.output.id`: the output of `pay` in this run has no `id`"
    ]
    bare = saga(act("pay"), WAIT, plain("ship", input={"a": "{{ input.zip }}"}))
    assert reasons(old, bare, input_={}) == [
        "R74 `ship` reads `input.zip`: the input of this run has no `zip`, and defaults are not filled in anew"
    ]
    asked = saga(act("pay"), WAIT, plain("ship", input="{{ input.zip.code if input.zip is defined else 0 }}"))
    assert reasons(old, asked, input_={}) == []


def test_what_several_steps_share_is_judged_although_the_first_of_them_is_over() -> None:
    """R74."""
    shared = {"retry": {"initial_interval": "{{ input.pause }}"}}
    pay, ship = ({"id": each, "activity": f"do.{each}", "compensation": "none"} for each in ("pay", "ship"))
    found = reasons(saga(pay, WAIT, ship), saga(pay, WAIT, ship, defaults=shared), input_={})
    assert found == [
        "R74 `pay` reads `input.pause`: the input of this run has no `pause`, and defaults are not filled in anew"
    ]


def test_a_timeout_that_was_set_keeps_its_moment_and_a_new_one_is_not_set() -> None:
    """R75: the judgement says so; nothing reads what the new timeout would be."""

    def notes(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
        world = World(scripted({}))
        run = world.start(built(old), {})
        world.run(5.0)
        judged = judge(run.saga, run.state, built(new))
        assert judged.reasons == ()
        return judged.notes

    patient = {"id": "approval", "wait_for": {"signal": "approved", "timeout": "2h"}}
    short = {"id": "approval", "wait_for": {"signal": "approved", "timeout": "1h"}}
    assert notes(saga(patient, timeout="3h"), saga(short, timeout="{{ input.limit }}")) == (
        "the timeout of the saga keeps its moment",
        "`approval` waits as long as the old definition says",
    )
    assert notes(saga(WAIT), saga(WAIT, timeout="3h")) == (
        "the saga has begun without a timeout, and gets none in this run",
    )


def test_a_step_that_waits_for_a_decision_begins_under_the_new_definition_when_it_is_repeated() -> None:
    """R72: the judgement says so."""
    pauses = {"on_error": "pause"}
    old = saga(act("pay", **pauses), act("ship"))
    new = saga(act("pay", compensation={"activity": "undo.new", "retry": "none"}, **pauses), act("ship"))
    script = {"do.pay": no(), "pay#2": gives(1), "do.ship": no()}
    ran = migrated(old, new, script, operator(9.0, Verb.RETRY_STEP))
    assert ran.commands["pay.compensation"].activity == "undo.new"
    world = World(scripted(script))
    run = world.start(built(old))
    world.run(5.0)
    assert judge(run.saga, run.state, built(new)).notes == (
        "`pay` is undone as the old definition says, if it has to be, unless it is repeated",
    )


def test_a_run_that_goes_back_takes_new_steps_that_it_will_never_begin() -> None:
    """R71, R74: they are no reason; what it still does counts."""
    old = saga(act("pay"), act("ship"))
    script = {"do.ship": no(), "undo.pay": no()}
    new = saga(act("pay"), plain("check", input="{{ steps.pay.output.id }}"), act("ship"), on_failure=[plain("tell")])
    ran = migrated(old, new, script, operator(9.0, Verb.SKIP_STEP))
    assert ran.calls == ["pay", "ship", "pay.compensation", "on_failure/tell"]
    reads = saga(act("pay"), act("ship"), on_failure=[plain("tell", input="{{ input.zip }}")])
    assert reasons(old, reads, script, input_={}) == [
        "R74 `tell` reads `input.zip`: the input of this run has no `zip`, and defaults are not filled in anew"
    ]


def test_a_handler_that_has_begun_nothing_stays_the_handler_of_its_errors() -> None:
    """R71."""

    def handled(types: list[str]) -> dict[str, Any]:
        rest = {"id": "rest", "sleep": "1h"}
        return saga(plain("pay", on_error=[{"types": types, "steps": [rest], "then": "continue"}]))

    world = World(scripted({"do.pay": no()}))
    run = world.start(built(handled(["Refused"])))
    world.tell(ID, OperatorAsked(world.now, Verb.PAUSE))
    world.run(5.0)
    assert run.state.frames["pay.on_error"].cursor == 0
    assert judge(run.saga, run.state, built(handled(["Refused"]))).reasons == ()
    found = [each.message for each in judge(run.saga, run.state, built(handled(["Other"]))).reasons]
    assert found == ["error handler 1 of `pay` runs, and is not there any more"]


def test_a_loop_that_has_begun_gets_no_new_state() -> None:
    """R74: nobody knows what its rounds would have made of it."""

    def counting(**state: int) -> dict[str, Any]:
        how = {"while": "state.n < 3", "state": state, "next": {"n": "{{ state.n + 1 }}"}}
        return saga({"id": "count", "repeat": how, "steps": [WAIT]})

    assert reasons(counting(n=0, m=0), counting(n=0)) == []
    assert reasons(counting(n=0), counting(n=0, m=0)) == [
        "R74 the rounds of `count` have begun without `m` in `state`, so nobody knows its value"
    ]
    assert all(
        not judge(built(counting(n=0)), each.state, built(counting(n=0))).reasons
        for each in stations(built(counting(n=0)))
    )
