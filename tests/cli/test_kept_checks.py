"""What `validate` keeps of definitions without a finding, and what makes it worthless.

Each test puts a wrong number of steps into what is kept: only who has not checked the definition again reports it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sagadsl.cli import kept_checks
from tests.cli.shell import Ran, inside, sagadsl
from tests.packages import install

ORDER = """
sagadsl: 1
name: order
imports: {shop: ./lib/shop.yaml}
steps:
  - {id: pay, activity: acme.pay, input: {amount: 5}, compensation: none}
  - {id: ship, saga: parcel, input: {weight: 3}, compensation: none}
  - {id: tell, use: shop.tell}
  - {id: far, activity: elsewhere.do, task_queue: theirs, compensation: none}
"""
PARCEL = """
sagadsl: 1
name: parcel
input: {type: object, required: [weight], properties: {weight: {type: TYPE}}}
steps: [{id: pack, activity: theirs.pack, task_queue: theirs, compensation: none}]
"""
LIBRARY = """
sagadsl_library: 1
fragments:
  tell: {steps: [{id: mail, activity: ACTIVITY, task_queue: theirs, compensation: none}]}
"""
MODULE = """
from sagadsl import activity

@activity
def pay(amount: TYPE) -> dict:
    return {}
"""
KEPT = "777 steps"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of definitions, with a library, a plugin and a cache."""

    folder: Path

    def validate(self, *more: str) -> Ran:
        env = {"PYTHONPATH": str(self.folder / "site"), "XDG_CACHE_HOME": str(self.folder / "cache")}
        return sagadsl("validate", "definitions/order.saga.yaml", *more, cwd=self.folder, env=env)

    def kept(self) -> list[Path]:
        return sorted((self.folder / "cache").rglob("checked-*.json"))

    def falsify(self) -> None:
        """Validate until it is kept (not while files are as new as the command), and falsify the number of steps."""
        while not any(json.loads(each.read_bytes())["files"] for each in self.kept()):
            ran = self.validate()
            assert ran.code == 0, ran.err + ran.out
        for file in self.kept():
            data = json.loads(file.read_bytes())
            for entry in data["files"].values():
                entry["sagas"] = [[777, [], []]]
            file.write_text(json.dumps(data))

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def offer(self, names: str, type_: str = "int") -> None:
        for old in self.folder.glob("site/*.dist-info"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        install(self.folder / "site", "acme-pay", names)
        # Python takes a file of the same second and the same length for the one whose bytecode it has.
        self.write("site/acme_pay.py", MODULE.replace("TYPE", type_))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.offer("acme.pay = acme_pay:pay")
    found.write("definitions/order.saga.yaml", ORDER)
    found.write("definitions/parcel.saga.yaml", PARCEL.replace("TYPE", "integer"))
    found.write("definitions/lib/shop.yaml", LIBRARY.replace("ACTIVITY", "theirs.mail"))
    found.falsify()
    return found


def test_what_has_not_changed_is_not_checked_again(place: Place) -> None:
    """Neither from another folder; what else the report says is the same."""
    assert KEPT in place.validate().out
    assert json.loads(place.validate("--format", "json").out)["files"] == ["definitions/order.saga.yaml"]


def _retarget(place: Place) -> None:
    place.write("definitions/lib/other.yaml", LIBRARY.replace("ACTIVITY", "theirs.other"))
    (place.folder / "definitions/lib/shop.yaml").unlink()
    (place.folder / "definitions/lib/shop.yaml").symlink_to("other.yaml")


def _elsewhere(place: Place) -> None:
    """The library has the same text as before, but no longer lies below the definition."""
    (place.folder / "definitions/lib").rename(place.folder / "lib")
    (place.folder / "definitions/lib").symlink_to(place.folder / "lib")


CHANGES: dict[str, tuple[int, Callable[[Place], None]]] = {
    "its text": (0, lambda place: place.write("definitions/order.saga.yaml", ORDER.replace("weight: 3", "weight: 4"))),
    "a child saga": (1, lambda place: place.write("definitions/parcel.saga.yaml", PARCEL.replace("TYPE", "string"))),
    "a child saga is gone": (0, lambda place: (place.folder / "definitions/parcel.saga.yaml").unlink()),
    "one more neighbour": (
        0,
        lambda place: place.write("definitions/more.saga.yaml", PARCEL.replace("parcel", "more")),
    ),
    "a library": (0, lambda place: place.write("definitions/lib/shop.yaml", LIBRARY.replace("ACTIVITY", "a.b"))),
    "a library is gone": (1, lambda place: (place.folder / "definitions/lib/shop.yaml").unlink()),
    "a link to a library": (0, _retarget),
    "a library outside": (1, _elsewhere),
    "a signature": (1, lambda place: place.offer("acme.pay = acme_pay:pay", "list")),
    "a package is gone": (1, lambda place: place.offer("acme.other = acme_pay:pay")),
    "an activity that nobody offered": (
        1,
        lambda place: place.offer("acme.pay = acme_pay:pay\nelsewhere.do = acme_pay:pay"),
    ),
    "the settings leave a package out": (
        1,
        lambda place: place.write("sagadsl.toml", 'plugins = {deny = ["acme-pay"]}'),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_check_has_looked_at_makes_it_check_again(place: Place, change: str) -> None:
    """The answer is that of a check without the cache."""
    code, make = CHANGES[change]
    assert KEPT in place.validate().out
    make(place)
    ran = place.validate()

    assert KEPT not in ran.out
    assert ran.code == code, ran.out
    again = place.validate("--format", "json")
    assert KEPT not in again.out
    assert again.code == code


def test_without_plugins_it_is_another_check(place: Place) -> None:
    """A definition that is right without plugins may be wrong with them."""
    assert KEPT not in place.validate("--no-plugins").out


def test_another_sagadsl_or_another_package_checks_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stamp covers our own code, our schemas, and the folders into which packages are installed."""
    own = {Path(each) for each in kept_checks._own_files()}
    root = Path(kept_checks.__file__).parents[1]
    assert {root / "language" / "load.py", root / "language" / "checks" / "registry.py"} <= own
    assert "saga.schema.json" in {each.name for each in own}

    (place.folder / "site" / "another_package").mkdir()
    assert KEPT not in place.validate().out


def test_a_file_with_a_finding_is_never_kept(tmp_path: Path) -> None:
    """Its report needs its text and its places."""
    place = Place(tmp_path)
    place.write("definitions/order.saga.yaml", PARCEL.replace("TYPE", "integer") + "nonsense: 1\n")
    first, second = place.validate("--no-plugins"), place.validate("--no-plugins")

    assert first.code == second.code == 1
    assert "nonsense" in second.out
    assert not any("order" in each.read_text() for each in place.kept())


def test_the_cache_can_be_switched_off(place: Place) -> None:
    """`SAGADSL_CACHE=off`, as for plugins."""
    env = {"PYTHONPATH": str(place.folder / "site"), "XDG_CACHE_HOME": str(place.folder / "cache")}
    ran = sagadsl("validate", "definitions", cwd=place.folder, env={**env, "SAGADSL_CACHE": "off"})

    assert (ran.code, KEPT in ran.out) == (0, False)


@pytest.mark.parametrize("damage", ["", "[]", '{"format": 1}', "not JSON", '{"format": 1, "code": 5, "files": []}'])
def test_a_damaged_cache_counts_as_none(place: Place, damage: str) -> None:
    """It never fails, and the next command finds a whole one."""
    for file in place.kept():
        file.write_text(damage)
    ran = place.validate()

    assert (ran.code, ran.err) == (0, "")
    assert KEPT not in ran.out


def test_an_entry_of_another_form_counts_as_none(place: Place) -> None:
    """Somebody else wrote it."""
    (file,) = place.kept()
    data = json.loads(file.read_bytes())
    for name in data["files"]:
        data["files"][name] = {"text": data["files"][name]["text"], "plugins": True}
    file.write_text(json.dumps(data))
    ran = place.validate()

    assert (ran.code, ran.err, KEPT in ran.out) == (0, "", False)


SIMPLE = """
sagadsl: 1
name: saga-NUMBER
steps: [{id: a, activity: theirs.do, task_queue: theirs, compensation: none}]
"""


def test_many_files_give_one_report_in_order_whatever_is_known_of_them(tmp_path: Path) -> None:
    """On several processes, half of it kept, and all in one go: the same findings in the same order."""
    names = [f"f{number:03}.saga.yaml" for number in range(300)]
    for number, name in enumerate(names):
        text = SIMPLE.replace("NUMBER", str(number)) + ("wrong: 1\n" if number % 50 == 7 else "")
        (tmp_path / name).write_text(text)
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    plain = inside("validate", "--no-plugins", "--format", "json", cwd=tmp_path, env={**env, "SAGADSL_CACHE": "off"})
    reports = [
        sagadsl("validate", "--no-plugins", "--format", "json", *paths, cwd=tmp_path, env=env)
        for paths in ((names[:40]), (), ())
    ]
    whole = [json.loads(each.out) for each in (plain, *reports[1:])]
    for each in whole:
        each["summary"].pop("elapsed_ms")

    assert whole[0] == whole[1] == whole[2]
    assert whole[0]["files"] == names
    assert len(whole[0]["findings"]) == 6
    assert [each.code for each in (plain, *reports)] == [1, 1, 1, 1]


def test_problems_of_plugins_are_reported_from_every_process(tmp_path: Path) -> None:
    """A package that cannot be imported is named once, and every call of it."""
    install(tmp_path / "site", "acme-pay", "acme.pay = acme_pay:pay")
    (tmp_path / "site" / "acme_pay.py").write_text("import not_there\n")
    for number in range(200):
        text = SIMPLE.replace("NUMBER", str(number)).replace("theirs.do, task_queue: theirs", "acme.pay")
        (tmp_path / f"f{number:03}.saga.yaml").write_text(text)
    env = {"PYTHONPATH": str(tmp_path / "site"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ran = sagadsl("validate", "--format", "json", cwd=tmp_path, env=env)
    found = json.loads(ran.out)["findings"]

    assert ran.code == 3
    assert {each["code"] for each in found} == {"SD910"}
    assert len({each["file"] for each in found}) == 200
    assert os.listdir(tmp_path / "cache" / "sagadsl")
