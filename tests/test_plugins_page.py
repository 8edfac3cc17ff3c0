"""The guide for authors of activities does what it shows: its files, commands, tests and output."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagadsl.language.load import load
from tests.cli.shell import environment
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "plugins.md").read_text("utf-8")
OTHER_LANGUAGES = (DOCS / "other-languages.md").read_text("utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
BLOCKS: list[tuple[str, str]] = _BLOCK.findall(PAGE)
NAMED = re.compile(r"# (\w[\w.]*\.(?:py|yaml|toml))\n")
VARIES = (
    (re.compile(r"\(\d+ ms\)"), "(N ms)"),
    (re.compile(r"\d+\.\ds\b"), "N.Ns"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r"^ ▶ .*\n", re.M), ""),  # a step that is over soon is not always seen while it runs
)


def _steady(text: str) -> str:
    """Return *text* without what differs between two runs."""
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text


@pytest.fixture(scope="module")
def folder(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with every file that the page shows; its modules can be imported until the tests are over."""
    made = tmp_path_factory.mktemp("author")
    before = set(sys.modules)
    for _kind, text in BLOCKS:
        if named := NAMED.match(text):
            (made / named[1]).write_text(text.replace("localhost:7233", server.address), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(made))
        yield made
    for name in {path.stem for path in made.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]


def _python() -> list[tuple[str, str]]:
    """Return the Python blocks, each with the output that the page shows after it."""
    pairs = zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    return [(text, after if kind == "output" else "") for (shown, text), (kind, after) in pairs if shown == "python"]


@pytest.mark.parametrize(("text", "printed"), _python(), ids=lambda text: text.partition("\n")[0].strip("# "))
def test_a_block_of_python_runs_and_prints_what_is_shown(
    text: str, printed: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """House: documentation that nobody runs drifts."""
    monkeypatch.chdir(folder)
    named, out = NAMED.match(text), io.StringIO()
    with contextlib.redirect_stdout(out):
        if named:
            runpy.run_path(named[1])
        else:
            exec(compile(text, "plugins.md", "exec"), {})

    assert out.getvalue() == printed


def _commands() -> list[tuple[str, str]]:
    return [
        found
        for kind, text in BLOCKS
        if kind == "console"
        for found in re.findall(r"^\$ sagadsl (.*)\n((?:(?!\$ ).*\n)*)", text, re.M)
    ]


@pytest.mark.parametrize(("command", "screen"), _commands(), ids=lambda text: text.partition("\n")[0][:40])
def test_a_command_prints_what_is_shown(command: str, screen: str, folder: Path) -> None:
    """Only times, ids and ports differ."""
    ended = subprocess.run(
        [sys.executable, "-m", "sagadsl", *command.split()],
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert _steady(ended.stdout) == _steady(screen)


def test_the_tests_that_are_shown_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    shown = importlib.import_module("test_shipping")
    tests = [function for name, function in vars(shown).items() if name.startswith("test_")]

    assert len(tests) == 2
    for test in tests:
        test()


@pytest.mark.parametrize("card", ["empty", "busy", "mute"])
def test_the_errors_that_are_shown_are_those_of_the_table(card: str, folder: Path) -> None:
    """R5: who may be asked again, and what has to be undone."""
    charging = importlib.import_module("charging")
    with pytest.raises(Exception, match=r"\w") as raised:
        charging.charge(card, 5)

    error = raised.value
    found = (error.type, error.retryable, error.effect_unknown)  # type: ignore[attr-defined]
    assert (
        found
        == {
            "empty": ("CardDeclined", False, False),
            "busy": ("Busy", True, False),
            "mute": ("NoAnswer", True, True),
        }[card]
    )


def test_every_definition_and_step_that_is_shown_loads() -> None:
    texts = [text for kind, text in (*BLOCKS, *_BLOCK.findall(OTHER_LANGUAGES)) if kind == "yaml"]
    head = "sagadsl: 1\nname: example\nversion: '1'\nsteps:\n"

    assert len(texts) == 2
    for text in texts:
        loaded = load(text if "sagadsl:" in text else head + text)
        assert [(finding.code, finding.message) for finding in loaded.errors] == []


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE + OTHER_LANGUAGES)

    assert links
    assert [link for link in links if not os.path.exists(DOCS / link)] == []
