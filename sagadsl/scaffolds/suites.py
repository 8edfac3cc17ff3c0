"""A first suite of a definition: what it does when all goes well, and when each of its calls says no."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagadsl.diagnostics.findings import Finding
from sagadsl.engine.facts import Status
from sagadsl.language.analysis.known import Signature
from sagadsl.language.calls import ActivityCall
from sagadsl.language.model import Saga
from sagadsl.language.notation.scalars import write_yaml
from sagadsl.scaffolds.files import template
from sagadsl.trial.draw import draw
from sagadsl.trial.runner import virtual
from sagadsl.trial.suite import read_suite

_ERROR = "Refused"


class NoSuite(Exception):
    """No suite can be made: these findings say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = findings


def suite_of(saga: Saga, path: Path, named: str, schemas: str, activities: Mapping[str, Signature] | None) -> str:
    """Return a suite that passes: each case expects what the saga does now.

    Args:
        path: The suite's own place; *named* is the saga as seen from there.
        schemas: The folder of the schemas, as seen from there.
        activities: Signatures of what is installed; ``None`` knows none.

    Raises :class:`NoSuite`.
    """
    cases = [{"name": "all goes well"}, *(_refused(*each) for each in _calls(saga, activities))]
    data: dict[str, Any] = {"sagadsl_test": 1, "saga": named}
    if saga.input_schema is not None:
        data["defaults"] = {"input": draw(saga.input_schema, full=False)}
    drafted = {**data, "cases": [{**each, "then": {"status": Status.COMPLETED.value}} for each in cases]}
    read = read_suite(write_yaml(drafted), path, activities)
    if read.errors:
        raise NoSuite(read.errors)
    host = virtual(activities)
    for case, playable in zip(cases, read.cases, strict=True):
        played = host(playable)
        assert not isinstance(played, str)  # virtual time plays everything
        case["then"] = _expected(played.status, played.failure, played.report)
    return template("suite.saga-test.yaml", {"SCHEMAS": schemas}) + write_yaml({**data, "cases": cases})


def _calls(saga: Saga, activities: Mapping[str, Signature] | None) -> list[tuple[str, str]]:
    """Return the calls at the top of the saga, each with an error that it can have."""
    found = []
    for step in saga.steps:
        if isinstance(step.body, ActivityCall):
            known = None if activities is None else activities.get(step.body.activity)
            found.append((step.id, known.errors[0] if known is not None and known.errors else _ERROR))
    return found


def _refused(step: str, error: str) -> dict[str, Any]:
    return {"name": f"{step} says no", "given": {"mocks": {step: {"error": error}}}}


def _expected(status: str, failure: Mapping[str, Any] | None, report: Mapping[str, Any]) -> dict[str, Any]:
    expected: dict[str, Any] = {"status": status}
    if status != Status.COMPLETED.value and failure:
        expected["failure"] = {key: failure[key] for key in ("type", "step") if failure.get(key)}
    if status != Status.COMPLETED.value and report.get("undone"):
        expected["compensated"] = list(report["undone"])
    return expected
