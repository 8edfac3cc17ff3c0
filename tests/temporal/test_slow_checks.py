"""Values whose check takes longer than the SDK lets a workflow task compute."""

from __future__ import annotations

import threading

import pytest

from sagadsl.language.schema.conform import ValueCheck
from sagadsl.temporal.run import slow_checks
from tests.conftest import Server
from tests.engine.scenes import act, gives, saga
from tests.language.test_effort import formula, nested
from tests.temporal.play import SDK_RACE, play

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


def test_an_input_whose_check_takes_longer_than_a_task_may_is_judged_all_the_same(server: Server) -> None:
    """The task may fail, and the next one finds the check done; otherwise the saga would stand still for ever."""
    definition = {**saga(act("x"), name="slow-check"), "input": formula()}

    played = play(server.address, definition, {"x": gives(1)}, input_=nested(13))

    assert played.ended.status == "completed"


def test_a_check_is_made_once_however_often_its_task_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    threads: list[str] = []

    def slowly(_check: ValueCheck, value: object) -> tuple[str, ...]:
        made.append(str(value))
        threads.append(threading.current_thread().name)
        return ("no",)

    monkeypatch.setattr(ValueCheck, "at_once", lambda *_: None)
    monkeypatch.setattr(ValueCheck, "__call__", slowly)
    check = ValueCheck("input", None)

    assert [slow_checks.patiently(check, [1, 2]) for _ in range(3)] == [("no",)] * 3
    assert made == ["[1, 2]"]
    assert threads[0].startswith("sagadsl-check")
