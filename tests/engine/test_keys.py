from __future__ import annotations

import pytest

from sagadsl.engine.keys import (
    forward_key,
    is_compensation,
    key_of_activity_id,
    step_of_activity_id,
    undo_key,
)


@pytest.mark.parametrize(
    ("activity_id", "key", "step"),
    [
        ("withdraw", "s-1/withdraw/do", "withdraw"),
        ("book/flight", "s-1/book/flight/do", "book/flight"),
        ("lines[3]/reserve", "s-1/lines[3]/reserve/do", "lines[3]/reserve"),
        ("withdraw#2", "s-1/withdraw/do", "withdraw"),
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
