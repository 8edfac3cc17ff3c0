"""What is on record: texts that any process writes alike, and keys that belong to open sagas."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field

from sagadsl.language.paths import caller_of, child_generation, child_id, forward_key
from sagadsl.once.records import belongs_to, packed
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
NAMES = {"alpha", "beta", "gamma", "delta", "epsilon"}
SORTED = sorted(NAMES)


class Tagged(BaseModel):
    """A model with sets where pydantic lets one have them."""

    model_config = ConfigDict(extra="allow")
    tags: set[str] = Field(serialization_alias="labels")
    pairs: frozenset[frozenset[str]] = frozenset()

    @computed_field
    def also(self) -> set[str]:
        return set(self.tags)


@dataclass(frozen=True)
class Parcel:
    """A dataclass with models inside."""

    rows: list[Tagged]
    by_number: dict[int, set[str]]


class Root(RootModel[set[str]]):
    """A model that is a set."""


def values() -> list[Any]:
    """Return inputs with sets, each made anew."""
    pairs = frozenset({frozenset({"b", "a"}), frozenset({"d", "c"})})
    tagged = Tagged(tags=set(NAMES), pairs=pairs, more=set(NAMES))  # type: ignore[call-arg] # an extra one
    return [tagged, Parcel([tagged], {1: set(NAMES)}), Root(set(NAMES)), {"tags": set(NAMES)}, ({10, 9, 1},)]


def test_equal_inputs_with_sets_are_one_text_in_each_process() -> None:
    """R5: a retry in another process was told `KeyReused`."""

    def said(seed: str) -> str:
        source = "from tests.once.test_records import packed, values\nfor each in values(): print(packed(each))"
        env = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", source]
        ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return ran.stdout

    first = said("1")
    assert first.count("\n") == len(values())
    assert first == said("2") == "".join(f"{packed(each)}\n" for each in values())


def test_members_of_sets_are_sorted_and_all_else_stays() -> None:
    tagged = {"labels": SORTED, "also": SORTED, "more": SORTED, "pairs": [["a", "b"], ["c", "d"]]}
    by_number = {"1": SORTED}
    wanted = [tagged, {"rows": [tagged], "by_number": by_number}, SORTED, {"tags": SORTED}, [[1, 10, 9]]]

    assert [packed(each) for each in values()] == [packed(each) for each in wanted]
    assert packed(["b", "a", {"z": 1, "y": ["d", "c"]}]) == '["b","a",{"y":["d","c"],"z":1}]'


LONG = "order-" + "x" * 240
CALL = "trip/" + "book/" * 60 + "flight"


@pytest.mark.parametrize("call", ["trip/book/flight", CALL])
@pytest.mark.parametrize("top", [LONG, "order-7", "é" * 120, "a" * 38 + "é" * 100])
@pytest.mark.parametrize("generation", ["", "r2"])
def test_a_key_of_a_child_belongs_to_each_open_saga_above_also_if_its_id_was_cut(
    call: str, top: str, generation: str
) -> None:
    """Of `order-7` some are not: its id is short enough to stand there as a whole."""
    child = child_id(caller_of(top, generation), call)
    below = child_id(child, CALL)
    lowest = child_id(caller_of(below, generation), call)

    for each in (child, below, lowest):
        assert len(each.encode()) <= 255
        assert belongs_to(forward_key(each, "hotel"), {"another", top})
        assert not belongs_to(forward_key(each, "hotel"), {"another", "order-8", "b", f"z{top}"})


def test_a_key_of_a_child_with_a_chosen_id_belongs_to_that_id_alone() -> None:
    """So `open_sagas` has to name it."""
    key = forward_key(caller_of("parcel-99", child_generation("order-7", "ship")), "label")

    assert not belongs_to(key, {"order-7", "parcel-999"})
    assert belongs_to(key, {"order-7", "parcel-99"})
