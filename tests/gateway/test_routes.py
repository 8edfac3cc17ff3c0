"""A new address: the description and the page of the gateway have to know it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from starlette.routing import Route

from sagadsl.gateway.app import application
from sagadsl.gateway.openapi import document
from sagadsl.gateway.requests import Gateway

DOCS = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")
NOT_DESCRIBED = {
    "/": "the web page itself",
    "/openapi.json": "the description",
    "/metrics": "for Prometheus, in its own form",
    "/sagas/{name}": "described once for each saga, with its input",
}


def _routes() -> dict[str, set[str]]:
    """Return the addresses of a gateway with their methods, but for the files of its page."""
    app = application(cast(Gateway, SimpleNamespace(options=SimpleNamespace(origins=()))))
    found: dict[str, set[str]] = {}
    for route in app.routes:
        assert isinstance(route, Route)
        if not route.path.startswith("/page/"):
            found.setdefault(route.path, set()).update(route.methods or ())
    return {path: methods - {"HEAD"} for path, methods in found.items()}


def test_each_address_is_described_with_its_methods() -> None:
    paths: dict[str, Any] = document([])["paths"]
    described = {path: {method.upper() for method in each if method != "parameters"} for path, each in paths.items()}

    assert described == {path: methods for path, methods in _routes().items() if path not in NOT_DESCRIBED}


def test_each_address_stands_on_the_page_of_the_gateway() -> None:
    verbs = r"`POST /sagas/\{id\}/(\w+)`((?:, `\w+`)+)"  # verbs with the same body share a line
    listed = [name for first, more in re.findall(verbs, DOCS) for name in (first, *re.findall(r"\w+", more))]
    named = {f"POST /sagas/{{id}}/{name}" for name in listed}
    named |= {f"{method} {path}" for method, path in re.findall(r"`(GET|POST) (/[^\s`?]*)", DOCS)}

    wanted = {f"{method} {path}" for path, methods in _routes().items() for method in methods if path != "/"}
    assert wanted - named == set()
