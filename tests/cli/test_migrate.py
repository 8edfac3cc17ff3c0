"""``sagadsl migrate``, against a real server and a worker process."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tests.cli.shop import DEFINITION
from tests.cli.test_operate import QUEUE, Shop, shop

__all__ = ["shop"]

pytestmark = pytest.mark.temporal

NEW = DEFINITION.replace('"1.0.0"', '"2.0.0"').replace(
    "  - id: ship\n", "  - id: note\n    set: {packed: true}\n  - id: ship\n"
)
LATE = NEW.replace("  - id: charge\n", "  - id: check\n    set: {checked: true}\n  - id: charge\n")


def _waiting(shop: Shop, beginning: str = "one") -> str:
    saga = f"{beginning}-{uuid.uuid4()}"
    sets = ("--set", "order=1", "--set", "wait=true")
    ran = shop.run("run", "order.saga.yaml", "--id", saga, "--task-queue", QUEUE, "--detach", *sets)
    assert ran.code == 0, ran.err
    shop.until(saga, lambda status: bool(status["waiting_for"]))
    return saga


def _file(shop: Shop, text: str) -> Path:
    path = shop.folder / f"new-{uuid.uuid4().hex[:6]}" / "order.saga.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def test_one_saga_is_judged_and_migrates(shop: Shop) -> None:
    saga, new = _waiting(shop), _file(shop, NEW)
    dry = shop.run("migrate", saga, "--to", str(new), "--dry-run")
    assert (dry.code, dry.out) == (0, f"{saga} can migrate to order 2.0.0\n")
    done = shop.run("migrate", saga, "--to", str(new), "--by", "ann", "--why", "packing")
    assert (done.code, done.out) == (0, f"{saga} goes on with order 2.0.0\n"), done.err
    status = shop.status(saga)
    assert (status["version"], [each["by"] for each in status["actions"]]) == ("2.0.0", ["ann"])
    again = shop.run("migrate", saga, "--to", str(new))
    assert again.out == f"{saga} has order 2.0.0 already\n"
    told = shop.run("explain-run", saga).out
    assert "ann migrated it to another definition" in told


def test_a_refusal_names_rules_and_lines(shop: Shop) -> None:
    saga, late = _waiting(shop), _file(shop, LATE)
    line = LATE.splitlines().index("  - id: check") + 1
    ran = shop.run("migrate", saga, "--to", str(late))
    assert ran.code == 4
    assert ran.out == ""
    assert ran.err.splitlines()[:2] == [
        f"error[SD970]: saga `{saga}` cannot migrate, for 1 reason",
        f"   = help: {late}:{line}: R71 `check` is new and lies before what has run, "
        "so this run would never come to it",
    ]
    found = json.loads(shop.run("migrate", saga, "--to", str(late), "--json").out)["error"]
    assert (found["code"], found["reasons"][0]["line"]) == ("SD970", line)


def test_many_sagas_need_a_yes_and_are_listed_in_a_file(shop: Shop) -> None:
    beginning = f"many-{uuid.uuid4().hex[:8]}"
    sagas, new = [_waiting(shop, beginning) for _ in range(3)], _file(shop, NEW)
    query = f"WorkflowId STARTS_WITH '{beginning}'"
    refused = shop.run("migrate", "--query", query, "--to", str(new))
    assert refused.code == 2
    assert "add `--yes`" in refused.err
    results = shop.folder / "results.jsonl"
    ran = shop.run("migrate", "--query", query, "--to", str(new), "--yes", "--rate", "50", "--results", str(results))
    assert (ran.code, ran.out) == (0, "migrate to order 2.0.0: 3 done (3 migrated)\n"), ran.err
    assert sorted(json.loads(line)["id"] for line in results.read_text().splitlines()[1:]) == sorted(sagas)


def test_wrong_calls(shop: Shop) -> None:
    new = str(_file(shop, NEW))
    assert shop.run("migrate", "--to", new).code == 2
    assert shop.run("migrate", "a", "--query", "", "--to", new).code == 2
    assert shop.run("migrate", "nobody", "--to", new).code == 2
    assert shop.run("migrate", "nobody", "--to", "nowhere.saga.yaml").code == 2
