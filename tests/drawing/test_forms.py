"""Mermaid and Graphviz read what is drawn, whatever a definition has; the drawing has every step and no other."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from sagadsl.drawing.dot import dot
from sagadsl.drawing.flow import Arrow, Cluster, Flow, FlowNode, Line, flow
from sagadsl.drawing.marks import Mark, marks
from sagadsl.drawing.mermaid import mermaid
from sagadsl.drawing.palette import _STATES, CLASSES
from sagadsl.drawing.tree import tree
from sagadsl.drawing.words import KINDS
from sagadsl.language.build import build
from sagadsl.language.kinds import KEYS
from sagadsl.language.kinds import KINDS as ROWS
from sagadsl.language.model import Saga
from sagadsl.status.lines import SIGNS, StatusRow
from tests.chromium import Unavailable, started
from tests.drawing.readers import GRAPHVIZ, MERMAID, unpacked
from tests.drawing.sagas import SHIPPED, long_saga, random_saga, shipped
from tests.needs import missing, need

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"


def _all() -> dict[str, Saga]:
    made_up = {f"random {seed}": random_saga(seed) for seed in range(40)} | {"long": long_saga(60)}
    return {path.name: shipped(path) for path in SHIPPED} | made_up


ALL = _all()


def _nodes(items: tuple[FlowNode | Cluster, ...]) -> list[FlowNode]:
    return [node for item in items for node in (_nodes(item.inside) if isinstance(item, Cluster) else [item])]


def states(saga: Saga) -> dict[str, Mark]:
    """Return a state for each box, each state in turn."""
    words = sorted(SIGNS)
    paths = [node.path for node in _nodes(flow(tree(saga)).inside) if node.path]
    return {
        path: Mark(words[at % len(words)], "?", " x 3", *(("undone", "compensated", "?") if at % 3 == 0 else ()))
        for at, path in enumerate(paths)
    }


def _drawn() -> list[Flow]:
    return [drawn for saga in ALL.values() for drawn in (flow(tree(saga)), flow(tree(saga), states(saga)))]


@pytest.mark.parametrize("name", ALL)
def test_every_step_has_one_node_and_every_arrow_has_two_ends(name: str) -> None:
    saga = ALL[name]
    drawn = flow(tree(saga))
    nodes = _nodes(drawn.inside)
    ids = [node.id for node in nodes]

    assert len(ids) == len(set(ids))
    assert {node.path.rpartition("/")[2].removesuffix("[]") for node in nodes if node.path} >= set(saga.places)
    assert len([node for node in nodes if node.path]) == len(saga.places) + len(saga.on_pause)
    assert {end for arrow in drawn.arrows for end in (arrow.start, arrow.end)} <= set(ids)


@pytest.mark.parametrize("name", ALL)
def test_every_step_can_be_reached(name: str) -> None:
    """But for those after a step that ends the saga, and those beside it."""
    drawn = flow(tree(ALL[name]))
    aside = {node.id for item in drawn.inside if isinstance(item, Cluster) for node in _nodes((item,))}
    reached, new = set[str](), {"start"}
    while new:
        reached |= new
        new = {arrow.end for arrow in drawn.arrows if arrow.start in reached} - reached
    ends = any(box in ("fail", "return") for box in _kinds(ALL[name]))

    assert ends or {node.id for node in _nodes(drawn.inside)} - reached <= aside


def _kinds(saga: Saga) -> set[str]:
    return set(re.findall(r'"kind": "(\w+)"', json.dumps(tree(saga).as_json())))


@pytest.mark.parametrize("name", ["transfer_money", "book_trip", "fulfil_order"])
def test_the_mermaid_of_a_definition(name: str) -> None:
    """When a change is meant, `sagadsl graph` writes the file anew."""
    drawn = mermaid(flow(tree(shipped(ROOT / "definitions" / f"{name}.saga.yaml"))))

    assert f"{drawn}\n" == (GOLDEN / f"{name}.mmd").read_text(encoding="utf-8")


def test_mermaid_reads_them() -> None:
    """The real one, in a browser: also ids, conditions and names that mean something to it are text."""
    script = unpacked(MERMAID) / "dist" / "mermaid.min.js"
    texts = [mermaid(each) for each in _drawn()]
    try:
        with started() as browser:
            page = browser.new_page()
            page.add_script_tag(path=script)
            wrong = page.evaluate(
                """async (texts) => {
                  const wrong = [];
                  for (const text of [...texts, "flowchart TD\\n  a[b"])
                    await mermaid.parse(text).catch((error) => wrong.push([text, String(error)]));
                  return wrong;
                }""",
                texts,
            )
    except Unavailable as unavailable:
        missing("chromium", str(unavailable))
    assert [text for text, _ in wrong] == ["flowchart TD\n  a[b"], wrong[:1]


def test_graphviz_draws_them(tmp_path: Path) -> None:
    (node,) = need("node")
    (tmp_path / "texts.json").write_text(json.dumps([*map(dot, _drawn()), "digraph {"]), encoding="utf-8")
    script = f"""
      import {{ readFileSync }} from "node:fs";
      import {{ Graphviz }} from {json.dumps(str(unpacked(GRAPHVIZ) / "dist" / "index.js"))};
      const graphviz = await Graphviz.load();
      const wrong = [];
      for (const text of JSON.parse(readFileSync("texts.json", "utf8")))
        try {{ graphviz.dot(text, "svg"); }} catch (error) {{ wrong.push(text); }}
      console.log(JSON.stringify(wrong));
    """
    (tmp_path / "draw.mjs").write_text(script, encoding="utf-8")
    ended = subprocess.run([node, "draw.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == ["digraph {"]


def _one(step: dict[str, object], *more: dict[str, object]) -> Flow:
    return flow(tree(build({"sagadsl": 1, "name": "one", "steps": [step, *more]})))


def test_the_way_on_after_a_pivot_says_so() -> None:
    drawn = _one({"id": "pay", "activity": "pay", "pivot": True}, {"id": "tell", "activity": "tell"})

    assert Arrow("n1", "n2", Line.PIVOT, "point of no return") in drawn.arrows


def test_a_loop_goes_back_and_a_handler_goes_on_as_it_says() -> None:
    inside = [{"id": "a", "activity": "x", "on_error": [{"then": "continue", "steps": [{"id": "b", "activity": "y"}]}]}]
    drawn = _one({"id": "loop", "repeat": {"until": "false", "maximum_attempts": 3}, "steps": inside})
    ids = {node.path: node.id for node in _nodes(drawn.inside)}
    (join,) = [node.id for node in _nodes(drawn.inside) if node.lines == ("",)]

    assert Arrow(join, ids["loop"], Line.BACK, "next round") in drawn.arrows
    assert Arrow(ids["loop[]/a"], ids["loop[]/a.on_error/b"], Line.ERROR, "on any error") in drawn.arrows
    assert Arrow(ids["loop[]/a.on_error/b"], join) in drawn.arrows


def test_a_branch_comes_after_those_that_it_needs() -> None:
    branches = [{"id": "late", "activity": "x", "needs": ["early"]}, {"id": "early", "activity": "y"}]
    drawn = _one({"id": "all", "parallel": branches})
    ids = {node.path: node.id for node in _nodes(drawn.inside)}

    assert Arrow(ids["all/early"], ids["all/late"]) in drawn.arrows
    assert Arrow(ids["all"], ids["all/late"]) not in drawn.arrows


def test_a_step_that_fails_and_is_passed_over_has_a_way_on() -> None:
    fail = {"id": "no", "fail": {"type": "Refused", "message": "no"}}
    handled = _one({**fail, "on_error": "continue"})

    assert Arrow("n1", "done") in handled.arrows
    assert "done" not in {node.id for node in _nodes(_one(fail).inside)}


def _row(key: str, state: str, what: str = "") -> StatusRow:
    return StatusRow(key, SIGNS[state], state, key, what)


def test_a_loop_whose_rounds_are_not_all_over_is_not_completed() -> None:
    drawn = marks([_row("loop[0]/pay", "completed"), _row("loop[1]/pay", "pending")])

    assert (drawn["loop[]/pay"].state, drawn["loop[]/pay"].rounds) == ("pending", " \N{MULTIPLICATION SIGN} 2")


def test_of_a_loop_it_is_said_how_many_rounds_are_undone() -> None:
    rounds = [_row(f"loop[{index}]/pay", "completed") for index in range(3)]
    undone = [_row(f"loop[{index}]/pay.compensation", "compensated", "undone") for index in (2, 1)]
    failed = _row("loop[0]/pay.compensation", "failed", "not undone")

    assert marks([*rounds, *undone])["loop[]/pay"].undo == "undone \N{MULTIPLICATION SIGN} 2"
    assert marks([*rounds, *undone, failed])["loop[]/pay"].undo == "not undone \N{MULTIPLICATION SIGN} 1"
    assert marks([_row("pay", "completed"), _row("pay.compensation", "compensated", "undone")])["pay"].undo == "undone"


def test_every_kind_and_every_state_has_its_words_and_its_looks() -> None:
    drawn = {row.drawn or key for row in ROWS.values() for key in (row.key, *row.also)} & {*KINDS, "group"}

    assert {key for key in KEYS if key not in ("steps", "sleep_until")} | {"group"} == set(KINDS) == drawn
    assert set(SIGNS) <= set(_STATES)
    assert set(_STATES.values()) <= set(CLASSES)
