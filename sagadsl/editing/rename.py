"""Renames a step everywhere: in its saga, and in the suites that name it. Refuses what would change a meaning."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from sagadsl.editing import mentions
from sagadsl.editing.source import Edit, Source
from sagadsl.editing.suites import Affected, Texts, affected, failing
from sagadsl.editing.workspace import Workspace
from sagadsl.language.loaded import Loaded

_FREE = "sagadsl_no_step_has_this_id"
_ID = re.compile(r"[a-z][a-z0-9_]*")


class CannotRename(ValueError):
    """Why a step keeps its name, in a sentence for whoever wants to rename it."""


def renamable(source: Source, offset: int) -> mentions.Mention | None:
    """Return the name of a step under a cursor."""
    loaded = source.part_at(offset)
    return None if loaded is None else mentions.at(source, loaded, offset)


def named(workspace: Workspace, source: Source, offset: int) -> list[Edit]:
    """Return every place that names the step under a cursor, as the changes that a rename would make."""
    found, every = _mentioned(source, offset)
    if found is None:
        return []
    edits = [Edit(source.path, each.range, _FREE) for each in every]
    suites = affected(workspace, {source.path.resolve(): applied(source.text, edits)})
    return edits + [edit for each in suites for edit in each.edits]


def rename(workspace: Workspace, source: Source, offset: int, new: str) -> list[Edit]:
    """Return the changes that give the step under a cursor another id. Within ``as_typed``.

    Raises:
        CannotRename: The name is none, or there would be a mistake where there is none now.
    """
    found, every = _mentioned(source, offset)
    loaded = source.part_at(offset)
    if loaded is None or found is None:
        raise CannotRename("there is no name of a step here")
    if not any(each.is_own for each in every):
        raise CannotRename(f"`{found.step}` is no step that stands in this file")
    _check_name(source, loaded, found.step, new)
    edits = [Edit(source.path, each.range, new) for each in every]
    changed = {source.path.resolve(): applied(source.text, edits)}
    suites = list(affected(workspace, changed))
    for each in suites:
        edits += each.edits
        changed[each.suite.path.resolve()] = applied(each.suite.text, list(each.edits))
    _verify(workspace, source, suites, changed)
    return edits


def applied(text: str, edits: list[Edit]) -> str:
    """Return a text with changes to it."""
    for each in sorted(edits, key=lambda edit: edit.range, reverse=True):
        text = text[: each.range.start] + each.text + text[each.range.end :]
    return text


def _mentioned(source: Source, offset: int) -> tuple[mentions.Mention | None, list[mentions.Mention]]:
    """Return the mention under a cursor, and all of the same step."""
    loaded = source.part_at(offset)
    every = [] if loaded is None else mentions.mentions(source, loaded)
    found = next((each for each in every if each.range.has(offset)), None)
    return found, [each for each in every if found is not None and each.step == found.step]


def _check_name(source: Source, loaded: Loaded, old: str, new: str) -> None:
    if _ID.fullmatch(new) is None:
        raise CannotRename(f"`{new}` cannot be the id of a step: lower case letters, digits and `_`, a letter first")
    analysis = source.analysis(loaded)
    if analysis is not None and new != old and new in analysis.structure.steps:
        raise CannotRename(f"there is a step `{new}` already")


def _verify(workspace: Workspace, source: Source, suites: list[Affected], changed: Texts) -> None:
    """Refuse a change after which there is a finding, or a case fails, that was not so before."""
    paths = dict.fromkeys([source.path, *(each.suite.path for each in suites)])
    codes = {path: _codes(workspace, path) for path in paths}
    failed = {each.suite.path: failing(each.suite) for each in suites}
    with workspace.as_typed(changed):
        for path in paths:
            _check_findings(workspace, path, codes[path])
        for path, before in failed.items():
            suite = workspace.source(path)
            for case, why in {} if suite is None else failing(suite).items():
                if case not in before:
                    raise CannotRename(
                        f"the case `{case}` of `{path.name}` would not pass any more, because of {why}; "
                        "a saga without an `output` gives the outputs of its steps by their ids"
                    )


def _check_findings(workspace: Workspace, path: Path, before: Counter[str]) -> None:
    after = workspace.source(path)
    for problem in () if after is None else after.problems:
        if before[problem.finding.code] > 0:
            before[problem.finding.code] -= 1
            continue
        line = problem.document.span_of(problem.finding).line
        raise CannotRename(f"with the new name `{path.name}` would be wrong in line {line}: {problem.finding.message}")


def _codes(workspace: Workspace, path: Path) -> Counter[str]:
    found = workspace.source(path)
    return Counter() if found is None else Counter(each.finding.code for each in found.problems)
