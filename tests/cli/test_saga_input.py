"""The input of a saga as the command line gives it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from sagadsl.cli.saga_input import InputUnusable, read_input

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "vip": {"type": "boolean"},
        "amount": {"type": "integer"},
        "rate": {"type": "number"},
        "zip": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "until": {"type": ["integer", "null"]},
        "level": {"enum": [1, 2, 3]},
        "size": {"enum": ["1", "2"]},
        "tags": {"type": "array"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
        "customer": {"$ref": "#/$defs/customer"},
        "free": {},
    },
    "$defs": {"customer": {"type": "object", "properties": {"age": {"type": "integer"}, "name": {"type": "string"}}}},
}


@pytest.mark.parametrize(
    ("assignment", "given"),
    [
        ("vip=false", {"vip": False}),
        ("amount=10", {"amount": 10}),
        ("rate=1.5", {"rate": 1.5}),
        ("zip=02142", {"zip": "02142"}),
        ("zip=10", {"zip": "10"}),
        ("zip=true", {"zip": "true"}),
        ("zip=", {"zip": ""}),
        ("zip=a=b", {"zip": "a=b"}),
        ("note=null", {"note": "null"}),
        ("note:=null", {"note": None}),
        ("until=null", {"until": None}),
        ("level=2", {"level": 2}),
        ("size=2", {"size": "2"}),
        ('tags=["a"]', {"tags": ["a"]}),
        ("either=true", {"either": True}),
        ("customer.age=7", {"customer": {"age": 7}}),
        ("customer.name=7", {"customer": {"name": "7"}}),
        ("free=5", {"free": "5"}),
        ("free:=5", {"free": 5}),
        ("unknown=5", {"unknown": "5"}),
        ('unknown:={"a": [1]}', {"unknown": {"a": [1]}}),
    ],
)
def test_a_value_is_typed_by_the_schema_and_never_by_its_looks(assignment: str, given: dict[str, Any]) -> None:
    assert read_input(None, None, [assignment], SCHEMA) == given


def test_without_a_schema_every_value_is_text() -> None:
    assert read_input(None, None, ["amount=10"], None) == {"amount": "10"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("amount=ten", "`--set amount=ten`: the input schema wants integer for `amount`"),
        ("vip=yes", "`--set vip=yes`: the input schema wants boolean for `vip`"),
        ("amount=02142", "`--set amount=02142`: the input schema wants integer for `amount`"),
        ("until=soon", "`--set until=soon`: the input schema wants integer or null for `until`"),
        ("rate=NaN", "`--set rate=NaN`: the input schema wants number for `rate`"),
        ("rate=1e999", "`--set rate=1e999`: the input schema wants number for `rate`"),
        ("amount", "`--set amount` is no assignment"),
        ("=5", "`--set =5` is no assignment"),
        ("a..b=5", "`--set a..b=5` is no assignment"),
        ("free:=x", "`--set free` is not JSON: expecting value (line 1, column 1)"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(InputUnusable) as refused:
        read_input(None, None, [assignment], SCHEMA)
    assert str(refused.value) == message


def test_every_value_that_does_not_fit_is_told_at_once() -> None:
    with pytest.raises(InputUnusable) as refused:
        read_input(None, None, ["amount=ten", "rate=1", "vip=yes", "b", "c"], SCHEMA)
    assert str(refused.value) == (
        "`--set amount=ten`: the input schema wants integer for `amount`; "
        "`--set vip=yes`: the input schema wants boolean for `vip`; "
        "`--set b` is no assignment; `--set c` is no assignment"
    )
    assert refused.value.help == "write `--set key=value`, or `--set key:=JSON`; `a.b=c` goes deeper"


def test_single_values_go_on_top_of_the_whole_and_the_last_one_counts() -> None:
    text = '{"amount": 1, "customer": {"name": "a"}}'
    given = read_input(text, None, ["amount=2", "amount=3", "customer.age=4"], SCHEMA)
    assert given == {"amount": 3, "customer": {"name": "a", "age": 4}}


def test_a_value_cannot_go_below_a_value_that_has_no_keys() -> None:
    with pytest.raises(InputUnusable, match="`amount` is an integer, which has no keys"):
        read_input('{"amount": 1}', None, ["amount.cents=2"], SCHEMA)


@pytest.mark.parametrize("text", ["-", "@-"])
def test_the_input_can_come_from_standard_input(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"amount": 5}')))
    assert read_input(text, None, [], None) == {"amount": 5}


@pytest.mark.parametrize("name", ["order.json", "order.yaml"])
def test_the_input_can_come_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text('{"zip": "02142", "when": "2020-01-01"}', encoding="utf-8")
    expected = {"zip": "02142", "when": "2020-01-01"}
    assert read_input(f"@{file}", None, [], None) == expected
    assert read_input(None, str(file), [], None) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`--input` is empty; a JSON value is needed"),
        ("{amount: 5}", "`--input` is not JSON: expecting property name enclosed in double quotes (line 1, column 2)"),
        ('{"a": 1, "a": 2}', "`--input` is not JSON: key `a` stands twice"),
        ('{"a": NaN}', "`--input` is not JSON: `NaN` is no JSON number"),
        ('{"a": -1e999}', "`--input` is not JSON: `-1e999` is a number that JSON cannot carry"),
        ("[1]", "the input is an array; a saga takes an object"),
        ("null", "the input is null; a saga takes an object"),
        ("@/no/such.json", "`/no/such.json` cannot be read: no such file or directory"),
    ],
)
def test_an_input_that_is_no_json_object_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputUnusable) as refused:
        read_input(text, None, [], None)
    assert (str(refused.value), refused.value.exit_code) == (message, 2)


def test_a_mistake_in_a_yaml_file_has_a_place(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text("a: 1\na: 2\n", encoding="utf-8")
    with pytest.raises(InputUnusable, match=r"order\.yaml` line 2, column 1: "):
        read_input(None, str(file), [], None)


def test_the_whole_input_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match="both `--input` and `--input-file` are given"):
        read_input("{}", str(tmp_path), [], None)
