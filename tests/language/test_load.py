"""Every stage in one pass: nothing raises, nothing hides anything else."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagadsl.language.analysis.known import Known
from sagadsl.language.load import beside, load, load_many
from sagadsl.language.loaded import Loaded
from sagadsl.reporting import report

VALID = """\
sagadsl: 1
name: order
version: "1.0"
steps:
  - {id: reserve, activity: stock.reserve, compensation: {activity: stock.release}}
  - {id: pay, activity: bank.pay}
"""


def _codes(loaded: Loaded) -> list[str]:
    return [finding.code for finding in loaded.findings]


def _places(loaded: Loaded) -> list[tuple[int, str]]:
    """Line and code of each finding, in the order given."""
    found = []
    for finding in loaded.findings:
        spans = loaded.document.keys if finding.at_key else loaded.document.spans
        span = spans.get(finding.route) or loaded.document.spans[loaded.document.nearest(finding.route)]
        found.append((span.line, finding.code))
    return found


def test_a_valid_definition_gives_a_model_and_no_findings() -> None:
    loaded = load(VALID, name="order.saga.yaml")

    assert loaded.findings == ()
    assert loaded.saga is not None
    assert loaded.saga.name == "order"
    assert loaded.document.name == "order.saga.yaml"


def test_a_warning_leaves_the_definition_usable() -> None:
    loaded = load(VALID.replace(", compensation: {activity: stock.release}", ""))

    assert _codes(loaded) == ["SD602"]
    assert loaded.saga is not None
    assert loaded.errors == ()


def test_an_error_keeps_the_model_back_but_leaves_a_draft() -> None:
    loaded = load(VALID + "  - {id: end, fail: {type: X}, timeuot: 3s}\n")

    assert loaded.saga is None
    assert loaded.draft is not None
    assert [step.id for step in loaded.draft.steps] == ["reserve", "pay", "end"]


BROKEN = """\
sagadsl: 1
name: many-mistakes
version: 1.10
steps:
  - id: first
    activty: a.first
    input: {x: 1}
    compensation: none
  - id: block
    parallel:
      - id: one
        activity: a.one
        timeouts: {start_to_close: 5}
        compensation: none
      - id: two
        steps: nonsense
  - id: how
    switch:
      - {if: input.x, steps: [{id: three, activity: a.three, compensation: none}]}
  - {id: last, activity: a.last, retry: {maximum_attempts: 0}, timeouts: {start_to_close: 1m, schedule_to_close: 1s}}
"""


def test_mistakes_of_form_do_not_hide_what_else_is_wrong() -> None:
    """The total that is too short is found beside the wrong number of attempts."""
    loaded = load(BROKEN)

    assert _places(loaded) == [
        (3, "SD108"),
        (6, "SD104"),
        (13, "SD502"),
        (16, "SD103"),
        (20, "SD504"),
        (20, "SD511"),
    ]


def test_a_mistake_of_form_makes_no_follow_up_findings() -> None:
    """A misspelt `compensation` must not also be a missing one; a step cut out is still known by its id."""
    loaded = load(VALID.replace("compensation: {", "compensatoin: {"))

    assert _codes(loaded) == ["SD104"]


def test_routes_lead_to_the_document_even_below_a_misspelt_key() -> None:
    """The finding about the inner step points into the block as it is written."""
    text = VALID.replace("bank.pay", "bank.pay, compensation: none") + (
        "  - id: block\n"
        "    paralel:\n"
        "      - {id: one, activity: a.one, timeouts: {start_to_close: 1m, schedule_to_close: 1s}}\n"
    )

    assert _places(load(text)) == [(8, "SD104"), (9, "SD511")]


@pytest.mark.parametrize(
    "text",
    [
        "sagadsl: 2\nname: x\nsteps: [{id: a, activty: b}]\n",
        "name: x\nstepz: []\n",
        "",
        "[]",
        "just text",
        "a: [b\n",
        "\tx: 1\n",
        "sagadsl: 1\nname: x\nsteps: {}\n",
        "sagadsl: 1\nname: x\nsteps: [1, null, [], {}, {id: 5}, {id: a, id: a}]\n",
        "sagadsl: 1\nname: x\nsteps: [{id: a, switch: [1, {else: 5}, {if: 1, steps: [3]}]}]\n",
        "sagadsl: 1\nname: x\nsteps: [{id: a, activity: b, on_error: [1, {steps: [{}], types: [5]}]}]\n",
        "sagadsl: 1\nname: x\nsteps: [{id: a, activity: b, compensation: [1, {activity: 3}]}]\n",
        "sagadsl: 1\nname: x\nsteps: [{id: a, for_each: 3, steps: 4}]\ninput: {type: 7}\nlabels: [1]\n",
    ],
)
def test_whatever_is_wrong_is_a_finding(text: str) -> None:
    """Never an exception, never success."""
    loaded = load(text)

    assert loaded.saga is None
    assert loaded.errors


def test_bytes_that_are_no_text_are_a_finding() -> None:
    assert _codes(load("name: é".encode("latin-1"))) == ["SD009"]


def test_findings_come_in_the_order_of_the_file_and_always_the_same() -> None:
    loaded = load(BROKEN)

    assert [line for line, _ in _places(loaded)] == sorted(line for line, _ in _places(loaded))
    assert load(BROKEN).findings == loaded.findings


SEED: dict[str, Any] = {
    "sagadsl": 1,
    "name": "seed",
    "input": {"type": "object", "properties": {"lines": {"type": "array", "maxItems": 5}}},
    "defaults": {"retry": {"maximum_attempts": 5}, "compensation": {"timeouts": {"start_to_close": "1m"}}},
    "steps": [
        {"id": "one", "activity": "a.b", "input": {"x": "{{ input.x }}"}, "compensation": [{"activity": "a.c"}]},
        {"id": "two", "parallel": [{"id": "three", "sleep": "1s"}, {"id": "four", "saga": "x", "needs": ["three"]}]},
        {"id": "five", "for_each": {"items": "input.lines"}, "steps": [{"id": "six", "set": {"a": 1}}]},
        {
            "id": "seven",
            "switch": [
                {"if": "true", "steps": [{"id": "eight", "sleep": "1s"}]},
                {"else": [{"id": "nine", "fail": {"type": "X"}}]},
            ],
        },
        {
            "id": "ten",
            "activity": "a.p",
            "pivot": True,
            "on_error": [{"types": ["T"], "steps": [{"id": "eleven", "sleep": "1s"}]}],
        },
        {"id": "twelve", "repeat": {"until": "true"}, "steps": [{"id": "thirteen", "wait_for": {"signal": "s"}}]},
    ],
    "on_failure": [{"id": "fourteen", "activity": "a.alarm"}],
    "output": {"x": "{{ steps.one.output }}"},
}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(["", "a", "1s", "{{", "{{ x }}", "none", "id", "true"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "steps", "if", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def _routes(data: Any, route: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [route, *(found for key, value in inner for found in _routes(value, (*route, key)))]


@st.composite
def _mutants(draw: st.DrawFn) -> Any:
    """The seed, with some of its places replaced, removed or renamed."""
    data = copy.deepcopy(SEED)
    for _ in range(draw(st.integers(1, 4))):
        route = draw(st.sampled_from(_routes(data)[1:] or [()]))
        if not route:
            return data
        holder: Any = data
        for key in route[:-1]:
            holder = holder[key]
        what = draw(st.sampled_from(["replace", "remove", "rename"]))
        if what == "replace":
            holder[route[-1]] = draw(JSON)
        elif what == "remove":
            del holder[route[-1]]
        elif isinstance(holder, dict):
            holder[f"{route[-1]}x"] = holder.pop(route[-1])
    return data


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_mutants())
def test_no_mutilated_definition_raises(data: Any) -> None:
    """Whatever is left, `load` gives findings; an error means no model, and no error means a model."""
    loaded = load(yaml.safe_dump(data, sort_keys=False))

    assert (loaded.saga is None) == bool(loaded.errors)
    assert loaded.draft is not None or _codes(loaded)[0] == "SD101"  # something can always be judged


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_mutants(), _mutants(), st.sampled_from(["defaults", "task_queue", "imports", "name", "x-y"]), JSON)
def test_no_mutilated_bundle_raises(one: Any, other: Any, shared: str, value: Any) -> None:
    """Each saga of it either has a model or an error."""
    data = {"sagadsl": 1, shared: value, "sagas": {"one": one, "other": other}}
    with TemporaryDirectory() as folder:
        file = Path(folder, "all.saga.yaml")
        file.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")
        found = load_many([file])

    assert all((each.saga is None) == bool(each.errors) for each in found)
    assert all(report.render(form, found) for form in ("text", "json", "sarif"))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_raises(data: str | bytes) -> None:
    assert load(data).saga is None


def test_a_suppression_counts_for_its_line_and_the_one_below() -> None:
    bare = VALID.replace(", compensation: {activity: stock.release}", "")
    line = "  - {id: reserve, activity: stock.reserve}\n"

    behind = load(bare.replace(line, line.rstrip() + " # sagadsl: ignore[SD602] counted every night\n"))
    above = load(bare.replace(line, "  # sagadsl: ignore[SD602, SD703] counted\n\n  # more words\n" + line))

    assert behind.findings == ()
    assert _places(above) == [(5, "SD708")]
    assert above.findings[0].message == "there is no `SD703` here to suppress"


def test_an_error_of_form_cannot_be_suppressed() -> None:
    loaded = load(VALID + "  - {id: end, activity: a.b, timeuot: 3s} # sagadsl: ignore[SD104]\n")

    assert "SD104" in _codes(loaded)
    assert loaded.saga is None


def _write(folder: Path, name: str, *steps: str) -> Path:
    path = folder / f"{name}.saga.yaml"
    lines = "".join(f"  - {step}\n" for step in steps)
    path.write_text(f"sagadsl: 1\nname: {name}\nsteps:\n{lines}", "utf-8")
    return path


def test_child_sagas_are_found_beside_the_file_and_theirs_too(tmp_path: Path) -> None:
    """The definitions of the child sagas it names, found beside the file."""
    parent = _write(tmp_path, "parent", "{id: a, saga: child, compensation: {saga: unchild}}")
    _write(tmp_path, "child", "{id: a, saga: grandchild, compensation: auto}")
    _write(tmp_path, "grandchild", "{id: a, sleep: 1s}")
    _write(tmp_path, "unchild", "{id: a, sleep: 1s}")
    _write(tmp_path, "stranger", "{id: a, sleep: 1s}")

    known = beside(parent, parent.read_bytes())

    assert sorted(known.sagas) == ["child", "grandchild", "unchild"]
    assert known.activities is None


def test_sagas_that_call_each_other_in_a_circle_are_no_trap(tmp_path: Path) -> None:
    one = _write(tmp_path, "one", "{id: a, saga: two, compensation: auto}")
    _write(tmp_path, "two", "{id: a, saga: one, compensation: auto}")

    assert sorted(beside(one, one.read_bytes()).sagas) == ["one", "two"]


def test_many_files_are_loaded_in_the_order_given(tmp_path: Path) -> None:
    """All files, also those after a broken one."""
    good = _write(tmp_path, "good", "{id: a, sleep: 1s}")
    bad = _write(tmp_path, "bad", "{id: a, sleeep: 1s}", "{id: b, sleep: 5}")

    loaded = load_many([bad, tmp_path / "missing.saga.yaml", good], Known())

    assert [Path(each.document.name).name for each in loaded] == [bad.name, "missing.saga.yaml", good.name]
    assert [_codes(each) for each in loaded] == [["SD104", "SD502"], ["SD016"], []]


def test_loading_needs_nothing_of_temporal() -> None:
    """Importing it would cost `validate` more than everything else."""
    code = f"import sys, sagadsl.language.load as l; l.load({VALID!r}); print('temporalio' in sys.modules)"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{{id: s{0}, sleep: 1x}}", "SD501"),
        ("{{id: s{0}, sleep: 1s, slep: 1}}", "SD104"),
        ('{{id: s{0}, set: {{a: "{{{{ input.amoun{0} }}}}"}}}}', "SD306"),
        ('{{id: s{0}, set: {{a: "{{{{ 1 + }}}}"}}}}', "SD301"),
        ("{{id: s, sleep: 1s}}", "SD201"),
    ],
)
def test_of_very_many_mistakes_the_first_are_told_and_that_there_are_more(step: str, code: str) -> None:
    """A file with 20,000 took minutes, most of them to draw what nobody reads."""
    steps = "".join(f"  - {step.format(number)}\n" for number in range(3000))
    input_ = "input: {type: object, additionalProperties: false, properties: {amount: {type: integer}}}"
    loaded = load(f"sagadsl: 1\nname: many\n{input_}\nsteps:\n{steps}")

    assert Counter(each.code for each in loaded.errors) == {code: 1000, "SD017": 1}
    assert loaded.errors[-1].code == "SD017"
    assert loaded.saga is None


def test_warnings_never_hide_an_error_and_are_none_themselves() -> None:
    steps = "".join(f"  - {{id: s{number}, wait_for: {{signal: a}}}}\n" for number in range(1500))
    good = load(f"sagadsl: 1\nname: many\nsteps:\n{steps}")
    last = '  - {id: last, set: {a: "{{ steps.nope.output }}"}}\n'
    wrong = load(f"sagadsl: 1\nname: many\nsteps:\n{steps}{last}")

    assert (Counter(each.code for each in good.findings), good.errors) == ({"SD703": 1000, "SD017": 1}, ())
    assert good.saga is not None
    assert [each.code for each in wrong.errors] == ["SD305"]


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("env", "no expression reads secrets or variables of a worker"),
        ("secrets", "`http.request` takes `${secret:NAME}`"),
        ("now", "did you mean `saga.now`?"),
        ("workflow", "`saga` has `id`, `run_id`"),
        ("inputs", "did you mean `input`?"),
        ("weather", "the names here are `idempotency_key`, `input`, `saga`, `steps`"),
    ],
)
def test_a_name_of_another_tool_is_told_what_there_is_instead(name: str, help: str) -> None:
    loaded = load(f'sagadsl: 1\nname: n\nsteps: [{{id: a, set: {{x: "{{{{ {name}.y }}}}"}}}}]\n')

    assert [(each.code, each.message) for each in loaded.findings] == [("SD302", f"`{name}` is not known here")]
    assert help in loaded.findings[0].help
