"""Translates words of other engines and tools into ours. It does not know where a word is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sagadsl.language.suggest import closest

_BORROWED: Mapping[str, tuple[str, ...]] = {
    "catch": ("on_error",),
    "catches": ("on_error",),
    "rescue": ("on_error",),
    "onerror": ("on_error",),
    "on_failure": ("on_error",),
    "fallback": ("on_error",),
    "continue_on_error": ("on_error",),
    "compensate": ("compensation",),
    "compensate_with": ("compensation",),
    "undo": ("compensation",),
    "rollback": ("compensation",),
    "compensations": ("compensation",),
    "when": ("if",),
    "condition": ("if",),
    "unless": ("if",),
    "foreach": ("for_each",),
    "loop": ("for_each", "repeat"),
    "map": ("for_each",),
    "with_items": ("for_each",),
    "while": ("repeat",),
    "poll": ("repeat",),
    "until": ("repeat",),
    "timeout": ("timeouts", "start_to_close"),
    "timeout_seconds": ("timeouts",),
    "do": ("activity", "steps"),
    "call": ("activity",),
    "task": ("activity",),
    "action": ("activity",),
    "run": ("activity",),
    "uses": ("activity",),
    "resource": ("activity",),
    "function": ("activity",),
    "type": ("activity",),
    "workflow": ("saga",),
    "child": ("saga",),
    "subflow": ("saga",),
    "branches": ("parallel",),
    "fork": ("parallel",),
    "choice": ("switch",),
    "choices": ("switch",),
    "wait": ("sleep", "wait_for"),
    "delay": ("sleep",),
    "signal": ("wait_for",),
    "assign": ("set",),
    "raise": ("fail",),
    "throw": ("fail",),
    "error": ("fail",),
    "depends_on": ("needs",),
    "dependencies": ("needs",),
    "with": ("input",),
    "args": ("input",),
    "arguments": ("input",),
    "parameters": ("input",),
    "params": ("input",),
    "queue": ("task_queue",),
    "retries": ("maximum_attempts", "retry"),
    "retry_policy": ("retry",),
    "attempts": ("maximum_attempts",),
    "limit": ("maximum_attempts",),
    "interval": ("initial_interval", "every"),
    "interval_seconds": ("initial_interval",),
    "delay_seconds": ("initial_interval",),
    "multiplier": ("backoff_coefficient",),
    "factor": ("backoff_coefficient",),
    "backoff_rate": ("backoff_coefficient",),
    "backoff": ("backoff_coefficient",),
    "max_delay": ("maximum_interval",),
    "max_interval": ("maximum_interval",),
    "max_attempts": ("maximum_attempts",),
    "concurrency": ("max_concurrency",),
    "var": ("as",),
    "in": ("items",),
    "default": ("else",),
    "otherwise": ("else",),
    "tasks": ("steps",),
    "states": ("steps",),
    "schema": ("input", "payload"),
    "inputs": ("input",),
    "outputs": ("output",),
    "result": ("output",),
    "start_to_close_timeout": ("start_to_close",),
    "schedule_to_close_timeout": ("schedule_to_close",),
    "schedule_to_start_timeout": ("schedule_to_start",),
    "heartbeat_timeout": ("heartbeat",),
}
"""For each foreign word, our keys, the likeliest first. The first key that the place allows is meant."""


def meant(key: str, allowed: Iterable[str]) -> str | None:
    """Return the key of *allowed* that the unknown *key* stands for."""
    names = list(allowed)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).replace("-", "_").lower()
    borrowed = next((name for name in _BORROWED.get(plain, ()) if name in names), None)
    return borrowed or closest(key, names)
