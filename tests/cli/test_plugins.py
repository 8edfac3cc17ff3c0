"""`sagadsl plugins`: what is installed, and what does not work, without harm to anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Ran, sagadsl
from tests.packages import install

ACME = '''
from dataclasses import dataclass
from sagadsl import activity

@dataclass
class ChargeIn:
    order: str
    amount: int

@dataclass
class ChargeOut:
    charge_id: str

@activity(compensated_by="acme.refund", errors=["CardDeclined"], default_timeout="30s", idempotent=True)
def charge(given: ChargeIn) -> ChargeOut:
    """Charge a card.

    Idempotent by its key."""
    return ChargeOut("c1")

@activity
def refund(charge_id: str, order: str, note: str = "") -> None:
    """Give the money back."""

@activity(compensated_by="acme.nothing", default_timeout="30", examples=[{"amount": "x"}])
def careless(amount: int):
    return None
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder on the path with three made-up distributions; each test adds what it needs."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "acme_pay.py").write_text(ACME, encoding="utf-8")
    (folder / "wobbly.py").write_text("import a_module_that_is_not_there\n", encoding="utf-8")
    return folder


def _install(site: Path, name: str, version: str, **activities: str) -> None:
    points = [f"{activity.replace('__', '.')} = {target}" for activity, target in activities.items()]
    install(site, name, "\n".join(points), version=version)


def _plugins(site: Path, *arguments: str) -> Ran:
    """Run the command where only the packages of *site* and our own count."""
    (site.parent / "sagadsl.toml").write_text('plugins = {allow = ["acme-pay", "other-pay", "wobbly"]}\n')
    return sagadsl("plugins", *arguments, cwd=site.parent, env={"PYTHONPATH": str(site)})


def _activities(ran: Ran) -> dict[str, Any]:
    document = json.loads(ran.out)
    assert document["schema_version"] == 1
    return {each["name"]: each for each in document["activities"]}


def test_every_activity_is_listed_with_its_package(site: Path) -> None:
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge", acme__refund="acme_pay:refund")
    listed = _plugins(site)
    lines = [line for line in listed.out.splitlines() if line.startswith("acme.")]
    assert [line.split("  ") for line in lines] == [
        [*line.split("  ")[:-2], "acme-pay 1.2.0", text]
        for line, text in zip(lines, ["Charge a card.", "Give the money back."], strict=True)
    ]
    assert lines[0].startswith("acme.charge(order, amount) ")
    assert lines[1].startswith("acme.refund(charge_id, order, note?) ")
    assert listed.out.splitlines()[-1] == "4 activities of 2 packages"
    assert (listed.code, listed.err) == (0, "")
    assert _plugins(site, "list") == listed


def test_one_package_that_cannot_be_imported_harms_no_other(site: Path) -> None:
    """Help, version and the rest work; the broken one is named with distribution and cause."""
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge")
    _install(site, "wobbly", "0.1", wobbly__fall="wobbly:fall", wobbly__gone="gone:fall")
    listed = _plugins(site)
    broken = [line for line in listed.out.splitlines() if line.startswith("✗")]
    assert broken == [
        "✗ activity `wobbly.fall` of wobbly 0.1 cannot be used: No module named 'a_module_that_is_not_there' "
        "(site/wobbly.py:1)",
        "✗ activity `wobbly.gone` of wobbly 0.1 cannot be used: No module named 'gone'",
    ]
    assert "acme.charge(order, amount)" in listed.out
    assert listed.out.splitlines()[-1] == "3 activities of 2 packages, 2 problems"
    assert listed.code == 0
    shown = _plugins(site, "show", "wobbly.fall")
    assert shown.code == 3
    assert shown.err == (
        "error[SD910]: activity `wobbly.fall` of wobbly 0.1 cannot be used: "
        "No module named 'a_module_that_is_not_there' (site/wobbly.py:1)\n"
        "   = help: repair or uninstall the package; `sagadsl plugins` lists what works\n"
    )


def test_two_owners_of_one_name_are_both_shown_and_none_wins(site: Path) -> None:
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge")
    _install(site, "other-pay", "3.0", acme__charge="acme_pay:refund")
    listed = _plugins(site, "list", "--json")
    assert "acme.charge" not in _activities(listed)
    (problem,) = json.loads(listed.out)["problems"]
    assert problem["code"] == "SD911"
    assert [owner.split(" ")[0] for owner in problem["owners"]] == ["acme-pay", "other-pay"]
    assert _plugins(site, "show", "acme.charge").code == 3


def test_an_activity_is_shown_with_a_step_to_copy(site: Path) -> None:
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge", acme__refund="acme_pay:refund")
    shown = _plugins(site, "show", "acme.charge")
    assert shown.code == 0
    assert shown.out == (
        "acme.charge   acme-pay 1.2.0\n"
        "\n"
        "Charge a card.\n"
        "\n"
        "Idempotent by its key.\n"
        "\n"
        "input\n"
        "  order   string   required\n"
        "  amount  integer  required\n"
        "\n"
        "output\n"
        "  charge_id  string\n"
        "\n"
        "errors      CardDeclined\n"
        "undone by   acme.refund\n"
        "timeouts    start_to_close 30s\n"
        "idempotent  yes\n"
        "\n"
        "as a step\n"
        "  - id: charge\n"
        "    activity: acme.charge\n"
        '    input: {order: "…", amount: 1}\n'
        "    compensation:\n"
        "      activity: acme.refund\n"
        '      input: {charge_id: "{{ step.output.charge_id }}", order: "{{ step.input.order }}"}\n'
    )


def test_an_activity_is_shown_to_programs(site: Path) -> None:
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge", acme__refund="acme_pay:refund")
    document = json.loads(_plugins(site, "show", "acme.charge", "--json").out)
    assert document["schema_version"] == 1
    assert document["errors"] == ["CardDeclined"]
    assert document["compensated_by"] == "acme.refund"
    assert document["input"]["required"] == ["order", "amount"]


def test_an_unknown_activity_gets_a_suggestion_also_as_json(site: Path) -> None:
    """One document, also on failure."""
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge")
    shown = _plugins(site, "show", "acme.chrge", "--json")
    assert shown.code == 3
    assert json.loads(shown.out) == {
        "schema_version": 1,
        "error": {
            "code": "SD912",
            "message": "no activity named `acme.chrge` is installed",
            "help": "did you mean `acme.charge`?",
        },
    }


def test_the_author_of_a_package_learns_what_is_wrong_with_it(site: Path) -> None:
    _install(site, "acme-pay", "1.2.0", acme__careless="acme_pay:careless", acme__refund="acme_pay:refund")
    checked = _plugins(site, "check", "Acme_Pay")
    assert checked.code == 1
    lines = checked.out.splitlines()
    assert lines[0] == "✗ acme.careless"
    assert lines[-1] == "✓ acme.refund"
    assert [line.split(":", 1)[0].strip() for line in lines[1:-1]] == ["error", "error", "error", "warning"]
    assert "timeout `start_to_close`: " in lines[1]
    assert lines[2] == "    error: example 1 does not fit its own input: 'x' is not of type 'integer'"
    assert lines[3] == "    error: it names `acme.nothing` to undo it, but no such activity works"
    assert lines[4] == "    warning: it has no docstring, so that nobody knows what it does"
    assert checked.err == "2 activities, 1 with errors\n"


def test_a_package_that_is_all_right_passes_and_one_that_is_not_there_is_a_usage_error(site: Path) -> None:
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge", acme__refund="acme_pay:refund")
    assert _plugins(site, "check", "acme-pay").code == 0
    missing = _plugins(site, "check", "acme-play")
    assert missing.code == 2
    assert missing.err.splitlines()[-1] == (
        "error: no package `acme-play` offers activities; installed: acme-pay, sagadsl"
    )


def test_local_modules_count_without_any_packaging(site: Path) -> None:
    (site.parent / "mine.py").write_text(ACME, encoding="utf-8")
    listed = _plugins(site, "list", "-m", "mine", "--json")
    assert {"charge", "refund", "careless"} <= set(_activities(listed))
    assert _activities(listed)["charge"]["package"] == "module mine"


NEEDS = """\
sagadsl: 1
name: needs
version: "1"
steps:
  - id: fall
    activity: {activity}
    compensation: none
"""


def _validate(site: Path, activity: str, *arguments: str) -> Ran:
    (site.parent / "needs.saga.yaml").write_text(NEEDS.replace("{activity}", activity), encoding="utf-8")
    _plugins(site, "list")  # writes the settings
    return sagadsl("validate", *arguments, cwd=site.parent, env={"PYTHONPATH": str(site)})


def test_a_definition_that_needs_a_broken_package_fails_with_its_cause(site: Path) -> None:
    """And exit code 3, since the definition itself may be right."""
    _install(site, "wobbly", "0.1", wobbly__fall="wobbly:fall")
    checked = _validate(site, "wobbly.fall")
    assert checked.code == 3
    assert checked.out.splitlines()[:6] == [
        "error[SD910]: activity `wobbly.fall` of wobbly 0.1 cannot be used: "
        "No module named 'a_module_that_is_not_there' (site/wobbly.py:1)",
        "  --> needs.saga.yaml:6:15 in step `fall`",
        "   |",
        " 6 |     activity: wobbly.fall",
        "   |               ^^^^^^^^^^^",
        "   = help: repair or uninstall the package; `sagadsl plugins` lists what works",
    ]
    assert checked.out.count("a_module_that_is_not_there") == 1
    assert _validate(site, "wobbly.fall", "--no-plugins").code == 0


def test_a_broken_package_that_nobody_needs_is_not_even_imported(site: Path) -> None:
    """Silent unless used."""
    _install(site, "acme-pay", "1.2.0", acme__refund="acme_pay:refund")
    _install(site, "wobbly", "0.1", wobbly__fall="wobbly:fall")
    checked = _validate(site, "acme.refund", "--ignore", "SD402")
    assert checked.code == 0
    assert "wobbly" not in checked.out + checked.err
    assert sagadsl("--help", env={"PYTHONPATH": str(site)}).code == 0
    assert sagadsl("--version", env={"PYTHONPATH": str(site)}).code == 0


def test_an_activity_that_is_not_installed_is_found_before_anything_runs(site: Path) -> None:
    """R54."""
    _install(site, "acme-pay", "1.2.0", acme__charge="acme_pay:charge")
    checked = _validate(site, "acme.chrge")
    assert checked.code == 1
    assert "error[SD401]: no activity named `acme.chrge` is installed\n" in checked.out
    assert "= help: did you mean `acme.charge` (from acme-pay 1.2.0)?\n" in checked.out
