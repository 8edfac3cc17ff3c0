"""Findings as SARIF 2.1.0, for code scanning."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from sagadsl.diagnostics.codes import CODES
from sagadsl.diagnostics.findings import Severity
from sagadsl.reporting.items import identity, items_of, tool_version
from sagadsl.reporting.report_input import ReportInput


def sarif(given: ReportInput) -> str:
    """Return one run of the tool in SARIF."""
    items = items_of(given)
    codes = sorted({item["code"] for item in items})
    run = {
        "tool": {
            "driver": {
                "name": "sagadsl",
                "version": tool_version(),
                "rules": [_rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, codes.index(item["code"])) for item in items],
    }
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True)


def _rule(code: str) -> dict[str, Any]:
    known = CODES.get(code)
    title, severity = (known.title, known.severity) if known else (code, Severity.ERROR)
    return {
        "id": code,
        "shortDescription": {"text": title},
        "help": {"text": f"`sagadsl explain {code}`"},
        "defaultConfiguration": {"level": severity.value},
    }


def _result(item: dict[str, Any], rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": item["code"],
        "ruleIndex": rule,
        "level": item["severity"],
        "message": {"text": "\n".join([item["message"], *item["help"]])},
        "partialFingerprints": {"sagadslFinding/v1": identity(item)},
    }
    if item["file"] is not None:
        result["locations"] = [{"physicalLocation": _physical(item["file"], item["range"])}]
        result["relatedLocations"] = [
            {"physicalLocation": _physical(item["file"], place["range"]), "message": {"text": place["message"]}}
            for place in item["related"]
        ]
    return result


def _physical(file: str, place: dict[str, Any]) -> dict[str, Any]:
    start, end = place["start"], place["end"]
    return {
        "artifactLocation": {"uri": quote(file.replace("\\", "/"), errors="replace")},
        "region": {
            "startLine": start["line"],
            "startColumn": start["column"],
            "endLine": end["line"],
            "endColumn": end["column"],
        },
    }
