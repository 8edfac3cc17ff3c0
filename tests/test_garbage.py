"""Garbage is still collected, but for what was there before the first test."""

from __future__ import annotations

import gc
import os
import weakref


class _Circle:
    def __init__(self) -> None:
        self.self = self


def test_what_tests_leave_behind_is_garbage_and_what_was_collected_is_not_looked_at() -> None:
    left = weakref.ref(_Circle())
    gc.collect()

    assert left() is None
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(gc.get_objects())


def test_go_collects_less_often_unless_somebody_wants_it_otherwise() -> None:
    assert os.environ["GOGC"]
