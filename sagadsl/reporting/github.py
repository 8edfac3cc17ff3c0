"""Findings as commands of GitHub Actions, which shows them beside the lines of a pull request."""

from __future__ import annotations

from typing import Any

from sagadsl.language.notation.plain_text import clean
from sagadsl.reporting.items import items_of
from sagadsl.reporting.report_input import ReportInput

_COMMANDS = {"note": "notice"}
"""The commands that are not called as the severity is."""


def github(given: ReportInput) -> str:
    """Return the commands, one in each line."""
    return "\n".join(_command(item) for item in items_of(given))


def _command(item: dict[str, Any]) -> str:
    """Return one workflow command of GitHub Actions; GitHub shows it beside the line of a pull request."""
    properties = {"title": f"sagadsl ({item['code']})"}
    if item["file"] is not None:
        start, end = item["range"]["start"], item["range"]["end"]
        properties |= {"file": item["file"], "line": start["line"], "col": start["column"], "endLine": end["line"]}
        if start["line"] == end["line"]:  # GitHub accepts columns only within a single line
            properties["endColumn"] = end["column"]
    listed = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items())
    text = "\n".join([item["message"], *(f"  help: {line}" for line in item["help"])])
    return f"::{_COMMANDS.get(item['severity'], item['severity'])} {listed}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    safe = "\n".join(map(clean, text.split("\n")))
    return "".join(f"%{ord(char):02X}" if char in f"%\n{more}" else char for char in safe)
