"""The extension for Visual Studio Code: it can be built, and what it starts answers a client of the same family."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.cli.shell import environment
from tests.needs import built, need
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "editors" / "vscode"
LOADED = """
const Module = require("node:module");
const load = Module._load;
const any = new Proxy(class {}, {get: (made, key) => (key in made || typeof key === "symbol" ? made[key] : any)});
Module._load = (name, ...rest) => (name === "vscode" ? any : load(name, ...rest));
const extension = require(process.argv[1]);
console.log(JSON.stringify(Object.keys(extension).sort()));
"""
ASKED = """
const {spawn} = require("node:child_process");
const protocol = require("vscode-languageserver-protocol/node");
const {pathToFileURL} = require("node:url");
const {serverCommand} = require("./server.js");
const [command, folder, text] = JSON.parse(process.argv[1]);
const {command: program, args, options} = serverCommand(command, folder);
const server = spawn(program, args, options);
const [reader, writer] = [protocol.StreamMessageReader, protocol.StreamMessageWriter];
const connection = protocol.createMessageConnection(new reader(server.stdout), new writer(server.stdin));
const uri = pathToFileURL(folder + "/order.saga.yaml").href;
connection.onNotification("textDocument/publishDiagnostics", async (said) => {
  console.log(JSON.stringify(said.diagnostics.map((each) => [each.code, each.range.start])));
  await connection.sendRequest("shutdown");
  await connection.sendNotification("exit");
});
connection.listen();
(async () => {
  const workspaceFolders = [{uri: pathToFileURL(folder).href, name: "work"}];
  const own = {processId: process.pid, rootUri: null, capabilities: {}, workspaceFolders};
  await connection.sendRequest("initialize", own);
  await connection.sendNotification("initialized", {});
  const textDocument = {uri, languageId: "yaml", version: 1, text};
  await connection.sendNotification("textDocument/didOpen", {textDocument});
})();
server.on("exit", (code) => process.exit(code));
"""


@pytest.fixture(scope="module")
def extension() -> Path:
    """The folder in which the extension has been built; its packages are kept there for the next run."""
    target = ROOT / "build" / "vscode"
    target.mkdir(parents=True, exist_ok=True)
    for path in (each for each in SOURCE.iterdir() if each.is_file()):
        shutil.copy(path, target)
    stamp, digest = target / ".packages", hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=target)
        stamp.write_text(digest)
    _npm("run", "package", cwd=target)
    return target


def _npm(*arguments: str, cwd: Path) -> None:
    command = need("npm")
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    built("npm", ended)


def _node(script: str, argument: str, cwd: Path) -> str:
    ended = subprocess.run(
        [*need("node"), "-e", script, argument],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_extension_is_a_package_that_an_editor_can_load(extension: Path) -> None:
    """All of its code is in one file, beside the editor's own interface."""
    with ZipFile(extension / "sagadsl-vscode.vsix") as package:
        names = set(package.namelist())
        described = json.loads(package.read("extension/package.json"))

    assert {"extension/dist/extension.js", "extension/readme.md"} <= names
    assert not any("node_modules" in name for name in names)
    assert described["main"] == "./dist/extension.js"
    bundle = str(extension / "dist" / "extension.js")
    assert json.loads(_node(LOADED, bundle, extension.parent)) == ["activate", "deactivate"]


def test_what_the_extension_starts_answers(extension: Path, tmp_path: Path) -> None:
    """With the command of the setting, looked for in the folder that is open if it is a path."""
    program = tmp_path / "bin" / "sagadsl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sagadsl "$@"\n')
    program.chmod(0o755)
    text = "sagadsl: 1\nname: order\nsteps:\n  - {id: a, slep: 1s}\n"
    said = _node(ASKED, json.dumps([["bin/sagadsl", "lsp"], str(tmp_path), text]), extension)

    assert json.loads(said)[0] == ["SD104", {"line": 3, "character": 12}]
