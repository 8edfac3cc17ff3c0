"""Over HTTP, a saga is forgotten whose stored payloads others have, too: they are named to whom may read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cli.shell import inside
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, shop, worker

pytestmark = pytest.mark.temporal

LARGE = "hush-" * 70_000
KID = """\
sagadsl: 1
name: kid
version: "1.0.0"
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: keep, set: {text: "{{ input.text }}"}}
output: {text: "{{ input.text }}"}
"""
TOP = """\
sagadsl: 1
name: top
version: "1.0.0"
input: {type: object, properties: {text: {type: string}}}
steps:
  - {id: kid, saga: kid, input: {text: "{{ input.text }}"}}
output: {text: "{{ steps.kid.output.text }}"}
"""


@pytest.fixture(scope="module")
def guarded(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, dict[str, str]]]:
    """A gateway whose workers have a storage, and the tokens of who may read all sagas and who only the child."""
    folder = shop(tmp_path_factory.mktemp("shared"))
    for name, text in {"kid": KID, "top": TOP}.items():
        (folder / f"{name}.saga.yaml").write_text(text)
    with (folder / "sagadsl.toml").open("a") as settings:
        settings.write(f'\n[storage]\nfolder = "{folder / "kept"}"\n')
    tokens = {
        "chief": _token(folder, "chief", "--start", "*", "--read", "*", "--forget", "*"),
        "privacy": _token(folder, "privacy", "--read", "kid", "--forget", "kid"),
    }
    with worker(folder, server.address), serve(folder, server.address, "--tokens", "tokens.yaml") as house:
        yield house, tokens


def _token(folder: Path, name: str, *rights: str) -> str:
    made = inside("token", name, *rights)
    assert made.code == 0, made.err
    tokens = folder / "tokens.yaml"
    tokens.write_text((tokens.read_text() if tokens.exists() else "tokens:\n") + made.out)
    return made.err.strip().rpartition(" ")[2]


@pytest.mark.parametrize(("who", "knows"), [("chief", True), ("privacy", False)])
@pytest.mark.parametrize("text", ["small", LARGE], ids=["small", "large"])
def test_who_may_not_read_a_saga_is_not_told_its_id(
    guarded: tuple[House, dict[str, str]], text: str, who: str, knows: bool
) -> None:
    """How many stored payloads stay is told all the same, and the audit log has a word for it."""
    house, tokens = guarded
    while True:
        top, told, audited = _forgotten_child(house, text, tokens["chief"], tokens[who])
        if not told["left"]:  # else the server was slow: it still knows the child, and what it has is not shared yet
            break
        assert audited["result"] == "asked"
    is_large = text == LARGE
    assert (told["shared"] >= 1) is is_large
    assert told["shared_with" if is_large else "kept_by"] == ([top] if knows else [])
    assert told["kept_by" if is_large else "shared_with"] == []
    assert told["forgotten"] is not is_large
    assert (audited["who"], audited["result"]) == (who, "shared" if is_large else "forgotten")


def _forgotten_child(house: House, text: str, chief: str, token: str) -> tuple[str, Any, Any]:
    """Return the id of a saga, what is told when its child is forgotten, and what the audit log has of that."""
    started = house.ask("POST", "/sagas/top?wait=30s", {"text": text}, token=chief, Workflow_Id=fresh()).json()
    assert started["status"] == "completed", started
    top, why = started["id"], {"why": "request 17"}
    listed = house.ask("POST", f"/sagas/{top}/forget", {**why, "dry_run": True}, token=chief).json()
    (child,) = [each["id"] for each in listed["runs"] if each.get("child")]
    answer = house.ask("POST", f"/sagas/{quote(child, safe='')}/forget", why, token=token)
    told = answer.json()
    assert answer.status_code == (202 if told["left"] or told["shared"] else 200), answer.text
    (line,) = [each for each in house.audit(child) if '"action": "forget"' in each]
    return top, told, json.loads(line.partition("sagadsl.audit: ")[2])
