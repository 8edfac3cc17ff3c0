"""``sagadsl reset``, against a real server and a worker process."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.cli.test_operate import QUEUE, Shop, shop

__all__ = ["shop"]

pytestmark = pytest.mark.temporal


def _waiting(shop: Shop) -> str:
    saga = f"reset-{uuid.uuid4()}"
    sets = ("--set", "order=1", "--set", "wait=true")
    ran = shop.run("run", "order.saga.yaml", "--id", saga, "--task-queue", QUEUE, "--detach", *sets)
    assert ran.code == 0, ran.err
    shop.until(saga, lambda status: bool(status["waiting_for"]))
    return saga


def test_a_saga_goes_back_to_a_step_and_on_from_there(shop: Shop) -> None:
    """R81: a dry run leaves nothing; the saga keeps who and why, and tells it."""
    saga = _waiting(shop)
    dry = shop.run("reset", saga, "--to", "charge", "--dry-run")
    assert (dry.code, dry.out.splitlines()) == (
        0,
        [
            f"{saga} can go back to `charge`, and on from there",
            "  undone: charge",
            "  done once more: charge, approval",
        ],
    ), dry.err
    assert json.loads(shop.run("reset", saga, "--to", "charge", "--dry-run", "--json").out)["undo"] == ["charge"]
    assert shop.status(saga)["actions"] == []
    unsure = shop.run("reset", saga, "--to", "charge")
    assert unsure.code == 2
    assert "add `--yes`" in unsure.err
    done = shop.run("reset", saga, "--to", "charge", "--yes", "--by", "ann", "--why", "another card")
    assert (done.code, done.out) == (0, f"{saga} goes back to `charge`\n"), done.err
    again = shop.until(saga, lambda status: bool(status["waiting_for"]) and "returning_to" not in status)
    assert [(each["verb"], each["path"], each["by"]) for each in again["actions"]] == [("reset", "charge", "ann")]
    assert shop.run("signal", saga, "approve").code == 0
    assert shop.run("result", saga).code == 0
    assert "ann reset it to `charge`" in shop.run("explain-run", saga).out
    trace = shop.run("trace", saga).out
    assert "  reset charge by ann: another card" in trace
    assert "undone  by charge.compensation: completed" in trace


def test_a_reset_that_is_not_safe_is_refused_with_the_reason(shop: Shop) -> None:
    """R80."""
    saga = _waiting(shop)
    for more in (("--dry-run",), ("--yes",)):
        ran = shop.run("reset", saga, "--to", "ship", *more)
        assert (ran.code, ran.out) == (4, "")
        assert f"cannot reset saga `{saga}`: no step `ship` has begun" in ran.err
    assert shop.run("signal", saga, "approve").code == 0
    assert shop.run("result", saga).code == 0
    over = shop.run("reset", saga, "--to", "charge", "--yes")
    assert over.code == 4
    assert shop.run("reset", f"nobody-{uuid.uuid4()}", "--to", "charge", "--yes").code == 2
