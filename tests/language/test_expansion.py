"""What definitions import: it is put in place, a finding names both places, and nothing leaves the folder."""

# ruff: noqa: E501 (tables read best with one case a line)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sagadsl.language.build import digest
from sagadsl.language.expansion import MOST_VALUES
from sagadsl.language.load import load, load_many
from sagadsl.language.loaded import Loaded
from sagadsl.language.schema import definition
from sagadsl.temporal.wire.definitions import InvalidDefinition, checked
from tests.engine.scenes import act

HEAD = "sagadsl: 1\nname: order\nimports: {pay: ./pay.yaml}\nsteps:\n"
CHARGE = """\
sagadsl_library: 1
fragments:
  charge:
    parameters: {amount: {}, bank: {default: north}}
    steps:
      - id: ask
        activity: "{{ with.bank }}.ask"
        input: {amount: "{{ with.amount }}", text: "{{ with.amount * 2 }} 'with.amount' {{ 'steps.ask' }}"}
        compensation: none
      - id: both
        if: steps.ask.output.ok and with.amount > 1
        parallel:
          - {id: one, set: {seen: "{{ steps.ask.output.x }}"}}
          - {id: two, needs: [one], set: {seen: "{{ steps.one.output.seen }}"}}
    output: {seen: "{{ steps.both.output.two.seen }}"}
"""

TENS = [f"[{', '.join(f'{{id: s{number}, use: g{level}}}' for number in range(10))}]" for level in range(1, 9)]
DOUBLING = "\n".join(
    (
        "fragments:",
        *(f"  {'f' if level == 0 else f'g{level}'}: {{steps: {steps}}}" for level, steps in enumerate(TENS)),
        "  g8: {steps: [{id: a, sleep: 1s}]}",
    )
)


def written(folder: Path, text: str, **libraries: str) -> Loaded:
    """Load a definition that stands in a folder with libraries."""
    for name, library in libraries.items():
        (folder / f"{name}.yaml").write_text(library)
    file = folder / "order.saga.yaml"
    file.write_text(text)
    return load_many([file])[0]


def told(loaded: Loaded) -> list[tuple[str, int, str, tuple[str, ...]]]:
    """Return code, line, message and places in libraries of each error."""
    folder = str(Path(loaded.document.name).parent)
    return [
        (
            each.code,
            loaded.document.span_of(each).line,
            each.message.replace(f"{folder}/", ""),
            tuple(note.replace(f"{folder}/", "") for note in each.notes if note.startswith("written in")),
        )
        for each in loaded.errors
    ]


def test_a_fragment_becomes_a_block_with_ids_of_its_own(tmp_path: Path) -> None:
    """R120: arguments and ids are in place; texts that only look like names stay."""
    use = '  - {id: c, use: pay.charge, with: {amount: "{{ input.sum }}"}, on_error: continue, timeout: 1h}\n'
    loaded = written(tmp_path, HEAD + use, pay=CHARGE)

    assert loaded.definition["steps"] == [
        {
            "id": "c",
            "on_error": "continue",
            "timeout": "1h",
            "steps": [
                {
                    "id": "c_ask",
                    "activity": "north.ask",
                    "input": {
                        "amount": "{{ input.sum }}",
                        "text": "{{ (input.sum) * 2 }} 'with.amount' {{ 'steps.ask' }}",
                    },
                    "compensation": "none",
                },
                {
                    "id": "c_both",
                    "if": "steps.c_ask.output.ok and (input.sum) > 1",
                    "parallel": [
                        {"id": "c_one", "set": {"seen": "{{ steps.c_ask.output.x }}"}},
                        {"id": "c_two", "needs": ["c_one"], "set": {"seen": "{{ steps.c_one.output.seen }}"}},
                    ],
                },
            ],
            "output": {"seen": "{{ steps.c_both.output.c_two.seen }}"},
        }
    ]
    assert loaded.saga is not None
    assert loaded.errors == ()


@pytest.mark.parametrize(
    ("argument", "given", "inside"),
    [
        ("5", 5, "5 * 2"),
        ("true", True, "true * 2"),
        ("null", None, "none * 2"),
        ('"a \\"b\\""', 'a "b"', '"a \\"b\\"" * 2'),
        ("[1, {a: null}]", [1, {"a": None}], '[1, {"a": none }] * 2'),
        ('"{{ input.a + 1 }}"', "{{ input.a + 1 }}", "(input.a + 1) * 2"),
    ],
)
def test_an_argument_keeps_its_type_alone_and_is_spelled_inside_an_expression(
    tmp_path: Path, argument: str, given: Any, inside: str
) -> None:
    loaded = written(tmp_path, f"{HEAD}  - {{id: c, use: pay.charge, with: {{amount: {argument}}}}}\n", pay=CHARGE)
    first = loaded.document.data["steps"][0]["steps"][0]["input"]
    assert first["amount"] == given
    assert first["text"].startswith(f"{{{{ {inside} }}}}")


def test_policies_timeouts_and_schemas_are_merged_with_what_stands_beside(tmp_path: Path) -> None:
    library = """\
sagadsl_library: 1
retry: {patient: {maximum_attempts: 20, initial_interval: 2s}}
timeouts: {short: {start_to_close: 5s, heartbeat: 1s}}
schemas:
  order: {type: object, required: [sum], properties: {sum: {use: money}}}
  money: {type: integer, minimum: 1}
"""
    loaded = written(
        tmp_path,
        """\
sagadsl: 1
name: order
imports: {p: ./p.yaml}
input: {use: p.order, additionalProperties: false}
defaults: {retry: {use: p.patient}, compensation: {timeouts: {use: p.short}}}
steps:
  - id: a
    activity: do.a
    retry: {use: p.patient, maximum_attempts: 3}
    compensation: [{activity: undo.a, retry: {use: p.patient}, timeouts: {use: p.short, heartbeat: 2s}}]
  - {id: w, wait_for: {signal: go, timeout: 1d, payload: {properties: {sum: {use: p.money}, use: {type: string}}}}}
""",
        p=library,
    )
    made = loaded.definition
    money = {"type": "integer", "minimum": 1}
    patient = {"maximum_attempts": 20, "initial_interval": "2s"}
    assert loaded.errors == ()
    assert made["input"]["properties"] == {"sum": money}
    assert made["input"]["additionalProperties"] is False
    assert made["defaults"]["retry"] == patient
    assert made["defaults"]["compensation"]["timeouts"] == {"start_to_close": "5s", "heartbeat": "1s"}
    assert made["steps"][0]["retry"] == {**patient, "maximum_attempts": 3}
    assert made["steps"][0]["compensation"][0]["retry"] == patient
    assert made["steps"][0]["compensation"][0]["timeouts"]["heartbeat"] == "2s"
    assert made["steps"][1]["wait_for"]["payload"]["properties"] == {"sum": money, "use": {"type": "string"}}


def test_the_expanded_definition_is_what_is_pinned(tmp_path: Path) -> None:
    """R120, R48: a worker gets no imports; an edited library is another definition, an edited comment of it is none."""
    use = "  - {id: c, use: pay.charge, with: {amount: 3}}\n"
    one = written(tmp_path, HEAD + use, pay=CHARGE)
    same = written(tmp_path, HEAD + use, pay="# a comment\n" + CHARGE)
    other = written(tmp_path, HEAD + use, pay=CHARGE.replace("north", "south"))
    assert one.saga is not None
    assert same.saga is not None
    assert other.saga is not None
    assert one.saga.digest == digest(one.definition) == same.saga.digest != other.saga.digest
    assert checked(dict(one.definition)).digest == one.saga.digest
    call = {"sagadsl": 1, "name": "x", "steps": [act("a")]}
    with pytest.raises(InvalidDefinition, match="unknown key `imports`"):
        checked({**call, "imports": {"pay": "./pay.yaml"}})
    with pytest.raises(InvalidDefinition, match="unknown key `use`"):
        checked({**call, "steps": [{**act("a"), "use": "pay.charge"}]})


def test_fragments_of_fragments_keep_all_places(tmp_path: Path) -> None:
    """R121: the innermost place first, then those through which it is used; the finding stands at the use."""
    outer = """\
sagadsl_library: 1
imports: {inner: ./inner.yaml}
fragments:
  twice:
    parameters: {to: {}}
    steps:
      - {id: a, use: inner.send, with: {address: "{{ with.to }}"}}
      - {id: b, use: inner.send, with: {address: "{{ steps.a.output.next }}"}}
"""
    inner = """\
sagadsl_library: 1
fragments:
  send:
    parameters: {address: {}}
    steps:
      - {id: mail, activity: mail.send, input: "{{ with.address }}", tries: 3, compensation: none}
    output: {next: "{{ steps.mail.output }}"}
"""
    text = "sagadsl: 1\nname: order\nimports: {o: outer.yaml}\nsteps:\n  - {id: m, use: o.twice, with: {to: ann}}\n"
    loaded = written(tmp_path, text, outer=outer, inner=inner)
    places = [("written in inner.yaml:6:70", f"written in outer.yaml:{line}:9") for line in (7, 8)]
    found = told(loaded)
    assert [(code, line, message) for code, line, message, _ in found] == [
        ("SD104", 5, "unknown key `tries` in step `m_a_mail`"),
        ("SD104", 5, "unknown key `tries` in step `m_b_mail`"),
    ]
    assert [notes[0] for *_, notes in found] == [place for place, _ in places]
    good = written(tmp_path, text, outer=outer, inner=inner.replace(" tries: 3,", ""))
    assert good.errors == ()
    assert good.definition["steps"][0]["steps"][1]["steps"][0]["input"] == "{{ steps.m_a.output.next }}"


def test_a_finding_stands_at_the_use_and_names_the_line_of_the_library(tmp_path: Path) -> None:
    """R121: also of a check that reads the whole definition; a fix would not fit, so there is none."""
    library = CHARGE.replace("steps.ask.output.x", "steps.aks.output.x")
    loaded = written(tmp_path, HEAD + "  - {id: c, use: pay.charge, with: {amount: 3}}\n", pay=library)
    assert told(loaded) == [("SD305", 5, "there is no step `aks`", ("written in pay.yaml:13:29",))]
    assert loaded.errors[0].fix is None


@pytest.mark.parametrize(
    ("use", "code", "message", "help"),
    [
        ("use: pay.chrage, with: {amount: 1}", "SD131", "`pay.yaml` has no fragment `chrage`", "did you mean `pay.charge`?"),
        ("use: pya.charge, with: {amount: 1}", "SD131", "`pya` is not imported", "did you mean `pay.charge`?"),
        ("use: charge, with: {amount: 1}", "SD131", "`charge` does not say of which import it is", "write `use: name.fragment`, with a name from `imports`"),
        ("use: pay.charge", "SD132", "`pay.charge` needs `amount`", "add it to `with`"),
        ("use: pay.charge, with: {amount: 1, bnak: x}", "SD132", "`pay.charge` takes no `bnak`", "did you mean `bank`?"),
        ('use: pay.charge, with: {amount: "{{ input.a }} and more"}', "SD132", "`with.amount` stands inside an expression, so it has to be one expression or plain data", ""),
        ("use: pay.charge, with: {amount: 1}, steps: []", "SD106", "`c` has `steps` beside `use`", "keep one"),
    ],
)  # fmt: skip
def test_a_wrong_use_is_one_finding_with_what_was_meant(
    tmp_path: Path, use: str, code: str, message: str, help: str
) -> None:
    """R121."""
    loaded = written(
        tmp_path, f"{HEAD}  - {{id: c, {use}}}\n  - {{id: d, set: {{x: '{{{{ steps.c.output.y }}}}'}}}}\n", pay=CHARGE
    )
    found = [each for each in loaded.errors if each.code == code]
    assert found, loaded.errors
    assert (found[0].message.replace(f"{tmp_path}/", ""), found[0].help) == (message, help)
    assert {each.code for each in loaded.errors} <= {code, "SD306"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../pay.yaml", "`../pay.yaml` leads out of the folder of the definition"),
        ("./a/../../pay.yaml", "`./a/../../pay.yaml` leads out of the folder of the definition"),
        ("/etc/passwd", "`/etc/passwd` is no relative path"),
        ("https://example.com/pay.yaml", "`https://example.com/pay.yaml` is no relative path"),
        ("link.yaml", "`link.yaml` leads out of the folder of the definition"),
        ("gone.yaml", "`gone.yaml` is not there"),
        ("folder", "`folder` is a folder"),
        ("pipe", "`pipe` is no file"),
        ("order.saga.yaml", "`order.saga.yaml` has a mistake: this is no library"),
        ("broken.yaml", "`broken.yaml` has a mistake: unknown key `maximum_attempt` in `retry.a`"),
        ('"a\\0b"', "`a\0b` is no relative path"),
    ],
)
def test_nothing_outside_of_the_folder_is_read(tmp_path: Path, path: str, message: str) -> None:
    """R122: definitions are untrusted. A pipe would never end."""
    folder = tmp_path / "here"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "pay.yaml").write_text(CHARGE)
    (folder / "link.yaml").symlink_to(tmp_path / "pay.yaml")
    os.mkfifo(folder / "pipe")
    (folder / "broken.yaml").write_text("sagadsl_library: 1\nretry: {a: {maximum_attempt: 3}}\n")
    text = f"sagadsl: 1\nname: order\nimports: {{pay: {path}}}\nsteps:\n  - {{id: c, use: pay.charge}}\n"
    (finding,) = written(folder, text).errors
    assert (finding.code, finding.message) == ("SD130", message)


@pytest.mark.parametrize(
    ("library", "message"),
    [
        ("fragments: {f: {steps: [{id: a, use: f}]}}", "`f` uses itself"),
        ("imports: {me: ./pay.yaml}", "`./pay.yaml` imports itself"),
        ("schemas: {f: {items: {use: f}}}", "`f` uses itself"),
        (DOUBLING, f"what is used adds more than {MOST_VALUES:,} values to the definition"),
    ],
    ids=["fragment", "file", "schema", "size"],
)
def test_reuse_has_an_end(tmp_path: Path, library: str, message: str) -> None:
    """R122: no circles, and no definition that doubles with each line."""
    place = "input: {use: pay.f}\n" if "schemas" in library else ""
    use = "  - {id: a, sleep: 1s}\n" if place else "  - {id: c, use: pay.f}\n"
    loaded = written(
        tmp_path, HEAD.replace("steps:\n", f"{place}steps:\n") + use, pay=f"sagadsl_library: 1\n{library}\n"
    )
    found = [(each.code, each.message) for each in loaded.errors]
    assert ("SD133", message) in found


@pytest.mark.parametrize("deep", ["steps", "arguments"])
def test_what_is_used_is_no_deeper_than_a_file_may_be(tmp_path: Path, deep: str) -> None:
    """R122: ten fragments inside of each other, each of which is deep: a finding, and no error of recursion."""
    fragments = ""
    for level in range(10):
        inner = f"{{id: u, use: f{level + 1}, with: {{a: {'[' * 60}'{{{{ with.a }}}}'{']' * 60}}}}}"
        if level == 9:
            inner = "{id: z, set: {x: '{{ with.a }}'}}"
        elif deep == "steps":
            inner = f"{'{id: s, steps: [' * 28}{{id: u, use: f{level + 1}, with: {{a: 1}}}}{']}' * 28}"
        fragments += f"  f{level}: {{parameters: {{a: {{}}}}, steps: [{inner}]}}\n"
    use = "  - {id: c, use: pay.f0, with: {a: 1}}\n"
    loaded = written(tmp_path, HEAD + use, pay=f"sagadsl_library: 1\nfragments:\n{fragments}")
    assert [(each.code, each.message) for each in loaded.errors] == [
        ("SD133", "what is used is nested more than 100 levels deep")
    ]


def test_a_text_that_repeats_a_long_argument_has_an_end(tmp_path: Path) -> None:
    """R122."""
    step = f'{{id: s, set: {{x: "{"{{ with.a }} " * 1000}"}}}}'
    library = f"sagadsl_library: 1\nfragments: {{f: {{parameters: {{a: {{}}}}, steps: [{step}]}}}}\n"
    loaded = written(tmp_path, f"{HEAD}  - {{id: c, use: pay.f, with: {{a: {'x' * 10_000}}}}}\n", pay=library)
    assert [each.code for each in loaded.errors] == ["SD132"]


def test_a_definition_without_a_file_imports_nothing() -> None:
    (finding,) = load(HEAD + "  - {id: c, use: pay.charge}\n").errors
    assert (finding.code, finding.message) == ("SD130", "a definition without a file imports nothing")


def test_editors_and_the_checks_know_the_same_keys() -> None:
    """The keys of reuse are in the schema for editors, and gone from the one for what is expanded."""
    assert "use" in definition.text()
    parts = definition.definitions()
    assert all("use" not in parts[name]["properties"] for name in ("any_step", "retry_policy", "timeouts"))
