"""`make licences` and `make audit`: what they let pass, and that they say what nobody has looked at."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools import supply

ALLOWED = frozenset({"MIT", "BSD-3-Clause", "Apache-2.0"})
ODD = {"says": ["Odd"], "why": "we asked"}


@pytest.mark.parametrize(
    ("licence", "fits"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("GPL-3.0-only", False),
        ("Nobody-Knows-1.0", False),
        ("free for all", False),
        ("", False),
    ],
)
def test_an_expression_is_allowed_if_all_that_binds_is(licence: str, fits: bool) -> None:
    assert supply.is_allowed(licence, ALLOWED) is fits


def _judged(said: dict[str, list[str]], looked_at: dict[str, Any] | None = None, more: str = "") -> int:
    bill = {
        "components": [
            {"name": name, "licenses": [{"license": {"name": each}} for each in licences]}
            for name, licences in said.items()
        ]
    }
    names = (*said, more) if more else said
    rules = {"allowed": sorted(ALLOWED), "looked_at": looked_at or {}}
    return supply.judge_licences(bill, rules, dict.fromkeys(names, "1"))


@pytest.mark.parametrize(
    ("said", "looked_at", "says"),
    [
        ({"a": ["GPL-3.0-only"]}, {}, "a is under GPL-3.0-only"),
        ({"a": []}, {}, "a names no licence"),
        ({"a": ["MIT", "Odd"]}, {}, "a is under Odd"),
        ({"a": ["Odder"]}, {"a": ODD}, "a says something else than when somebody looked: Odder"),
        ({"a": ["MIT"]}, {"b": ODD}, "b is in licences.toml, and not in requirements.lock any more"),
    ],
)
def test_a_licence_that_nobody_has_allowed_is_named(
    said: dict[str, list[str]], looked_at: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _judged(said, looked_at) == supply.FOUND
    assert says in capsys.readouterr().err


def test_what_somebody_has_looked_at_passes_and_what_is_not_here_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert _judged({"a": ["Odd"], "b": ["MIT"], "sagadsl": []}, {"a": ODD}, more="pywin32") == 0
    assert capsys.readouterr().out == (
        "licences of 2 packages: 0 that nobody has allowed\n"
        "NOT LOOKED AT: pywin32; they are for other systems, and not installed here\n"
    )


def _audited(*entries: dict[str, Any], wanted: tuple[str, ...] = ("a", "b")) -> int:
    return supply.judge_advisories({"dependencies": list(entries)}, dict.fromkeys(wanted, "1"))


FINE = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}


def test_a_known_hole_fails_the_audit(capsys: pytest.CaptureFixture[str]) -> None:
    assert _audited(FINE, BAD) == supply.FOUND
    assert "b 1: PYSEC-1, fixed in 2" in capsys.readouterr().err
    assert _audited(FINE, FINE | {"name": "b"}) == 0


def test_an_index_that_knows_nothing_is_no_good_news(capsys: pytest.CaptureFixture[str]) -> None:
    """pip-audit ends with code 0 then, and says that it has found nothing."""
    skipped = {"name": "b", "skip_reason": "not found"}
    assert _audited(FINE, skipped) == supply.NOT_LOOKED_AT
    assert "NOT CHECKED: 1 of 2 packages: b\n  b: not found\n" in capsys.readouterr().out
    assert _audited(BAD, {"name": "a", "skip_reason": "not found"}) == supply.FOUND
    assert _audited(FINE) == supply.NOT_LOOKED_AT


def test_a_tool_without_an_answer_is_not_taken_for_a_good_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*words: str, codes: tuple[int, ...]) -> str:
        raise supply.ToolFailed("pip-audit ended with code 1: no network")

    monkeypatch.setattr(supply, "_ran", fails)
    assert supply.audit(may_be_unchecked=False) == supply.NOT_LOOKED_AT
    assert supply.audit(may_be_unchecked=True) == 0
    number = len(supply.locked(supply.LOCK.read_text("utf-8")))
    assert f"NOT CHECKED: {number} of {number} packages" in capsys.readouterr().out
    monkeypatch.setattr(supply, "_ran", lambda *_, codes: json.dumps({"dependencies": [BAD]}))
    assert supply.audit(may_be_unchecked=True) == supply.FOUND


def test_every_package_of_the_lock_has_its_hashes() -> None:
    """`make setup` refuses a file with another one; see `tests/test_setup.py`."""
    root = Path(__file__).parents[1]
    found = supply.locked((root / "requirements.lock").read_text("utf-8"))
    assert len(found) > 100
    with pytest.raises(ValueError, match="six has no hash"):
        supply.locked("six==1.17.0\n    # via a\n")
    assert tomllib.loads((root / "tools" / "licences.toml").read_text("utf-8"))["looked_at"].keys() <= found.keys()


def test_the_page_shows_what_an_audit_says_that_could_not_ask(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "operations" / "supply-chain.md").read_text("utf-8")
    names = supply.locked(supply.LOCK.read_text("utf-8"))
    why = "Dependency not found on PyPI and could not be audited: annotated-types (0.8.0)"
    report = {"dependencies": [{"name": name, "skip_reason": why} for name in names]}
    assert supply.judge_advisories(report, names) == supply.NOT_LOOKED_AT
    told = re.sub(r"packages: .*", "packages", capsys.readouterr().out)
    shown = re.sub(r"packages: .*", "packages", page.partition("$ make audit\n")[2].partition("make: ***")[0])
    assert re.sub(r"[1-9]\d*", "N", told) == re.sub(r"[1-9]\d*", "N", shown)
