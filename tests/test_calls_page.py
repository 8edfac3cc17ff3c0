"""docs/calls.md: its steps load, and those with HTTP are sent as they stand, to a server of this process."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from sagadsl.activities import http, replies
from sagadsl.activities.grpc_call import _LATER, _NO
from sagadsl.language.analysis.known import Known, Signature
from sagadsl.language.document import parse
from sagadsl.language.load import load
from sagadsl.plugins.catalogue import Catalogue
from tests.built_in import called, permit
from tests.web import Answer, web

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "calls.md").read_text("utf-8")
BLOCKS: list[str] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
HEAD = """
sagadsl: 1
name: example
version: "1"
input: {required: [item, amount], properties: {item: {}, amount: {}}}
steps:
"""


def _id(block: str) -> str:
    return block.partition("\n")[0].removeprefix("- id: ")


@pytest.mark.parametrize("block", BLOCKS, ids=_id)
def test_every_step_that_is_shown_is_in_order(block: str) -> None:
    """With the types of the built-in calls, as `validate` knows them."""
    catalogue = Catalogue.discover()
    signatures = {}
    for name in ("http.request", "grpc.request"):
        signature = catalogue.signature(name)
        assert isinstance(signature, Signature)
        signatures[name] = signature
    loaded = load(HEAD + block, known=Known(signatures | {"vms.delete_by_key": Signature("vms.delete_by_key", "")}))
    assert [(each.code, each.message) for each in loaded.findings] == []


def test_a_wrong_key_is_found_before_anything_runs() -> None:
    """The schema of the input goes as deep as the page."""
    signature = Catalogue.discover().signature("http.request")
    assert isinstance(signature, Signature)
    (block,) = (each for each in BLOCKS if _id(each) == "make_vm")
    loaded = load(HEAD + block.replace("every: 2s", "evry: 2s"), known=Known({"http.request": signature}))
    assert any("evry" in each.message for each in loaded.errors)


def _input(id_: str) -> dict[str, Any]:
    (block,) = (each for each in BLOCKS if _id(each) == id_)
    document, _ = parse(block)
    taken: dict[str, Any] = document.data[0]["input"]
    return taken


def _sent(id_: str, url: str) -> Any:
    """Send what the page shows; its hosts are the server's."""
    written = json.loads(re.sub(r"https://(api|login)\.example\.com", url, json.dumps(_input(id_))))
    return asyncio.run(called(http.request, written))


def test_the_steps_that_are_shown_do_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    permit(monkeypatch, SHOP_TOKEN="a", SHOP_SECRET="b")
    with web() as site:
        site.says("POST /orders", Answer(201, {"id": 7}))
        site.says("POST /oauth2/token", Answer(200, {"access_token": "t-1"}))
        site.says("POST /refunds", Answer(200))
        site.says("POST /vms", Answer(202, None, {"location": "/vms/1", "retry-after": "1"}))
        site.says("GET /vms/1", Answer(200, {"id": 1}))
        site.says("POST /exports", Answer(200, {"done": False, "self": "/exports/1"}, {"retry-after": "1"}))
        site.says("GET /exports/1", Answer(200, {"done": True, "file": "x"}))
        results = [_sent(each, site.url)["json"] for each in ("create", "refund", "make_vm", "export")]
        assert results == [{"id": 7}, None, {"id": 1}, {"done": True, "file": "x"}]
        assert site.of("POST /refunds")[0].headers["authorization"] == "Bearer t-1"


def test_the_page_has_every_key_and_every_error_of_polling() -> None:
    schema = Catalogue.discover().signature("http.request").input_schema  # type: ignore[union-attr]
    assert schema is not None
    for key in (*schema["$defs"]["Poll"]["properties"], *schema["$defs"]["OAuth2"]["properties"]):
        assert f"`{key}" in PAGE or f"{key}:" in PAGE, key
    for error in http.ERRORS:
        if not re.fullmatch(r"Http\d+|HttpResponseTooLarge", error):
            assert f"`{error}`" in PAGE, error


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    """A code or a status stands in the row that says what happens."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    (no,) = (line for line in rows if "INVALID_ARGUMENT" in line)
    assert {code.name for code in _NO} == set(re.findall(r"[A-Z_]{5,}", no))
    (later,) = (line for line in rows if "ABORTED" in line)
    assert {code.name for code in _LATER} == set(re.findall(r"[A-Z_]{5,}", later))
    (again,) = (line for line in rows if "408, 425, 429, and" in line)
    assert {*replies.TRY_LATER, *replies._NOT_DONE} == set(map(int, re.findall(r"\d{3}", again)))


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert links
    assert [link for link in links if not os.path.exists(DOCS / link)] == []
