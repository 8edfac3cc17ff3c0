"""The page says states and lengths of time as the command line does: both are read here, and compared."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import sagadsl.gateway
from sagadsl.status.lines import SIGNS, spell
from tests.needs import need
from tests.patience import PATIENCE

PAGE = Path(sagadsl.gateway.__file__).parent / "page"
LENGTHS = (-1, 0, 0.04, 0.44, 9.94, 9.96, 10, 12.4, 59.4, 59.6, 60, 65, 3_599.4, 3_600, 7_805, 86_399, 86_400, 273_600)
"""In seconds. None is half-way between two spellings: there Python rounds to the even one, the page up."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Return what an expression over the page's `dom.js` and `timeline.js` gives."""
    node = need("node")
    folder = tmp_path_factory.mktemp("page")
    for name in ("dom.js", "json.js", "timeline.js"):
        shutil.copy(PAGE / name, folder)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")

    def say(expression: str) -> Any:
        asked = f"console.log(JSON.stringify({expression}));"
        script = f'import * as dom from "./dom.js"; import * as timeline from "./timeline.js"; {asked}'
        (folder / "ask.js").write_text(script, encoding="utf-8")
        ran = subprocess.run(
            [*node, "ask.js"], cwd=folder, capture_output=True, text=True, check=True, timeout=PATIENCE
        )
        return json.loads(ran.stdout)

    return say


def test_the_page_has_the_signs_of_the_command_line(said: Callable[[str], Any]) -> None:
    assert said("dom.SIGNS") == SIGNS


def test_the_page_spells_lengths_of_time_as_the_command_line(said: Callable[[str], Any]) -> None:
    spelt = said(f"{json.dumps(LENGTHS)}.map(dom.spell)")

    assert spelt == [spell(timedelta(seconds=seconds)) for seconds in LENGTHS]


@pytest.mark.parametrize(
    ("seconds", "marks"),
    [
        (0.11, ["0", "20 ms", "40 ms", "60 ms", "80 ms", "100 ms"]),
        (1.0, ["0", "200 ms", "400 ms", "600 ms", "800 ms"]),
        (7.0, ["0", "2s", "4s", "6s"]),
        (95.0, ["0", "30s", "1m00s", "1m30s"]),
        (7_300.0, ["0", "30m00s", "1h00m", "1h30m"]),
        (1_000_000.0, ["0", "2d00h", "4d00h", "6d00h", "8d00h", "10d00h"]),
    ],
)
def test_the_axis_of_the_timeline_has_round_marks(said: Callable[[str], Any], seconds: float, marks: list[str]) -> None:
    assert said(f"timeline.ticks({seconds}).map(timeline.short)") == marks
