from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sagadsl
from sagadsl.engine.facts import StartActivity, Status
from sagadsl.immutable import replace
from sagadsl.language.paths import (
    MAX_ID,
    ON_FAILURE,
    ROOT,
    CallId,
    Purpose,
    activity_id,
    any_round,
    branch_in,
    call_of_activity,
    call_of_child,
    caller_of,
    child_id,
    drawn,
    drawn_round,
    enclosing_ids,
    enclosing_path,
    forward_key,
    handled_by,
    handler_path,
    is_compensation,
    is_on_failure,
    is_path_at,
    is_path_end,
    key_of_activity_id,
    looseness,
    parse_call,
    path_around,
    path_below,
    path_in,
    path_in_its_block,
    path_of_key,
    pattern_of,
    renamed,
    round_path,
    rounds_in,
    stands_for,
    step_id_in,
    step_key_of_activity_id,
    step_of_activity_id,
    undo_key,
    whole_path,
)
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World
from tests.engine.invariants import check
from tests.engine.scenes import act, built, no, plain, saga


@pytest.mark.parametrize(
    ("activity_id", "key", "step"),
    [
        ("withdraw", "s-1/withdraw/do", "withdraw"),
        ("book/flight", "s-1/book/flight/do", "book/flight"),
        ("lines[3]/reserve", "s-1/lines[3]/reserve/do", "lines[3]/reserve"),
        ("withdraw#2", "s-1/withdraw/do", "withdraw"),
        ("withdraw@2#2", "s-1/withdraw@2/do", "withdraw"),
        ("lines[3]/take@12.compensation[1]#3", "s-1/lines[3]/take@12/undo[1]", "lines[3]/take"),
        ("withdraw@2.probe", "s-1/withdraw@2/do", "withdraw"),
        ("withdraw.probe", "s-1/withdraw/do", "withdraw"),
        ("withdraw.probe#2", "s-1/withdraw/do", "withdraw"),
        ("withdraw.compensation", "s-1/withdraw/undo", "withdraw"),
        ("withdraw.compensation[0]", "s-1/withdraw/undo[0]", "withdraw"),
        ("lines[3]/reserve.compensation[12]#3", "s-1/lines[3]/reserve/undo[12]", "lines[3]/reserve"),
        ("deposit.on_error/tell", "s-1/deposit.on_error/tell/do", "deposit.on_error/tell"),
        ("deposit.on_error/tell.compensation", "s-1/deposit.on_error/tell/undo", "deposit.on_error/tell"),
    ],
)
def test_a_key_is_who_which_step_and_do_or_undo(activity_id: str, key: str, step: str) -> None:
    """R49: the same however often the call is repeated."""
    assert key_of_activity_id("s-1", activity_id) == key
    assert step_of_activity_id(activity_id) == step
    assert is_compensation(activity_id) == ("/undo" in key)


def test_both_ways_to_a_key_agree() -> None:
    """R49: the engine builds keys from paths, the worker from activity ids."""
    assert forward_key("s", "a/b") == key_of_activity_id("s", "a/b")
    assert undo_key("s", "a/b") == key_of_activity_id("s", "a/b.compensation")
    assert undo_key("s", "a/b", 1) == key_of_activity_id("s", "a/b.compensation[1]")
    assert forward_key("s", "a/b", 2) == key_of_activity_id("s", "a/b@2#3")
    assert undo_key("s", "a/b", 1, 2) == key_of_activity_id("s", "a/b@2.compensation[1]")
    assert step_key_of_activity_id("s", "a/b@2.compensation") == forward_key("s", "a/b", 2)


@pytest.mark.parametrize("call", ["hotel", "book/hotel", "lines[3]/hotel#2", "hotel.compensation[1]"])
@pytest.mark.parametrize("parent", ["trip-7", "trip/7", "é" * 90, "x" * 255, "x~0123456789ab/" * 20])
def test_a_childs_id_fits_every_database_and_tells_its_call(parent: str, call: str) -> None:
    """B1: it is the parent's and the call's, shortened where they would be too long together."""
    found = child_id(parent, call)

    assert len(found.encode()) <= MAX_ID
    assert call_of_child(parent, found) == call
    assert (found == f"{parent}/{call}") == (len(f"{parent}/{call}".encode()) <= MAX_ID)
    assert child_id(parent, call, cut=False) == f"{parent}/{call}"


def test_children_at_any_depth_have_ids_of_their_own() -> None:
    """B1: 21 deep under an id of 23 characters, and two whose ends alone differ, or alone are the same."""
    saga, seen = "order-1234567890-abcdef", set()
    for _ in range(21):
        seen |= {child_id(saga, "a_step_with_a_name/kid"), child_id(saga, "another_step_with_a_name/kid")}
        saga = child_id(saga, "a_step_with_a_name/kid")
        assert len(saga.encode()) <= MAX_ID

    assert len(seen) == 42
    assert child_id("x" * 250 + "1", "kid") != child_id("x" * 250 + "2", "kid")


def test_of_a_path_that_is_too_long_its_end_stays() -> None:
    call = "/".join(f"a_group_number_{number}" for number in range(20))
    found = child_id("trip-7", call)

    assert len(found.encode()) <= MAX_ID
    assert call_of_child("trip-7", found) == f"…{call[-200:]}"


@pytest.mark.parametrize("call", ["out", "book/flight", "lines[3]/take#2", "out.compensation", "out.compensation[1]#2"])
def test_a_run_that_begins_anew_has_keys_of_its_own(call: str) -> None:
    """R49: the token stands behind the id in keys, and behind the ids of activities, where workers read it."""
    anew = activity_id(call, "4f1c09a2be")

    assert anew == f"{call}~4f1c09a2be"
    assert call_of_activity(anew) == call_of_activity(call) == call
    assert key_of_activity_id("s-1", anew) == key_of_activity_id("s-1~4f1c09a2be", call)
    assert step_key_of_activity_id("s-1", anew) == step_key_of_activity_id("s-1~4f1c09a2be", call)
    assert step_of_activity_id(anew) == step_of_activity_id(call)
    assert is_compensation(anew) == is_compensation(call)


@pytest.mark.parametrize("parent", ["trip-7", "é" * 90, "x" * 255, "trip~7"])
def test_a_child_of_a_run_that_begins_anew_is_another_one_and_tells_its_call(parent: str) -> None:
    """R46, R49."""
    first, second = (child_id(caller_of(parent, token), "book/hotel") for token in ("", "4f1c09a2be"))

    assert first != second
    assert len(second.encode()) <= MAX_ID
    assert call_of_child(parent, first) == call_of_child(parent, second) == "book/hotel"


def test_virtual_time_begins_a_closed_saga_anew_with_other_keys() -> None:
    """R49: in calls, undos, children and theirs; what it has sent tells."""
    child = saga(act("c", input="{{ idempotency_key }}"), name="child")
    part = {"id": "part", "saga": "child", "compensation": "auto"}
    own = {"activity": "undo.a", "input": "{{ step.idempotency_key }} {{ idempotency_key }}"}
    sent: list[str] = []

    def act_out(saga_id: str, command: StartActivity, attempt: int) -> Attempt:
        sent.extend(map(str, command.arguments))
        return no() if command.call_id == "end" else Attempt()

    world = World(act_out, sagas={"child": built(child)})
    definition = built(saga(act("a", input="{{ idempotency_key }}", compensation=own), part, plain("end")))
    for number in range(2):
        run = world.start(definition)
        world.run()
        assert run.close is not None, number
        assert run.close.status is Status.COMPENSATED
        check(world.events, "saga-1", run)

    first, second = sent[: len(sent) // 2], sent[len(sent) // 2 :]
    assert first[0] == "saga-1/a/do"
    assert first[1] == "saga-1/part/c/do"
    assert first[-1] == "saga-1/a/do saga-1/a/undo"
    assert second == [each.replace("saga-1/", "saga-1~2/") for each in first]


_ids = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
_numbers = st.integers(0, 99_999)


def _calls_of(paths: st.SearchStrategy[str]) -> st.SearchStrategy[CallId]:
    several = st.integers(1, 20)
    return st.builds(_call, paths, st.sampled_from(Purpose), st.none() | _numbers, several, several)


def _inside_of(paths: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    rounds, handlers = st.builds(round_path, paths, _numbers), st.builds(handler_path, paths)
    return paths | rounds | handlers | _calls_of(paths).map(str)


def _call(step: str, purpose: Purpose, action: int | None, time: int, key: int) -> CallId:
    return CallId(step, purpose, action if purpose is Purpose.UNDO else None, time, key)


_top = _ids | st.builds(path_in, st.just(ON_FAILURE), _ids)
_paths = st.recursive(_top, lambda inner: st.builds(path_in, _inside_of(inner), _ids), max_leaves=5)
_calls = _calls_of(_paths)
_outer = _inside_of(_paths) | st.sampled_from((ROOT, ON_FAILURE))


@given(_calls)
def test_what_is_read_is_what_was_written(call: CallId) -> None:
    assert parse_call(str(call)) == call
    assert parse_call(call.path) == replace(call, time=1, key=1)
    assert parse_call(call.line) == replace(call, time=1, key=1, action=None)
    assert step_id_in(str(call)) == step_id_in(call.step)


@given(_outer, _ids)
def test_a_path_tells_what_it_stands_in(outer: str, step: str) -> None:
    path = path_in(outer, step)

    assert enclosing_path(path) == outer
    assert step_id_in(path) == step
    assert is_path_at(path, path)
    assert path_around(path, step) == outer
    assert path_below(path, path) == ""
    assert outer == ROOT or path_below(path, outer) == step
    assert is_path_end(step, path) == (outer != ROOT)
    assert is_on_failure(path) == (outer == ON_FAILURE or is_on_failure(outer))


@given(_paths, _numbers, _ids)
def test_a_round_tells_its_loop_and_its_number(loop: str, number: int, step: str) -> None:
    path = path_in(round_path(loop, number), step)

    assert list(rounds_in(path)) == [*rounds_in(loop), (loop, number, round_path(loop, number))]
    assert branch_in(loop, path) == str(number)
    assert branch_in(loop, path_in(loop, step)) == step
    assert branch_in(loop, f"{loop}x/{step}") is None
    assert pattern_of(path) == pattern_of(path_in(round_path(loop, number + 1), step)) != path
    assert pattern_of(pattern_of(path)) == pattern_of(path)
    assert stands_for(pattern_of(path), path)
    assert stands_for(path_in(any_round(loop), step), path)
    assert drawn(path) == path_in(drawn_round(drawn(loop)), step)
    assert path_in_its_block(path) == f"[{number}] {step}"


@given(_paths, _ids)
def test_a_handler_tells_its_step(path: str, step: str) -> None:
    inside = path_in(handler_path(path), step)

    assert handled_by(inside) == (handled_by(path) or path)
    assert enclosing_ids(inside) == [*enclosing_ids(path), step_id_in(path)]
    assert is_path_at(inside, path)
    assert path_below(inside, path) is None


def test_the_number_of_an_action_is_no_round() -> None:
    """A mock for any round of a loop is one for the action that its name says."""
    call = "lines[3]/pay.compensation[1]#2"

    assert list(rounds_in(call)) == [("lines", 3, "lines[3]")]
    assert pattern_of(call) == "lines[*]/pay.compensation[1]"
    exact_first = [
        "lines[3]/pay.compensation[1]#2",
        "lines[3]/pay.compensation[1]",
        "lines[*]/pay.compensation[1]#2",
        "lines[*]/pay.compensation[1]",
    ]
    assert all(stands_for(pattern, call) for pattern in exact_first)
    assert all(looseness(one) <= looseness(other) for one, other in pairwise(exact_first))
    for other in ("lines[2]/pay.compensation[1]", "lines[*]/pay.compensation[0]", "lines[3]/pay.compensation[1]#3"):
        assert not stands_for(other, call)


def test_any_round_may_be_meant_at_every_depth() -> None:
    """Of the outer loop, of the inner one, or of both; with as many numbers the outer one decides."""
    call = "outer[1]/inner[0]/a"

    assert stands_for("outer[*]/inner[0]/a", call)
    assert stands_for("outer[1]/inner[*]/a", call)
    assert stands_for("outer[*]/inner[*]/a", call)
    assert not stands_for("outer[*]/inner[1]/a", call)
    assert looseness("outer[1]/inner[*]/a") < looseness("outer[*]/inner[0]/a") < looseness("outer[*]/inner[*]/a")


@pytest.mark.parametrize(
    ("end", "among", "whole", "of_any_round"),
    [
        ("flight", ["book/flight", "pay"], "book/flight", "book/flight"),
        ("pay", ["book/flight", "pay"], None, None),
        ("pay", ["lines[*]/pay"], None, "lines[*]/pay"),
        ("pay", ["lines[2]/pay"], None, "lines[2]/pay"),
        ("inner[0]/a", ["outer[*]/inner[*]/a"], None, "outer[*]/inner[0]/a"),
        ("inner[0]/a", ["book/inner[*]/a"], "book/inner[0]/a", "book/inner[0]/a"),
        ("inner[0]/a", ["book/inner[0]/a"], "book/inner[0]/a", "book/inner[0]/a"),
        ("pay", ["a/pay", "b/pay"], None, None),
        ("pay.compensation", ["a/pay", "a/pay.compensation"], "a/pay.compensation", "a/pay.compensation"),
    ],
)
def test_blocks_may_be_left_out_where_one_path_is_meant(
    end: str, among: list[str], whole: str | None, of_any_round: str | None
) -> None:
    """A loop only where any of its rounds may be meant."""
    assert whole_path(end, among) == whole
    assert whole_path(end, among, any_round=True) == of_any_round


@pytest.mark.parametrize(
    ("name", "old", "new", "wanted"),
    [
        ("pay", "pay", "charge", "charge"),
        ("book/pay.compensation#2", "book/pay.compensation", "book/charge.compensation", "book/charge.compensation#2"),
        ("pay.compensation[1]", "book/pay.compensation[1]", "book/charge.compensation[1]", "charge.compensation[1]"),
        ("lines[3]/pay", "lines[*]/pay", "rows[*]/pay", "rows[3]/pay"),
        ("lines.on_error/pay", "lines.on_error/pay", "rows.on_error/pay", "rows.on_error/pay"),
        ("pay@2", "pay", "charge", "charge@2"),
    ],
)
def test_a_name_follows_the_ids_in_its_pattern(name: str, old: str, new: str, wanted: str) -> None:
    assert renamed(name, old, new) == wanted


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (forward_key("trial", "book/pay"), "book/pay"),
        (forward_key("trial", "book/pay", 2), "book/pay"),
        (undo_key("trial", "pay"), "pay"),
        (undo_key("trial", "lines[3]/pay", 1), "lines[3]/pay"),
        (forward_key("other", "pay"), None),
        ("trial/pay", None),
    ],
)
def test_a_key_says_whose_it_is(key: str, path: str | None) -> None:
    assert path_of_key("trial", key) == path


_PRODUCT = Path(sagadsl.__file__).parent
_PARTS = re.compile(r"\.(compensation|probe|on_error)(?!\w)|\\\[\(?\\d|/(un)?do\b")
_JOINED = re.compile(r"(path|call|call_id|key|block|loop|step_id)('\])?$")
_TAKES_APART = frozenset(("partition", "rpartition", "split", "rsplit", "startswith", "endswith", "find", "index"))
_OTHER_NAMES = {
    "activities": "addresses of the web",
    "agents/pages.py": "names of pages",
    "agents/words.py": "paths of files",
    "authoring.py": "an example of a key",
    "language/loaded.py": "addresses of files",
    "language/notation/zones.py": "names of time zones",
    "plugins": "places in data",
    "reporting": "places in files",
    "cli/explain.py": "names of pages",
    "cli/given.py": "JSON pointers",
    "cli/operate.py": "examples of commands",
    "cli/page_text.py": "names of pages",
    "reporting/schema_text.py": "JSON pointers",
    "editing/cursor.py": "comments",
    "editing/mentions.py": "places in data",
    "gateway/addresses.py": "addresses of the web",
    "gateway/app.py": "addresses of the web",
    "gateway/openapi.py": "JSON pointers",
    "gateway/requests.py": "addresses of the web",
    "immutable.py": "annotations",
    "language/document.py": "places in files",
    "language/expressions": "places in data",
    "language/near_files.py": "names of sagas in files",
    "language/notation/patterns.py": "regular expressions",
    "language/schema": "JSON pointers",
    "language/suppressions.py": "comments",
    "trial/draw.py": "JSON pointers",
}
"""Where the same signs stand in names of another kind."""


def test_no_other_module_writes_or_reads_the_grammar_of_paths() -> None:
    found = [
        f"{module.relative_to(_PRODUCT)}:{line}: {what}"
        for module in sorted(_PRODUCT.rglob("*.py"))
        if module.name != "paths.py" and not any(module.is_relative_to(_PRODUCT / other) for other in _OTHER_NAMES)
        for line, what in _by_hand(ast.parse(module.read_text()))
    ]

    assert found == []


def test_the_page_takes_no_path_apart() -> None:
    """The server says what belongs to which step."""
    by_hand = re.compile(r"\.(compensation|probe)\b|\\\[\(?\\d|\.path\}/\$\{\w+\.path")
    scripts = {script.name: script.read_text() for script in sorted((_PRODUCT / "gateway" / "page").glob("*.js"))}

    assert "picture.js" in scripts
    assert [name for name, text in scripts.items() if by_hand.search(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        'f"{record.path}.probe"',
        'path.rpartition("/")',
        "f\"{child['path']}/{x}\"",
        '"#" in name',
        're.compile(r"\\[\\d+\\]")',
    ],
)
def test_the_grammar_is_seen_where_it_is_written_by_hand(text: str) -> None:
    assert list(_by_hand(ast.parse(text)))


def _by_hand(tree: ast.Module) -> Iterator[tuple[int, str]]:
    said = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for each in ast.walk(tree):
        match each:
            case ast.Constant(value=str(text)) if id(each) not in said and _PARTS.search(text):
                yield each.lineno, text
            case ast.JoinedStr(values=values):
                for before, after in pairwise(values):
                    joins = isinstance(after, ast.Constant) and str(after.value).startswith(("/", "[", "#"))
                    if isinstance(before, ast.FormattedValue) and joins and _JOINED.search(ast.unparse(before.value)):
                        yield each.lineno, ast.unparse(each)
            case ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant(value="/" | "[" | "]" | "#"), *_]):
                if name in _TAKES_APART:
                    yield each.lineno, ast.unparse(each)
            case ast.Compare(left=ast.Constant(value="/" | "[" | "#"), ops=[ast.In() | ast.NotIn()]):
                yield each.lineno, ast.unparse(each)
            case _:
                pass
