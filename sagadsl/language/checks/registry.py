"""All semantic checks: one function per code; nothing registers itself.

A check gets the analysis of a saga, which has the model and everything that is known of it, and
yields findings with routes. It never raises, whatever the definition contains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sagadsl.diagnostics.findings import Finding
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.checks import (
    activities,
    answers,
    children,
    compensation,
    error_names,
    expressions,
    flow,
    limits,
    local_calls,
    loops,
    names,
    pauses,
    retries,
    schedules,
    secrecy,
    waits,
)

Check = Callable[[Analysis], Iterable[Finding]]

ALL: tuple[Check, ...] = (
    names.ids_used_twice,
    names.needs_of_no_sibling,
    names.needs_in_a_circle,
    children.children_that_are_not_beside_the_file,
    children.children_in_a_circle,
    names.variables_that_hide_a_name,
    names.activities_of_sagadsl_itself,
    children.ids_that_are_the_same_again,
    expressions.expressions_that_cannot_be_read,
    expressions.names_unknown_in_their_place,
    expressions.steps_read_too_early,
    expressions.steps_that_do_not_exist,
    expressions.fields_that_do_not_exist,
    expressions.values_that_may_be_missing,
    expressions.compensations_that_need_the_output,
    expressions.operands_of_the_wrong_type,
    expressions.braces_in_texts_of_expressions,
    secrecy.secrets_where_others_see_them,
    activities.activities_that_are_not_installed,
    activities.inputs_that_do_not_fit,
    children.inputs_that_children_do_not_take,
    activities.error_types_that_nobody_raises,
    error_names.error_types_as_nobody_reports_them,
    activities.outputs_whose_fields_nobody_declares,
    retries.pauses_that_the_defaults_make_impossible,
    retries.totals_that_end_the_first_attempt,
    retries.heartbeats_slower_than_the_attempt,
    retries.attempts_without_end,
    retries.long_attempts_without_a_heartbeat,
    retries.waits_for_late_attempts_in_vain,
    local_calls.keys_that_a_local_call_does_not_use,
    local_calls.local_calls_that_may_take_long,
    compensation.one_pivot_on_a_path,
    compensation.steps_that_nothing_undoes,
    compensation.pivots_after_the_end,
    compensation.steps_after_the_pivot_that_can_give_up,
    compensation.aborts_after_the_pivot,
    compensation.steps_beside_the_pivot_that_can_fail,
    compensation.compensations_that_never_run,
    compensation.handlers_that_retry_and_would_be_undone,
    compensation.undos_that_know_only_their_own_key,
    flow.switches_without_else,
    flow.steps_after_an_abort,
    flow.waits_that_nobody_ends,
    flow.signals_with_two_payloads,
    limits.more_at_once_than_temporal_bears,
    limits.more_to_undo_than_a_run_hands_on,
    flow.handlers_that_never_match,
    waits.answers_that_come_too_late,
    pauses.pauses_without_effect,
    loops.states_that_cannot_be_kept,
    pauses.nothing_to_tell_of,
    flow.returns_when_the_saga_has_failed,
    answers.answers_that_nobody_hears,
    loops.conditions_that_no_round_changes,
    flow.outputs_that_no_handler_uses,
    schedules.inputs_that_a_scheduled_saga_does_not_take,
    schedules.zones_that_do_not_exist,
    schedules.crons_that_name_days_twice,
)
"""In the order of their codes."""
