"""The way in and out: help, start-up, exit codes, and how a failure reads."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import click
import pytest

from sagadsl.cli import entry
from sagadsl.cli.commands import COMMANDS, cli
from sagadsl.errors import SagadslError
from tests.cli.shell import SAGADSL, environment, inside, sagadsl
from tests.patience import PATIENCE

HEAVY = ("temporalio", "rich", "httpx2", "jinja2", "yaml", "jsonschema", "pydantic")


def _loaded_by(*arguments: str, heavy: Collection[str] = HEAVY) -> set[str]:
    """Run a command in a fresh interpreter and return which heavy packages it imported."""
    program = (
        "import sys\n"
        "from sagadsl.cli.entry import run\n"
        f"run({list(arguments)!r})\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return set(ended.stderr.splitlines()[-1].split())


def test_help_lists_every_command_and_imports_none() -> None:
    """Start-up."""
    shown = sagadsl("--help")
    assert shown.code == 0
    assert shown.err == ""
    for name, command in COMMANDS.items():
        assert f"  {name} " in shown.out
        assert command.summary in shown.out
    assert _loaded_by("--help") == set()


@pytest.mark.parametrize(
    "command", ["validate", "explore", "simulate", "test", "run", "worker", "serve", "query", "schedule"]
)
def test_the_help_of_a_command_loads_neither_the_stages_of_the_language_nor_the_sdk(command: str) -> None:
    """Its answer, and what the shell completes, come at once."""
    assert _loaded_by(command, "--help") == set()


_FOR_OTHERS = ("temporalio", "rich", "httpx2", "pydantic", "jinja2", "xml", "urllib.request")


@pytest.mark.parametrize("command", ["validate", "simulate", "explore", "graph"])
def test_a_command_that_needs_a_file_alone_loads_nothing_for_servers_and_other_forms(
    command: str, tmp_path: Path
) -> None:
    """It would double its time."""
    file = tmp_path / "small.saga.yaml"
    file.write_text("sagadsl: 1\nname: small\nversion: '1'\nsteps: [{id: rest, sleep: 1s}]\n")
    assert _loaded_by(command, str(file), heavy=_FOR_OTHERS) == set()


_SELDOM = ("difflib", "fractions", "shutil", "tempfile", "tomllib", "email.message", "importlib.metadata")


def test_a_check_without_a_finding_imports_none_of_what_a_check_seldom_needs(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    file = folder / "small.saga.yaml"
    file.write_text(
        "sagadsl: 1\nname: small\nversion: '1'\n"
        "input: {type: object, properties: {n: {type: integer}}}\n"
        "steps: [{id: rest, sleep: 1s}, {id: sum, set: {n: '{{ input.n | default(1) }}'}}]\n"
    )
    for _ in range(2):  # the first time keeps what is installed
        file.write_text(f"{file.read_text()}# edited\n")
        ended = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "sagadsl", "validate", "small.saga.yaml"],
            cwd=folder,
            env=environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "yaml" in loaded
    assert loaded.intersection(_SELDOM) == set()


_BEGINS = """
import sys
from sagadsl.temporal.link import server_process

def begin(*_, **__):
    print("begins", *[name for name in ("temporalio", "jinja2") if name in sys.modules])
    raise OSError(2, "No such file or directory")

server_process.begin = begin
from sagadsl.cli.entry import run
run(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("text", "value", "lines"),
    [
        ("steps: [{id: rest, sleep: 1s}]", "n=1", ["begins", "begins temporalio"]),
        ("steps: [{id: rest, slep: 1s}]", "n=1", []),
        ("steps: [{id: rest, sleep: 1s}]", "n=none", []),
        ("steps: [{id: rest, sleep: 1s}]", "m=1", []),
    ],
    ids=["right", "a wrong definition", "a wrong input", "an input that does not fit"],
)
def test_a_server_of_ours_begins_before_the_sdk_is_loaded_and_for_nothing_wrong(
    text: str, value: str, lines: list[str], tmp_path: Path
) -> None:
    """Both take time, and so they take it at once; a second try tells why there is none."""
    file = tmp_path / "small.saga.yaml"
    schema = "{type: object, required: [n], properties: {n: {type: integer}}}"
    file.write_text(f"sagadsl: 1\nname: small\nversion: '1'\ninput: {schema}\n{text}\n")
    ended = subprocess.run(
        [sys.executable, "-c", _BEGINS, "run", str(file), "--set", value],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert [line for line in ended.stderr.splitlines() if line.startswith("begins")] == lines
    assert ("does not start: no such file" in ended.stderr) is bool(lines)


def test_without_a_command_the_help_is_shown_and_that_is_no_mistake() -> None:
    assert sagadsl() == sagadsl("--help")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_line_in_the_list_is_the_command_s_own(name: str) -> None:
    with cli.make_context("sagadsl", ["--help"], resilient_parsing=True) as context:
        command = cli.get_command(context, name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == COMMANDS[name].summary


def _every_command() -> list[tuple[str, ...]]:
    names: list[tuple[str, ...]] = []
    with cli.make_context("sagadsl", ["--help"], resilient_parsing=True) as context:
        for name in COMMANDS:
            names.append((name,))
            command = cli.get_command(context, name)
            if isinstance(command, click.Group):
                names += [(name, inner) for inner in command.commands]
    return names


@pytest.mark.parametrize("command", _every_command(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run([*command, "-h"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: sagadsl {' '.join(command)}" in shown
    assert "Example" in shown
    assert "--debug" in shown
    blocks = re.findall(r"^  (?:Examples?|.* into a definition):\n((?:    .*\n)+)", shown, re.M)
    assert blocks
    wide = [line for block in blocks for line in block.splitlines() if len(line) > 80]
    assert wide == []
    assert re.search(r"^$\n  Examples?:$", shown, re.M), "no line stands right above the examples"


@pytest.mark.parametrize("command", _every_command(), ids=" ".join)
def test_the_variable_of_an_option_is_named_like_its_flag(command: tuple[str, ...]) -> None:
    """SAGADSL_VALIDATE_FORMAT is `validate --format`; click names it by the parameter."""
    with cli.make_context("sagadsl", ["--help"], resilient_parsing=True) as context:
        found: click.Command | None = cli
        for name in command:
            assert isinstance(found, click.Group)
            found = found.get_command(context, name)
    assert found is not None
    for option in found.params:
        if isinstance(option, click.Option):
            flags = {flag.lstrip("-").replace("-", "_") for flag in option.opts}
            assert option.name in flags


def test_version_is_printed() -> None:
    assert sagadsl("--version").out.startswith("sagadsl 0.")


def test_a_misspelt_command_is_a_usage_error_with_a_suggestion() -> None:
    ended = sagadsl("valdate")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err == (
        "Usage: sagadsl [OPTIONS] [COMMAND] [ARGS]...\n"
        "Try `sagadsl --help`.\n"
        "error: there is no command `valdate`; did you mean `validate`?\n"
    )


def test_a_usage_error_is_one_json_document_when_json_is_asked_for() -> None:
    ended = sagadsl("plugins", "list", "--json", "--nope")
    assert ended.code == 2
    assert ended.out == (
        '{\n  "schema_version": 1,\n  "error": {\n    "code": "",\n'
        '    "message": "there is no option `--nope`",\n    "help": ""\n  }\n}\n'
    )


class _Unusable(SagadslError):
    code = "SD999"
    exit_code = 3

    @property
    def help(self) -> str:
        return "use another"


def _failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every command raise *error*."""

    def fail(context: click.Context) -> None:
        raise error

    monkeypatch.setattr(cli, "invoke", fail)


def test_what_is_raised_on_purpose_is_one_block_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(_Unusable("the thing is broken"), monkeypatch)
    assert entry.run([]) == 3
    assert capsys.readouterr() == ("", "error[SD999]: the thing is broken\n   = help: use another\n")


def test_our_own_mistake_asks_for_a_report_and_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(KeyError("x"), monkeypatch)
    assert entry.run([]) == 70
    shown = capsys.readouterr().err
    assert shown.startswith("error[SD900]: internal error in sagadsl 0.")
    assert "KeyError: 'x'\n" in shown
    assert "please report it" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_traceback_is_shown_for_who_asks(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing(_Unusable("the thing is broken"), monkeypatch)
    if how == "variable":
        monkeypatch.setenv("SAGADSL_DEBUG", "1")
    assert entry.run(["--debug"] if how == "flag" else []) == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_interruptions_have_the_exit_codes_that_shells_expect(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(error, monkeypatch)
    assert entry.run([]) == code


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen(
        [*SAGADSL, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 141


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_calls_us(shell: str) -> None:
    printed = sagadsl("completion", shell)
    assert printed.code == 0
    assert "_SAGADSL_COMPLETE" in printed.out


def test_completion_completes_commands() -> None:
    asked = {"_SAGADSL_COMPLETE": "bash_complete", "COMP_WORDS": "sagadsl val", "COMP_CWORD": "1"}
    assert sagadsl(env=asked).out == "plain,validate\n"


def test_colour_follows_the_common_variables(tmp_path: Path) -> None:
    """https://no-color.org."""
    plain = sagadsl("explain", "SD9999")
    forced = sagadsl("explain", "SD9999", env={"FORCE_COLOR": "1"})
    refused = sagadsl("explain", "SD9999", env={"FORCE_COLOR": "1", "NO_COLOR": "1"})
    asked = sagadsl("explain", "SD9999", "--color", "always")
    assert "\x1b" not in plain.err
    assert "\x1b[31m" in forced.err
    assert refused.err == plain.err
    assert asked.err == forced.err


@pytest.mark.parametrize("columns", [40, 80])
def test_the_help_of_each_command_fits_the_screen(columns: int) -> None:
    """But for commands to copy, and names of options: the terminal itself breaks those."""
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        words = waiting.pop()
        command: click.Command | None = cli
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word)
        if isinstance(command, click.Group):
            waiting += [(*words, each) for each in command.list_commands(click.Context(command))]
        shown = inside(*words, "--help", env={"COLUMNS": str(columns)}).out
        prose = re.sub(r"^ *(?:Examples?|.* into a definition):\n(?:    .*\n)*", "", shown, flags=re.M)
        names = re.compile(r"  --\S+ (/ --\S+|[A-Z]+)| +\S+")
        long = [line for line in prose.splitlines() if len(line) > columns and not names.fullmatch(line)]
        assert long == [], f"{' '.join(words)}: {long}"
