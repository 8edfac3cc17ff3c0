"""Which case shows which rule, and what came of it on each host: ``python -m tests.trial.conformance_table``.

Writes ``docs/conformance.md``, and into ``docs/rules.md`` by what each rule is shown. The cases are played in virtual
time for it. What a real server made of them is read from ``conformance/temporal.json``; with ``--on temporal`` all of
them are played there first, which takes minutes, and that file is written.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sagadsl.trial.runner import Result, run, run_one, virtual
from sagadsl.trial.suite import Suite, load_suite

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"
RULES_PAGE = ROOT / "docs" / "rules.md"
SERVER = ROOT / "conformance" / "temporal.json"
FILES = (
    "what_is_undone",
    "order",
    "data",
    "when_a_compensation_fails",
    "cancellation",
    "time",
    "parallel",
    "pivot_and_nesting",
    "durability_and_limits",
    "peer_suite",
    "newer_cases",
    "when_a_step_pauses",
    "closed_runs",
    "when_somebody_is_told",
    "when_the_definition_changes",
    "loops_with_memory",
    "talking_back",
    "blocks_with_limits",
    "when_a_saga_goes_back",
    "early_ends",
    "late_attempts",
    "nexus",
    "local_calls",
    "children_of_their_own",
)
"""In the order of the rules."""

RULE = re.compile(r"^### (R[0-9]+): (.+)$", re.M)
RULES = dict(RULE.findall(RULES_PAGE.read_text("utf-8")))
"""Each rule in a few words: the headings of the page."""

ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "R4": (
        "tests/engine/test_undone.py::test_the_record_of_a_compensation_exists_before_its_step_is_scheduled",
        "tests/crash/test_worker_killed.py::test_a_step_without_another_attempt_is_undone_whether_or_not_it_happened",
    ),
    "R104": (
        "tests/temporal/test_queries_of_a_definition.py"
        "::test_a_run_answers_the_queries_of_its_definition_before_and_after_its_end",
    ),
    "R105": ("tests/temporal/test_sends.py::test_where_nobody_is_the_step_fails_and_nothing_has_happened",),
    "R106": ("tests/temporal/test_sends.py::test_what_a_step_sends_twice_counts_once",),
    "R11": ("tests/temporal/test_replay.py::test_branches_that_end_together_replay_whatever_the_order_of_hashes",),
    "R16": ("tests/test_checks.py::test_exactly_the_expected_findings_are_reported",),
    "R17": ("tests/test_checks.py::test_exactly_the_expected_findings_are_reported",),
    "R18": ("tests/test_http.py::test_a_secret_is_sent_and_appears_nowhere_else",),
    "R26": (
        "tests/engine/test_cancellation.py::test_a_cancel_at_any_instant_undoes_all_that_was_done_and_closes_cancelled",
    ),
    "R29": ("tests/temporal/test_cancels.py::test_a_completion_and_a_cancel_in_one_activation_lose_nothing",),
    "R31": (
        "tests/engine/test_redriven.py::test_a_run_that_is_killed_at_any_moment_is_undone_once",
        "tests/engine/test_redriven.py::test_a_recovery_that_is_killed_is_recovered",
        "tests/engine/test_any_recovery.py::test_wherever_a_saga_is_killed_its_recovery_breaks_no_law",
        "tests/temporal/test_recovery.py::test_a_history_that_is_cut_at_any_event_gives_the_plan_of_that_moment",
        "tests/temporal/test_recovery.py::test_a_run_that_is_killed_at_an_event_is_undone",
        "tests/temporal/test_recovery.py::test_two_operators_recover_a_run_once",
        "tests/temporal/test_recovery.py::test_a_run_that_hangs_is_terminated_and_undone",
    ),
    "R34": ("tests/engine/test_time.py::test_the_timeout_survives_continue_as_new",),
    "R36": ("tests/engine/test_time.py::test_every_call_has_a_bound",),
    "R39": ("tests/engine/test_parallel.py::test_the_first_of_two_failures_is_the_failure_and_the_second_is_attached",),
    "R42": ("tests/test_checks.py::test_exactly_the_expected_findings_are_reported",),
    "R45": (
        "tests/engine/test_redriven.py::test_a_saga_whose_undoing_failed_finishes_it",
        "tests/engine/test_redriven.py::test_a_stopped_saga_goes_on_from_its_failed_step",
        "tests/temporal/test_recovery.py::test_what_a_failed_undoing_has_left_is_undone_later",
        "tests/temporal/test_recovery.py::test_an_undone_saga_begins_anew",
    ),
    "R81": (
        "tests/engine/test_resetting.py::test_a_cancel_on_the_way_back_undoes_the_whole_saga",
        "tests/engine/test_resetting.py::test_the_timeout_of_the_saga_begins_anew",
        "tests/engine/test_any_reset.py::test_wherever_a_saga_goes_back_no_law_is_broken_and_it_says_why_it_failed",
        "tests/cli/test_reset.py::test_a_saga_goes_back_to_a_step_and_on_from_there",
    ),
    "R80": (
        "tests/engine/test_behind.py::test_a_stopped_saga_goes_back_to_a_step_and_on_from_it",
        "tests/engine/test_behind.py::test_a_saga_does_not_go_back_over_what_cannot_be_undone",
        "tests/temporal/test_recovery.py::test_a_stopped_saga_goes_back_to_a_step_and_on_from_there",
    ),
    "R47": ("tests/temporal/test_children_undone.py::test_a_child_that_runs_is_cancelled_and_undoes_itself_first",),
    "R48": (
        "tests/engine/test_limits.py::test_the_same_facts_give_the_same_commands",
        "tests/temporal/test_refusals.py::test_an_edited_file_changes_no_run_that_has_begun",
        "tests/crash/test_worker_replaced.py::test_a_run_keeps_the_definition_with_which_it_was_started",
    ),
    "R49": (
        "tests/engine/test_compensation_data.py::test_the_run_id_is_that_of_the_run",
        "tests/crash/test_reset.py::test_a_completed_saga_that_is_reset_moves_no_money_again",
    ),
    "R50": (
        "tests/engine/test_journal.py::test_a_saga_goes_on_from_a_snapshot_taken_at_any_moment",
        "tests/temporal/test_replay.py::test_a_cancel_survives_continue_as_new",
    ),
    "R51": (
        "tests/temporal/test_workflow.py::test_a_saga_that_succeeds_costs_as_many_events_as_one_written_by_hand",
        "tests/engine/test_limits.py::test_no_more_calls_are_in_flight_than_the_server_bears",
    ),
    "R52": (
        "tests/temporal/test_workflow.py::test_an_input_that_no_message_holds_fails_its_step_and_what_was_done_is_undone",
        "tests/temporal/test_interceptor.py::test_a_result_too_large_is_an_error_that_is_not_tried_again",
    ),
    "R53": (
        "tests/crash/test_worker_killed.py::test_only_the_call_that_was_killed_is_repeated",
        "tests/crash/test_server_killed.py::test_server_and_worker_killed_together",
    ),
    "R54": (
        "tests/temporal/test_workflow.py::test_an_activity_that_is_not_installed_fails_at_once_with_the_names_of_those_that_are",
        "tests/temporal/test_workflow.py::test_a_queue_that_nobody_serves_ends_with_a_limit",
    ),
    "R58": (
        "tests/crash/test_reset.py::test_a_completed_saga_that_is_reset_moves_no_money_again",
        "tests/crash/test_reset.py::test_a_saga_that_is_reset_while_it_compensates_is_undone_once",
    ),
    "R59": (
        "tests/temporal/test_checked_signals.py::test_a_signal_that_the_saga_cannot_take_is_not_sent",
        "tests/temporal/test_checked_signals.py::test_a_signal_that_comes_before_the_definition_is_known_is_answered_when_it_is",
        "tests/temporal/test_checked_signals.py::test_a_signal_that_nobody_answered_in_an_outage_counts_once_and_by_when_it_came",
    ),
    "R60": ("tests/temporal/test_client.py::test_without_a_worker_the_history_tells_how_it_stands",),
    "R64": (
        "tests/engine/test_notices.py::test_whatever_becomes_of_it_the_saga_does_the_same_at_the_same_time",
        "tests/engine/test_notices.py::test_a_new_run_begins_it_again_with_its_key_and_its_input",
        "tests/engine/test_notices.py::test_what_tells_of_a_pause_may_change_in_a_migration",
        "tests/temporal/test_notices.py::test_a_call_outlives_the_saga_and_the_status_says_that_nobody_has_heard_of_its_end",
    ),
    "R65": (
        "tests/engine/test_redriven.py::test_a_saga_that_goes_on_and_fails_once_more_tells_of_it_once_more",
        "tests/engine/test_redriven.py::test_what_a_failed_saga_has_left_is_undone_without_telling_of_it_once_more",
    ),
    "R70": ("tests/engine/test_migration.py::test_a_run_does_not_migrate_where_its_steps_have_no_place",),
    "R71": (
        "tests/engine/test_migration.py::test_a_run_does_not_migrate_where_its_steps_have_no_place",
        "tests/engine/test_migration.py::test_a_new_branch_begins_beside_those_that_run",
        "tests/engine/test_migration.py::test_a_loop_that_repeats_runs_new_steps_in_its_next_round",
    ),
    "R72": (
        "tests/engine/test_migration.py::test_what_was_promised_is_undone_by_the_old_definitions_call",
        "tests/engine/test_migration.py::test_rounds_keep_their_promise_and_later_rounds_have_a_new_one",
        "tests/engine/test_migration.py::test_a_second_migration_keeps_the_first_promise",
        "tests/temporal/test_migration.py::test_a_saga_that_waits_goes_on_with_the_new_definition_and_keeps_the_old_promise",
        "tests/definitions/test_migrated_anywhere.py::test_a_run_migrates_after_each_fact_and_no_law_is_broken",
    ),
    "R73": ("tests/engine/test_migration.py::test_a_pivot_that_was_passed_stays_one",),
    "R74": (
        "tests/engine/test_migration.py::test_a_run_does_not_migrate_where_its_steps_have_no_place",
        "tests/engine/test_migration.py::test_a_signal_that_is_kept_has_to_fit",
        "tests/engine/test_migration.py::test_outputs_that_are_forgotten_cannot_be_read_anew",
    ),
    "R75": (
        "tests/engine/test_migration.py::test_a_migration_waits_until_the_calls_in_flight_have_ended_and_then_runs_steps_behind_the_former_end",
        "tests/engine/test_migration.py::test_a_run_whose_last_call_changes_what_fits_stays_as_it_is",
        "tests/engine/test_migration.py::test_timers_keep_their_moment",
        "tests/temporal/test_migration.py::test_a_saga_with_a_call_in_flight_migrates_when_it_has_ended",
        "tests/temporal/test_migration.py::test_a_saga_that_cannot_migrate_any_more_goes_on_as_it_was",
    ),
    "R112": (
        "tests/temporal/test_indexed.py::test_a_run_is_found_by_what_its_definition_says_once_the_server_has_the_attributes",
    ),
    "R76": ("tests/temporal/test_migration.py::test_a_refused_migration_and_a_dry_run_leave_nothing_in_the_history",),
    "R77": (
        "tests/temporal/test_migration.py::test_a_child_saga_itself_does_not_migrate",
        "tests/temporal/test_migration.py::test_a_child_saga_keeps_its_definition_and_is_undone_with_it",
    ),
    "R117": (
        "tests/temporal/test_nexus.py::test_an_operation_is_called_with_its_key_and_undone_by_another",
        "tests/temporal/test_nexus.py::test_no_more_operations_are_under_way_than_the_server_takes",
    ),
    "R118": (
        "tests/temporal/test_nexus.py::test_what_an_operation_says_no_with_is_its_error_and_nothing_is_undone",
        "tests/temporal/test_nexus.py::test_a_no_to_a_second_try_leaves_open_what_the_first_did",
        "tests/temporal/test_nexus.py::test_a_cancel_reaches_an_operation_that_has_started",
        "tests/temporal/test_nexus.py::test_a_handler_that_is_killed_is_asked_again_elsewhere",
    ),
    "R119": (
        "tests/temporal/test_nexus.py::test_an_endpoint_that_the_server_does_not_have_fails_the_step_and_blocks_nothing",
        "tests/temporal/test_nexus.py::test_a_compensation_whose_endpoint_is_missing_waits_for_somebody_who_makes_it",
    ),
    "R120": (
        "tests/language/test_expansion.py::test_a_fragment_becomes_a_block_with_ids_of_its_own",
        "tests/language/test_expansion.py::test_the_expanded_definition_is_what_is_pinned",
        "tests/cli/test_reuse.py::test_a_run_on_a_server_knows_nothing_of_imports",
    ),
    "R121": (
        "tests/language/test_expansion.py::test_a_finding_stands_at_the_use_and_names_the_line_of_the_library",
        "tests/language/test_expansion.py::test_fragments_of_fragments_keep_all_places",
        "tests/language/test_expansion.py::test_a_wrong_use_is_one_finding_with_what_was_meant",
    ),
    "R122": (
        "tests/language/test_expansion.py::test_nothing_outside_of_the_folder_is_read",
        "tests/language/test_expansion.py::test_reuse_has_an_end",
        "tests/language/test_expansion.py::test_a_text_that_repeats_a_long_argument_has_an_end",
    ),
    "R123": (
        "tests/language/test_bundles.py::test_each_saga_is_the_definition_that_a_file_of_its_own_would_be",
        "tests/cli/test_bundles.py::test_a_run_on_a_server_is_of_its_saga_alone",
        "tests/cli/test_bundles.py::test_worker_gateway_and_schedules_know_sagas_and_not_files",
    ),
    "R124": (
        "tests/language/test_bundles.py::test_child_sagas_are_found_in_the_file_first_then_in_the_files_beside_it",
        "tests/cli/test_bundles.py::test_two_definitions_of_one_name_are_refused",
        "tests/cli/test_bundles.py::test_a_run_on_a_server_is_of_its_saga_alone",
    ),
    "R125": (
        "tests/language/test_bundles.py::test_a_mistake_stands_at_its_line_once_and_leaves_the_other_sagas_alone",
        "tests/language/test_bundles.py::test_what_is_shared_is_wrong_for_every_saga_and_told_once",
        "tests/cli/test_bundles.py::test_machines_get_places_in_the_file",
    ),
    "R130": (
        "tests/crash/test_local_killed.py::test_an_error_that_the_next_worker_hears_proves_nothing",
        "tests/crash/test_local_killed.py::test_a_worker_that_dies_while_nothing_runs_leaves_no_doubt",
        "tests/temporal/test_local_calls.py::test_whoever_takes_over_after_a_long_local_call_believes_no_error",
    ),
    "R132": ("tests/language/test_local_calls.py::test_a_call_is_local_if_it_says_so_or_may_be",),
    "R133": (
        "tests/temporal/test_local_calls.py::test_two_local_compensations_follow_a_no_at_once",
        "tests/temporal/test_local_calls.py::test_a_local_compensation_waits_until_the_failure_is_recorded",
        "tests/temporal/test_local_calls.py::test_what_is_undone_on_the_way_on_waits_until_its_reason_is_recorded",
        "tests/temporal/test_local_calls.py"
        "::test_a_local_call_that_follows_from_a_request_begins_when_the_request_is_recorded",
        "tests/crash/test_local_killed.py::test_what_a_killed_worker_has_done_is_undone_once",
        "tests/crash/test_local_killed.py::test_what_was_undone_is_not_done_although_the_no_was_forgotten",
        "tests/crash/test_local_killed.py::test_what_was_undone_is_not_done_although_the_undo_was_forgotten",
    ),
    "R134": (
        "tests/temporal/test_in_turn.py::test_a_cancel_during_the_last_local_calls_leaves_none_of_them_out",
        "tests/temporal/test_in_turn.py::test_a_cancel_before_the_first_attempt_begins_nothing",
        "tests/temporal/test_in_turn.py::test_what_each_lost_task_had_heard_comes_first",
        "tests/temporal/test_in_turn_mixed.py::test_what_an_encrypted_saga_has_lost_is_heard_first",
        "tests/temporal/test_in_turn_mixed.py::test_a_worker_of_before_leaves_a_saga_that_was_asked_to_those_of_now",
        "tests/temporal/test_in_turn_mixed.py::test_a_worker_of_now_goes_on_with_a_saga_that_nobody_asked",
        "tests/crash/test_local_overtaken.py::test_a_cancel_after_the_death_undoes_what_the_dead_worker_did",
        "tests/crash/test_local_overtaken.py"
        "::test_a_saga_whose_calls_were_all_local_is_done_before_it_hears_the_cancel",
        "tests/crash/test_local_overtaken.py::test_a_time_limit_that_is_reached_after_the_death_undoes_all",
        "tests/crash/test_local_overtaken.py"
        "::test_a_request_or_a_signal_after_the_death_finds_what_the_dead_worker_did",
    ),
    "R138": (
        "tests/temporal/test_versioned_workers.py::test_a_saga_stays_with_its_version_or_goes_on_with_the_next_one",
        "tests/temporal/test_versioned_workers.py::test_a_pinned_saga_that_migrates_goes_over_to_the_current_version",
        "tests/cli/test_worker_versions.py::test_a_rollout_by_ramp_and_drain",
    ),
    "R139": (
        "tests/temporal/test_versioned_workers.py"
        "::test_a_pinned_saga_continues_as_new_on_the_next_version_when_its_worker_says_so",
        "tests/cli/test_worker_versions.py::test_a_saga_goes_over_by_itself_when_its_worker_is_told",
    ),
    "R140": (
        "tests/temporal/test_versioned_workers.py"
        "::test_a_worker_with_two_versions_of_a_definition_starts_the_one_that_is_meant",
        "tests/cli/test_worker_versions.py::test_a_worker_serves_two_versions_of_a_definition",
        "tests/language/test_versions.py"
        "::test_numbers_in_a_version_count_as_numbers_and_what_comes_before_a_release_is_older",
    ),
}
"""What no case can show, or not all of it, and which tests do; none where nothing is built."""

_HEAD = """# The conformance suite

What sagadsl promises of a run is [a list of rules](rules.md). `conformance/` shows them as suites of
[`sagadsl test`](test.md), which every build plays:

```sh
sagadsl test conformance
```

Each case is a small saga, what its participants do, who interferes, and what has to come of it: the calls in their
order, what they were sent, what was undone. All that a case needs stands in its file, so that another interpreter of
the language can play it too. Times are short: nearly every case is over within two seconds on a clock that cannot be
turned forward.

This page is generated by `python -m tests.trial.conformance_table`; a test compares it with what the cases do in
virtual time. Cases with *every build* among their rules are played on a real server by each build, with a workflow
cache and without, and their histories are replayed.
"""


@cache
def suites() -> tuple[Suite, ...]:
    """Return the suites of the folder, in the order of the rules."""
    return tuple(load_suite(ROOT / "conformance" / f"{name}.saga-test.yaml") for name in FILES)


def page() -> str:
    """Return the text of the page of cases, as of now."""
    here, there = _here(), _server()
    return "\n".join([*_head(here, there), *_by_file(here, there)]) + "\n"


def rules_page() -> str:
    """Return the text of the page of rules, each with what shows it, as of now."""
    here, there = _here(), _server()
    written = re.sub(r"\nShown by [^\n]*\n(?:- `[^\n]*\n)*", "", RULES_PAGE.read_text("utf-8"))
    parts = re.split(r"(?=^#{2,3} )", written, flags=re.M)
    return "".join(_shown(part, here, there) for part in parts).rstrip("\n") + "\n"


def _shown(part: str, here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return one section of the page of rules with what shows its rule at its end; one without a rule as it is."""
    rule = RULE.match(part)
    if rule is None:
        return part
    text = part.rstrip("\n")
    return f"{text}\n\n{_shown_by(rule[1], here, there)}\n\n"


def _shown_by(rule: str, here: Mapping[str, str], there: Mapping[str, str]) -> str:
    keys, tests = list(_of(rule)), ELSEWHERE.get(rule, ())
    if not keys and not tests:
        return "Shown by nothing: it is not built."
    ours = f"virtual time: {_count([here[key] for key in keys], len(keys))}"
    theirs = f"real server: {_count([there[key] for key in keys if key in there], len(keys))}"
    noun = "case" if len(keys) == 1 else "cases"
    cases = f"{len(keys)} {noun} ({ours}; {theirs})" if keys else ""
    by = " and ".join(filter(None, (cases, "these tests:" if tests else "")))
    return "\n".join([f"Shown by {by}{'' if tests else '.'}", *(f"- `{node}`" for node in tests)])


def _here() -> dict[str, str]:
    return {_key(suite.document.name, result.name): _result(result) for suite, result in _played()}


@cache
def _played() -> tuple[tuple[Suite, Result], ...]:
    return tuple(_play())


def _play() -> Iterator[tuple[Suite, Result]]:
    for suite in suites():
        for result in run([suite], virtual(None)):
            yield suite, result


def _key(file: str, case: str) -> str:
    return f"{Path(file).name}::{case}"


def _result(result: Result) -> str:
    if result.unplayed:
        return f"not played: {result.unplayed}"
    return "passes" if result.passed else "fails"


def _server() -> dict[str, str]:
    """Return what the real server made of each case, as far as it has been asked."""
    results: dict[str, str] = _recorded().get("cases", {})
    return results


def _recorded() -> dict[str, Any]:
    return dict(json.loads(SERVER.read_text("utf-8"))) if SERVER.is_file() else {}


def record_server(only: str = "") -> None:
    """Play every case on a real server; write what came of each, on which day, and with which commit.

    With the name of one suite as *only*, its cases alone are played, and what came of the others stays as it is.
    """
    from sagadsl.temporal.trial.suites import real  # who plays in virtual time shall not wait for Temporal's SDK

    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    logging.disable()  # attempts are meant to fail
    wanted = [suite for name, suite in zip(FILES, suites(), strict=True) if only in ("", name)]
    with real([playable for suite in wanted for playable in suite.cases], {}) as host:
        results = [settled(each) for each in run(wanted, host, timed=False)]
    cases = {_key(result.suite.document.name, result.name): _result(result) for result in results}
    recorded = {"date": datetime.now(UTC).date().isoformat(), "commit": commit, "cases": cases}
    if only:
        before = _recorded()
        recorded = before | {"cases": before.get("cases", {}) | cases}
    SERVER.write_text(f"{json.dumps(recorded, indent=1, ensure_ascii=False)}\n", encoding="utf-8")


def settled(result: Result, **how: Any) -> Result:
    """Return what came of a case on a real server; what failed beside others is played once more, alone.

    On a busy machine even a step of a second may be over too soon. *how* is how ``real`` plays. A run that does not
    replay is no matter of time: it raises at once.
    """
    from sagadsl.temporal.trial.suites import real

    if result.passed:
        return result
    print(f"beside others: {result.unplayed or result.misses}")
    with real([result.playable], {}, **how) as host:
        return run_one(result.suite, result.playable, host, timed=False)


def _head(here: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    rules = {rule for suite in suites() for each in suite.cases for rule in each.case.rules} & RULES.keys()
    yield _HEAD
    yield f"{len(here)} cases show {len(rules)} of the {len(RULES)} rules."
    yield f"Virtual time: {_count(here.values(), len(here))}."
    yield f"Real server: {_count([there[key] for key in here if key in there], len(here))}.{_last_time()}"
    yield "\nA saga whose compensations run in a worker of another language, which suites of peers have, is shown by"
    yield "`tests/foreign/transfers.py::Transfers::test_what_fails_after_the_foreign_worker_is_undone_there_first`."


def _last_time() -> str:
    recorded = _recorded()
    if "date" not in recorded:
        return ""
    return f" The whole suite was last played there on {recorded['date']}, with commit `{recorded['commit']}`."


def _count(results: Iterable[str], total: int) -> str:
    """Say how many of *total* pass; nothing is said of a host that has played none."""
    results = list(results)
    return f"{sum(each == 'passes' for each in results)} of {total} pass" if results else "not yet run"


def _of(rule: str) -> Iterator[str]:
    for suite in suites():
        for each in suite.cases:
            if rule in each.case.rules:
                yield _key(suite.document.name, each.case.name)


def _by_file(here: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    yield "\n## By case"
    for suite in suites():
        name = Path(suite.document.name).name
        yield f"\n### {suite.document.data['description'].rstrip('.')}\n\n[{name}](../conformance/{name})\n"
        yield "| case | rules | virtual time | real server |\n|---|---|---|---|"
        for each in suite.cases:
            key = _key(name, each.case.name)
            case = each.case.name.replace("|", "\\|")
            yield f"| {case} | {', '.join(each.case.rules)} | {here[key]} | {there.get(key, 'not yet run')} |"


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Write the pages of the rules and of the cases.")
    options.add_argument("--on", choices=["temporal"], help="play all cases on a real server first")
    options.add_argument("--only", choices=FILES, default="", help="play the cases of this suite alone")
    asked = options.parse_args()
    if asked.on:
        record_server(asked.only)
    PAGE.write_text(page(), encoding="utf-8")
    RULES_PAGE.write_text(rules_page(), encoding="utf-8")
