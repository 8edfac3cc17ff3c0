"""``sagadsl diff``."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.shell import inside

OLD = """\
sagadsl: 1
name: order
version: "1"
steps:
  - {id: pay, activity: shop.pay, compensation: none}
  - {id: approval, wait_for: {signal: approval, timeout: 1d}}
"""
NEW = OLD.replace('"1"', '"2"').replace(
    "  - {id: approval", "  - {id: check, activity: shop.check, compensation: none}\n  - {id: approval"
)


def _files(folder: Path, new: str = NEW) -> tuple[Path, Path]:
    old, other = folder / "old.saga.yaml", folder / "new.saga.yaml"
    old.write_text(OLD)
    other.write_text(new)
    return old, other


def test_it_names_the_line_of_each_reason(tmp_path: Path) -> None:
    _files(tmp_path)
    ran = inside("diff", "old.saga.yaml", "new.saga.yaml", "--no-plugins", cwd=tmp_path)
    assert ran.code == 0
    assert ran.out.splitlines()[:5] == [
        "order 1 -> 2: some",
        "",
        "open runs",
        "  safe    runs at `pay` can migrate",
        "  some    runs at `approval` cannot migrate: `check` is new and lies before what has run, "
        "so this run would never come to it  (new.saga.yaml:6)",
    ]
    assert inside("diff", "old.saga.yaml", "new.saga.yaml", "--no-plugins", "--strict", cwd=tmp_path).code == 1


def test_json_has_the_same(tmp_path: Path) -> None:
    ran = inside("diff", *_files(tmp_path, OLD.replace("pay", "charge")), "--no-plugins", "--json")
    found = json.loads(ran.out)
    assert ran.code == 1
    assert found["level"] == "breaks"
    assert (found["old"]["version"], found["new"]["saga"]) == ("1", "order")
    assert found["changes"][0] == {
        "about": "open runs",
        "level": "breaks",
        "message": "runs at `pay` cannot migrate: `pay` runs, and the new definition has no such step",
        "steps": ["pay"],
        "rule": "R70",
        "line": 5,
    }


def test_one_side_may_be_standard_input(tmp_path: Path) -> None:
    _, new = _files(tmp_path)
    assert "order 1 -> 2" in inside("diff", "-", new, "--no-plugins", stdin=OLD).out
    same = inside("diff", "-", new, "--no-plugins", stdin=NEW)
    assert same.out == "order 2 -> 2: the same definition\n"


def test_a_wrong_definition_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    old, new = _files(tmp_path, "sagadsl: 1\nname: order\nsteps: []\n")
    wrong = inside("diff", old, new)
    assert (wrong.code, wrong.out) == (1, "")
    assert "SD" in wrong.err
    missing = inside("diff", old, "nowhere.saga.yaml")
    assert missing.code == 2
    assert missing.err.endswith("error: `nowhere.saga.yaml` is no file; `diff` compares two files, or two folders\n")


def test_folders_are_compared_by_the_names_of_their_sagas(tmp_path: Path) -> None:
    """What is gone breaks those who start it."""
    for side, names in (("old", ("order", "same", "gone")), ("new", ("order", "same", "fresh"))):
        (tmp_path / side).mkdir()
        for name in names:
            text = NEW if (side, name) == ("new", "order") else OLD
            (tmp_path / side / f"{name}.saga.yaml").write_text(text.replace("name: order", f"name: {name}"))
    ran = inside("diff", "old", "new", "--no-plugins", cwd=tmp_path)
    assert ran.code == 1
    first, second, third = ran.out.rstrip("\n").split("\n\norder ")[0], "order 1 -> 2: some", "1 unchanged"
    assert first == "gone: breaks: it is gone, and nobody can start it\nfresh: safe: it is new"
    assert second in ran.out
    assert ran.out.endswith(f"\n\n{third}\n")
    found = json.loads(inside("diff", "old", "new", "--no-plugins", "--json", cwd=tmp_path).out)
    assert (found["level"], found["removed"], found["added"]) == ("breaks", ["gone"], ["fresh"])
    assert [(each["new"]["saga"], each["level"]) for each in found["sagas"]] == [("order", "some"), ("same", "safe")]

    (tmp_path / "old" / "gone.saga.yaml").unlink()
    assert inside("diff", "old", "new", "--no-plugins", cwd=tmp_path).code == 0
    assert inside("diff", "old", "new", "--no-plugins", "--strict", cwd=tmp_path).code == 1
    (tmp_path / "new" / "again.saga.yaml").write_text(NEW)
    double = inside("diff", "old", "new", "--no-plugins", cwd=tmp_path)
    assert double.code == 2
    assert "saga `order@2` is defined in" in double.err


def test_folders_may_have_several_versions_of_a_saga_and_a_name_means_the_newest(tmp_path: Path) -> None:
    """So does it for workers, and `NAME@VERSION` means the newest one, too."""
    newest = NEW.replace('version: "2"', 'version: "3"')
    for side, texts in (("old", (OLD,)), ("new", (OLD, NEW)), ("newest", (NEW, newest))):
        (tmp_path / side).mkdir()
        for number, text in enumerate(texts, 1):
            (tmp_path / side / f"order.{number}.saga.yaml").write_text(text)
    assert inside("diff", "old", "new", "--no-plugins", cwd=tmp_path).out.startswith("order 1 -> 2: some\n")
    assert inside("diff", "new", "old", "--no-plugins", cwd=tmp_path).out.startswith("order 2 -> 1: ")
    ran = inside("diff", "new", "newest", "--no-plugins", cwd=tmp_path)
    assert ran.code == 1
    assert ran.out.startswith("order@1: breaks: it is gone, and nobody can start it\n\norder 2 -> 3: ")


def test_one_saga_of_a_file_with_several_is_named(tmp_path: Path) -> None:
    old, new = _files(tmp_path)
    bundle = tmp_path / "all.saga.yaml"
    body = OLD.partition("name: order\n")[2].replace("\n", "\n    ")
    bundle.write_text(f"sagadsl: 1\nsagas:\n  order:\n    {body}\n  other:\n    {body}\n")
    assert "the same definition" in inside("diff", f"{bundle}#order", old, "--no-plugins").out
    assert "order 1 -> 2" in inside("diff", f"{bundle}#order", new, "--no-plugins").out
