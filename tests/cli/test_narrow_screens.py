"""Every command on screens of 40 and 80 columns: lines end at words, and what is to be copied is in one piece."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagadsl.cli.commands import COMMANDS
from sagadsl.cli.fitted import fit
from sagadsl.columns import table, whole
from tests.cli.screens import commands_in, piped, seen, shown, too_wide, words
from tests.cli.shell import SAGADSL, environment, inside, ready, sagadsl
from tests.cli.shop import lay_out, lay_out_trips
from tests.cli.terminal import at_terminal
from tests.cli.test_live import read_terminal
from tests.conftest import Server
from tests.patience import PATIENCE

WIDTHS = [40, 80]

WRONG = """\
sagadsl: 1
name: wrong
version: "1"
input: {type: object, properties: {amount: {type: integer}}}
steps:
  - {id: a, activity: charge, input: {order: "{{ input.amont }}", more: "{{ steps.b.output.x }}"}, compensation: none}
  - id: a
    activity: shp
    retry: {maximum_attempts: 0}
    compensation: {activity: refund, input: {order: "{{ steps.later.output.tracking | upper | nobody_knows_it }}"}}
"""
SUITE = """\
sagadsl_test: 1
saga: order.saga.yaml
cases:
  - name: a case that expects of the saga what will never come to pass
    given: {input: {order: "1"}, mocks: {ship: {error: AddressInvalid}}}
    then: {status: completed, output: {tracking: a long number of a parcel that nobody has sent to anybody}}
  - name: all is well
    given: {input: {order: "1"}}
    then: {status: completed}
"""

ALONE = (
    "validate order.saga.yaml",
    "validate ../wrong/wrong.saga.yaml",
    "validate ../wrong/wrong.saga.yaml --format concise",
    "validate nowhere.saga.yaml",
    "diff order.saga.yaml trip.saga.yaml",
    "explain",
    "explain --pages",
    "explain nosuch",
    "plugins list",
    "plugins show charge",
    "plugins show nosuch",
    "plugins check nosuch",
    "simulate order.saga.yaml --fail ship --set order=1 --set wait=true --signal approve@2s",
    "simulate order.saga.yaml --set order=1 --lose charge --cancel-at ship",
    "explore order.saga.yaml --faults 1",
    "test order.saga-test.yaml --durations 2",
    "new project made --dry-run",
    "new plugin made --dry-run",
    "new saga made --dry-run",
    "new saga Made",
    "new suite trip.saga.yaml --dry-run",
    "init --dry-run",
    "init nowhere",
    "verify order.saga.yaml",
    "sign order.saga.yaml --key nowhere",
    "keygen order.saga.yaml",
    "token ann",
    "schema nosuch",
    "graph nowhere.saga.yaml",
    "completion nosuch",
    "run order.saga.yaml --input {",
    "run order.saga.yaml --set nosuch=1",
    "worker --nosuch",
    "serve --nosuch",
    "dev --nosuch",
    "list --status complted",
    "status one --nosuch",
    "frobnicate",
)
"""Commands that need no server, and mistakes of which every command says the same sentences."""

HEADED = ("validate order.saga.yaml --explain-timing", "validate order.saga.yaml --explain-size")
"""Tables with a head, whose words repeat where a screen is narrow."""

OF_ALL = ("list", "list --status failed --name nosuch", "incidents", "schedule list")
OF_EACH = ("status {id}", "trace {id}", "explain-run {id}")
RESULT = {
    **dict.fromkeys(
        ("completed", "compensated", "skipped", "terminated", "paused"), f"result {{id}} --timeout {PATIENCE:g}"
    ),
    "waiting": "result {id} --timeout 0.2",
}
"""A time that decides nothing for those that have an answer, and one that surely ends for the one that has none."""
OF_TWO = (
    "query {id} progress",
    "signal {id} --list",
    "signal {id} nosuch",
    *(f"{word} {{id}} nosuch" for word in ("retry", "complete", "skip", "abort")),
    "resume {id}",
    "reset {id} --to charge --dry-run",
    "migrate {id} --to trip.saga.yaml --dry-run",
    "recover {id} --dry-run",
    "redrive {id} --dry-run",
    "forget {id} --dry-run --why 'it is a test'",
    "history export {id} --to histories",
)
"""Commands that ask a server, for sagas that stand in different ways; none of them changes a saga."""
ELSEWHERE = {
    *("cancel", "terminate", "pause"),  # change a saga: one sentence, as those of the others
    *("doctor", "replay"),  # asked once, below
    *("mcp", "lsp"),  # test_started_by_hand.py
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shop; what is wrong stands beside it, since no worker would begin with that."""
    both = tmp_path_factory.mktemp("narrow")
    for name in ("shop", "wrong"):
        (both / name).mkdir()
    (both / "wrong" / "wrong.saga.yaml").write_text(WRONG)
    made = lay_out_trips(both / "shop")
    (made / "order.saga-test.yaml").write_text(SUITE)
    return made


def test_every_command_is_looked_at() -> None:
    walked = {line.split()[0] for line in (*ALONE, *OF_ALL, *OF_EACH, *RESULT.values(), *OF_TWO)}
    assert set(COMMANDS) - walked - ELSEWHERE == set()


@pytest.mark.parametrize("columns", WIDTHS)
def test_every_command_that_needs_no_server_fits_its_screen(folder: Path, columns: int) -> None:
    _fits(folder, [*ALONE, *HEADED], columns)


def _fits(folder: Path, commands: list[str], columns: int) -> None:
    """Look at what each command shows: nothing too wide, no word cut, nothing lost of what a pipe gets."""
    wides = [each.replace(" --yes`", "`") for each in piped(commands, folder)]  # where nobody is, it asks nobody
    for command, narrow, wide in zip(commands, shown(commands, folder, columns), wides, strict=True):
        assert list(too_wide(narrow, columns)) == [], f"{command}: too wide\n{narrow}"
        if command.startswith(HEADED):
            all_words, found = ({word.strip(":") for word in words(text)} for text in (wide, narrow))
            assert found <= all_words, f"{command}: cut\n{narrow}"
        else:
            assert words(narrow) == words(wide), f"{command}: cut\n{narrow}"
        broken = [each for each in commands_in(wide) if each not in narrow]
        assert broken == [], f"{command}: a command is broken\n{narrow}"
        assert not [line for line in narrow.split("\n") if line != line.rstrip()], f"{command}: blanks\n{narrow}"
        assert "\n\n\n" not in narrow, f"{command}: empty lines\n{narrow}"


@pytest.fixture(scope="module")
def sagas(folder: Path, server: Server) -> Iterator[dict[str, str]]:
    """Sagas of a queue of their own: completed, undone, waiting for an operator, for a signal, for a child; ended."""
    (folder / "broken").touch()
    mark = os.urandom(4).hex()
    served = ("--task-queue", f"narrow-{mark}", "--address", server.address)
    begun = {
        "completed": ("order.saga.yaml", {}),
        "compensated": ("order.saga.yaml", {"how": "fail"}),
        "paused": ("order.saga.yaml", {"how": "fail", "broken": str(folder / "broken")}),
        "skipped": ("order.saga.yaml", {"how": "fail", "broken": str(folder / "broken")}),
        "waiting": ("order.saga.yaml", {"wait": "true"}),
        "terminated": ("order.saga.yaml", {"wait": "true"}),
        "with-a-paused-child": ("trip.saga.yaml", {"how": "fail", "broken": str(folder / "broken")}),
    }
    with ready([*SAGADSL, "worker", ".", *served], folder):
        ids = {}
        for word, (file, values) in begun.items():
            ids[word] = f"a-saga-that-is-{word}-{mark}"
            given = [f"--set={key}={value}" for key, value in {"order": "1", **values}.items()]
            code = inside("run", file, *given, "--id", ids[word], "--detach", *served, cwd=folder).code
            assert code == 0
        for word in ("completed", "compensated"):
            inside("result", ids[word], "--address", server.address)
        for word in ("paused", "skipped"):
            assert inside("result", ids[word], "--address", server.address).code == 15
        _until(15, "result", f"{ids['with-a-paused-child']}/book/hotel", "--address", server.address)
        _until(0, "signal", ids["waiting"], "--list", "--address", server.address, says="approve")
        why = ("--why", "it was paid back by hand, and the bank has written to the customer", "--by", "ann")
        asked = ("skip", ids["skipped"], "charge.compensation", *why)
        assert inside(*asked, "--address", server.address).code == 0
        assert inside("result", ids["skipped"], "--address", server.address).code == 11
        ended = ("terminate", ids["terminated"], "--yes", *why[:2])
        assert inside(*ended, "--address", server.address).code == 0
        yield ids


def _until(code: int, *words: str, says: str = "") -> None:
    """Ask until this is the answer: a saga that still moves would be shown narrow in one state, piped in another."""
    deadline = time.monotonic() + PATIENCE
    while (ran := inside(*words)).code != code or says not in ran.out + ran.err:
        assert time.monotonic() < deadline, ran


@pytest.mark.temporal
@pytest.mark.parametrize("columns", WIDTHS)
def test_every_command_about_sagas_fits_its_screen(
    folder: Path, server: Server, sagas: dict[str, str], columns: int
) -> None:
    asked = [*OF_ALL, *(line.format(id=id) for line in OF_EACH for id in sagas.values())]
    asked += [line.format(id=sagas[word]) for word, line in RESULT.items()]
    asked += [line.format(id=sagas[word]) for line in OF_TWO for word in ("waiting", "terminated")]
    asked += ["doctor order.saga.yaml --task-queue a-task-queue-of-which-nobody-knows", "replay histories --no-plugins"]
    _fits(folder, [f"{line} --address {server.address}" for line in asked], columns)


QUESTIONS = {
    "terminate": "waiting",
    "reset --to charge": "waiting",
    "recover": "terminated",
    "redrive": "skipped",
    "forget --why 'it is a test'": "completed",
    "retry --name order": "",
}
"""Commands that ask a person before they do something, each with the saga that it is about."""


@pytest.mark.temporal
@pytest.mark.parametrize("line", QUESTIONS)
def test_what_is_asked_fits_too(folder: Path, server: Server, sagas: dict[str, str], line: str) -> None:
    about = [sagas[QUESTIONS[line]]] if QUESTIONS[line] else []
    env = environment(TERM="xterm-256color", COLUMNS="40")
    command = (*shlex.split(line), *about, "--address", server.address)
    with at_terminal(command, folder, env) as (process, terminal):
        text = read_terminal(terminal, lambda text: "[y/N]: " in text)
        os.write(terminal, b"n\n")
        text += read_terminal(terminal, lambda text: False)
        assert process.wait(PATIENCE) == 1, text
    assert "nothing was done" in text
    assert list(too_wide(text.replace("\r", ""), 40)) == []


@pytest.mark.temporal
@pytest.mark.parametrize("columns", WIDTHS)
def test_what_a_worker_and_the_gateway_say_when_they_begin_fits(folder: Path, server: Server, columns: int) -> None:
    env = environment(TERM="xterm-256color", COLUMNS=str(columns))
    begun = {("worker", "."): "twice stops at once", ("serve", ".", "--bind", "127.0.0.1:0"): "machine's loopback"}
    for command, last in begun.items():
        with at_terminal((*command, "--address", server.address), folder, env) as (process, terminal):
            text = read_terminal(terminal, lambda text, last=last: last in " ".join(text.split()))  # type: ignore[misc]
            os.write(terminal, b"\x03")
            text += read_terminal(terminal, lambda text: False)
            assert process.wait(PATIENCE) == 0, text
        assert list(too_wide(text.replace("\r", "").replace("^C", ""), columns)) == []


@pytest.mark.temporal
@pytest.mark.parametrize("columns", WIDTHS)
def test_a_saga_that_is_followed_leaves_whole_words(folder: Path, server: Server, columns: int) -> None:
    saga = f"followed-{os.urandom(4).hex()}"
    served = ("--task-queue", saga, "--address", server.address)
    env = environment(TERM="xterm-256color", COLUMNS=str(columns), LINES="40")
    with ready([*SAGADSL, "worker", ".", *served], folder):
        line = ("run", "order.saga.yaml", "--set", "order=1", "--set", "how=fail", "--id", saga, *served)
        with at_terminal(line, folder, env) as (process, terminal):
            text = read_terminal(terminal, lambda text: False)
            assert process.wait(PATIENCE) == 10, text
    assert "AddressInvalid: carrier rejected address" in " ".join(text.split())
    assert "…" not in text


@pytest.mark.temporal
def test_a_step_whose_name_is_wider_than_the_screen_is_shown_to_its_end(tmp_path: Path, server: Server) -> None:
    name = "approve_the_refund_of_the_customer_in_the_other_country"
    made = lay_out(tmp_path)
    file = made / "order.saga.yaml"
    file.write_text(file.read_text().replace("id: ship", f"id: {name}").replace("steps.ship", f"steps.{name}"))
    saga = f"long-{os.urandom(4).hex()}"
    served = ("--task-queue", saga, "--address", server.address)
    env = environment(TERM="xterm-256color", COLUMNS="40", LINES="40")
    with ready([*SAGADSL, "worker", ".", *served], made):
        line = ("run", "order.saga.yaml", "--set", "order=1", "--id", saga, *served)
        with at_terminal(line, made, env) as (process, terminal):
            text = read_terminal(terminal, lambda text: False)
            assert process.wait(PATIENCE) == 0, text
    lines = seen(text, 40)
    assert "".join(lines).count(name) == 1, text
    assert [each.split()[1] for each in lines if each.startswith(" ✓ ")][:1] == ["charge"], text


def test_a_line_where_no_terminal_shows_it_stays_one_line(folder: Path) -> None:
    ran = sagadsl("validate", "../wrong/wrong.saga.yaml", "--format", "concise", cwd=folder, env={"COLUMNS": "40"})
    assert len(ran.out.splitlines()) == 7
    assert max(map(len, ran.out.splitlines())) > 80


def test_prose_ends_at_words_and_what_is_copied_stays_in_one_piece() -> None:
    advice = "waits for signal `go`: sagadsl signal order-42 go --payload JSON --address 127.0.0.1:7233"
    assert fit(advice, 40).split("\n") == [
        "waits for signal `go`:",
        "  sagadsl signal order-42 go --payload JSON --address 127.0.0.1:7233",
    ]
    sent = '     sent    {"order": "42", "note": "a long one, of many words"}'
    assert fit(sent, 40) == sent
    assert fit("  undone: charge, ship, and a step with a longer name", 40).split("\n") == [
        "  undone: charge, ship, and a step with",
        "    a longer name",
    ]
    assert fit(advice, None) == advice


def test_two_blanks_inside_of_what_is_copied_separate_nothing() -> None:
    sent = '{"note": "the end of a sentence.  And the next one"}'
    assert fit(f"   ok   {sent}   12ms", 40).split("\n") == [f"   ok   {sent}", "     12ms"]
    command = "sagadsl retry 'order  7' charge --why \"it's  paid\""
    assert fit(f"   {command}   does it again", 40).split("\n") == [f"   {command}", "     does it again"]
    code = "`a  name with many blanks  in it`"
    assert fit(f"there is no saga with the name {code} here", 40).split("\n")[1:] == [f"  {code} here"]
    yaml = "{a: {b: 1}, c: 'x  y',  d: [1, 2]}"
    assert fit(f"sent {yaml} and more", 30).split("\n") == ["sent", f"  {yaml}", "  and more"]
    cut = '{"note": "a sentence.  And the half of…'
    assert fit(f"sent {cut}   12ms", 30).split("\n") == ["sent", f"  {cut}", "  12ms"]


def test_a_saga_whose_id_has_blanks_is_copied_from_a_table_in_one_piece() -> None:
    found = f"✗  {'an order ' * 8}7"
    rows = [(whole(found), "order 1.0.0", "failed"), (whole("✓  b"), "order 1.0.0", "completed")]
    assert fit("\n".join(table(rows, 40)), 40).split("\n")[0] == found


@pytest.mark.parametrize("sign", ["[", "[ ", "{a ", "[1, ", '{"a": " ', '{"a": "b… ', "{' ", 'sagadsl run \\"'])
def test_what_only_looks_like_data_is_shown(sign: str) -> None:
    text = "error: " + sign * 20_000
    assert fit(text, 80).split() == text.split()


def test_a_table_narrows_in_every_row_alike() -> None:
    rows = [("one", "order 1.0.0", "completed", "3s ago"), ("a-longer-id", "trip 1.0.0", "paused", "1h00m ago")]
    assert table(rows, 80) == [
        "one          order 1.0.0  completed  3s ago",
        "a-longer-id  trip 1.0.0   paused     1h00m ago",
    ]
    assert table(rows, 40) == [
        "one",
        "    order 1.0.0  completed  3s ago",
        "a-longer-id",
        "    trip 1.0.0  paused  1h00m ago",
    ]
    assert table(rows, 20, ("", "saga", "status", ""))[:4] == ["one", "    saga: order", "      1.0.0", "    status:"]
