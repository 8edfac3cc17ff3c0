"""`sagadsl schema --plugins`: what is installed, for editors that know JSON Schema alone."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.cli.shell import inside

DEFINITIONS = Path(__file__).parents[2] / "definitions"
TRANSFER = yaml.safe_load((DEFINITIONS / "transfer_money.saga.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(inside("schema", "--plugins").out)
    return loaded


def test_an_activity_can_be_chosen_by_its_name_and_says_what_it_does(schema: dict[str, Any]) -> None:
    Draft7Validator.check_schema(schema)
    choices = {each["const"]: each for each in schema["definitions"]["activity_name"]["anyOf"] if "const" in each}

    assert {"bank.withdraw", "bank.deposit", "http.request"} <= set(choices)
    assert choices["bank.deposit"]["description"].startswith("Put money into an account.\n\nFrom sagadsl-bank ")
    assert choices["bank.deposit"]["description"].endswith("Undone by `bank.undo_deposit`.")


def test_its_input_has_its_keys_with_their_words(schema: dict[str, Any]) -> None:
    keys = schema["definitions"]["input_of_bank.deposit"]

    assert keys["required"] == ["account", "amount"]
    assert keys["properties"]["account"]["description"] == "string: Name of the account"


@pytest.mark.parametrize("path", sorted(DEFINITIONS.rglob("*.saga.yaml")), ids=lambda path: path.stem)
def test_what_is_right_stays_right(schema: dict[str, Any], path: Path) -> None:
    """Also with expressions in place of values, and with activities that are not installed."""
    problems = Draft7Validator(schema).iter_errors(yaml.safe_load(path.read_text("utf-8")))

    assert [each.message for each in problems] == []


def test_a_key_that_an_input_cannot_have_or_lacks_is_wrong(schema: dict[str, Any]) -> None:
    other, less, undo = deepcopy(TRANSFER), deepcopy(TRANSFER), deepcopy(TRANSFER)
    other["steps"][0]["input"]["amuont"] = 1
    del less["steps"][0]["input"]["account"]
    undo["steps"][0]["compensation"]["input"]["no_such_key"] = 1

    for wrong in (other, less, undo):
        assert not Draft7Validator(schema).is_valid(wrong)
    plain = json.loads(inside("schema").out)
    assert all(Draft7Validator(plain).is_valid(wrong) for wrong in (other, less, undo))


def test_modules_of_the_folder_count_and_the_schema_can_go_into_a_file(tmp_path: Path) -> None:
    module = (
        'from sagadsl import activity\n\n@activity(name=\'sell\')\ndef sell(thing: str) -> None:\n    """Sell it."""\n'
    )
    (tmp_path / "shop.py").write_text(module, "utf-8")
    ran = inside("schema", "--plugins", "-m", "shop", "-o", "saga.schema.json", cwd=tmp_path)
    written = json.loads((tmp_path / "saga.schema.json").read_text("utf-8"))

    assert (ran.code, ran.out) == (0, "")
    assert written["definitions"]["input_of_sell"]["properties"] == {"thing": {"description": "string"}}


def test_what_is_broken_is_told_and_what_is_asked_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken_shop.py").write_text("1 / 0\n", "utf-8")
    broken = inside("schema", "--plugins", "-m", "broken_shop", cwd=tmp_path)
    twice = inside("schema", "--plugins", "--suite")

    assert json.loads(broken.out)["title"] == "sagadsl definition"
    assert "module `broken_shop` cannot be used: ZeroDivisionError" in broken.err
    assert (twice.code, "`--plugins` is about definitions" in twice.err) == (2, True)
