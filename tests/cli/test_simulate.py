"""``sagadsl simulate``: whole screens, exit codes, and the mistakes that people make."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sagadsl.trial import play
from tests.cli.shell import Ran, inside

DEFINITION = """
sagadsl: 1
name: order
input:
  type: object
  required: [amount]
  properties: {amount: {type: integer, minimum: 1}}
timeout: 2d
steps:
  - {id: charge, activity: bank.charge, input: {amount: "{{ input.amount }}"}, compensation: {activity: bank.refund}}
  - {id: wait, wait_for: {signal: approve, timeout: 1d, payload: {type: object, required: [ok]}}}
  - {id: ship, activity: shop.ship, retry: {maximum_attempts: 2}, compensation: {activity: shop.recall}}
output: {id: "{{ steps.ship.output.id }}"}
"""
LONG = """
sagadsl: 1
name: order
steps:
  - id: l
    for_each: {items: input.n, as: n}
    steps: [{id: a, activity: x.a, input: "{{ n }}", compensation: {activity: x.b}}]
  - {id: last, activity: x.c, compensation: none}
"""
APPROVED = ("--signal", 'approve={"ok": true}@2h')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "order.saga.yaml").write_text(DEFINITION)
    return tmp_path


def _simulate(folder: Path, *arguments: str) -> Ran:
    return inside("simulate", "--no-plugins", "order.saga.yaml", *arguments, cwd=folder)


def test_a_saga_that_goes_well(folder: Path) -> None:
    """Outputs are drawn from what the definition reads of them, and so is the input."""
    ran = _simulate(folder, *APPROVED)

    assert (ran.code, ran.err) == (0, 'no input was given; drawn: {"amount": 1}\n')
    assert ran.out == (
        "  +0s  ▸ charge  bank.charge\n"
        "+0.1s  ✓ charge  succeeded\n"
        "+0.1s  ◷ wait    waits\n"
        "  +2h  ✉ signal `approve` comes\n"
        "  +2h  ▸ ship    shop.ship\n"
        "  +2h  ✓ ship    succeeded\n"
        "\n"
        "completed after 2h of virtual time\n"
        '  output: {"id": "id-1"}\n'
    )


def test_a_failure_is_undone_after_its_attempts(folder: Path) -> None:
    """Exit code 10, as for `run`."""
    mock = "ship=[{error: Busy, delay: 1s}, {error: NoCarrier, message: nobody drives}]"
    ran = _simulate(folder, *APPROVED, "--set", "amount=5", "--mock", mock)

    assert (ran.code, ran.err) == (10, "")
    assert ran.out.splitlines()[-8:] == [
        "+2h1s  ✗ ship                 attempt 1: Busy, again in 1s",
        "+2h2s  · ship                 attempt 2",
        "+2h2s  ✗ ship                 failed after 2 attempts: NoCarrier",
        "+2h2s  ↶ charge.compensation  bank.refund",
        "+2h2s  ✓ charge.compensation  undone",
        "",
        "compensated after 2h2s of virtual time: NoCarrier in `ship`: nobody drives",
        "  undone: charge",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "last"),
    [
        ((), 10, "compensated after 1d of virtual time: SignalTimeout in `wait`"),
        (("--cancel-at", "5s"), 12, "cancelled after 5.1s of virtual time"),
        (("--cancel-at", "charge"), 12, "cancelled after 0.2s of virtual time"),
        (("--timeout-at", "1h"), 10, "compensated after 1h of virtual time: SagaTimeout"),
        (("--until", "1h"), 15, "running after 0.1s of virtual time"),
        (("--fail", "charge"), 10, "compensated after 0.1s of virtual time: Refused in `charge`"),
        (("--fail", "charge.compensation", "--cancel-at", "1m"), 15, "paused after"),
        (("--lose", "charge"), 10, "compensated after"),
        (("--delay", "charge=10s", "--cancel-at", "20s"), 12, "cancelled after 20.1s"),
        (("--crash-at", "charge", *APPROVED), 0, "completed after 2h"),
    ],
)
def test_exit_codes_tell_how_it_ended(folder: Path, arguments: tuple[str, ...], code: int, last: str) -> None:
    """As for `run`, so that a script can tell."""
    ran = _simulate(folder, "--set", "amount=5", *arguments)

    assert ran.code == code
    assert f"\n{last}" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fail", "shp"), "no call or activity is named `shp`; did you mean `ship`?"),
        (("--mock", "ship={errr: X}"), "unknown key `errr` in `ship`"),
        (("--mock", "ship={error: ["), "--mock ship"),
        (("--delay", "ship=5"), "`--delay ship`"),
        (("--cancel-at", "shp"), "no call or step is named `shp`; did you mean `ship`?"),
        (("--signal", "approve"), "`--signal approve` does not say when"),
        (("--signal", "aprove@5s"), "the saga waits for no signal `aprove`; did you mean `approve`?"),
        (("--until", "soon"), "`--until`"),
        (("--mocks", "nowhere.yaml"), "`nowhere.yaml` cannot be read"),
        (("--input", "{"), "not JSON"),
    ],
)
def test_a_mistake_in_a_flag_is_named(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    """Exit code 2, and no traceback."""
    ran = _simulate(folder, *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_a_misspelt_error_type_is_warned_of(folder: Path) -> None:
    """SD809. It may be meant, so the saga is played all the same."""
    file = folder / "types.saga.yaml"
    file.write_text(
        "sagadsl: 1\nname: types\n"
        "steps: [{id: pay, activity: x.a, retry: {non_retryable_error_types: [CardDeclined]}, compensation: none}]\n"
    )
    misspelt = inside("simulate", "--no-plugins", file.name, "--fail", "pay=CardDeclind", cwd=folder)
    right = inside("simulate", "--no-plugins", file.name, "--fail", "pay=CardDeclined", cwd=folder)

    assert misspelt.err == (
        "warning: the saga knows of no error `CardDeclind` of `pay`; did you mean `CardDeclined`?\n"
    )
    assert (misspelt.code, right.code, right.err) == (10, 10, "")


def test_an_input_that_does_not_fit_is_no_run(folder: Path) -> None:
    """SD921, as `run` says it."""
    file = folder / "fitting.saga.yaml"
    file.write_text(
        "sagadsl: 1\nname: fitting\ninput: {type: object, properties: {n: {type: integer}}}\n"
        "steps: [{id: rest, sleep: 1s}]\n"
    )
    ran = inside("simulate", file.name, "--set", "n:=true", cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert (
        "error[SD921]: the input does not fit saga `fitting`: `input.n`: must be a whole number, got `true`" in ran.err
    )
    assert inside("simulate", file.name, "--set", "n=3", cwd=folder).code == 0


@pytest.mark.parametrize(
    ("now", "waits"),
    [("2026-03-27T12:00:00Z", "20h"), ("2026-03-28T12:00:00Z", "19h"), ("2026-10-24T12:00:00Z", "20h")],
)
def test_a_saga_waits_for_the_next_day_at_nine_whatever_becomes_of_clocks(folder: Path, now: str, waits: str) -> None:
    """B15: by the clocks of a place, which are changed in the nights of the second and the third."""
    (folder / "order.saga.yaml").write_text(
        "sagadsl: 1\nname: order\nsteps:\n"
        """  - {id: a, sleep_until: "{{ saga.now | at('09:00', 'Europe/Berlin', 1) }}"}\n"""
    )
    ran = _simulate(folder, "-i", "{}", "--now", now)

    assert f"completed after {waits} of virtual time" in ran.out


def test_json_tells_what_a_saga_waits_for_and_that_it_was_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the text does; and a very long list of steps is shortened there."""
    waits = json.loads(_simulate(folder, "--set", "amount=5", "--until", "1h", "--format", "json").out)
    assert (waits["status"], waits["waiting_for"], waits["cut"]) == ("running", {"approve": ["wait"]}, False)

    paused = json.loads(_simulate(folder, *APPROVED, "--fail", "ship", "--fail", "charge.compensation", "--json").out)
    assert (paused["status"], [each["path"] for each in paused["attention"]]) == ("paused", ["charge.compensation"])

    (folder / "order.saga.yaml").write_text(LONG)
    (folder / "many.json").write_text(json.dumps({"n": list(range(300))}))
    many = _simulate(folder, "-i", "@many.json", "--fail", "last")
    assert "  undone: l[299]/a, l[298]/a, " in many.out
    assert many.out.splitlines()[-1].endswith(", l[280]/a and 280 more")

    monkeypatch.setattr(play, "MAX_EVENTS", 100)
    assert _simulate(folder, "-i", "@many.json").out.endswith("\n  it went on and on, and was stopped\n")
    assert json.loads(_simulate(folder, "-i", "@many.json", "--json").out)["cut"] is True


def test_a_moment_that_never_came_and_a_signal_that_was_refused_are_told(folder: Path) -> None:
    """Nothing that was asked for is lost in silence."""
    ran = _simulate(folder, "--set", "amount=5", "--cancel-at", "ship", "--signal", "approve={}@1h")

    assert "never came" in ran.err
    assert "refused: signal approve: `approve`: `ok` is missing" in ran.out


def test_json_is_one_document(folder: Path) -> None:
    """For scripts."""
    document = json.loads(_simulate(folder, *APPROVED, "--set", "amount=5", "--format", "json").out)

    assert (document["schema_version"], document["status"], document["output"]) == (1, "completed", {"id": "id-1"})
    assert [span["call"] for span in document["timeline"]["spans"]] == ["charge", "wait", "ship"]


@pytest.mark.parametrize(("format", "begins"), [("svg", "<svg "), ("mermaid", "sequenceDiagram\n")])
def test_a_picture_goes_into_a_file(folder: Path, format: str, begins: str) -> None:
    """With nothing on stdout."""
    ran = _simulate(folder, "--set", "amount=5", "--format", format, "--output-file", "picture")

    assert (ran.code, ran.out) == (10, "")
    assert (folder / "picture").read_text().startswith(begins)


def test_a_definition_with_mistakes_is_not_run(folder: Path) -> None:
    """Exit code 1, and what `validate` says."""
    (folder / "order.saga.yaml").write_text("sagadsl: 1\nname: order\n")
    ran = _simulate(folder)

    assert ran.code == 1
    assert "SD102" in ran.err


def test_mocks_come_from_a_file(folder: Path) -> None:
    """A mapping as in a suite; flags win."""
    (folder / "mocks.yaml").write_text("charge: {error: Declined}\nshop.ship: {output: {id: s-1}}\n")

    assert _simulate(folder, "--mocks", "mocks.yaml").code == 10
    assert _simulate(folder, "--mocks", "mocks.yaml", "--mock", "charge={}", *APPROVED).code == 0


@pytest.mark.parametrize(
    ("word", "payload"),
    [("1_000", "1_000"), ("1:30", "1:30"), ("2026-01-31", "2026-01-31"), ("yes", "yes"), ("0o7", "0o7"), ("7", 7)],
)
def test_a_payload_is_read_as_definitions_are(tmp_path: Path, word: str, payload: Any) -> None:
    """By the rules of YAML 1.2: a date ended in an internal error, and `1:30` came as 90."""
    steps = "steps: [{id: a, wait_for: {signal: go, timeout: 1h}}]"
    (tmp_path / "order.saga.yaml").write_text(f"sagadsl: 1\nname: order\n{steps}\n")
    ran = _simulate(tmp_path, "--signal", f"go={word}@5s", "--format", "json")

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["output"] == {"a": payload}


def test_a_moment_is_a_time_in_every_spelling_of_one(folder: Path) -> None:
    """As everywhere else; what merely looks like a digit begins no number."""
    ran = _simulate(folder, "--cancel-at", "PT5S")
    wrong = _simulate(folder, "--cancel-at", "\u00b2s")

    assert ran.code == 12
    assert re.search(r"\+5s +■ ", ran.out)
    assert (wrong.code, "no call or step is named `\u00b2s`" in wrong.err) == (2, True)


def test_a_signal_that_is_sent_fails_as_no_other_call_does(tmp_path: Path) -> None:
    """`--fail` alone means that nobody is there; there is no other error."""
    (tmp_path / "s.saga.yaml").write_text(
        "sagadsl: 1\nname: telling\nsteps: [{id: tell, send: {signal: paid, to: order-7}, compensation: none}]\n",
        "utf-8",
    )
    failed = inside("simulate", "s.saga.yaml", "--no-plugins", "--fail", "tell", cwd=tmp_path)
    refused = inside("simulate", "s.saga.yaml", "--no-plugins", "--fail", "tell=Busy", cwd=tmp_path)

    assert (failed.code, "failed: SignalNotDelivered" in failed.out) == (10, True)
    assert (refused.code, "there is no error `Busy`" in refused.err) == (2, True)
