"""Shortens a worker's log of failed attempts to one line, which names the place of an error that nobody meant.

The SDK logs each failed attempt with a traceback through itself and sagadsl: twenty lines for a business error that
is tried again. It does the same when a worker cannot read the data of a run.
"""

from __future__ import annotations

import logging
import traceback

from sagadsl.temporal.link.codec import CodecFailed, DataUnreadable
from sagadsl.temporal.run.activity_errors import ActivityFailed, authors_stack, origin

PLACE = "sagadsl_place"
"""The attribute of a log record that says where the author's code raised the error."""

_LOGGER = "temporalio.activity"
_OF_RUNS = "temporalio.worker._workflow"


def short_failures(*, with_stacks: bool, for_programs: bool = False) -> None:
    """Log each failed attempt in one line; add the author's stack if *with_stacks*.

    Args:
        for_programs: Add the stack of each error that nobody meant, too: programs fold what is long.
    """
    _replace(_LOGGER, _Short(with_stacks, for_programs))
    if not with_stacks:
        _replace(_OF_RUNS, _Unread())


def _replace(name: str, filter_: logging.Filter) -> None:
    logger = logging.getLogger(name)
    for each in [each for each in logger.filters if isinstance(each, type(filter_))]:
        logger.removeFilter(each)
    logger.addFilter(filter_)


class _Short(logging.Filter):
    def __init__(self, with_stacks: bool, for_programs: bool) -> None:
        super().__init__()
        self._with_stacks, self._for_programs = with_stacks, for_programs

    def filter(self, record: logging.LogRecord) -> bool:
        failure = record.exc_info[1] if record.exc_info else None
        if isinstance(failure, ActivityFailed) and failure.logged is not None:
            logged = failure.logged
            record.msg, record.args = "%s", (logged.line,)
            shown = origin(logged.error)
            is_shown = self._with_stacks or (self._for_programs and not logged.is_expected)
            record.__dict__[PLACE] = logged.place
            stack = (type(shown), shown, authors_stack(shown.__traceback__)) if is_shown else None
            record.exc_info = stack
            if stack is not None and logged.hides:  # formatted here, where it is known what not to show
                record.exc_info = None
                record.exc_text = logged.hides.text("".join(traceback.format_exception(*stack)).rstrip())
        return True


class _Unread(logging.Filter):
    """Says in one line, with its code, that the data of a run cannot be read by this worker."""

    def filter(self, record: logging.LogRecord) -> bool:
        failure = record.exc_info[1] if record.exc_info else None
        if isinstance(failure, CodecFailed | DataUnreadable):
            left = "the run is left as it is, for a worker that can read it"
            record.args = (failure.code, failure, left, failure.help, record.getMessage())
            record.msg, record.exc_info = "error[%s]: %s; %s; %s (%s)", None
        return True
