"""Several sagas in one file: each is a definition of its own, with what it shares and with places in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.bundles import names_in
from sagadsl.language.document import Document, parse
from sagadsl.language.load import as_data, beside, load, load_many
from sagadsl.language.loaded import Address, Loaded
from sagadsl.language.schema import definition
from sagadsl.reporting import report

BUNDLE = """\
sagadsl: 1
description: All about orders.
imports: {m: ./math.yaml}
task_queue: orders
defaults:
  retry: {maximum_attempts: 7}
  timeouts: {start_to_close: 20s}
sagas:
  order:
    version: "2"
    input: {use: m.order}
    steps:
      - {id: pay, activity: bank.pay, compensation: {activity: bank.refund}}
      - {id: ship, saga: ship, input: {sum: "{{ input.sum }}"}, compensation: none}

  ship:
    task_queue: parcels
    defaults: {retry: none}
    input: {use: m.order}
    steps:
      - {id: send, activity: parcels.send, compensation: none}
"""
LIBRARY = """\
sagadsl_library: 1
schemas: {order: {type: object, required: [sum], properties: {sum: {type: integer}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "math.yaml").write_text(LIBRARY)
    (tmp_path / "orders.saga.yaml").write_text(BUNDLE)
    return tmp_path


def _of(folder: Path, text: str, name: str = "orders.saga.yaml") -> tuple[Loaded, ...]:
    (folder / name).write_text(text)
    return load_many([folder / name])


def _told(found: tuple[Loaded, ...]) -> list[str]:
    """Each finding as one line of a report: place, code, message."""
    lines = report.render("concise", found).splitlines()[:-1]
    return [line.partition("orders.saga.yaml:")[2].partition(";")[0] for line in lines]


def test_each_saga_is_the_definition_that_a_file_of_its_own_would_be(folder: Path) -> None:
    """R123: with what it shares in place, so also its digest is the same."""
    order, ship = load_many([folder / "orders.saga.yaml"])
    alone = """\
sagadsl: 1
name: ship
imports: {m: ./math.yaml}
task_queue: parcels
defaults: {retry: none, timeouts: {start_to_close: 20s}}
input: {use: m.order}
steps:
  - {id: send, activity: parcels.send, compensation: none}
"""
    (expected,) = _of(folder, alone, "alone.saga.yaml")

    assert (order.findings, ship.findings, expected.findings) == ((), (), ())
    assert ship.definition == expected.definition
    assert ship.saga is not None
    assert expected.saga is not None
    assert ship.saga.digest == expected.saga.digest
    assert order.saga is not None
    assert (order.saga.name, order.saga.version, order.saga.task_queue) == ("order", "2", "orders")
    assert order.definition["defaults"] == {"retry": {"maximum_attempts": 7}, "timeouts": {"start_to_close": "20s"}}


def test_an_address_means_one_saga_of_a_file(folder: Path) -> None:
    file = folder / "orders.saga.yaml"
    (found,) = load_many([f"{file}#ship"])
    (alone,) = _of(folder, "sagadsl: 1\nname: one\nsteps: [{id: a, sleep: 1s}]\n", "one.saga.yaml")

    assert found.document.address == f"{file}#ship"
    assert load_many([f"{folder / 'one.saga.yaml'}#one"]) == (alone,)
    assert [each.document.address for each in load_many([f"{file}#ship", file])] == [f"{file}#ship", f"{file}#order"]


def test_an_address_may_bring_the_child_sagas_in_the_file_too(folder: Path) -> None:
    """R124: also theirs, but no others, and not those in other files."""
    steps = "steps: [{id: a, saga: NEXT, compensation: auto}]"
    sagas = "".join(
        f"  {name}: {{{steps.replace('NEXT', after)}}}\n"
        for name, after in [("one", "two"), ("two", "three"), ("three", "one"), ("four", "beside")]
    )
    (folder / "beside.saga.yaml").write_text("sagadsl: 1\nname: beside\nsteps: [{id: a, sleep: 1s}]\n")
    file = folder / "ring.saga.yaml"
    file.write_text(f"sagadsl: 1\nsagas:\n{sagas}")

    def names(address: str) -> list[str]:
        return [each.document.address.partition("#")[2] for each in load_many([address], children=True)]

    assert names(f"{file}#two") == ["two", "three", "one"]
    assert names(f"{file}#four") == ["four"]


def test_a_file_may_have_the_sign_in_its_own_name(folder: Path) -> None:
    file = folder / "a#b.saga.yaml"
    file.write_text(BUNDLE)

    assert Address.of(file) == Address(file)
    assert Address.of(f"{file}#ship") == Address(file, "ship")


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("shipp", "did you mean `orders.saga.yaml#ship`?"),
        ("", "it has `order`, `ship`"),
        ("x", "it has `order`, `ship`"),
    ],
)
def test_a_name_that_the_file_does_not_have_is_told_with_what_was_meant(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, help: str
) -> None:
    monkeypatch.chdir(folder)
    (found,) = load_many([f"orders.saga.yaml#{name}"])

    assert found.saga is None
    assert [(each.code, each.message, each.help) for each in found.findings] == [
        ("SD018", f"`orders.saga.yaml` has no saga `{name}`", help)
    ]


def test_where_one_definition_is_wanted_a_bundle_says_which_it_has() -> None:
    (finding,) = load(BUNDLE, name="orders.saga.yaml").findings

    assert (finding.code, finding.help) == ("SD018", "say which: `orders.saga.yaml#order`")
    assert "`orders.saga.yaml` has 2 sagas, and one is wanted: `order`, `ship`" in finding.message


def test_a_bundle_of_one_saga_is_that_saga() -> None:
    loaded = load("sagadsl: 1\nsagas: {only: {steps: [{id: a, sleep: 1s}]}}\n")

    assert loaded.saga is not None
    assert loaded.saga.name == "only"


def test_child_sagas_are_found_in_the_file_first_then_in_the_files_beside_it(folder: Path) -> None:
    """R124: also when the file beside it is a bundle, and the parent is not."""
    other = BUNDLE.replace("id: send", "id: other").replace("  order:", "  store:")
    (folder / "a.saga.yaml").write_text(other)
    parent = "sagadsl: 1\nname: parent\nsteps: [{id: a, saga: store, compensation: none}]\n"
    (folder / "parent.saga.yaml").write_text(parent)
    file = f"{folder / 'orders.saga.yaml'}#order"

    assert list(beside(file, BUNDLE).sagas["ship"].places) == ["send"]
    assert as_data(file, ["ship"])["ship"]["steps"][0]["id"] == "send"
    beyond = beside(folder / "parent.saga.yaml", parent)
    assert sorted(beyond.sagas) == ["ship", "store"]
    assert list(beyond.sagas["ship"].places) == ["other"]  # the one that the child itself would take


@pytest.mark.parametrize(
    "text", [BUNDLE, BUNDLE.replace("\n", "\r\n"), BUNDLE.replace("  ship:\n", '\n# more\n  "ship": # out\n')]
)
def test_the_names_in_a_bundle_are_seen_without_parsing_it(text: str) -> None:
    assert names_in(text.encode()) == ("order", "ship")


def test_names_that_cannot_be_seen_are_not_guessed(folder: Path) -> None:
    """Then the file is parsed: the name of a child is still put right."""
    flow = "sagadsl: 1\nsagas: {store: {steps: [{id: a, sleep: 1s}]}}\n"
    (folder / "flow.saga.yaml").write_text(flow)
    parent = "sagadsl: 1\nname: parent\nsteps: [{id: a, saga: stor, compensation: none}]\n"

    assert names_in(flow.encode()) is None
    (found,) = _of(folder, parent, "parent.saga.yaml")
    assert [each.help for each in found.findings if each.help] == ["did you mean `store`?"]


def test_a_mistake_stands_at_its_line_once_and_leaves_the_other_sagas_alone(folder: Path) -> None:
    """R125."""
    order, ship = found = _of(folder, BUNDLE.replace("activity: parcels.send", "activty: parcels.send"))

    assert _told(found) == ["21:20: error[SD104] unknown key `activty` in step `send`"]
    assert order.saga is not None
    assert ship.saga is None
    assert '"path": "/sagas/ship/steps/0/activty"' in report.render("json", found)


def test_what_is_shared_is_wrong_for_every_saga_and_told_once(folder: Path) -> None:
    """R125."""
    text = BUNDLE.replace("maximum_attempts: 7", "maximum_attempt: 7").replace("task_queue: orders", "task_queue: 5")
    order, ship = found = _of(folder, text)

    assert _told(found) == [
        "4:13: error[SD103] `task_queue` must be text, got the number `5`",
        "6:11: error[SD104] unknown key `maximum_attempt` in `defaults.retry`",
    ]
    assert (order.saga, ship.saga) == (None, None)
    assert '"path": "/defaults/retry/maximum_attempt"' in report.render("json", found)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("task_queue: orders\n", "task_queu: orders\n", "4:1: error[SD104] unknown key `task_queu` in the bundle"),
        ("task_queue: orders\n", "timeout: 1h\n", "4:1: error[SD104] `timeout` of the bundle stands beside `sagas`"),
        ('    version: "2"\n', "    name: x\n", "10:5: error[SD104] saga `order` of the bundle has `name`"),
        ('    version: "2"\n', "    imports: {}\n", "10:5: error[SD104] saga `order` of the bundle has `imports`"),
        ("sagadsl: 1\n", "", "1:1: error[SD101] the version of the language is missing"),
        ("sagadsl: 1\n", "sagadsl: 2\n", "1:10: error[SD101] version `2` of the language is not supported"),
        ("  ship:\n", "  order:\n", "16:3: error[SD003] key `order` is already given on line 9"),
        ("  ship:\n", "  9ship:\n", "16:3: error[SD107] `name` must be a letter, then letters, digits"),
        ("./math.yaml", "./maths.yaml", "3:14: error[SD130] `./maths.yaml` is not there"),
        ("    steps:\n      - {id: send", "    stepz:\n      - {id: send", "20:5: error[SD104] unknown key `stepz`"),
    ],
)  # fmt: skip
def test_a_mistake_at_the_top_is_told_at_its_line(folder: Path, before: str, after: str, told: str) -> None:
    assert before in BUNDLE
    found = _of(folder, BUNDLE.replace(before, after))
    lines = [line for line in _told(found) if line.startswith(told)]

    assert len(lines) == 1, _told(found)
    assert any(each.saga is None for each in found)


@pytest.mark.parametrize("sagas", ["{}", "[]", "5", "", "{a: 1}"])
def test_a_bundle_without_a_saga_is_a_mistake(folder: Path, sagas: str) -> None:
    found = _of(folder, f"sagadsl: 1\nsagas: {sagas}\n")

    assert [each.saga for each in found] == [None]
    assert [each.severity for each in found[0].findings] == [Severity.ERROR]


def test_a_bundle_has_a_size(folder: Path) -> None:
    steps = "{steps: [{id: a, sleep: 1s}]}"
    many = "sagadsl: 1\nsagas:\n" + "".join(f"  s{number}: {steps}\n" for number in range(201))

    assert _told(_of(folder, many)) == [
        "2:1: error[SD107] `sagas` must have at most 200 entries, not 201, got a mapping"
    ]
    assert len(_of(folder, many.replace(f"  s200: {steps}\n", ""))) == 200


def test_a_suppression_is_for_the_saga_in_which_it_stands(folder: Path) -> None:
    """What is above the name of a saga is for that line; what is shared may be needed by one saga alone."""
    bare = BUNDLE.replace(", compensation: {activity: bank.refund}", "")
    line = "      - {id: pay, activity: bank.pay}\n"
    assert [each.partition(" ")[0] for each in _told(_of(folder, bare))] == ["13:14:"]

    accepted = bare.replace(line, line.rstrip() + " # sagadsl: ignore[SD602] seen\n")
    assert _told(_of(folder, accepted)) == []
    wrong = accepted.replace("    task_queue: parcels", "    task_queue: parcels # sagadsl: ignore[SD602]")
    assert _told(_of(folder, wrong)) == ["17:25: warning[SD708] there is no `SD602` here to suppress"]
    unknown = accepted.replace("task_queue: orders", "task_queue: orders # sagadsl: ignore[SD9999]")
    assert _told(_of(folder, unknown)) == ["4:20: warning[SD709] there is no code `SD9999`"]


def test_anchors_lead_from_one_saga_to_another(folder: Path) -> None:
    text = """\
sagadsl: 1
x-undo: &undo {activity: bank.refund}
sagas:
  one: {steps: [&pay {id: pay, activity: bank.pay, compensation: *undo}]}
  two: {steps: [*pay]}
"""
    one, two = _of(folder, text)

    assert (one.findings, two.findings) == ((), ())
    assert one.definition["steps"] == two.definition["steps"]
    assert one.definition["steps"][0]["compensation"] == {"activity": "bank.refund"}


def test_each_file_of_a_folder_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where every saga has a child in the next file."""
    for number in range(20):
        does = "sleep: 1s" if number == 19 else f"saga: s{number + 1}_EACH, compensation: auto"
        steps = f"  s{number}_EACH: {{steps: [{{id: a, {does}}}]}}\n"
        sagas = "".join(steps.replace("EACH", str(each)) for each in range(5))
        (tmp_path / f"f{number}.saga.yaml").write_text(f"sagadsl: 1\nsagas:\n{sagas}")
    parsed: list[str] = []

    def counted(data: bytes | str, name: str = "<text>") -> tuple[Document, tuple[Finding, ...]]:
        parsed.append(name)
        return parse(data, name)

    monkeypatch.setattr("sagadsl.language.load.parse", counted)
    found = load_many(sorted(tmp_path.glob("*.saga.yaml")))

    assert len(found) == 100
    assert all(each.saga is not None for each in found)
    assert len(parsed) == 20


def test_editors_take_what_we_take() -> None:
    """The same schema is for a definition and for a bundle, and a file is one of both."""
    schema = Draft7Validator(json.loads(definition.text()))
    bundle = parse(BUNDLE)[0].data
    alone = {"sagadsl": 1, "name": "one", "steps": [{"id": "a", "sleep": "1s"}]}

    assert list(schema.iter_errors(bundle)) == []
    for wrong in (
        {**alone, "sagas": bundle["sagas"]},
        {**bundle, "timeout": "1h"},
        {**bundle, "sagas": {"one": alone}},
        {**bundle, "sagas": {}},
        {"sagadsl": 1, "name": "one"},
    ):
        assert not schema.is_valid(wrong), wrong


def test_a_saga_of_a_bundle_has_every_key_of_a_definition_but_those_of_the_file() -> None:
    schema = json.loads(definition.text())
    inner = schema["definitions"]["bundled_saga"]["properties"]

    assert schema["properties"].keys() - inner.keys() == {"sagadsl", "name", "sagas", "imports"}
    assert inner.keys() <= schema["properties"].keys()


def test_of_very_many_mistakes_in_a_bundle_the_first_are_told_and_that_there_are_more(folder: Path) -> None:
    steps = "".join(f"      - {{id: s{number}, slep: 1s}}\n" for number in range(700))
    text = "sagadsl: 1\nsagas:\n" + "".join(f"  {name}:\n    steps:\n{steps}" for name in ("one", "two", "three"))
    found = _told(_of(folder, text))

    assert len(found) == 1001
    assert found[-1].startswith("1007:20: error[SD017]")
