"""What travels as start arguments: pure, and suspicious of what a foreign client may send."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from sagadsl.engine.facts import Error
from sagadsl.engine.journal import RULES
from sagadsl.engine.squeeze import packed, unpacked
from sagadsl.language.raw_steps import children_of
from sagadsl.temporal.wire.arguments import RunOptions, child_envelope, envelope, open_envelope, to_bytes
from sagadsl.temporal.wire.carry import Carry
from sagadsl.temporal.wire.definitions import InvalidDefinition
from sagadsl.temporal.work.registry import Registry
from tests.engine.scenes import act, saga

ONE = saga(act("a"), name="one")


def test_an_envelope_is_opened_once_a_process() -> None:
    raw = to_bytes(envelope(ONE, {}))
    assert open_envelope(raw) is open_envelope(bytes(bytearray(raw)))


def test_what_authors_may_overrule_is_no_reason_to_refuse_a_run() -> None:
    """The step that it happens in reports it."""
    assert open_envelope(to_bytes(envelope({**ONE, "output": "{{ steps.nix.output }}"}, {}))).saga.name == "one"


def test_a_large_definition_is_opened_once_too() -> None:
    many = saga(*(act(f"s{number}") for number in range(400)), name="many")
    raw = to_bytes(envelope(many, {}))
    assert len(raw) > 50_000
    assert open_envelope(raw) is open_envelope(raw)
    with pytest.raises(InvalidDefinition, match="twice"):
        open_envelope(to_bytes(envelope({**many, "steps": [*many["steps"], act("s1")]}, {})))


def test_options_travel_with_the_definition() -> None:
    options = RunOptions(status_attribute=True, continue_after_events=50)
    assert open_envelope(to_bytes(envelope(ONE, {}, options))).options == options


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (ONE, "must be an object such as"),
        ([ONE], "must be an object such as"),
        ("text", "must be an object such as"),
        ({"sagadsl": 2, "definition": ONE}, "format `2`, this worker knows 1"),
        ({"sagadsl": True, "definition": ONE}, "format `True`"),
        ({"sagadsl": 1, "definition": ONE, "children": [ONE]}, "`children` must be an object"),
        ({"sagadsl": 1, "definition": ONE, "childs": {}}, "unknown key `childs`"),
        ({"sagadsl": 1, "definition": ONE, "options": {"fast": True}}, "`options` must be an object"),
        ({"sagadsl": 1, "definition": ONE, "options": {"continue_after_events": True}}, "whole number"),
        ({"sagadsl": 1, "definition": ONE, "options": {"rules": 1}}, "`rules` must be a version from 2"),
        ({"sagadsl": 1, "definition": ONE, "options": {"rules": RULES + 1}}, "as far as this worker knows"),
        ({"sagadsl": 1, "definition": saga(act("a", activity="sagadsl.cancel"))}, "an activity of sagadsl itself"),
        ({"sagadsl": 1, "definition": None}, "a definition is an object"),
        ({"sagadsl": 1, "definition": {**ONE, "steps": [7]}}, "a step must be a mapping"),
        ({"sagadsl": 1, "definition": {**ONE, "steps": [act("a"), act("a")]}}, "`a`"),
        ({"sagadsl": 1, "definition": {**ONE, "output": "{{ 1 + }}"}}, "output"),
    ],
)
def test_whatever_is_wrong_is_said_in_one_sentence(data: Any, complaint: str) -> None:
    """Never an exception of whatever stumbled over it."""
    with pytest.raises(InvalidDefinition) as caught:
        open_envelope(to_bytes(data))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[" * 100_000, b"{"])
def test_bytes_that_are_no_json_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidDefinition, match="not JSON"):
        open_envelope(raw)


def test_every_finding_is_told() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        open_envelope(to_bytes(envelope(saga({"id": "a"}, {"activity": 7}, name="one"), {})))
    assert len(caught.value.findings) >= 3


def test_a_carry_comes_back_as_it_was() -> None:
    state = {"records": [{"path": f"s{number}", "output": "x" * 50} for number in range(10_000)]}
    carry = Carry(
        wants_journal=True, state=state, failure=Error("A", "b", "c", (("D", "e"),)), refused=({"signal": "s"},)
    )
    sent = to_bytes(carry.to_json())
    assert len(sent) < 200_000
    assert Carry.from_json(json.loads(sent)) == carry


@pytest.mark.parametrize(
    "data",
    [
        7,
        [],
        "x",
        {"state": {"zlib": "!"}},
        {"state": {"zlib": 7}},
        {"failure": [1]},
        {"refused": [7]},
        {"version": 7},
        {"version": "1" * 171},
    ],
)
def test_a_carry_that_is_none_of_ours_is_refused(data: Any) -> None:
    with pytest.raises(InvalidDefinition):
        Carry.from_json(data)


def test_a_bomb_is_not_unpacked() -> None:
    """Section 7 of the design: bounded memory for whatever comes from outside."""
    bomb = base64.b64encode(zlib.compress(b"[" + b" " * 200_000_000 + b"]")).decode()
    with pytest.raises(InvalidDefinition, match="more than"):
        Carry.from_json({"state": {"zlib": bomb}})


def test_small_data_is_packed_as_it_is() -> None:
    assert packed({"a": 1}) == {"a": 1}
    assert unpacked(packed(["x" * 300_000])) == ["x" * 300_000]


def test_what_is_packed_stays_as_it_is() -> None:
    """R47: a child's journal is packed when its parent sends it back; packed twice, it could not be read."""
    noise = "".join(f"{number * number:x}" for number in range(200_000))
    once = packed({"noise": noise})
    sent = json.loads(to_bytes(Carry(journal=once, failure=Error("A", "b")).to_json()))

    assert len(to_bytes(once)) > 256 * 1024
    assert sent["journal"] == once
    assert Carry.from_json(sent).journal == {"noise": noise}


def test_a_child_is_pinned_by_its_parents_envelope() -> None:
    raw = to_bytes(envelope(ONE, {"kid": saga(act("k"), name="kid")}, RunOptions(status_attribute=True)))
    inner = child_envelope(raw, "kid")
    assert inner is not None
    opened = open_envelope(inner)
    assert (opened.saga.name, list(opened.children), opened.options.status_attribute) == ("kid", ["kid"], True)
    assert child_envelope(raw, "nix") is None


def _calls(name: str, *names: str) -> dict[str, Any]:
    return saga(*({"id": each, "saga": each} for each in names), name=name)


def test_the_children_of_children_come_along_and_circles_do_no_harm() -> None:
    definitions = {
        "top": saga(
            {"id": "g", "steps": [{"id": "p", "parallel": [{"id": "a", "saga": "a"}]}]},
            {"id": "s", "switch": [{"if": "true", "steps": [{"id": "b", "saga": "b"}]}, {"else": [act("x")]}]},
            act("y", compensation={"saga": "c"}),
            act("z", on_error=[{"steps": [{"id": "d", "saga": "d"}]}]),
            name="top",
            on_failure=[{"id": "e", "saga": "e"}],
        ),
        "a": _calls("a", "a2", "elsewhere"),
        "a2": _calls("a2", "top"),
        **{name: _calls(name, "a") for name in "bcde"},
        "other": _calls("other"),
    }
    assert sorted(children_of("top", definitions)) == ["a", "a2", "b", "c", "d", "e", "top"]


def test_a_registry_answers_with_an_envelope() -> None:
    registry = Registry({"one": ONE, "two": _calls("two", "one")})
    assert registry.names == ("one", "two")
    assert registry.envelope("two") == envelope(_calls("two", "one"), {"one": ONE}, RunOptions(rules=RULES))
