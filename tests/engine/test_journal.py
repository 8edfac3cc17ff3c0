"""The state as data: compact, complete, and nobody's but its own."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from sagadsl.engine.facts import Error, Verb
from sagadsl.engine.journal import (
    RULES,
    Action,
    ArmSteps,
    Chunk,
    Frame,
    FrameBody,
    FrameKind,
    HandlerSteps,
    Migration,
    Notice,
    Refused,
    State,
    Unwind,
)
from sagadsl.engine.projection import markdown, report, status
from sagadsl.engine.records import Record, Sender, Undo, Unheard
from sagadsl.engine.snapshots import restore, snapshot
from tests.engine.scenes import Ran, act, no, operator, play, saga, signal, slow

BUSY = saga(
    act("a", input={"n": 1}),
    {"id": "ask", "wait_for": {"signal": "go", "timeout": "9s"}},
    {
        "id": "both",
        "parallel": [
            act("x"),
            {
                "id": "l",
                "for_each": {"items": "[1, 2]", "as": "i"},
                "steps": [act("y"), {"id": "w", "wait_for": {"signal": "no"}}],
            },
            act("long"),
        ],
        "complete_when": "completed >= 5",
    },
    timeout="1h",
)


def _example(kind: Any, name: str) -> Any:
    """Return a value of a field's type that is not its default."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _example(next(each for each in arguments if each is not type(None)), name)
    if origin is dict:
        return {_example(arguments[0], "key"): _example(arguments[1], name)}
    if origin is list:
        return [_example(arguments[0], name)]
    if origin is tuple:
        return tuple(_example(each, name) for each in arguments)
    if origin is Literal:
        return arguments[0]
    if kind is Any:
        return {"any": [1, None, {"x": True}]}
    if kind is Error:
        return Error("Type", "message", "a/b", (("Cause", "why"), ("Cause", "deeper")))
    if kind is Action:
        return Action(1.5, "abort", "a", "ann", "because")
    if kind is Migration:
        return Migration(1.5, "old", "1", "new", "2")
    if kind is Sender:
        return Sender(1.5, "ann", "because")
    if kind is Refused:
        return Refused(1.5, "go", "too much", "k1", "ann")
    if kind is Chunk:
        return Chunk(7, "packed")
    if kind in (Undo, Unheard):
        return _full(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[-1]
    return {str: f"some {name}", int: 7, float: 2.5, bool: True}[kind]


def _full(kind: Any) -> Any:
    """Return a thing in which every field holds something else than its default."""
    hints = get_type_hints(kind)
    return kind(
        **{spec.name: _example(hints[spec.name], spec.name) for spec in fields(kind) if spec.name not in BY_HAND}
    )


BY_HAND = ("records", "frames", "unwinds", "notices")


def _full_state() -> State:
    state: State = _full(State)
    record, frame, unwind, notice = _full(Record), _full(Frame), _full(Unwind), _full(Notice)
    state.records, state.frames, state.unwinds = {record.path: record}, {frame.path: frame}, {unwind.key: unwind}
    state.notices = {notice.call: notice}
    return state


def _things(state: State) -> list[Any]:
    return [state, *state.records.values(), *state.frames.values(), *state.unwinds.values(), *state.notices.values()]


def _travelled(state: State) -> State:
    """Return the state as it arrives: the converter of Temporal's Python SDK sorts the keys of objects."""
    return restore(json.loads(json.dumps(snapshot(state), sort_keys=True)))


def test_every_field_of_the_state_survives_being_written_down() -> None:
    """R34, R50: none of them is left at its default here, so none can be forgotten."""
    state = _full_state()

    for thing in _things(state):
        for spec in fields(thing):
            if spec.default is not MISSING:
                assert getattr(thing, spec.name) != spec.default, spec.name
    assert _travelled(state) == state


def test_the_order_of_everything_survives_although_keys_are_sorted_on_the_way() -> None:
    """R10, R11, R50: in which order steps began, calls were made, operators were asked for."""
    state = _full_state()
    lost = []
    for thing in _things(state):
        hints = get_type_hints(type(thing))
        for name in hints.keys() - {*BY_HAND, "signals", "outputs", "variables"}:
            if get_origin(hints[name]) is dict:
                example = next(iter(getattr(thing, name).values()))
                setattr(thing, name, dict.fromkeys(_unsorted(name), example))
                lost.append((thing, name))
    again = _travelled(state)

    assert len(lost) > 10
    for thing, name in lost:
        other = next(each for each in _things(again) if type(each) is type(thing))
        assert list(getattr(other, name)) == _unsorted(name), name


def _unsorted(name: str) -> list[Any]:
    return [("advance", key) for key in "zam"] if name == "held" else ["z", "a", "m"]


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], {}, [None], "text"])
def test_users_data_that_looks_like_a_default_stays_what_it_is(value: Any) -> None:
    """R34: a null output of a completed step is an output."""
    state = State(input=value, output=value)
    state.records["a"] = Record("a", "a", "", 1, 0.0, input=value, output=value, has_output=True, journal=value)
    state.frames[""] = Frame(
        "", FrameKind.SEQUENCE, "", "steps", items=[value], variables={"v": value}, outputs={"o": value}
    )
    state.signals["go"] = [value]

    assert _travelled(state) == state


def test_an_empty_state_is_written_as_nothing() -> None:
    """R50: fields that hold their default are left out."""
    assert snapshot(State()) == {"rules": RULES}
    same = State(now=float("0"), saga_id=str(b"", "utf-8"), attention={}, others=[])
    assert snapshot(same) == {"rules": RULES}


def test_a_completed_step_takes_little_room() -> None:
    """R50, R52: a hundred steps fit many times into what one payload holds."""
    ran = play(saga(*(act(f"step_{index}") for index in range(100))))

    assert len(json.dumps(snapshot(ran.state), separators=(",", ":"))) < 100 * 450


def test_a_snapshot_shares_nothing_that_changes() -> None:
    """Two runs may go on from one snapshot: neither changes it, nor the other, nor the one it was taken of."""
    state = _full_state()
    data = snapshot(state)
    written = json.dumps(data)

    one, other = restore(data), restore(data)
    _spoil(one)

    assert json.dumps(data) == written
    assert other == state
    _spoil(state)
    assert json.dumps(data) == written


def _spoil(state: State) -> None:
    """Change everything in place that the engine may change in place."""
    for thing in _things(state):
        for each in (thing, thing.undo) if isinstance(thing, Record) and thing.undo else (thing,):
            assert is_dataclass(each)
            for spec in fields(each):
                if spec.name in (*BY_HAND, "input", "output", "journal", "reply"):
                    continue
                value = getattr(each, spec.name)
                if isinstance(value, dict):
                    for inner in value.values():
                        if isinstance(inner, list):
                            inner.append("spoilt")
                    value["spoilt"] = "spoilt"
                elif isinstance(value, list):
                    if spec.name == "early":
                        value[0]["spoilt"] = "spoilt"
                    value.append("spoilt")


def test_a_saga_goes_on_from_a_snapshot_taken_at_any_moment() -> None:
    """R34, R50, R53: restored after every fact, everything happens again; `play` compares event by event."""
    meddling = (
        signal(2, "go", {"by": "ann"}),
        signal(3, "no"),
        operator(4, Verb.PAUSE),
        operator(5, Verb.RESUME),
        signal(6, "no"),
    )

    ran = play(BUSY, {"long": no(takes=7), "y": slow(1)}, *meddling)

    assert ran.status == "compensated"
    assert len(ran.report["undone"]) == 4


def _open(until: float) -> Ran:
    return play(BUSY, {"long": slow(30), "y": slow(1)}, signal(2, "go", 1), until=until)


@pytest.mark.parametrize("until", [0.05, 1, 2, 2.5, 4, 31])
def test_an_open_saga_reads_the_same_from_its_snapshot(until: float) -> None:
    """R60."""
    ran = _open(until)
    again = _travelled(ran.state)

    for view in (status, report, markdown):
        assert view(ran.run.saga, again) == view(ran.run.saga, ran.state)


@pytest.mark.parametrize(
    ("body", "word"),
    [("steps", "steps"), ("on_failure", "on_failure"), (ArmSteps(2), "arm:2"), (HandlerSteps(0), "handler:0")],
)
def test_where_the_steps_of_a_frame_stand_is_written_down_in_a_word(body: FrameBody, word: str) -> None:
    """R50: a run goes on with what an older release has written."""
    state = State(frames={"a": Frame("a", FrameKind.SEQUENCE, "a", body)})
    written = json.loads(json.dumps(snapshot(state)))

    assert written["frames"][0]["body"] == word
    assert restore(written) == state


def test_what_is_held_is_written_down_in_words() -> None:
    """R50: in the order in which it waits."""
    state = State(held={("advance", "b[1]"): True, ("unwind", ""): True, ("action", "a/x"): True})
    written = json.loads(json.dumps(snapshot(state)))

    assert written["held"] == [["advance:b[1]", True], ["unwind:", True], ["action:a/x", True]]
    assert list(restore(written).held) == list(state.held)


@pytest.mark.parametrize(
    "written",
    [
        {"held": [["fact:", True]]},
        {"frames": [{"path": "a", "kind": "sequence", "owner": "a", "body": "branch:1"}]},
    ],
)
def test_a_state_with_words_that_no_release_has_written_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"held as|has the body"):
        restore(written)


def test_fields_of_former_releases_are_read_over() -> None:
    """A run that goes on with the state that an older worker has left."""
    state = State(frames={"a": Frame("a", FrameKind.SEQUENCE, "a", "steps")})
    saved = snapshot(state)
    (frame,) = saved["frames"]

    assert restore(saved | {"aborted": True, "frames": [frame | {"undone": True}]}) == state
