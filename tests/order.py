"""In which order files of tests begin: the long ones first, since one that begins last would hold up the end alone."""

from __future__ import annotations

import pytest

LONGEST = (
    "tests/temporal/test_conformance.py",
    "tests/cluster/test_whole_system.py",
    "tests/chaos/test_chaos.py",
    "tests/temporal/test_workflow.py",
    "tests/temporal/test_children_undone.py",
    "tests/temporal/test_cancels.py",
    "tests/temporal/test_replay.py",
    "tests/gateway/test_page.py",
    "tests/gateway/test_page_deciding.py",
    "tests/cluster/test_rolling.py",
    "tests/foreign/test_java_worker.py",
    "tests/gateway/test_rolling.py",
    "tests/foreign/test_go_worker.py",
    "tests/temporal/test_fleet.py",
    "tests/test_setup.py",
    "tests/crash/test_server_killed.py",
    "tests/crash/test_worker_replaced.py",
    "tests/crash/test_soak.py",
    "tests/temporal/test_codec_sizes.py",
    "tests/test_scaffolds.py",
    "tests/cli/test_output_schemas.py",
    "tests/test_release.py",
    "tests/test_ci_page.py",
    "tests/cli/test_worker.py",
    "tests/temporal/test_late_attempts.py",
    "tests/cli/test_kept_checks.py",
    "tests/test_plugin_cache.py",
    "tests/gateway/test_openapi.py",
    "tests/foreign/test_node_worker.py",
    "tests/cli/test_streams.py",
    "tests/temporal/test_codec_limits.py",
    "tests/language/test_effort.py",
    "examples/bank/tests/test_bank_concurrency.py",
    "tests/gateway/test_jobs.py",
    "tests/gateway/test_events.py",
    "tests/gateway/test_codec.py",
    "tests/gateway/test_signals.py",
    "tests/gateway/test_access.py",
    "tests/cluster/test_on_postgresql.py",
    "tests/crash/test_local_killed.py",
    "tests/crash/test_reset.py",
    "tests/crash/test_worker_killed.py",
    "tests/cli/test_encryption.py",
    "tests/secured/test_credentials.py",
    "tests/gateway/test_https.py",
    "tests/gateway/test_revocation.py",
    "tests/secured/test_renewal.py",
    "tests/temporal/test_trials.py",
    "tests/temporal/test_recovery.py",
    "tests/temporal/test_kept_failures.py",
    "tests/temporal/test_message_limits.py",
    "tests/temporal/test_versioned_workers.py",
    "tests/language/test_kinds.py",
    "tests/trial/test_conformance_suite.py",
    "tests/trial/explore/test_search.py",
    "tests/definitions/test_gallery.py",
    "tests/gateway/test_page_talking.py",
    "tests/gateway/test_dev.py",
    "tests/gateway/test_operating.py",
    "tests/foreign/test_what_arrives.py",
    "tests/cli/test_worker_capacity.py",
    "tests/cli/test_run.py",
    "tests/cli/test_server_goes.py",
    "tests/cli/test_hostile_imports.py",
    "tests/engine/test_any_saga.py",
    "tests/engine/test_any_recovery.py",
    "tests/engine/test_any_migration.py",
    "tests/engine/test_any_reset.py",
    "tests/temporal/test_any_saga.py",
)
"""Those that last longest, the longest first, as `--durations` tells; the others follow as they are found."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep this order: xdist would begin with the files that have most tests, which are often quick ones."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {file: rank for rank, file in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))
