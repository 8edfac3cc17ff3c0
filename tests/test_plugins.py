"""Fakes are real: distributions are written as ``.dist-info`` folders, modules as files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from sagadsl.language.analysis.known import Signature
from sagadsl.plugins.catalogue import Catalogue, Plugin
from sagadsl.plugins.offers import find_offers
from sagadsl.plugins.problems import PluginBroken, PluginConflict, PluginUnknown
from sagadsl.plugins.settings import PluginSettings, SettingsWrong, read_settings
from tests import packages

Install = Callable[..., list[Distribution]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a package: its entry points, and its module's text."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)  # whatever settings the folder of the test run has
    before = set(sys.modules)

    def add(name: str, points: str, source: str | None = None, *, module: str = "", version: str = "1.0") -> list:
        packages.install(site, name, points, source, module=module, version=version)
        return list(distributions(path=[str(site)]))

    yield add
    for new in set(sys.modules) - before:
        # A library that a test happens to be the first to import stays: a second copy of its classes fits no first one.
        if str(tmp_path) in (getattr(sys.modules[new], "__file__", None) or ""):
            del sys.modules[new]


def _activity(name: str = "charge", body: str = "return None") -> str:
    return f"from sagadsl import activity\n@activity\ndef {name}(amount: int) -> None:\n    {body}\n"


def test_finding_imports_nothing(install: Install) -> None:
    """A list of names must not run anybody's code."""
    installed = install("acme-pay", "pay.charge = acme_pay:charge", "raise SystemExit('imported')")
    offers = find_offers(installed)
    assert [(offer.name, offer.package) for offer in offers] == [("pay.charge", "acme-pay 1.0")]
    assert "acme_pay" not in sys.modules


def test_one_activity_is_imported_without_the_others(install: Install) -> None:
    """Load only what a definition uses."""
    install("other", "other.thing = other:thing", "raise RuntimeError('not asked for')")
    installed = install("acme-pay", "pay.charge = acme_pay:charge", _activity())
    loaded = Catalogue.discover(installed=installed).load("pay.charge")
    assert isinstance(loaded, Plugin)
    assert (loaded.name, loaded.package, loaded.plain) == ("pay.charge", "acme-pay 1.0", False)
    assert "other" not in sys.modules


MUTE = """\
class Mute(Exception):
    def __str__(self):
        raise RuntimeError("boom")
raise Mute
"""


@pytest.mark.parametrize(
    ("source", "cause", "line"),
    [
        ("import not_there", "No module named 'not_there'", 1),
        (None, "No module named 'acme_pay'", 0),
        ("raise SystemExit(3)", "SystemExit: 3", 1),
        ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x", 2),
        ("import os\nos._exit(3)", "its import calls `os._exit(3)`", 2),
        ("\nraise KeyboardInterrupt", "its import raises KeyboardInterrupt though nobody has pressed Ctrl-C", 2),
        ("import json\njson.loads('{')", "JSONDecodeError: Expecting property name", 2),
        ("def charge(:", "SyntaxError: ", 1),
        (MUTE, "Mute: its text cannot be made: RuntimeError: boom", 4),
        ("charge = 3", "TypeError: `acme_pay:charge` holds no function with @activity", 0),
    ],
)
def test_a_broken_plugin_is_a_value_that_names_its_package_and_cause(
    install: Install, source: str | None, cause: str, line: int
) -> None:
    """Whatever goes wrong in somebody's module, with file and line of the module, if it has run."""
    installed = install("acme-pay", "pay.charge = acme_pay:charge", source)
    catalogue = Catalogue.discover(installed=installed)
    assert catalogue.problems == ()
    broken = catalogue.load("pay.charge")
    assert isinstance(broken, PluginBroken)
    place = f" (site/acme_pay.py:{line})" if line else ""
    message = str(broken).replace("\n", " ")
    assert message.startswith(f"activity `pay.charge` of acme-pay 1.0 cannot be used: {cause}")
    assert message.endswith(place)
    assert line or message.endswith(cause)
    assert [str(each) for each in catalogue.problems] == [str(broken)]


def test_ctrl_c_during_an_import_is_nobodys_plugin_problem(install: Install) -> None:
    """KeyboardInterrupt alone goes through."""
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor _ in range(9 ** 7): pass"
    installed = install("acme-pay", "pay.charge = acme_pay:charge", source)
    with pytest.raises(KeyboardInterrupt):
        Catalogue.discover(installed=installed).load("pay.charge")


def test_a_failure_is_forgotten_and_a_success_is_kept(install: Install, tmp_path: Path) -> None:
    """The second try sees the repaired plugin, in the same process."""
    installed = install("acme-pay", "pay.charge = acme_pay:charge", "import not_there")
    catalogue = Catalogue.discover(installed=installed)
    assert isinstance(catalogue.load("pay.charge"), PluginBroken)
    (tmp_path / "site" / "acme_pay.py").write_text(_activity() + "# repaired\n")
    first, second = catalogue.load("pay.charge"), catalogue.load("pay.charge")
    assert isinstance(first, Plugin)
    assert isinstance(second, Plugin)
    assert first.function is second.function
    assert catalogue.problems == ()


def test_two_packages_with_one_name_are_an_error_that_names_both(install: Install) -> None:
    """Never the one that happened to be found last."""
    install("acme-pay", "charge_card = acme_pay:charge", _activity())
    installed = install("other-pay", "charge_card = other_pay:charge", _activity())
    catalogue = Catalogue.discover(installed=installed)
    conflict = catalogue.load("charge_card")
    assert isinstance(conflict, PluginConflict)
    assert str(conflict) == (
        "activity `charge_card` is offered by acme-pay 1.0 (acme_pay:charge) and by other-pay 1.0 (other_pay:charge)"
    )
    assert "deny" in conflict.help
    assert [str(each) for each in catalogue.problems] == [str(conflict)]
    assert "acme_pay" not in sys.modules


@pytest.mark.parametrize("settings", ['deny = ["Other_Pay"]', 'allow = ["acme-pay"]'])
def test_the_settings_choose_between_two_owners_before_anything_loads(
    install: Install, tmp_path: Path, settings: str
) -> None:
    """By distribution name, however it is spelled."""
    install("acme-pay", "charge_card = acme_pay:charge", _activity())
    installed = install("other-pay", "charge_card = other_pay:charge", "raise RuntimeError('denied')")
    (tmp_path / "pyproject.toml").write_text(f"[tool.sagadsl.plugins]\n{settings}\n")
    loaded = Catalogue.discover(folder=tmp_path, installed=installed).load("charge_card")
    assert isinstance(loaded, Plugin)
    assert loaded.package == "acme-pay 1.0"


def test_a_denied_activity_is_unknown_and_says_why(install: Install, tmp_path: Path) -> None:
    """The settings are named, or nobody finds out."""
    installed = install("acme-pay", "charge_card = acme_pay:charge", _activity())
    (tmp_path / "sagadsl.toml").write_text('[plugins]\ndeny = ["acme-pay"]\n')
    unknown = Catalogue.discover(folder=tmp_path, installed=installed).load("charge_card")
    assert isinstance(unknown, PluginUnknown)
    assert "acme-pay 1.0 offers it, but the settings leave that package out" in str(unknown)


def test_an_allow_list_keeps_what_comes_with_the_tool(tmp_path: Path) -> None:
    """Built-ins are always present."""
    (tmp_path / "sagadsl.toml").write_text("[plugins]\nallow = []\n")
    assert "http.request" in Catalogue.discover(folder=tmp_path).names


def test_a_distribution_visible_twice_is_no_conflict(install: Install) -> None:
    """Editable and installed, or leftover metadata."""
    install("acme-pay", "charge_card = acme_pay:charge", _activity())
    installed = install("acme-pay", "charge_card = acme_pay:charge", version="2.0")
    catalogue = Catalogue.discover(installed=installed)
    assert len(installed) == 2
    assert isinstance(catalogue.load("charge_card"), Plugin)
    assert catalogue.problems == ()


def test_broken_metadata_of_an_unrelated_package_is_ignored(install: Install, tmp_path: Path) -> None:
    """Another package's trouble is not ours."""
    junk = tmp_path / "site" / "junk-1.0.dist-info"
    junk.mkdir()
    (junk / "entry_points.txt").write_bytes(b"[console_scripts]\nno equals sign\n\xff\xfe")
    installed = install("acme-pay", "pay.charge = acme_pay:charge", _activity())
    assert len(installed) == 2
    assert [offer.name for offer in find_offers(installed)] == ["pay.charge"]


def test_the_entry_points_name_is_the_one_to_use_and_the_functions_own_is_a_hint(install: Install) -> None:
    """One source of truth; the other name gives "did you mean"."""
    source = "from sagadsl import activity\n@activity(name='charge_card')\ndef pay_it(): ...\n"
    catalogue = Catalogue.discover(installed=install("acme-pay", "money.take = acme_pay:pay_it", source))
    assert isinstance(catalogue.load("money.take"), Plugin)
    for other in ("charge_card", "pay_it"):
        unknown = catalogue.load(other)
        assert isinstance(unknown, PluginUnknown)
        assert str(unknown) == f"no activity named `{other}` is installed"
        assert unknown.help == "did you mean `money.take`?"
    assert catalogue.names == ("money.take",)


def test_a_misspelt_name_is_corrected(install: Install) -> None:
    """The nearest name."""
    catalogue = Catalogue.discover(installed=install("acme-pay", "payments.charge = acme_pay:charge", _activity()))
    unknown = catalogue.load("payments.chrge")
    assert isinstance(unknown, PluginUnknown)
    assert unknown.help == "did you mean `payments.charge`?"


_GREETER = """
from sagadsl import activity

class Greeter:
    made = 0
    def __init__(self, message="Hello", number=3):
        Greeter.made += 1
        self.message, self.number = message, number
    @activity
    def greet(self, name: str) -> str:
        return f"{self.message} {name} {self.number}"
    @activity(name="say_bye")
    async def farewell(self, name: str) -> str:
        return f"Bye {name}"
    def helper(self): ...

polite = Greeter("Good day", 7)
"""


def test_a_class_offers_its_methods_and_is_made_once(install: Install) -> None:
    """The methods of one object with state, one of them under an alias."""
    catalogue = Catalogue.discover(installed=install("acme", "hello = acme:Greeter", _GREETER, module="acme"))
    greet, bye = catalogue.load("hello.greet"), catalogue.load("hello.say_bye")
    assert isinstance(greet, Plugin)
    assert isinstance(bye, Plugin)
    assert greet.function("Ann") == "Hello Ann 3"
    assert greet.function.__self__ is bye.function.__self__
    assert sys.modules["acme"].Greeter.made == 2  # `polite`, and ours
    assert catalogue.names == ("hello.greet", "hello.say_bye")
    meant = catalogue.load("hello.farewell")
    assert isinstance(meant, PluginUnknown)
    assert meant.help == "did you mean `hello.say_bye`?"
    group = catalogue.load("hello")
    assert isinstance(group, PluginUnknown)
    assert group.help == "did you mean `hello.greet`?"


def test_an_object_offers_its_methods_with_its_own_state(install: Install) -> None:
    """An entry point may name an instance that was made with arguments."""
    catalogue = Catalogue.discover(installed=install("acme", "hello = acme:polite", _GREETER, module="acme"))
    greet = catalogue.load("hello.greet")
    assert isinstance(greet, Plugin)
    assert greet.function("Ann") == "Good day Ann 7"


def test_a_module_offers_its_functions_under_its_entry_points_name(install: Install) -> None:
    """Each a function, class or module."""
    source = _activity("charge") + _activity("refund") + "def helper(): ...\n"
    catalogue = Catalogue.discover(installed=install("acme-pay", "pay = acme_pay", source))
    assert [plugin.name for plugin in catalogue.load_all()] == ["pay.charge", "pay.refund"]


def test_plain_temporal_activities_are_taken_unchanged(install: Install) -> None:
    """A plain `@activity.defn` function, by its own name in a module, by the entry point's elsewhere."""
    source = (
        "from temporalio import activity\n"
        "@activity.defn(name='compose')\ndef compose_greeting(name: str) -> str: return name\n"
    )
    installed = install("acme", "one = acme:compose_greeting\nall = acme", source, module="acme")
    catalogue = Catalogue.discover(installed=installed)
    assert [(each.name, each.plain) for each in catalogue.load_all()] == [("all.compose", True), ("one", True)]
    signature = catalogue.signature("one")
    assert isinstance(signature, Signature)
    assert (signature.input_schema, signature.single_argument) == ({"type": "string"}, True)


def test_local_modules_need_no_packaging(tmp_path: Path, install: Install) -> None:
    """Named by `modules` in the settings, and `-m`; functions by their own names."""
    (tmp_path / "mine.py").write_text(_activity("charge") + _GREETER)
    (tmp_path / "more.py").write_text("from mine import charge\n" + _activity("refund"))
    (tmp_path / "pyproject.toml").write_text('[tool.sagadsl]\nmodules = ["mine"]\n')
    catalogue = Catalogue.discover(["more"], folder=tmp_path, installed=[])
    assert [plugin.name for plugin in catalogue.load_all()] == ["charge", "greet", "refund", "say_bye"]
    loaded = catalogue.load("greet")
    assert isinstance(loaded, Plugin)
    assert (loaded.package, loaded.function("Ann")) == ("module mine", "Good day Ann 7")


def test_a_class_that_needs_arguments_wants_an_object_of_it(tmp_path: Path, install: Install) -> None:
    """Local modules: the remedy is in the message."""
    method = "    def __init__(self, x): ...\n    @activity\n    def execute(self): ...\n"
    (tmp_path / "needy.py").write_text(f"from sagadsl import activity\nclass A:\n{method}")
    broken = Catalogue.discover(["needy"], folder=tmp_path, installed=[]).load("execute")
    assert "class `A` cannot be made without arguments" in str(broken)
    assert "make an object of it in the module" in str(broken)


def test_two_methods_with_one_name_in_one_module_are_both_named(tmp_path: Path, install: Install) -> None:
    """Two classes that both expose `execute`."""
    method = "    @activity\n    def execute(self): ...\n"
    (tmp_path / "twice.py").write_text(f"from sagadsl import activity\nclass A:\n{method}class B:\n{method}")
    broken = Catalogue.discover(["twice"], folder=tmp_path, installed=[]).load("execute")
    assert isinstance(broken, PluginBroken)
    assert "`twice.A.execute` and `twice.B.execute` are both named `execute`" in str(broken)


def test_two_classes_of_one_package_do_not_collide(install: Install) -> None:
    """The entry point's name makes them different."""
    method = "    @activity\n    def execute(self): ...\n"
    source = f"from sagadsl import activity\nclass A:\n{method}class B:\n{method}"
    catalogue = Catalogue.discover(installed=install("acme", "a = acme:A\nb = acme:B", source, module="acme"))
    assert [plugin.name for plugin in catalogue.load_all()] == ["a.execute", "b.execute"]
    assert catalogue.problems == ()


def test_a_local_module_and_a_package_with_one_name_are_a_conflict(tmp_path: Path, install: Install) -> None:
    """Being local wins nothing."""
    installed = install("acme-pay", "charge = acme_pay:charge", _activity())
    (tmp_path / "mine.py").write_text(_activity("charge"))
    catalogue = Catalogue.discover(["mine"], folder=tmp_path, installed=installed)
    conflict = catalogue.load("charge")
    assert isinstance(conflict, PluginConflict)
    assert conflict.owners == ("acme-pay 1.0 (acme_pay.charge)", "module mine (mine.charge)")
    assert catalogue.load_all() == ()
    assert [str(each) for each in catalogue.problems] == [str(conflict)]


def test_one_function_seen_through_a_package_and_a_local_module_is_no_conflict(install: Install) -> None:
    """The same object."""
    installed = install("acme-pay", "charge = acme_pay:charge", _activity())
    catalogue = Catalogue.discover(["acme_pay"], installed=installed)
    assert isinstance(catalogue.load("charge"), Plugin)
    assert [plugin.name for plugin in catalogue.load_all()] == ["charge"]


def test_a_broken_local_module_explains_why_its_names_are_missing(tmp_path: Path) -> None:
    """The cause, instead of "unknown"."""
    (tmp_path / "broken_one.py").write_text("import not_there")
    broken = Catalogue.discover(["broken_one"], folder=tmp_path, installed=[]).load("charge")
    assert isinstance(broken, PluginBroken)
    place = f"{tmp_path / 'broken_one.py'}:1"
    assert str(broken) == f"module `broken_one` cannot be used: No module named 'not_there' ({place})"


def test_listing_everything_imports_a_broken_module_once(tmp_path: Path, install: Install) -> None:
    """A failure is tried again when somebody asks again, and not once for each other name."""
    (tmp_path / "counted.py").write_text("import sys\nsys.counted = getattr(sys, 'counted', 0) + 1\nimport not_there")
    installed = install("acme-pay", "a = acme_pay:charge\nb = acme_pay:charge\nc = acme_pay:charge", _activity())
    catalogue = Catalogue.discover(["counted"], folder=tmp_path, installed=installed)
    try:
        assert [plugin.name for plugin in catalogue.load_all()] == ["a", "b", "c"]
        assert len(catalogue.problems) == 1
        assert vars(sys)["counted"] == 1
        catalogue.load_all()
        assert vars(sys)["counted"] == 2
    finally:
        vars(sys).pop("counted", None)


def test_a_signature_tells_types_errors_and_the_inverse(install: Install) -> None:
    """Types become JSON Schemas for the static checks."""
    source = """
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from sagadsl import activity, Context

class ChargeIn(BaseModel, extra="forbid"):
    amount: Annotated[int, Field(gt=0, description="Minor units")]
    currency: Literal["EUR", "USD"] = "EUR"

class ChargeOut(BaseModel):
    charge_id: str

@activity(compensated_by="pay.refund", errors=["CardDeclined"], default_timeout="30s", examples=[{"amount": 1}])
async def charge(inp: ChargeIn, ctx: Context) -> ChargeOut:
    '''Charge the card.'''
"""
    signature = Catalogue.discover(installed=install("acme", "pay.charge = acme:charge", source)).signature(
        "pay.charge"
    )
    assert isinstance(signature, Signature)
    assert signature.input_schema is not None
    assert signature.input_schema["properties"]["amount"] == {
        "description": "Minor units",
        "exclusiveMinimum": 0,
        "title": "Amount",
        "type": "integer",
    }
    assert signature.input_schema["additionalProperties"] is False
    assert signature.output_schema is not None
    assert signature.output_schema["required"] == ["charge_id"]
    assert (signature.description, signature.compensated_by, signature.errors) == (
        "Charge the card.",
        "pay.refund",
        ("CardDeclined",),
    )
    assert (signature.timeouts, signature.examples) == ({"start_to_close": "30s"}, ({"amount": 1},))
    assert signature.single_argument


def test_types_that_json_cannot_carry_break_the_signature_not_the_tool(install: Install) -> None:
    """An author's mistake is a value too."""
    source = "from sagadsl import activity\nclass Odd: ...\n@activity\ndef charge(odd: Odd): ...\n"
    broken = Catalogue.discover(installed=install("acme", "charge = acme:charge", source)).signature("charge")
    assert isinstance(broken, PluginBroken)
    assert "parameter `odd` of `charge` has the type" in str(broken)


def test_settings_come_from_one_file_and_mistakes_in_them_are_named(tmp_path: Path) -> None:
    """First `sagadsl.toml`, then `pyproject.toml`."""
    assert read_settings(tmp_path) == PluginSettings()
    (tmp_path / "pyproject.toml").write_text('[tool.sagadsl]\nmodules = ["a"]\n')
    assert read_settings(tmp_path) == PluginSettings(modules=("a",))
    (tmp_path / "sagadsl.toml").write_text('modules = ["b"]\n')
    assert read_settings(tmp_path) == PluginSettings(modules=("b",))
    for text, reason in [
        ('modules = "a"', "`modules` is a list of names, found `a`"),
        ("[plugins]\ndenny = []", "unknown key `denny` in `plugins`"),
        ("modules = [", "sagadsl.toml: "),
    ]:
        (tmp_path / "sagadsl.toml").write_text(text)
        with pytest.raises(SettingsWrong) as wrong:
            read_settings(tmp_path)
        assert reason in str(wrong.value)


def test_finding_and_importing_an_author_s_module_needs_no_temporalio() -> None:
    """Listing plugins costs no SDK and no pydantic."""
    code = (
        "import sys; from sagadsl import activity, Context, Permanent; from sagadsl.plugins.catalogue import Catalogue;"
        "Catalogue.discover(installed=[]);"
        "print([name for name in ('temporalio', 'pydantic', 'httpx2') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
