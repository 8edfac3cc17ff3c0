"""What a definition needs of the installed activities: errors for what does not work, advice for what is not there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.immutable import replace
from sagadsl.language.calls import ActivityCall
from sagadsl.language.loaded import Loaded
from sagadsl.language.model import Saga
from sagadsl.language.walk import calls, spots
from sagadsl.plugins.local import project_offering, that_name
from sagadsl.plugins.problems import PluginBroken, PluginUnknown, Problem, Told
from sagadsl.plugins.settings import above, table_of

_NOT_INSTALLED = "SD401"


def needing(loaded: Loaded, broken: Mapping[str, Problem | Told]) -> Loaded:
    """Return *loaded* with an error for every call of an activity that is installed and does not work.

    A local module that cannot be imported is one error, at the first call that may need it: what else its activities
    are missed by says the same.

    Args:
        broken: What is installed and does not work, by the name of the activity.
    """
    if loaded.draft is None or not broken:
        return loaded
    errors: list[Finding] = []
    explained: set[str] = set()
    modules: set[str] = set()
    for name, route, step in _own_calls(loaded.draft):
        problem = broken.get(name)
        if problem is None:
            continue
        if isinstance(problem, PluginBroken | Told) and problem.is_a_module:
            explained.add(name)
            if problem.name in modules:
                continue
            modules.add(problem.name)
        errors.append(Finding(problem.code, str(problem), route, help=problem.help, step=step))
    if not errors:
        return loaded
    rest = [each for each in loaded.findings if each.code != _NOT_INSTALLED or each.focus not in explained]
    return replace(loaded, findings=(*rest, *errors), saga=None)


def advised(loaded: Loaded, unknown: Mapping[str, PluginUnknown]) -> Loaded:
    """Return *loaded*, in which each activity that is not installed comes with the advice that helps here."""
    if not any(each.code == _NOT_INSTALLED and each.focus in unknown for each in loaded.findings):
        return loaded
    findings = (
        replace(each, help=_advice(unknown[each.focus], each.help))
        if each.code == _NOT_INSTALLED and each.focus in unknown
        else each
        for each in loaded.findings
    )
    return replace(loaded, findings=tuple(findings))


def _advice(unknown: PluginUnknown, usual: str) -> str:
    if unknown.is_left_out:
        return unknown.help
    project = project_offering(unknown.name, Path.cwd())
    if project is not None:
        where = os.path.relpath(project)
        file = Path(where) / "pyproject.toml"
        return f"`{file}` offers it, but the project is not installed: `pip install -e {shlex.quote(where)}`"
    naming = list(that_name(unknown.name, Path.cwd()))
    if module := next((each for each in naming if each not in unknown.modules), None):
        return f"`{module}.py` here names it: give the option `-m {module}`"
    if naming and unknown.meant is None:  # as what undoes another one, say
        return f'`{naming[0]}.py` names it, but has no function with `@activity(name="{unknown.name}")`'
    settings = above(Path.cwd()) if unknown.meant is None and not table_of(Path.cwd())[0] else None
    if settings is not None:
        return f"`{settings}` counts only in its own folder: run the command there, or give `-m`"
    if unknown.is_without_prefix:
        return unknown.help
    # what has been imported since may hold a nearer name: members of classes and modules
    return unknown.help if unknown.meant is not None and f"`{unknown.meant}`" not in usual else usual


def _own_calls(saga: Saga) -> Iterator[tuple[str, Route, str]]:
    """Yield the calls on the saga's own queue, whose activities this machine needs: name, place, id of the step."""
    for spot in spots(saga):
        step = spot[-1].step
        for call, route, _phase in calls(step):
            if isinstance(call, ActivityCall) and call.operation is None and call.task_queue is None:
                yield from ((name, (*route, "activity"), step.id) for name in call.names)
