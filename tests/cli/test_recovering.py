"""`recover`, `redrive` and `terminate --undo`, against a real server and a worker process."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_operate import Shop, serving_shop
from tests.conftest import Server

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield from serving_shop(server, tmp_path_factory.mktemp("shop"))


def _id(name: str) -> str:
    return f"{name}-{uuid.uuid4()}"


def _slow(shop: Shop, name: str) -> str:
    """Start a saga whose second step goes on for ever, and wait until it has begun."""
    saga = shop.start(_id(name), how="slow")
    shop.until(
        saga, lambda found: any(each["path"] == "ship" and each["status"] == "running" for each in found["steps"])
    )
    return saga


def test_a_killed_saga_is_recovered(shop: Shop) -> None:
    """R31: first the plan, then the undoing; a second recovery is refused."""
    saga = _slow(shop, "killed")
    running = shop.run("recover", saga, "--yes")
    assert running.code == 4
    assert "is still running" in running.err
    assert shop.run("terminate", saga, "--yes").code == 0
    command = f"`sagadsl recover {saga} {shop.there} --yes`"  # off a terminal it would ask in vain
    assert f"the server ended it: {command} undoes what it has done" in shop.run("status", saga).out
    assert f"{command} undoes what it has done" in shop.run("explain-run", saga).out
    refused = shop.run("redrive", saga, "--yes")
    assert (refused.code, command in refused.err) == (4, True)
    assert "no reason was given" in shop.run("result", saga).err
    unsure = shop.run("recover", saga)
    assert unsure.code == 2
    assert "--dry-run" in unsure.err
    plan = shop.run("recover", saga, "--dry-run")
    assert plan.code == 0, plan.err
    assert "undo   charge.compensation (refund)" in plan.out
    assert "if all goes well, it ends as compensated" in plan.out
    document = json.loads(shop.run("recover", saga, "--dry-run", "--json").out)
    assert [each["call"] for each in document["calls"]] == ["charge.compensation"]
    done = shop.run("recover", saga, "--yes", "--no-wait", "--why", "killed by mistake", "--by", "ann")
    assert done.code == 0, done.err
    assert shop.run("result", saga).code == 10
    shown = shop.run("status", saga).out
    assert "recover by ann: killed by mistake" in shown
    assert f"it has taken up the work of run {document['run_id']}" in shown
    again = shop.run("recover", saga, "--yes")
    assert again.code == 4
    assert "it ended by itself" in again.err


def test_a_saga_is_killed_and_undone_in_one_command(shop: Shop) -> None:
    """R31."""
    saga = _slow(shop, "undone")
    done = shop.run("terminate", saga, "--undo", "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["status"] == "terminated"
    assert shop.run("result", saga).code == 10


def test_a_failed_saga_is_redriven(shop: Shop, tmp_path: Path) -> None:
    """R45: the compensation that was skipped is carried out when the bank is back."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = shop.start(_id("left"), how="fail", broken=str(broken))
    shop.until(saga, lambda found: bool(found["attention"]))
    assert shop.run("abort", saga).code == 0
    assert shop.run("result", saga).code == 11
    broken.unlink()
    plan = shop.run("redrive", saga, "--dry-run")
    assert "undo   charge.compensation (refund)" in plan.out
    assert shop.run("redrive", saga, "--yes", "--why", "the bank is back").code == 0
    assert shop.run("result", saga).code == 10
    anew = shop.run("redrive", saga, "--dry-run")
    assert "it begins anew" in anew.out
    assert shop.run("redrive", saga, "--yes").code == 0
    assert shop.run("result", saga).code == 10
    assert "it has begun anew after run " in shop.run("status", saga).out


def test_a_run_and_the_run_that_took_it_up_name_each_other(shop: Shop) -> None:
    """R31: in the status, in the story and in the list."""
    saga = _slow(shop, "links")
    assert shop.run("terminate", saga, "--yes").code == 0
    done = json.loads(shop.run("recover", saga, "--yes", "--no-wait", "--json").out)
    old, new = done["plan"]["run_id"], done["run_id"]
    assert shop.run("result", saga).code == 10
    earlier = shop.run("status", saga, "--run", old)
    assert f"run {new} has taken up its work" in earlier.out
    assert "sagadsl recover" not in earlier.out
    story = shop.run("explain-run", saga, "--run", old).out
    assert f"Run {new} has taken up its work" in story
    assert f"What is left to do is told of run {new}." in story
    assert f"It has taken up the work of run {old}" in shop.run("explain-run", saga).out
    assert shop.run("trace", saga, "--run", old).code == 0
    shop.until_listed(
        saga,
        lambda runs: (
            {each["run_id"]: (each.get("takes_up"), each.get("taken_up_by")) for each in runs}
            == {old: (None, new), new: (old, None)}
        ),
    )
    unknown = shop.run("status", saga, "--run", "no-such-run")
    assert unknown.code == 2
    assert f"saga `{saga}` has no run `no-such-run`" in unknown.err


@pytest.mark.parametrize("verb", ["recover", "redrive"])
def test_bad_requests_say_what_is_wrong_in_one_line(shop: Shop, verb: str) -> None:
    """An unknown id, and a saga that has completed."""
    unknown = shop.run(verb, "nobody", "--yes")
    assert unknown.code == 2
    assert "no saga `nobody`" in unknown.err
    saga = shop.start(_id("good"))
    assert shop.run("result", saga).code == 0
    done = shop.run(verb, saga, "--yes")
    assert done.code == 4
    assert len(done.err.strip().splitlines()) <= 2


def test_many_killed_sagas_are_recovered_by_one_command(shop: Shop, tmp_path: Path) -> None:
    """R31: preview, results, and a second run that goes on where the first stopped."""
    sagas = [_slow(shop, "many") for _ in range(2)]
    for each in sagas:
        assert shop.run("terminate", each, "--yes").code == 0
    query = " OR ".join(f"WorkflowId = '{each}'" for each in sagas)
    for each in sagas:
        shop.until_listed(each, lambda runs: [run["status"] for run in runs] == ["terminated"])
    looked = shop.run("recover", "--query", query, "--dry-run")
    assert looked.code == 0, looked.err
    assert "recover (dry run): 2 to ask" in looked.err
    assert "2 done (2 would be undone)" in looked.out
    asked = shop.run("recover", "--query", query)
    assert asked.code == 2
    assert "add `--yes`" in asked.err
    results = tmp_path / "results"
    done = shop.run("recover", "--query", query, "--yes", "--no-wait", "--results", str(results), "--by", "ann")
    assert done.code == 0, done.err
    assert "2 done (2 being undone)" in done.out
    assert [shop.run("result", each).code for each in sagas] == [10, 10]
    again = shop.run("recover", "--query", query, "--yes", "--results", str(results))
    assert again.code == 0
    assert "0 to ask" in again.err


def test_failed_sagas_are_redriven_by_the_type_of_their_error(shop: Shop, tmp_path: Path) -> None:
    """R45: each is judged by itself; what waits for an error of another type is left alone."""
    broken = tmp_path / "broken"
    broken.touch()
    sagas = [shop.start(_id("by-error"), how="fail", broken=str(broken)) for _ in range(2)]
    for each in sagas:
        shop.until(each, lambda found: bool(found["attention"]))
        assert shop.run("abort", each).code == 0
        assert shop.run("result", each).code == 11
    broken.unlink()
    query = " OR ".join(f"WorkflowId = '{each}'" for each in sagas)
    for each in sagas:
        shop.until_listed(each, lambda runs: [run["status"] for run in runs] == ["failed"])
    none = shop.run("redrive", "--query", query, "--error", "NoSuchError", "--yes")
    assert (none.code, "0 to ask" in none.err) == (0, True)
    error = json.loads(shop.run("result", sagas[0], "--json").out)["error"]["type"]
    done = shop.run("redrive", "--query", query, "--error", error, "--yes", "--why", "the bank is back")
    assert done.code == 0, done.err
    assert f"order: {error}" in done.err
    assert [shop.run("result", each).code for each in sagas] == [10, 10]


def test_a_choice_and_an_option_for_one_saga_do_not_go_together(shop: Shop) -> None:
    """The message says which."""
    for words, said in (
        (("redrive", "some-id", "--name", "order"), "either the id `some-id`"),
        (("redrive", "--name", "order", "--input", "{}"), "`--input` is for one saga"),
        (("redrive", "some-id", "--from", "a", "--undo"), "either `--from STEP`"),
        (("terminate", "--name", "order"), "only with `--undo`"),
        (("recover",), "name a saga by its id"),
    ):
        ran = shop.run(*words)
        assert (ran.code, said in ran.err) == (2, True), ran.err
