"""Shortens a worker's log of failed attempts to one line, with the author's stack when the error is not expected.

The SDK logs each failed attempt with a traceback through itself and sagadsl: twenty lines for a business error that
is tried again.
"""

from __future__ import annotations

import logging

from sagadsl.temporal.activity_errors import ActivityFailed, authors_stack, origin

_LOGGER = "temporalio.activity"


def short_failures(*, with_stacks: bool) -> None:
    """Log each failed attempt in one line; add the stack if the error is not expected, or if *with_stacks*."""
    logger = logging.getLogger(_LOGGER)
    for each in [each for each in logger.filters if isinstance(each, _Short)]:
        logger.removeFilter(each)
    logger.addFilter(_Short(with_stacks))


class _Short(logging.Filter):
    def __init__(self, with_stacks: bool) -> None:
        super().__init__()
        self._with_stacks = with_stacks

    def filter(self, record: logging.LogRecord) -> bool:
        failure = record.exc_info[1] if record.exc_info else None
        if isinstance(failure, ActivityFailed) and failure.told is not None:
            told = failure.told
            record.msg, record.args = "%s", (told.line,)
            shown = origin(told.error)
            is_shown = self._with_stacks or not told.is_expected
            record.exc_info = (type(shown), shown, authors_stack(shown.__traceback__)) if is_shown else None
        return True
