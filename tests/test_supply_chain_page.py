"""docs/operations/supply-chain.md: its blocks run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.cli.shell import environment
from tests.patience import PATIENCE

PAGE = (Path(__file__).parents[1] / "docs" / "operations" / "supply-chain.md").read_text("utf-8")
KEY = re.compile(r"(?<=key )[0-9a-f]{16}\b|(?<=is )[0-9a-f]{16}\b")
"""The id of the key is another one each time."""


def _blocks(kind: str, section: str) -> list[str]:
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)


def _runs(block: str, folder: Path, same: Callable[[str], str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(PATH=path, XDG_CONFIG_HOME=str(folder))
    steps = re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", block, re.M)
    assert steps
    for command, shown in steps:
        ran = subprocess.run(
            command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert same(ran.stdout) == same(shown), (command, ran.stderr)


def test_its_sections_do_what_they_show(tmp_path: Path) -> None:
    (yaml,) = _blocks("yaml", "Signed definitions")
    (toml,) = _blocks("toml", "Signed definitions")
    (tmp_path / "refund.saga.yaml").write_text(yaml)

    def same(text: str) -> str:
        return KEY.sub("KEY", text)

    for index, block in enumerate(_blocks("console", "Signed definitions")):
        if index == 1:
            (tmp_path / "sagadsl.toml").write_text(toml)
        _runs(block, tmp_path, same)
    (block,) = _blocks("console", "Definitions by digest")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            _runs(block.replace("PORT", str(server.server_port)), tmp_path, same)
        finally:
            server.shutdown()
            thread.join()
