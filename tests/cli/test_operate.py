"""Looking at sagas and stepping in, against a real server and a worker process."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sagadsl.temporal.read.following import NO_WORKER_SECONDS
from tests.cli.shell import SAGADSL, Ran, inside, ready
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
QUEUE = f"cli-operate-{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Shop:
    """A folder with the definition, a server, and a worker that serves it."""

    folder: Path
    address: str

    @property
    def there(self) -> str:
        """The option that printed commands end with."""
        return f"--address {self.address}"

    def run(self, *arguments: str, **env: str) -> Ran:
        """Run a command of this process against the server."""
        return inside(*arguments, "--address", self.address, cwd=self.folder, env=env)

    def start(self, saga_id: str, **values: str) -> str:
        """Start the saga and return its id."""
        sets = [word for name, value in {"order": "1", **values}.items() for word in ("--set", f"{name}={value}")]
        ran = self.run("run", "order.saga.yaml", "--id", saga_id, "--task-queue", QUEUE, "--detach", *sets)
        assert (ran.code, ran.out) == (0, f"{saga_id}\n"), ran.err
        return saga_id

    def status(self, saga_id: str) -> dict[str, Any]:
        ran = self.run("status", saga_id, "--json")
        assert ran.code == 0, ran.err
        document: dict[str, Any] = json.loads(ran.out)
        return document

    def until(self, saga_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status of a saga *holds*, as its worker tells it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.status(saga_id)
            if found.get("source") != "history" and holds(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def until_listed(self, saga_id: str, holds: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Wait until the list of the runs under an id *holds*: the index lags behind."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ran = self.run("list", "--query", f"WorkflowId = '{saga_id}'", "--json")
            assert ran.code == 0, ran.err
            if holds(found := json.loads(ran.out)["sagas"]):
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.2)


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop, with one worker process for the whole module."""
    yield from serving_shop(server, tmp_path_factory.mktemp("shop"))


def serving_shop(server: Server, at: Path) -> Iterator[Shop]:
    """Lay out the shop in a folder, and serve it until the caller is done."""
    folder = lay_out(at)
    command = [*SAGADSL, "worker", "--task-queue", QUEUE, "--address", server.address]
    with ready(command, folder):
        yield Shop(folder, server.address)


def _id(name: str) -> str:
    return f"{name}-{uuid.uuid4()}"


def _without_times(text: str) -> list[str]:
    return [re.sub(r"\s+\d+(\.\d)?s\b", "", line).rstrip() for line in text.splitlines()]


def test_a_completed_saga_says_so_in_every_command(shop: Shop) -> None:
    """The same words everywhere."""
    saga = shop.start(_id("done"))
    result = shop.run("result", saga)
    assert result == Ran(0, '{\n  "tracking": "t_1"\n}\n', "✓ completed\n")
    shown = shop.run("status", saga)
    lines = _without_times(shown.out)
    assert lines[0] == f"order 1.0.0   id {saga}   completed"
    assert lines[3:] == [" ✓ charge    charge", " - approval  wait_for", " ✓ ship      ship"]
    document = json.loads(shop.run("result", saga, "--json").out)
    assert (document["schema_version"], document["status"], document["output"]) == (1, "completed", {"tracking": "t_1"})
    assert shop.status(saga)["status"] == "completed"


def test_what_waits_for_a_person_is_listed_by_step_and_error(shop: Shop, tmp_path: Path) -> None:
    """With the command that shows each saga; JSON has all of them."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = shop.start(_id("waits"), how="fail", broken=str(broken))
    shop.until(saga, lambda found: found["status"] == "paused")
    deadline = time.monotonic() + PATIENCE
    while saga not in (ran := shop.run("incidents", "--name", "order", "--error", "BankDown")).out:
        assert time.monotonic() < deadline, ran
        time.sleep(0.2)
    document = json.loads(shop.run("incidents", "--json").out)
    nothing = shop.run("incidents", "--error", "NoSuchError")
    broken.unlink()
    shop.run("retry", saga)

    first, why, *_ = ran.out.splitlines()
    assert re.fullmatch(r"‖ +\d+  order charge\.compensation: BankDown(, the oldest for .+)?", first)
    assert why.strip() == "the bank is down"
    assert f"sagadsl status {saga}" in ran.out
    groups = [group for group in document["groups"] if saga in [each["id"] for each in group["incidents"]]]
    assert [(group["step"], group["type"], group["kind"]) for group in groups] == [
        ("charge.compensation", "BankDown", "decision")
    ]
    assert (nothing.code, nothing.out) == (0, "no open saga waits for a person\n")


def test_a_failed_saga_that_was_undone_has_a_word_and_an_exit_code_of_its_own(shop: Shop) -> None:
    """Told from one that needs a person."""
    saga = shop.start(_id("undone"), how="fail")
    result = shop.run("result", saga)
    assert result == Ran(
        10,
        "",
        "↩ compensated: it failed, and all that was done has been undone (exit 10)\n"
        "   first error: AddressInvalid: carrier rejected address (step ship)\n"
        "   undone: charge\n",
    )
    assert _without_times(shop.run("status", saga).out)[2:] == [
        "first error: AddressInvalid: carrier rejected address (step ship)",
        "",
        " ✓ charge    charge",
        " - approval  wait_for",
        " ✗ ship      ship  AddressInvalid: carrier rejected address",
        " ↩ charge    undone",
    ]
    document = json.loads(shop.run("result", saga, "--json").out)
    assert document["status"] == document["report"]["status"] == shop.status(saga)["status"] == "compensated"
    assert document["error"]["type"] == "AddressInvalid"


def test_a_cancelled_saga_is_undone_and_says_cancelled(shop: Shop) -> None:
    """R25."""
    saga = shop.start(_id("cancelled"), how="slow")
    shop.until(saga, lambda found: found["steps"][2]["status"] == "running")
    asked = shop.run("cancel", saga, "--by", "ann", "--why", "she (the customer) went away")
    assert asked == Ran(0, f"asked {saga} to stop, and to undo what it has done\n", "")
    assert shop.run("result", saga) == Ran(12, "", "⊘ cancelled (exit 12)\n")
    stood = shop.status(saga)
    assert stood["status"] == "cancelled"
    assert [(each["verb"], each["by"], each["why"]) for each in stood["actions"]] == [
        ("cancel", "ann", "she (the customer) went away")
    ]
    again = shop.run("cancel", saga)
    assert (again.code, again.err) == (
        4,
        f"error[SD924]: saga `{saga}` is over\n   = help: see how it ended with `sagadsl status {saga} {shop.there}`\n",
    )


def _paused(shop: Shop, name: str) -> tuple[str, Path]:
    """Start a saga whose compensation fails as long as a file exists."""
    broken = shop.folder / f"{name}.broken"
    broken.touch()
    saga = shop.start(_id(name), how="fail", broken=str(broken))
    shop.until(saga, lambda found: found["status"] == "paused")
    return saga, broken


def test_a_saga_that_waits_for_a_decision_shows_it_and_can_be_retried(shop: Shop) -> None:
    """R22: who and why are kept."""
    saga, broken = _paused(shop, "retried")
    shown = _without_times(shop.run("status", saga).out)
    assert shown[0].endswith("   paused")
    assert shown[-5:] == [
        "needs a decision: charge.compensation: BankDown: the bank is down",
        f"   sagadsl retry {saga} charge.compensation {shop.there}   once more",
        f"   sagadsl complete {saga} charge.compensation {shop.there}   it was done by hand",
        f"   sagadsl skip {saga} charge.compensation {shop.there}   leave it and go on",
        f"   sagadsl abort {saga} {shop.there}   give up, and leave the rest as it is",
    ]
    broken.unlink()
    retried = shop.run("retry", saga, "--by", "ann", "--why", "the bank is back")  # there is one step to retry
    assert retried.code == 0, retried.err
    assert retried.out in {f"{saga} is compensating\n", f"{saga} is compensated\n"}
    assert shop.run("result", saga).code == 10
    (action,) = shop.status(saga)["actions"]
    assert (action["verb"], action["by"], action["why"]) == ("retry_step", "ann", "the bank is back")
    assert shop.run("status", saga).out.splitlines()[-1].endswith("retry charge.compensation by ann: the bank is back")
    traced = shop.run("trace", saga).out.splitlines()[-1]
    assert re.fullmatch(rf"  {MOMENT}  retry charge\.compensation by ann: the bank is back", traced)


@pytest.mark.parametrize(
    ("verb", "said", "word"), [("skip", "skipped", "skipped"), ("abort", "left by an operator", "given up")]
)
def test_a_saga_that_was_not_undone_names_what_was_not(shop: Shop, verb: str, said: str, word: str) -> None:
    """R20: exit 11 is the one that needs a person. What was given up with the saga was not skipped."""
    saga, _ = _paused(shop, f"{verb}ped")
    step = ["charge.compensation"] if verb == "skip" else []
    assert shop.run(verb, saga, *step, "--why", "by hand").code == 0
    result = shop.run("result", saga)
    assert (result.code, result.out) == (11, "")
    lines = result.err.splitlines()
    assert lines[:2] == ["✗ failed (exit 11)", "   first error: AddressInvalid: carrier rejected address (step ship)"]
    assert lines[2].startswith(f"   NOT undone: charge ({said}): ")
    assert lines[2].endswith("BankDown: the bank is down")
    sign = "»" if verb == "skip" else "✗"
    (line,) = (line for line in shop.run("status", saga).out.splitlines() if f"not undone: {word} " in line)
    assert line.startswith(f" {sign} charge ")
    drawn = shop.run("graph", "--run", saga, "-f", "svg")
    assert f">{sign} refund<" in drawn.out, drawn.err
    assert f">not undone: {word}<" in drawn.out


def test_a_verb_that_makes_no_sense_now_is_refused_with_the_reason(shop: Shop) -> None:
    saga = shop.start(_id("refused"), wait="true")
    shop.until(saga, lambda found: found.get("waiting_for") == {"approve": ["approval"]})
    refused = shop.run("retry", saga, "--json")
    assert refused.code == 4
    error = json.loads(refused.out)["error"]
    assert error["code"] == "SD925"
    assert "nothing waits for an operator" in error["message"]
    shop.run("cancel", saga)


def test_a_signal_lets_a_saga_go_on_and_pause_holds_it(shop: Shop) -> None:
    saga = shop.start(_id("signalled"), wait="true")
    shop.until(saga, lambda found: found.get("waiting_for") == {"approve": ["approval"]})
    assert shop.run("pause", saga) == Ran(0, f"{saga} is paused\n", "")
    shown = shop.run("status", saga).out
    assert f"paused: sagadsl resume {saga} {shop.there}\n" in shown
    assert f"waits for signal `approve`: sagadsl signal {saga} approve --payload JSON {shop.there}\n" in shown
    sent = shop.run("signal", saga, "approve", "--payload", '{"by": "ann"}')
    assert sent == Ran(0, f"sent `approve` to {saga}: taken by step `approval`\n", "")
    assert shop.run("result", saga, "--timeout", "0.5").code == 15
    assert shop.run("resume", saga) == Ran(0, f"{saga} is running\n", "")
    assert shop.run("result", saga).code == 0


def test_terminate_undoes_nothing_says_so_and_wants_to_be_asked_for(shop: Shop) -> None:
    saga = shop.start(_id("terminated"), wait="true")
    shop.until(saga, lambda found: bool(found["waiting_for"]))
    assert "(in " in shop.run("status", saga).out
    refused = shop.run("terminate", saga)
    assert refused.code == 2
    assert "undoes nothing; `sagadsl cancel" in refused.err
    assert "add `--yes`" in refused.err
    assert shop.status(saga)["status"] == "running"
    done = shop.run("terminate", saga, "--yes", "--why", "a test", "--by", "ann")
    assert done == Ran(0, f"terminated {saga}; nothing more is undone\n", "")
    assert shop.run("result", saga) == Ran(
        14, "", "✗ terminated; nothing more is undone (exit 14)\n   reason: a test (ann)\n"
    )
    ended = shop.status(saga)
    assert (ended["status"], "closed_at" in ended) == ("terminated", True)
    assert "(in " not in shop.run("status", saga).out


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("result",),
        ("cancel",),
        ("retry",),
        ("pause",),
        ("signal", "approve"),
        ("terminate", "--yes"),
    ],
    ids=" ".join,
)
def test_a_saga_that_does_not_exist_is_one_line_and_a_remedy(shop: Shop, command: tuple[str, ...]) -> None:
    ran = shop.run(command[0], "nobody", *command[1:])
    assert ran == Ran(
        2,
        "",
        "error[SD923]: no saga `nobody` in namespace `default`\n"
        "   = help: this namespace keeps a saga for 1d after its end, and deletes it then\n"
        f"   = help: list what there is with `sagadsl list {shop.there}`\n",
    )


def test_a_namespace_that_does_not_exist_is_an_error_of_the_environment(shop: Shop) -> None:
    ran = shop.run("status", "nobody", "-n", "elsewhere")
    assert ran.code == 3
    assert ran.err.startswith(f"error[SD901]: Temporal at {shop.address} has no namespace `elsewhere`\n")
    assert "namespace  elsewhere" in ran.err


def test_the_same_id_does_not_run_twice_unless_it_failed_or_is_told_to(shop: Shop) -> None:
    """While running and after success refused with a code of its own, after a failure allowed."""
    running = shop.start(_id("twice"), wait="true")
    done = shop.start(_id("twice"))
    failed = shop.start(_id("twice"), how="fail")
    assert [shop.run("result", each).code for each in (done, failed)] == [0, 10]
    options = ("--set", "order=1", "--task-queue", QUEUE, "--detach")
    codes = [shop.run("run", "order.saga.yaml", "--id", each, *options).code for each in (running, done, failed)]
    assert codes == [4, 4, 0]
    assert shop.run("run", "order.saga.yaml", "--id", done, *options, "--again").code == 0
    shop.run("cancel", running)


def test_the_server_can_come_from_the_environment(shop: Shop) -> None:
    ran = inside("status", "nobody", env={"TEMPORAL_ADDRESS": shop.address})
    assert ran.code == 2
    assert "SD923" in ran.err


def test_without_a_worker_the_status_is_what_the_server_knows(shop: Shop) -> None:
    """R60."""
    saga, queue = _id("unserved"), _id("nobody")
    started = shop.run("run", "order.saga.yaml", "--id", saga, "--task-queue", queue, "--detach", "--set", "order=1")
    assert started.code == 0
    time.sleep(NO_WORKER_SECONDS + 0.2)  # sooner, the command asks the saga itself, and waits for an answer
    shown = shop.run("status", saga)
    assert shown.code == 0
    assert shown.out.splitlines()[:2] == [
        f"order   id {saga}   running",
        f"no worker answers on task queue `{queue}`: this is what the server knows",
    ]
    shop.run("terminate", saga, "--yes")


def test_sagas_are_listed_by_name_and_status(shop: Shop) -> None:
    """With the words of `status`, as far as the server keeps them."""
    done, waiting = shop.start(_id("listed")), shop.start(_id("listed"), wait="true")
    undone = shop.start(_id("listed"), how="fail")
    assert [shop.run("result", each).code for each in (done, undone)] == [0, 10]
    expected = {(done, "completed"), (waiting, "running"), (undone, "compensated")}
    mine = ("list", "--name", "order", "--query", "WorkflowId STARTS_WITH 'listed-'")
    deadline = time.monotonic() + PATIENCE
    while True:  # the index lags behind
        rows = json.loads(shop.run(*mine, "--json").out)["sagas"]
        if {(row["id"], row["status"]) for row in rows} == expected:
            break
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)
    assert {row["version"] for row in rows} == {"1.0.0"}
    shown = shop.run(*mine, "--status", "completed")
    assert re.fullmatch(rf"✓  {done}  order 1\.0\.0  completed  \d+(\.\d)?s ago\n", shown.out)
    assert len(shop.run(*mine, "-o", "jsonl", "-q").out.splitlines()) == 3
    assert len(json.loads(shop.run(*mine, "--limit", "1", "--json").out)["sagas"]) == 1
    shop.run("terminate", waiting, "--yes")


def test_a_list_without_a_saga_says_so(shop: Shop) -> None:
    """On stderr: whoever counts lines counts none."""
    ran = shop.run("list", "--name", "nobody-s", "--status", "held")
    assert (ran.code, ran.out.strip()) == (0, "")
    assert ran.err.startswith("no saga `nobody-s` with status `held` was found\n")
    none = shop.run("list", "--query", "WorkflowId = 'nobody'")
    assert none.err.startswith("no saga fits the condition\n")
    assert json.loads(shop.run("list", "--status", "held", "--name", "nobody-s", "--json").out)["sagas"] == []


def test_a_list_filter_that_the_server_refuses_is_no_traceback(shop: Shop) -> None:
    ran = shop.run("list", "--query", "Nope = 1")
    assert (ran.code, ran.out) == (2, "")
    assert "Nope" in ran.err
    assert "SD900" not in ran.err


def test_the_trace_has_the_data_of_each_step_and_the_way_in_of_what_came(shop: Shop) -> None:
    """What was sent, what came back, why it failed, and what came from outside."""
    saga = shop.start(_id("traced"), how="fail", wait="true")
    shop.until(saga, lambda found: bool(found.get("waiting_for")))
    shop.run("signal", saga, "approve", "--payload", '{"by": "ann"}', "--by", "ann")
    shop.run("result", saga)
    shown = shop.run("trace", saga)
    document = json.loads(shop.run("trace", saga, "--json").out)
    counted = json.loads(shop.run("trace", saga, "--actions", "--json").out)["cloud_actions"]

    assert (
        shop.run("trace", saga, "--actions").out
        == f"{shown.out}  actions 6: start 1, activities 3, timers 1, updates 1\n"
    )
    assert "cloud_actions" not in document
    assert counted == {"total": 6, "start": 1, "activities": 3, "timers": 1, "updates": 1}
    lines = shown.out.splitlines()
    assert [re.sub(rf"\s+\d+(\.\d)?s\b|{MOMENT}", "", line) for line in lines] == [
        f"order 1.0.0   id {saga}   compensated",
        '  input   {"order": "1", "how": "fail", "wait": true}',
        " ✓ charge    charge",
        '     sent    {"order": "1"}',
        '     got     {"charge_id": "ch_1"}',
        " ✓ approval  wait_for  from ann",
        " ✗ ship      ship  AddressInvalid: carrier rejected address",
        '     sent    {"how": "fail", "order": "1"}',
        "     failed",
        " ↩ charge    undone",
        '     sent    {"broken": "", "order": "1"}',
        "     got     null",
        "  first error: AddressInvalid: carrier rejected address (step ship)",
        '    signalled approve  {"by": "ann"}  from ann',
    ]
    assert [(call["path"], call["status"]) for call in document["calls"]] == [
        ("charge", "completed"),
        ("ship", "failed"),
        ("charge.compensation", "completed"),
    ]


def test_what_happened_and_what_is_left_is_told_in_sentences(shop: Shop, tmp_path: Path) -> None:
    """Of a saga that waits for somebody, and of the same one after it was given up."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = shop.start(_id("told"), how="fail", broken=str(broken))
    shop.until(saga, lambda status: bool(status["status"] == "paused"))
    waiting = shop.run("explain-run", saga).out.splitlines()
    shop.run("skip", saga, "charge.compensation", "--by", "ann", "--why", "paid by hand")
    shop.run("result", saga)
    over = shop.run("explain-run", saga).out.splitlines()

    assert waiting[0].endswith("is paused.")
    assert waiting[1:] == [
        "`charge` succeeded.",
        "Then `ship` failed: AddressInvalid: carrier rejected address.",
        "To do:",
        "  needs a decision: charge.compensation: BankDown: the bank is down",
        f"     sagadsl retry {saga} charge.compensation {shop.there}   once more",
        f"     sagadsl complete {saga} charge.compensation {shop.there}   it was done by hand",
        f"     sagadsl skip {saga} charge.compensation {shop.there}   leave it and go on",
        f"     sagadsl abort {saga} {shop.there}   give up, and leave the rest as it is",
    ]
    assert [re.sub(r" at \S+Z", "", line) for line in over[3:]] == [
        "`charge` was left as it is, since it could not be undone: BankDown: the bank is down.",
        "ann skipped `charge.compensation`: paid by hand.",
        "Still to undo by hand: `charge`.",
    ]


PAID = """\
sagadsl: 1
name: mended
version: "1.0.0"
input: {type: object}
defaults: {retry: none}
steps:
  - id: charge
    activity: charge
    input: {order: "7"}
    compensation: {activity: refund, input: {order: "{{ step.input.order }}"}}
  - id: ship
    activity: ship
    input: {order: "{{ steps.charge.output.charge_id }}", how: fail}
    compensation: none
    on_error: [{then: pause, pause_timeout: 1d}]
on_pause:
  - {id: tell, activity: charge, input: {order: "{{ pause.link }}"}}
  - {id: call, activity: ship, input: {order: "{{ pause.path }}", how: fail}}
output: {tracking: "{{ steps.ship.output.tracking }}"}
"""


def _waits(shop: Shop, name: str) -> str:
    (shop.folder / "mended.saga.yaml").write_text(PAID, encoding="utf-8")
    saga = _id(name)
    ran = shop.run("run", "mended.saga.yaml", "--id", saga, "--task-queue", QUEUE, "--detach")
    assert ran.code == 0, ran.err
    shop.until(saga, lambda found: found["status"] == "paused")
    return saga


def test_a_step_that_an_operator_has_skipped_looks_like_no_failed_one(shop: Shop) -> None:
    """R22, in the status, in drawings and in their legend; JSON keeps what the saga itself says of it."""
    saga = _waits(shop, "left")
    assert shop.run("skip", saga, "ship", "--by", "ann", "--step-output", '{"tracking": "t_0"}').code == 0
    assert shop.run("result", saga).code == 0
    (line,) = (line for line in shop.run("status", saga).out.splitlines() if line.startswith(" » ship "))
    assert line.endswith("AddressInvalid: carrier rejected address; skipped by ann")
    drawn = shop.run("graph", "--run", saga, "-f", "svg").out
    assert ">» ship<" in drawn
    assert re.search(r'class="step c-stopped"[^>]* width="20" height="14"/>\n<text[^>]*>skipped by hand<', drawn)
    assert "» ship" in shop.run("graph", "--run", saga).out
    assert {each["path"]: each["status"] for each in shop.status(saga)["steps"]}["ship"] == "failed"


def test_a_step_that_has_failed_is_repeated_with_another_input(shop: Shop) -> None:
    """R61, R63: what does not fit the activity is refused, and changes nothing; who gave what is kept."""
    saga = _waits(shop, "mended")
    shown = shop.run("status", saga).out
    assert "needs a decision: ship: AddressInvalid: carrier rejected address; until 20" in shown
    wrong = shop.run("retry", saga, "ship", "--input", '{"order": 7, "how": "ok"}')
    assert wrong.code == 4
    unfit = "`ship` calls activity `ship`, which does not take this input: `input.order`: must be text, got `7`"
    assert f"cannot retry a step of saga `{saga}`: {unfit}" in wrong.err
    assert shop.status(saga)["status"] == "paused"
    assert json.loads(shop.run("trace", saga, "--json").out)["outside"] == []
    given = '{"order": "8", "how": "ok"}'
    retried = shop.run("retry", saga, "ship", "--input", given, "--by", "ann", "--why", "a new address")
    assert retried.code == 0, retried.err
    result = shop.run("result", saga)
    assert (result.code, json.loads(result.out)) == (0, {"tracking": "t_8"})
    (action,) = shop.status(saga)["actions"]
    assert (action["by"], action["gave"]) == ("ann", f"input {json.dumps(json.loads(given), sort_keys=True)}")
    failed = "`ship` failed: AddressInvalid: carrier rejected address"
    told = failed + '; ann retried it (with input {"how": "ok", "order": "8"}) at'
    assert told in shop.run("explain-run", saga).out


def test_who_was_told_of_a_pause_is_shown(shop: Shop) -> None:
    """R64: also that somebody could not be told, which is no error of the saga."""
    saga = _waits(shop, "told")
    found = shop.until(saga, lambda found: [each["status"] for each in found["notices"]] == ["completed", "failed"])
    told = "`on_pause[0]/tell` has told of the pause at `ship`"
    failed = "`on_pause[0]/call` could not tell of the pause at `ship`: AddressInvalid: carrier rejected address"

    assert found["other_errors"] == []
    assert [f"{told}\n" in shop.run("status", saga).out, f"{failed}\n" in shop.run("status", saga).out] == [True, True]
    assert f"  {told}\n  {failed}\n" in shop.run("trace", saga).out
    calls = {call["path"]: call["input"] for call in json.loads(shop.run("trace", saga, "--json").out)["calls"]}
    assert calls["on_pause[0]/tell"] == {"order": f"sagadsl retry {saga} ship"}
    assert f"{told}.\n{failed}.\n" in shop.run("explain-run", saga).out
    assert shop.run("abort", saga).code == 0
    shop.until(saga, lambda found: found["status"] == "compensated")


def test_a_step_that_was_done_by_hand_counts_as_done(shop: Shop) -> None:
    """R62: its output has to fit."""
    saga = _waits(shop, "by-hand")
    wrong = shop.run("complete", saga, "ship", "--step-output", "7")
    unfit = "`ship` calls activity `ship`, which gives no such output: `output`: must be an object, got `7`"
    assert (wrong.code, unfit in wrong.err) == (4, True)
    assert "say which output `ship` has" in shop.run("complete", saga, "ship").err
    done = shop.run("complete", saga, "ship", "--step-output", '{"tracking": "by hand"}')
    assert done.code == 0, done.err
    assert json.loads(shop.run("result", saga).out) == {"tracking": "by hand"}


def test_a_step_is_repeated_with_a_new_key_or_given_up(shop: Shop) -> None:
    """R61, R63."""
    saga = _waits(shop, "new-key")
    assert shop.run("retry", saga, "ship", "--new-key").code == 0
    found = shop.until(saga, lambda found: found["status"] == "paused" and found["attention"][0]["occurrence"] == 2)
    assert found["actions"][0]["gave"] == "a new key"
    assert shop.run("abort", saga).code == 0
    assert shop.run("result", saga).code == 10
