"""All semantic checks: one function per code; nothing registers itself.

A check takes the model and what is known of the world beside it, and yields findings
with routes. It never raises, whatever stands in the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sagadsl.diagnostics import Finding
from sagadsl.language.checks import compensation, flow, limits, retries
from sagadsl.language.checks.known import Known
from sagadsl.language.model import Saga

Check = Callable[[Saga, Known], Iterable[Finding]]

ALL: tuple[Check, ...] = (
    retries.pauses_that_the_defaults_make_impossible,
    retries.totals_that_end_the_first_attempt,
    retries.heartbeats_slower_than_the_attempt,
    retries.attempts_without_end,
    retries.long_attempts_without_a_heartbeat,
    compensation.one_pivot_on_a_path,
    compensation.steps_that_nothing_undoes,
    compensation.pivots_after_the_end,
    compensation.steps_after_the_pivot_that_can_give_up,
    compensation.aborts_after_the_pivot,
    compensation.steps_beside_the_pivot_that_can_fail,
    compensation.compensations_that_never_run,
    flow.switches_without_else,
    flow.steps_after_an_abort,
    flow.waits_that_nobody_ends,
    flow.signals_with_two_payloads,
    limits.more_at_once_than_temporal_bears,
    limits.histories_that_grow_too_long,
    flow.handlers_that_never_match,
)
"""In the order of their codes."""
