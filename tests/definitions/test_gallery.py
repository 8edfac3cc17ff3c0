"""The gallery: each definition is without findings, keeps its suite's promises, and breaks no law of sagas."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

import pytest

from sagadsl.engine.facts import Status
from sagadsl.language.loaded import Loaded
from sagadsl.temporal.trial.suites import real
from sagadsl.trial.case import Case
from sagadsl.trial.explore.run import Task, explore
from sagadsl.trial.play import play
from sagadsl.trial.runner import run, run_one, virtual
from sagadsl.trial.suite import Playable, Suite, load_suite
from tests.definitions import gallery_page
from tests.definitions.gallery_page import FOLDER, PAGE, PATTERNS, gallery

STATES = 3_000
"""States that are looked at for each definition; most have fewer."""

each_definition = pytest.mark.parametrize(
    "loaded", gallery(), ids=[Path(each.document.name).name.partition(".")[0] for each in gallery()]
)


@cache
def _read(path: Path) -> Suite:
    return load_suite(path)


def _suite(loaded: Loaded) -> Suite:
    return _read(Path(loaded.document.name.replace(".saga.yaml", ".saga-test.yaml")))


def _first(loaded: Loaded) -> Playable:
    return _suite(loaded).cases[0]


@each_definition
def test_a_definition_is_without_errors_and_warnings(loaded: Loaded) -> None:
    assert [f"{each.code}: {each.message}" for each in loaded.findings] == []
    assert loaded.saga is not None
    assert loaded.saga.name.replace("-", "_") == Path(loaded.document.name).name.partition(".")[0]


@each_definition
def test_its_suite_passes_and_begins_with_a_case_that_goes_well(loaded: Loaded) -> None:
    suite = _suite(loaded)
    assert [f"{each.code}: {each.message}" for each in suite.findings] == []

    results = list(run([suite], virtual(None)))

    assert {each.name: each.misses for each in results if each.misses} == {}
    assert {each.name: each.unused for each in results if each.unused} == {}
    assert 2 <= len(results) <= 5
    assert results[0].playable.case.then["status"] == "completed"
    assert {each.playable.case.then["status"] for each in results} != {"completed"}
    assert all(len(each.playable.case.then) > 1 for each in results), "a status alone would bear nearly any mistake"


@each_definition
def test_with_drawn_outputs_it_comes_to_an_end(loaded: Loaded) -> None:
    """As `sagadsl simulate` plays it."""
    case, target = _first(loaded).case, _first(loaded).target
    played = play(target.saga, Case("drawn", case.input), sagas=target.sagas)

    assert not played.cut
    assert played.status in ("completed", "compensated")


@each_definition
def test_no_single_fault_breaks_a_law_of_sagas(loaded: Loaded) -> None:
    """R1, R2, R10, R12, R20, R43."""
    case, target = _first(loaded).case, _first(loaded).target
    explored = explore(Task(target.definition, target.children, inputs=(case.input,), most=1, states=STATES))

    assert set(explored.summary.violations) == set()
    assert explored.summary.ends[Status.COMPLETED.value], "no way goes well"


@pytest.mark.temporal
def test_the_first_case_of_each_suite_passes_on_a_real_server() -> None:
    logging.disable()  # attempts are meant to fail
    first = [(_suite(each), _first(each)) for each in gallery()]
    try:
        with real([playable for _, playable in first], {}) as host:
            results = [run_one(suite, playable, host, timed=False) for suite, playable in first]
    finally:
        logging.disable(logging.NOTSET)

    assert {f"{each.suite.document.name}: {each.name}": each.unplayed for each in results if each.unplayed} == {}
    assert {f"{each.suite.document.name}: {each.name}": each.misses for each in results if each.misses} == {}


def test_every_pattern_is_shown() -> None:
    assert {each.saga.labels["pattern"] for each in gallery() if each.saga is not None} == set(PATTERNS)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == gallery_page.page(), "run `python -m tests.definitions.gallery_page`"


def test_each_suite_has_a_definition() -> None:
    names = {each.name.partition(".")[0] for each in FOLDER.iterdir()}

    assert {Path(each.document.name).name.partition(".")[0] for each in gallery()} == names
