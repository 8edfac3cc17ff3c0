"""In which order files of tests begin: the long ones first, since one that begins last would hold up the end alone."""

from __future__ import annotations

import pytest

LONGEST = ()
"""Those that last longest, the longest first, as `--durations` shows; the others follow in the order of their names."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order of the files: xdist would begin with those that have most tests, which are often quick."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and let all else stay as it is."""
    ranks = {file: rank for rank, file in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))
