"""The mistakes of the first hour: each is one error, and the advice is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagadsl.language.suggest import counted
from tests.cli.shell import Ran, inside

ACTIVITIES = """\
from sagadsl import activity

@activity(name="hour_seats.occupy")
async def occupy() -> None:
    pass

@activity(name="hour_seats.release")
async def release() -> None:
    pass
"""
SAGA = """\
sagadsl: 1
name: book
version: "1"
steps:
  - id: reserve
    activity: hour_seats.occupy
    compensation: {activity: hour_seats.release, input: {}}
"""
SUITE = "sagadsl_test: 1\nsaga: book.saga.yaml\ncases:\n  - {name: it is booked, then: {status: completed}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saga beside the module with its activities."""
    (tmp_path / "hour_activities.py").write_text(ACTIVITIES)
    (tmp_path / "book.saga.yaml").write_text(SAGA)
    return tmp_path


def _validate(folder: Path, *options: str) -> Ran:
    return inside("validate", "book.saga.yaml", *options, cwd=folder)


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("hour_activites", "did you mean `-m hour_activities`?"),
        ("hour_activities.py", "a module is named without `.py`: `-m hour_activities`"),
        ("./hour_activities.py", "a module is named without `.py`: `-m hour_activities`"),
        ("sub/hour_activities", "a module is named with dots: `-m sub.hour_activities`"),
        ("elsewhere", "correct its name: modules are looked for in the current folder, and among what is installed"),
    ],
)
def test_a_module_that_is_not_there_is_one_error(folder: Path, module: str, advice: str) -> None:
    checked = _validate(folder, "-m", module)
    assert (checked.code, checked.out) == (3, "")
    assert checked.err == f"error[SD910]: there is no module `{module}`\n   = help: {advice}\n"


@pytest.mark.parametrize(
    "words",
    [
        "validate",
        "run book.saga.yaml",
        "simulate book.saga.yaml",
        "explore book.saga.yaml",
        "test",
        "plugins list",
        "new saga trip",
        "worker . --address 127.0.0.1:1",
    ],
)
def test_a_module_that_is_not_there_is_told_also_where_the_settings_name_the_right_one(
    folder: Path, words: str
) -> None:
    (folder / "sagadsl.toml").write_text('modules = ["hour_activities"]\n')
    (folder / "book.saga-test.yaml").write_text(SUITE)
    ran = inside(*words.split(), "-m", "hour_activites", cwd=folder)
    assert ran.code == 3
    assert "error[SD910]: there is no module `hour_activites`\n   = help: did you mean `-m hour_activities`?" in ran.err


def test_a_parameter_for_the_context_without_its_annotation_is_recognized(folder: Path) -> None:
    (folder / "hour_ctx.py").write_text(
        ACTIVITIES.replace("occupy() ", "occupy(seat: str, ctx) ").replace("release() ", "release(context) ")
    )
    (folder / "book.saga.yaml").write_text(
        SAGA.replace("occupy\n", "occupy\n    input: {seat: 7A}\n").replace(", input: {}", "")
    )
    checked = _validate(folder, "-m", "hour_ctx")
    assert checked.code == 1
    assert "error[SD402]: `hour_seats.occupy` needs `ctx`, which the input lacks" in checked.out
    for name in ("ctx", "context"):
        advice = (
            f"if `{name}` is sagadsl's context, annotate the parameter: `{name}: Context`; else add it to the input"
        )
        assert f"= help: {advice}\n" in checked.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("signal m1 decision --set ok=true", "there is no option `--set`; the payload is one JSON value: `--payload"),
        ('signal m1 decision {"ok":true}', "more than this command takes; the payload is one JSON value: `--payload"),
        ('run book.saga.yaml {"a":1}', "more than this command takes; the input is one JSON object: `--input"),
    ],
)
def test_data_that_is_given_otherwise_is_told_its_option(folder: Path, words: str, said: str) -> None:
    ran = inside(*words.split(), cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.parametrize("command", ["run", "simulate"])
def test_a_file_of_input_is_told_its_sign(folder: Path, command: str) -> None:
    (folder / "nap.saga.yaml").write_text("sagadsl: 1\nname: nap\nsteps:\n  - {id: a, sleep: 1s}\n")
    ran = inside(command, "nap.saga.yaml", "--input", "nofile.json", cwd=folder)
    assert ran.code == 2
    assert "= help: a file is named with `@`: `--input @nofile.json`\n" in ran.err


@pytest.mark.parametrize("command", ["run", "simulate", "explore"])
def test_a_misspelt_key_of_the_input_is_told_what_was_meant(folder: Path, command: str) -> None:
    (folder / "nap.saga.yaml").write_text(
        "sagadsl: 1\nname: nap\ninput: {type: object, required: [item], properties: {item: {type: string}}}\n"
        "steps:\n  - {id: a, sleep: 1s}\n"
    )
    given = ("-i", '{"itm": "b"}') if command == "explore" else ("--set", "itm=b")
    ran = inside(command, "nap.saga.yaml", *given, cwd=folder)
    assert ran.code == 2
    assert "error[SD921]: the input does not fit saga `nap`" in ran.err
    assert "= help: did you mean `item` by `itm`?\n" in ran.err
    told = inside(command, "nap.saga.yaml", *given, "--json", cwd=folder)
    assert told.code == 2
    assert json.loads(told.out)["error"]["help"] == "did you mean `item` by `itm`?"


@pytest.mark.parametrize("command", ["run", "simulate", "explore"])
def test_a_misspelt_key_inside_the_input_is_told_with_the_keys_above_it(folder: Path, command: str) -> None:
    """In objects, in lists, behind `$ref` and in one of several alternatives."""
    (folder / "deep.saga.yaml").write_text(
        "sagadsl: 1\nname: deep\ninput:\n"
        "  type: object\n"
        "  properties:\n"
        "    to: {anyOf: [{type: 'null'}, {$ref: '#/$defs/address'}]}\n"
        "    lines: {type: array, items: {type: object, required: [count], properties: {count: {type: integer}}}}\n"
        "  $defs: {address: {type: object, required: [street], properties: {street: {type: string}}}}\n"
        "steps:\n  - {id: a, sleep: 1s}\n"
    )
    given = '{"to": {"stret": "b"}, "lines": [{"count": 1}, {"cuont": 1}]}'
    ran = inside(command, "deep.saga.yaml", "-i", given, cwd=folder)
    assert ran.code == 2
    assert (
        "= help: did you mean `to.street` by `to.stret`?; did you mean `lines[1].count` by `lines[1].cuont`?\n"
        in ran.err
    )


@pytest.mark.parametrize(
    ("table", "command", "meant"),
    [
        ('[trust]\nkey = ["a.pem"]', "worker", "keys"),
        ("[worker]\ncache = 5", "worker", "cached"),
        ('[telemetry]\nlog_fromat = "json"', "list", "log_format"),
        ('[storage]\nbuckett = "b"', "list", "bucket"),
        ('[encryption]\nendpont = "https://a.example"', "list", "endpoint"),
        ('[encryption]\nkeys = [{id = "a", fil = "k"}]', "list", "file"),
        ('[encryption]\nurrl = "https://a.example"', "list", "endpoint"),
        ('[storage]\nendpont = "https://a.example"', "list", "endpoint"),
        ('[storage]\nurrl = "https://a.example"', "list", "endpoint"),
        ('[telemetry]\nendpont = "http://a.example:4318"', "list", "otlp"),
        ('[telemetry]\nurl = "http://a.example:4318"', "list", "otlp"),
        ("[worker]\nmaxActivitiesPerSecond = 5", "worker", "max_activities_per_second"),
        ('[connection]\napi_kye = {file = "k"}', "list", "api_key"),
        ('[connection]\napi_key = {fil = "k"}', "list", "file"),
    ],
)
def test_a_misspelt_key_in_a_table_of_the_settings_is_told_what_was_meant(
    folder: Path, table: str, command: str, meant: str
) -> None:
    (folder / "sagadsl.toml").write_text(f"{table}\n")
    ran = inside(command, "--address", "127.0.0.1:1", cwd=folder)
    assert (ran.code, ran.out) == (2 if table.startswith("[trust]") else 3, "")
    assert f"= help: did you mean `{meant}`?\n" in ran.err, ran.err


@pytest.mark.parametrize(
    ("key", "what", "where"),
    [
        ("addres", "address", "`--address`, `TEMPORAL_ADDRESS`"),
        ("address", "address", "`--address`, `TEMPORAL_ADDRESS`"),
        ("url", "address", "`--address`, `TEMPORAL_ADDRESS`"),
        ("colour", "address", "`--address`, `TEMPORAL_ADDRESS`"),
        ("namespce", "namespace", "`--namespace`, `TEMPORAL_NAMESPACE`"),
        ("tls", "use of TLS", "`--tls`, `TEMPORAL_TLS`"),
    ],
)
def test_what_the_table_of_the_connection_does_not_have_is_told_its_place(
    folder: Path, key: str, what: str, where: str
) -> None:
    """The unknown key is named, not its value; beside a right `api_key`, too."""
    (folder / "sagadsl.toml").write_text(f'[connection]\napi_key = {{file = "k"}}\n{key} = "hidden-one"\n')
    ran = inside("list", "--address", "127.0.0.1:1", cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"error[SD902]: [connection] of sagadsl.toml has `{key}`\n"
        f"   = help: it has `api_key` alone; the {what} comes from {where} "
        "or a profile of `temporal.toml` (`--profile`)\n"
    )


def test_a_module_that_breaks_is_one_error_with_its_line(folder: Path) -> None:
    (folder / "hour_broken.py").write_text("import one_that_is_not_there\n")
    checked = _validate(folder, "-m", "hour_broken")
    assert checked.out.count("error[") == 1
    assert "No module named 'one_that_is_not_there' (hour_broken.py:1)" in checked.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("validate", 3),
        ("run book.saga.yaml", 3),
        ("simulate book.saga.yaml", 3),
        ("explore book.saga.yaml", 3),
        ("test", 3),
        ("new suite book.saga.yaml", 1),
    ],
)
def test_every_command_that_needs_a_broken_module_names_it_once(folder: Path, words: str, code: int) -> None:
    (folder / "hour_boom.py").write_text(ACTIVITIES + 'raise ValueError("boom")\n')
    (folder / "sagadsl.toml").write_text('modules = ["hour_boom"]\n')
    if words == "test":
        (folder / "book.saga-test.yaml").write_text(SUITE)
    ran = inside(*words.split(), cwd=folder)
    said = ran.out + ran.err
    assert ran.code == code, ran
    assert said.count("error[") == 1
    assert "error[SD910]: module `hour_boom` cannot be used: ValueError: boom (hour_boom.py:10)\n" in said
    assert "= help: repair the module, or leave it out\n" in said


def test_a_suite_whose_module_is_broken_keeps_no_other_one_from_being_played(folder: Path) -> None:
    (folder / "hour_boom.py").write_text('raise ValueError("boom")\n')
    (folder / "book.saga-test.yaml").write_text(SUITE)
    (folder / "nap.saga-test.yaml").write_text(
        "sagadsl_test: 1\nsaga: {sagadsl: 1, name: nap, steps: [{id: rest, sleep: 1s}]}\n"
        "cases: [{name: it rests, then: {status: completed}}]\n"
    )
    ran = inside("test", "-m", "hour_boom", cwd=folder)
    assert ran.code == 3
    assert "--> book.saga-test.yaml:2:7\n" in ran.err
    assert "✗ 1 case passed, 1 suite with mistakes" in ran.out


def test_a_step_cannot_be_drafted_of_a_broken_module(folder: Path) -> None:
    (folder / "hour_boom.py").write_text('raise ValueError("boom")\n')
    ran = inside("new", "saga", "trip", "--activity", "hour_seats.occupy", "-m", "hour_boom", cwd=folder)
    assert (ran.code, (folder / "trip.saga.yaml").exists()) == (3, False)
    assert ran.err.startswith("error[SD910]: module `hour_boom` cannot be used: ValueError: boom (hour_boom.py:1)\n")


def test_a_suite_is_told_of_a_forgotten_module(folder: Path) -> None:
    (folder / "book.saga-test.yaml").write_text(SUITE)
    ran = inside("test", cwd=folder)
    assert ran.code == 1
    assert "give the option `-m hour_activities`; or play the cases without knowing any activity" in ran.err


def test_a_forgotten_module_is_named(folder: Path) -> None:
    checked = _validate(folder)
    assert checked.out.count("error[SD401]") == 2
    assert checked.out.count("= help: `hour_activities.py` here names it: give the option `-m hour_activities`\n") == 2


BARE = """\
from sagadsl import activity

@activity(name="hour_seats.occupy", compensated_by="hour_seats.release")
async def occupy() -> None:
    pass

@activity
async def {function}() -> None:
    pass
"""


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        ("release", 'did you mean `release`? `@activity(name="hour_seats.release")` gives the function this name'),
        ("rest", '`MODULE.py` names it, but has no function with `@activity(name="hour_seats.release")`'),
    ],
)
@pytest.mark.parametrize("command", ["validate", "test"])
def test_a_module_that_is_loaded_and_only_names_an_activity_is_not_advised(
    folder: Path, command: str, function: str, advice: str
) -> None:
    module = f"hour_bare_{function}_{command}"  # what one test has imported, another one has
    (folder / "hour_activities.py").unlink()
    (folder / f"{module}.py").write_text(BARE.replace("{function}", function))
    (folder / "sagadsl.toml").write_text(f'modules = ["{module}"]\n')
    (folder / "book.saga-test.yaml").write_text(SUITE)
    ran = inside(command, cwd=folder)
    assert ran.code == 1
    assert f"= help: {advice.replace('MODULE', module)}" in ran.out + ran.err
    assert "-m hour_bare" not in ran.out + ran.err


@pytest.mark.parametrize(("offered", "times"), [("hour_seats.occupy", 1), ("hour_seats", 2)])
@pytest.mark.parametrize(
    ("below", "advice"),
    [
        ("", "`pyproject.toml` offers it, but the project is not installed: `pip install -e .`"),
        ("sagas", "`../pyproject.toml` offers it, but the project is not installed: `pip install -e ..`"),
    ],
)
def test_a_project_that_is_not_installed_is_told(
    folder: Path, offered: str, times: int, below: str, advice: str
) -> None:
    text = f'[project]\nname = "hour"\n[project.entry-points."sagadsl.activities"]\n"{offered}" = "hour_activities"\n'
    (folder / "pyproject.toml").write_text(text)
    (folder / below).mkdir(exist_ok=True)
    checked = inside("validate", str(folder / "book.saga.yaml"), cwd=folder / below)
    assert (checked.out.count("error[SD401]"), checked.out.count(f"= help: {advice}\n")) == (2, times)


def test_a_function_of_a_module_that_lacks_its_prefix_gets_its_whole_name(folder: Path) -> None:
    (folder / "book.saga.yaml").write_text(SAGA.replace("activity: hour_seats.occupy", "activity: occupy"))
    checked = _validate(folder, "-m", "hour_activities")
    assert "= help: did you mean `hour_seats.occupy`" in checked.out


def test_a_package_that_the_settings_leave_out_is_named(folder: Path) -> None:
    (folder / "sagadsl.toml").write_text('[plugins]\ndeny = ["sagadsl-bank"]\n')
    (folder / "book.saga.yaml").write_text(SAGA.replace("hour_seats.occupy", "bank.withdraw").split("    comp")[0])
    checked = _validate(folder)
    assert "error[SD401]: no activity named `bank.withdraw` is installed" in checked.out
    assert "offers it, but the settings leave that package out: change `allow` or `deny`" in checked.out


@pytest.mark.parametrize(
    ("settings", "said", "advice"),
    [
        (
            'module = ["a"]',
            "unknown key `module`",
            "did you mean `modules`?",
        ),
        (
            "modules = [activities]",
            "Invalid value (at line 1, column 12)",
            'text stands between quotes: `modules = ["activities"]`',
        ),
        (
            "[connection]\naddress = localhost:7233",
            "Invalid value (at line 2, column 11)",
            'text stands between quotes: `address = "localhost:7233"`',
        ),
        ('deny = ["a"]', "unknown key `deny`", "`deny` belongs into `[plugins]`"),
        ('[plugins]\ndenny = ["a"]', "unknown key `denny` in `plugins`", "did you mean `deny`?"),
        ("[plugins]\ncolour = 1", "unknown key `colour` in `plugins`", "it has `allow` and `deny`"),
        (
            "colour = 1",
            "unknown key `colour`",
            "there are `modules`, `plugins`, `connection`, `encryption`, `storage`, `telemetry`, `trust`, `worker`",
        ),
    ],
)
def test_a_key_that_the_settings_do_not_have_is_an_error(folder: Path, settings: str, said: str, advice: str) -> None:
    (folder / "sagadsl.toml").write_text(settings + "\n")
    checked = _validate(folder)
    assert (checked.code, checked.out) == (2, "")
    assert checked.err == f"error[SD913]: sagadsl.toml: {said}\n   = help: {advice}\n"


def test_settings_above_the_folder_are_named(folder: Path) -> None:
    (folder / "sagadsl.toml").write_text('modules = ["hour_activities"]\n')
    inner = folder / "inner"
    inner.mkdir()
    (folder / "book.saga.yaml").rename(inner / "book.saga.yaml")
    checked = _validate(inner)
    assert f"`{folder / 'sagadsl.toml'}` counts only in its own folder: run the command there" in checked.out


def test_one_thing_is_not_told_as_several() -> None:
    assert [counted(number, "saga", "sagas") for number in (0, 1, 2)] == ["0 sagas", "1 saga", "2 sagas"]


def test_a_folder_of_modules_says_how_they_are_named(folder: Path) -> None:
    (folder / "hour_plugins").mkdir()
    (folder / "hour_plugins" / "shop.py").write_text(ACTIVITIES)
    checked = _validate(folder, "-m", "hour_plugins")
    assert checked.out.count("error[SD910]") == 1
    assert "it is a folder, whose modules have names of their own: `-m hour_plugins.shop`" in checked.out
    assert _validate(folder, "-m", "hour_plugins.shop").code == 0


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nonsense", "it is no HOST:PORT"),
        ("127.0.0.1:99999", "it is no HOST:PORT"),
        ("somewhere:9464", "the host has to be an IP address"),
        ("203.0.113.5:9464", "cannot assign requested address"),
    ],
)
def test_an_address_for_metrics_that_is_no_good_is_told_before_anything_begins(
    folder: Path, address: str, why: str
) -> None:
    ran = inside("worker", "-m", "hour_activities", "--metrics", address, "--address", "127.0.0.1:1", cwd=folder)
    assert ran.code == 3
    assert ran.err.startswith(f"error[SD907]: cannot show metrics at `{address}`: {why}\n")
