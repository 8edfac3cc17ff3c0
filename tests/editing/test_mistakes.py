"""What an editor is told of mistakes while somebody types, and what mends them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lsprotocol import types as lsp

from sagadsl.editing import fixes
from sagadsl.editing.source import Source
from tests.cli.shell import inside, sagadsl
from tests.editing.editor import Editor, editor, position
from tests.example_signatures import known_to
from tests.test_checks import _texts

WRONG = """\
# a 🦆 counts as two in UTF-16, and ü as one
sagadsl: 1
name: order
input: {type: object, required: [account], properties: {account: {type: string}}}
steps:
  - id: pay
    activity: bank.depsit
    input: {amount: 1, account: "🦆ü🦆{{ input.acount }}"}
    compensaton: none
  - {id: pay, activity: bank.balance, input: {account: a}, compensation: none}
output: "{{ steps.py.output }}"
"""
PAGES = Path(__file__).parents[2] / "docs" / "diagnostics"


def test_an_editor_is_told_what_validate_says_where_it_says_it(tmp_path: Path) -> None:
    """Codes, places in UTF-16, severities, help, and the other places that explain a finding."""
    (tmp_path / "order.saga.yaml").write_text(WRONG, "utf-8")
    ran = inside("validate", "order.saga.yaml", "-f", "json", cwd=tmp_path)
    wanted = [
        (
            each["code"],
            position(WRONG, each["range"]["start"]["offset"]),
            position(WRONG, each["range"]["end"]["offset"]),
            "\n".join(
                [each["message"], *(f"help: {line}" for line in each["help"]), *map("note: {}".format, each["notes"])]
            ),
            [related["message"] for related in each["related"]],
        )
        for each in json.loads(ran.out)["findings"]
    ]

    with editor(tmp_path) as user:
        user.open("order.saga.yaml")
        got = user.diagnostics("order.saga.yaml", bool)

    assert len(wanted) >= 5
    assert [
        (
            each.code,
            each.range.start,
            each.range.end,
            each.message,
            [one.message for one in each.related_information or ()],
        )
        for each in got
    ] == wanted
    assert {each.severity for each in got} <= {lsp.DiagnosticSeverity.Error, lsp.DiagnosticSeverity.Warning}


def test_what_is_typed_counts_before_it_is_saved(tmp_path: Path) -> None:
    """One key after the other, each a change of a few characters; the disk stays as it was."""
    good = WRONG.replace("depsit", "deposit").replace("acount", "account").replace("compensaton", "compensation")
    good = good.replace("{id: pay,", "{id: see,").replace("steps.py", "steps.pay")
    (tmp_path / "order.saga.yaml").write_text(good, "utf-8")

    with editor(tmp_path) as user:
        user.open("order.saga.yaml")
        assert user.diagnostics("order.saga.yaml", lambda found: not found) == []

        end = user.at("order.saga.yaml", "🦆{{ input.account§ }}")
        user.put("order.saga.yaml", lsp.Range(lsp.Position(end.line, end.character - 2), end), "")
        (found,) = user.diagnostics("order.saga.yaml", bool)
        assert (found.code, found.message.split("\n")[0]) == ("SD306", "`input` has no field `accou`")

        user.put("order.saga.yaml", lsp.Range(found.range.end, found.range.end), "nt")
        assert user.texts["order.saga.yaml"] == good
        assert user.diagnostics("order.saga.yaml", lambda found: not found) == []


def test_what_is_typed_in_a_child_and_in_a_library_counts_for_who_calls_them(tmp_path: Path) -> None:
    """Nothing of it is on the disk."""
    child = "sagadsl: 1\nname: ship\ninput: {type: object, required: [to], properties: {to: {type: string}}}\n"
    child += "steps:\n  - {id: pack, sleep: 1s}\n"
    (tmp_path / "policies.yaml").write_text("sagadsl_library: 1\nretry:\n  often: {maximum_attempts: 5}\n", "utf-8")
    (tmp_path / "ship.saga.yaml").write_text(child, "utf-8")
    parent = "sagadsl: 1\nname: order\nimports: {pol: ./policies.yaml}\nsteps:\n"
    parent += "  - {id: ship, saga: ship, input: {to: x}, compensation: none}\n"
    parent += (
        "  - {id: see, activity: bank.balance, input: {account: a}, compensation: none, retry: {use: pol.often}}\n"
    )
    (tmp_path / "order.saga.yaml").write_text(parent, "utf-8")

    with editor(tmp_path) as user:
        user.open("order.saga.yaml")
        user.diagnostics("order.saga.yaml", lambda found: not found)
        user.open("ship.saga.yaml")
        user.type("ship.saga.yaml", child.replace("to", "whither"))
        found = user.diagnostics("order.saga.yaml", bool)
        assert "whither" in "".join(each.message for each in found)

        user.client.text_document_did_close(lsp.DidCloseTextDocumentParams(user.document("ship.saga.yaml")))
        user.diagnostics("order.saga.yaml", lambda found: not found)


def test_a_suite_says_which_module_of_its_saga_is_broken(tmp_path: Path) -> None:
    (tmp_path / "edit_boom.py").write_text('raise ValueError("boom")\n', "utf-8")
    saga = "sagadsl: 1\nname: x\nsteps:\n  - {id: a, activity: do.a, compensation: none}\n"
    (tmp_path / "x.saga.yaml").write_text(saga, "utf-8")
    suite = "sagadsl_test: 1\nsaga: x.saga.yaml\ncases:\n  - {name: y, then: {status: completed}}\n"
    (tmp_path / "x.saga-test.yaml").write_text(suite, "utf-8")

    with editor(tmp_path, "-m", "edit_boom") as user:
        user.open("x.saga-test.yaml")
        (found,) = user.diagnostics("x.saga-test.yaml", lambda each: [one.code for one in each] == ["SD910"])
        assert "module `edit_boom` cannot be used: ValueError: boom (edit_boom.py:1)" in found.message


def test_a_suite_is_judged_too(tmp_path: Path) -> None:
    (tmp_path / "nap.saga.yaml").write_text("sagadsl: 1\nname: nap\nsteps:\n  - {id: rest, sleep: 1s}\n", "utf-8")
    suite = "sagadsl_test: 1\nsaga: nap.saga.yaml\ncases:\n  - name: rests\n    then: {steps: {rset: completed}}\n"
    (tmp_path / "nap.saga-test.yaml").write_text(suite, "utf-8")

    with editor(tmp_path, "--no-plugins") as user:
        user.open("nap.saga-test.yaml")
        (found,) = user.diagnostics("nap.saga-test.yaml", bool)
        (action,) = user.actions("nap.saga-test.yaml", found)

        assert (found.code, action.title) == ("SD802", "Write `rest`")
        assert user.after(action.edit)["nap.saga-test.yaml"] == suite.replace("rset", "rest")  # type: ignore[arg-type]


def test_an_activity_that_somebody_writes_is_known_without_a_new_start(tmp_path: Path) -> None:
    """A module that prints when it is imported does no harm to the protocol; one that is broken is told as such."""
    (tmp_path / "sagadsl.toml").write_text('modules = ["shop"]\n', "utf-8")
    module = "import os\nfrom sagadsl import activity\nprint('hello')\nos.write(1, b'hello')\n"
    (tmp_path / "shop.py").write_text(
        f"{module}\n@activity(name='shop.sell')\ndef sell(thing: str) -> None: ...\n", "utf-8"
    )
    text = (
        "sagadsl: 1\nname: order\nsteps:\n  - {id: give, activity: shop.give, input: {thing: x}, compensation: none}\n"
    )
    (tmp_path / "order.saga.yaml").write_text(text, "utf-8")

    def touched(user: Editor) -> None:
        change = lsp.FileEvent((tmp_path / "shop.py").as_uri(), lsp.FileChangeType.Changed)
        user.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([change]))

    with editor(tmp_path) as user:
        user.open("order.saga.yaml")
        assert [each.code for each in user.diagnostics("order.saga.yaml", bool)] == ["SD401"]

        (tmp_path / "shop.py").write_text(
            f"{module}\n@activity(name='shop.give')\ndef give(thing: str) -> None: ...\n", "utf-8"
        )
        touched(user)
        user.diagnostics("order.saga.yaml", lambda found: not found)

        (tmp_path / "shop.py").write_text("1 / 0\n", "utf-8")
        touched(user)
        (found,) = user.diagnostics("order.saga.yaml", bool)
        assert found.code == "SD910"
        assert "ZeroDivisionError: division by zero (shop.py:1)" in found.message


def test_mistakes_are_mended_by_what_they_suggest_or_accepted_by_a_comment(tmp_path: Path) -> None:
    """Over the protocol, one after the other, until nothing is left."""
    (tmp_path / "order.saga.yaml").write_text(WRONG, "utf-8")

    with editor(tmp_path) as user:
        user.open("order.saga.yaml")
        titles = []
        while found := user.diagnostics("order.saga.yaml"):
            at, actions = next((one, found_) for one in found if (found_ := user.actions("order.saga.yaml", one)))
            action = next((each for each in actions if each.is_preferred), actions[0])
            titles.append((at.code, action.title))
            assert list(action.diagnostics or ()) == [at]
            user.type("order.saga.yaml", user.after(action.edit)["order.saga.yaml"])  # type: ignore[arg-type]

    assert ("SD401", "Write `bank.deposit`") in titles
    assert ("SD104", "Write `compensation`") in titles
    assert ("SD306", "Write `account`") in titles
    assert ("SD201", "Accept it with a comment: `# sagadsl: ignore[SD201]`") in titles


def _asked() -> list[tuple[str, Source]]:
    """Return every definition of the tests of checks and of the pages of codes."""
    found = []
    for name, text in _texts():
        activities = known_to(name.partition("/")[0]).activities
        found.append((name, Source(Path("/nowhere/x.saga.yaml"), text, activities)))
    for page in sorted(PAGES.glob("SD*.md")):
        wrong = re.search(r"## Wrong.*?```yaml\n(.*?)```", page.read_text("utf-8"), re.S)
        if wrong is not None:
            found.append((page.stem, Source(Path("/nowhere/x.saga.yaml"), wrong[1])))
    return found


def test_every_did_you_mean_and_every_fix_of_a_finding_can_be_had_by_one_click() -> None:
    """Each finding of the tests of checks, and of the pages of codes."""
    asked, silent = 0, []
    for name, source in _asked():
        for problem in source.problems:
            if "did you mean" in problem.finding.help or problem.finding.fix is not None:
                asked += 1
                if not any(each.is_likely for each in fixes.fixes(source, problem)):
                    silent.append((name, problem.finding.code, problem.finding.help))

    assert silent == []
    assert asked > 30


def test_a_finding_is_accepted_beside_what_its_line_accepts_already() -> None:
    """What was accepted before stays accepted."""
    text = "sagadsl: 1\nname: n\nsteps:\n  - {id: a, sleep: 1s}\n"
    text += "  - {id: a, set: {x: '{{ inputs }}'}}  # sagadsl: ignore[SD201] one day\n"
    source = Source(Path("/nowhere/n.saga.yaml"), text)
    (problem,) = source.problems
    fix = fixes.fixes(source, problem)[-1]

    assert problem.finding.code == "SD302"
    assert not fix.is_likely
    after = text[: fix.range.start] + fix.text + text[fix.range.end :]
    assert "# sagadsl: ignore[SD201, SD302] one day" in after
    assert Source(source.path, after).problems == ()


def test_without_its_packages_the_command_says_which_extra_has_them(tmp_path: Path) -> None:
    (tmp_path / "pygls.py").write_text("raise ModuleNotFoundError(\"No module named 'pygls'\", name='pygls')\n")
    ran = sagadsl("lsp", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})

    assert (ran.code, ran.out) == (3, "")
    assert "error[SD955]: this command needs the package `pygls`, which is not installed" in ran.err
    assert "pip install 'sagadsl[lsp]'" in ran.err
