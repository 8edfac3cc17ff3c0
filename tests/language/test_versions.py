"""Versions of definitions: their names, and which is the newest."""

from __future__ import annotations

import pytest

from sagadsl.language.versions import name_and_version, of_version, rank


@pytest.mark.parametrize(
    "versions",
    [
        ["", "1", "2", "10"],
        ["1.2", "1.2.1", "1.10", "2.0-rc1", "2.0-rc2", "2.0"],
        ["2026-02-28", "2026-11-30"],
        ["a", "b", "b2", "b10", "b²"],
    ],
)
def test_numbers_in_a_version_count_as_numbers_and_what_comes_before_a_release_is_older(versions: list[str]) -> None:
    assert sorted([*versions[1:], versions[0]], key=rank) == versions


def test_a_saga_in_a_version_has_a_name_of_two_parts() -> None:
    assert (of_version("order", "1.0"), of_version("order", "")) == ("order@1.0", "order")
    assert (name_and_version("order@1.0"), name_and_version("order")) == (("order", "1.0"), ("order", ""))
