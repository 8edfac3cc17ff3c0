"""Every command with streams that take nothing, or only ASCII: a clear end, and what is said stays what it is (N18)."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sagadsl.cli.commands import SECTIONS
from tests.cli.shell import SAGADSL, environment, inside
from tests.patience import PATIENCE

DEFINITION = """\
sagadsl: 1
name: greet
description: "été 😀"
steps: [{id: a, set: {text: "Zürich 😀"}}]
output: {text: "{{ steps.a.output.text }}"}
"""
WRONG = 'sagadsl: 1\nname: wrong\nsteps: [{id: a, activty: "Zürich 😀"}]\n'
SUITE = """\
sagadsl_test: 1
saga: grüße.saga.yaml
cases:
  - {name: "été 😀", then: {status: completed}}
"""
CALLS = {
    "--help": 0,
    "diff good/grüße.saga.yaml good/grüße.saga.yaml --json": 0,
    "validate . -f text": 1,
    "validate . -f json": 1,
    "validate . -f sarif": 1,
    "explain SD101 --json": 0,
    "explain SD9999 --json": 2,
    "schema": 0,
    "graph good/grüße.saga.yaml": 0,
    "graph good/grüße.saga.yaml -f json": 0,
    "plugins list --json": 0,
    "new project shop --dry-run --json": 0,
    "init good --dry-run --json": 0,
    "simulate good/grüße.saga.yaml -f text": 0,
    "simulate good/grüße.saga.yaml -f json": 0,
    "explore good/grüße.saga.yaml -f json": 0,
    "test good --json": 0,
    "token zoë --read * --json": 0,
    "keygen nowhere/ann.pem --json": 3,
    "sign good/grüße.saga.yaml --key nothing.pem --json": 3,
    "verify good/grüße.saga.yaml --allow-digest {} --json".format("0" * 64): 1,
    "run nothing.saga.yaml --json": 2,
    "status nothing --address 127.0.0.1:1 --json": 3,
}
"""A call of each form of output, a failure of each kind; none of them needs a server."""
NOBODY = "--address 127.0.0.1:1"
WITHOUT_A_SERVER = {
    f"worker good {NOBODY}": 3,
    f"serve good {NOBODY} --bind 127.0.0.1:0": 3,
    "dev --no-such-option": 2,
    "lsp --no-such-option": 2,
    "mcp --no-such-option": 2,
    f"list --json {NOBODY}": 3,
    f"incidents --json {NOBODY}": 3,
    f"trace a --json {NOBODY}": 3,
    f"explain-run a {NOBODY}": 3,
    f"result a --json {NOBODY}": 3,
    f"query a progress --json {NOBODY}": 3,
    f"signal a s --json {NOBODY}": 3,
    f"cancel a --json {NOBODY}": 3,
    f"terminate a --yes --json {NOBODY}": 3,
    f"forget a --why b --yes --json {NOBODY}": 3,
    f"recover a --yes --json {NOBODY}": 3,
    f"redrive a --yes --json {NOBODY}": 3,
    f"retry a --json {NOBODY}": 3,
    f"reset a --to b --yes --json {NOBODY}": 3,
    f"migrate a --to good/grüße.saga.yaml --json {NOBODY}": 3,
    f"history export a --to new --json {NOBODY}": 3,
    f"replay --name a --json {NOBODY}": 3,
    f"complete a b --step-output 1 --json {NOBODY}": 3,
    f"skip a b --json {NOBODY}": 3,
    f"abort a --json {NOBODY}": 3,
    f"pause a --json {NOBODY}": 3,
    f"resume a --json {NOBODY}": 3,
    f"schedule list --json {NOBODY}": 3,
    f"doctor --json {NOBODY}": 3,
    "completion bash": 0,
}
"""A call of each further command."""
WHOLE = ("validate . -f json", "simulate good/grüße.saga.yaml -f text")
FULL = {">/dev/full": "out"}
SITUATIONS = FULL | {
    ">&-": "out",
    "| true": "pipe",
    "2>&-": "err",
    "2>/dev/full": "err",
    ">/dev/full 2>/dev/full": "out",
    ">&- 2>&-": "out",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "grüße.saga.yaml").write_text(DEFINITION)
    (tmp_path / "good" / "grüße.saga-test.yaml").write_text(SUITE)
    (tmp_path / "wrong.saga.yaml").write_text(WRONG)
    (tmp_path / "sagadsl.toml").write_text("plugins = {allow = []}\n")
    return tmp_path


def _ended(folder: Path, call: str, where: str = "", **env: str) -> tuple[int, bytes, bytes]:
    words = " ".join(map(shlex.quote, (*SAGADSL, *call.split())))
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} {where}"],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def _lasting(document: bytes | str) -> Any:
    """Return a document without what differs from call to call."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            gone = ("seconds", "took", "token", "sha256", "duration", "elapsed")
            return {key: kept(each) for key, each in value.items() if not key.startswith(gone)}
        return [kept(each) for each in value] if isinstance(value, list) else value

    return kept(json.loads(document))


@pytest.mark.parametrize("call", CALLS)
def test_no_stream_breaks_a_command(folder: Path, call: str) -> None:
    """A failure keeps its exit code; a success whose result cannot be written is exit 74, or 141 for a pipe."""
    code = CALLS[call]
    for where, kind in (SITUATIONS if call in WHOLE else FULL).items():
        found, _, err = _ended(folder, call, where)
        expected = {"out": {74, code} if code else {74}, "pipe": {141, code}, "err": {code}}[kind]
        assert found in expected, (where, err)
        assert b"Traceback" not in err, (where, err)
        assert b"Exception ignored" not in err, (where, err)


@pytest.mark.parametrize("call", CALLS)
def test_a_terminal_that_knows_ascii_alone_breaks_no_command(folder: Path, call: str) -> None:
    """What it cannot show is escaped as JSON would, so that JSON stays JSON."""
    code, shown, err = _ended(folder, call, PYTHONIOENCODING="ascii")

    assert (code, b"Traceback" in err, shown.isascii()) == (CALLS[call], False, True), err
    if "json" in call:
        assert _lasting(shown) == _lasting(inside(*call.split(), cwd=folder).out)


@pytest.mark.parametrize("call", WITHOUT_A_SERVER)
def test_no_stream_breaks_a_command_that_finds_no_server(folder: Path, call: str) -> None:
    code = WITHOUT_A_SERVER[call]
    for where, env in ((">/dev/full", {}), ("", {"PYTHONIOENCODING": "ascii", "COLUMNS": "20"})):
        found, shown, err = _ended(folder, call, where, **env)
        assert found in ({74, code} if where and code else {74} if where else {code}), (where, err)
        assert b"Traceback" not in err, (where, err)
        assert shown.isascii()
        if "--json" in call and not where:
            assert "error" in json.loads(shown) or json.loads(shown)["ok"] is False


def test_every_command_is_called_here() -> None:
    called = {call.split()[0] for call in (*CALLS, *WITHOUT_A_SERVER)} - {"--help"}
    listed = {name for section in SECTIONS.values() for name in section}

    assert called == listed
