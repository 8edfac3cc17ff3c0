"""All commands with wrong inputs: each says in whole sentences what is wrong, and ends with the code for it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sagadsl.cli.commands import COMMANDS, cli
from tests.cli.shell import Ran, inside
from tests.conftest import Server

USAGE, INVALID, NO_SERVER, ENDS_BADLY, REFUSED = 2, 1, 3, 10, 11
NOBODY = "--address 127.0.0.1:1"
FAULTS = (
    (r"Traceback|File \"", "a traceback"),
    (r"internal error", "a mistake of sagadsl"),
    (r"(?i)\b(?!that\b)([a-z]+) \1\b", "a word twice"),
    (r"``|''|\"\"|\(\s*\)|\[\s*\]", "a name that is empty"),
    (r"\bof saga\b(?=.*\bof saga\b)", "two sagas"),
    (r"cannot \w+ of\b", "half a sentence"),
    (r" [;,.:?!)]|\( ", "a blank before a sign"),
    (r"\bNone\b|<class |<object|object at 0x|\w+Error\(|is not of type|is a required property", "Python or a library"),
    (r"Invalid value|No such |Missing [a-z]+ '|Got unexpected|Option '|not a valid|in the range", "words of click"),
    (r"\b1 (?:sagas|steps|errors|warnings|files|activities|cases|packages|workers|attempts|days)\b", "a wrong plural"),
)
"""What no sentence has, by its pattern."""

DEFINITION = """\
sagadsl: 1
name: little
input: {type: object, required: [amount], properties: {amount: {type: integer, minimum: 1}}}
steps:
  - {id: wait, wait_for: {signal: go, timeout: 1h}}
"""
FILES = {
    "little.saga.yaml": DEFINITION,
    "two.saga.yaml": DEFINITION.replace("little", "first") + "---\n" + DEFINITION.replace("little", "second"),
    "broken.saga.yaml": "sagadsl: 1\nname: [\n",
    "wrong.saga.yaml": 'sagadsl: 1\nname: wrong\nsteps:\n  - {id: a, set: {x: "{{ a. }} {{ b | }} {{ stps.x }}"}}\n',
    "empty.saga.yaml": "",
    "list.saga.yaml": "- 1\n",
    "wrong.saga-test.yaml": "sagadsl_test: 1\nsaga: nowhere.saga.yaml\ncases: []\n",
}
FILE_COMMANDS = ("validate", "diff", "graph", "simulate", "explore", "test", "run", "worker", "serve")
RUN_ID = {
    "status": "",
    "trace": "",
    "explain-run": "",
    "result": "",
    "query": "progress",
    "signal": "go",
    "cancel": "",
    "terminate": "--yes",
    "recover": "--yes",
    "redrive": "--yes",
    "retry": "wait",
    "complete": "wait",
    "skip": "wait",
    "abort": "",
    "pause": "",
    "resume": "",
    "reset": "--to wait --yes",
    "migrate": "--to little.saga.yaml --yes",
}
"""Commands on one saga, with what else they need."""
INPUTS = ("[1]", "{", "@nowhere.json", "{amount: 1}", '{"amount": "x"}', '{"amount": 0}', "{}", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sentences")
    for name, text in FILES.items():
        (made / name).write_text(text)
    return made


def _leaves(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from _leaves(inner, (*words, name))
    else:
        yield words


EVERY = [" ".join(words) for words in _leaves(cli, ())]


def _looked_at(command: str, ran: Ran, *codes: int) -> None:
    """Look at each sentence that a command has said."""
    said = ran.err + ran.out
    assert ran.code in codes, f"{command}: exit code {ran.code}\n{said}"
    for line in said.splitlines():
        if line.startswith((" ", "{", "}", "Usage:")):
            continue  # excerpts of files, JSON, usage: they are no sentences
        for pattern, fault in FAULTS:
            assert not re.search(pattern, line), f"{command}: {fault}: {line}"
    sentences = [line for line in ran.err.splitlines() if re.match(r"error(\[|:)", line)]
    assert sentences or re.search(r"^error\[|^ ✗|with errors", ran.out, re.M), f"{command}: no error\n{said}"
    for line in sentences:
        assert re.search(r"[\w`)\]”\"'?…}.]$", line), f"{command}: does not end as a sentence: {line}"


def _run(folder: Path, command: str, *codes: int) -> None:
    _looked_at(command, inside(*shlex.split(command), cwd=folder), *codes)


@pytest.mark.parametrize("command", EVERY)
def test_an_option_that_no_command_has(folder: Path, command: str) -> None:
    _run(folder, f"{command} --nosuch", USAGE)
    _run(folder, f"{command} --color sometimes", USAGE)


@pytest.mark.parametrize("command", EVERY)
def test_an_option_without_its_value_or_with_one_that_it_cannot_have(folder: Path, command: str) -> None:
    """Also a value that no word and no number is like, and a value for what takes none."""
    for name, kind, is_flag in _options(command):
        wrong = [f"{name}=yes"] if is_flag else [name]
        wrong += [f"{name}=§"] if isinstance(kind, click.Choice | click.types.IntParamType) else []
        wrong += [f"{name}=-1"] if isinstance(kind, click.IntRange) else []
        for words in wrong:
            _run(folder, f"{command} {words}", USAGE)


def _options(words: str) -> Iterator[tuple[str, click.ParamType[object], bool]]:
    """Yield the long name and the type of each option of a command, and whether it takes no value."""
    command: click.Command | None = cli
    for word in words.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    for each in command.params:
        if isinstance(each, click.Option):
            yield max(each.opts, key=len), each.type, each.is_flag or each.count


@pytest.mark.parametrize("command", [each for each in EVERY if each not in ("dev", "worker", "serve", "completion")])
def test_one_argument_too_many(folder: Path, command: str) -> None:
    """Or, for a command that takes many, one that is not there."""
    ran = inside(*shlex.split(command), "nosuch.saga.yaml", "a", "b", "c", cwd=folder)
    if ran.code != 0:
        _looked_at(command, ran, USAGE, NO_SERVER)


@pytest.mark.parametrize("command", FILE_COMMANDS)
@pytest.mark.parametrize("file", [*FILES, "nosuch.saga.yaml", "litle.saga.yaml", "two.saga.yaml#third"])
def test_a_file_that_is_no_good(folder: Path, command: str, file: str) -> None:
    more = {"diff": "little.saga.yaml", "worker": NOBODY, "serve": f"{NOBODY} --bind 127.0.0.1:0"}.get(command, "")
    ran = inside(command, file, *shlex.split(more), cwd=folder)
    if command in ("run", "simulate") and file == "little.saga.yaml":
        assert ran.code in (USAGE, ENDS_BADLY)  # `run` lacks the input, and nobody sends the signal
    elif file == "little.saga.yaml":  # it is good, but no suite
        assert ran.code in (INVALID if command == "test" else 0, NO_SERVER), f"{command} {file}: {ran}"
    else:
        _looked_at(f"{command} {file}", ran, INVALID, USAGE, NO_SERVER)


@pytest.mark.parametrize("command", RUN_ID)
def test_no_server_answers(folder: Path, command: str) -> None:
    _run(folder, f"{command} s-1 {RUN_ID[command]} {NOBODY}", NO_SERVER)


@pytest.mark.temporal
@pytest.mark.parametrize("command", RUN_ID)
def test_a_saga_that_does_not_exist(folder: Path, server: Server, command: str) -> None:
    _run(folder, f"{command} nobody-has-this-id {RUN_ID[command]} --address {server.address}", USAGE)


@pytest.mark.parametrize("input", INPUTS)
@pytest.mark.parametrize("command", ["run", "simulate", "explore"])
def test_an_input_that_cannot_be_taken(folder: Path, command: str, input: str) -> None:
    ran = inside(command, "little.saga.yaml", "-i", input, cwd=folder)
    if command == "simulate" and ran.code == REFUSED:  # it plays how the saga refuses its input
        assert "the input does not fit the saga" in ran.out
    else:
        _looked_at(f"{command} -i {input}", ran, USAGE)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("completion",)])
def test_json_is_promised_and_kept_when_a_command_fails(folder: Path, name: str) -> None:
    """Each command that prints a result takes `--json`, and then says also what is wrong in JSON."""
    command = COMMANDS[name]
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, command
    for words in _leaves(found, (name,)):
        leaf = inside(*words, "--help", cwd=folder).out
        if "--json" not in leaf:
            assert " ".join(words) in WITHOUT_JSON, f"{' '.join(words)} has no --json"
            continue
        failed = inside(*words, "--json", "--nosuch", cwd=folder)
        assert failed.code == USAGE
        assert json.loads(failed.out)["error"]["message"]


WITHOUT_JSON = ("worker", "serve", "dev", "lsp", "mcp", "schema", "completion")
"""Commands that print no result, or something that is JSON already, or a script, or talk to an editor."""
