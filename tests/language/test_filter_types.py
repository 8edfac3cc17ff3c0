"""A new filter or test: the static types have to know it, or they would say nothing of it for ever."""

from __future__ import annotations

from sagadsl.language.analysis import filter_types
from sagadsl.language.expressions.filters import FILTERS, TESTS


def test_what_each_filter_takes_is_said() -> None:
    assert filter_types.TAKES.keys() | filter_types.TAKES_ANYTHING == set(FILTERS)
    assert not filter_types.TAKES.keys() & filter_types.TAKES_ANYTHING


def test_what_each_filter_gives_is_said() -> None:
    said = (set(filter_types.GIVES), filter_types.SAME, filter_types.GIVES_BY_VALUE, filter_types.GIVES_ANYTHING)

    assert set().union(*said) == set(FILTERS)
    assert sum(map(len, said)) == len(FILTERS)


def test_what_each_test_looks_at_is_said() -> None:
    assert filter_types.TESTED.keys() | filter_types.TESTS_ANYTHING == set(TESTS)
    assert not filter_types.TESTED.keys() & filter_types.TESTS_ANYTHING
