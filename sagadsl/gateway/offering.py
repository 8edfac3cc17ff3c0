"""The routes about what a gateway offers: the list of its definitions, one of them, and its steps."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from sagadsl.drawing.tree import tree
from sagadsl.gateway.definitions import summary, whole
from sagadsl.gateway.problems import NotOffered
from sagadsl.gateway.requests import Inquiry
from sagadsl.temporal.wire.arguments import Package


async def list_(inquiry: Inquiry) -> Response:
    """List the definitions that the caller may start or read."""
    inquiry.query()
    return JSONResponse(
        {
            "definitions": [
                {**summary(each), "may_start": inquiry.who.may("start", each.saga.name)}
                for each in inquiry.gateway.definitions
                if _may_know(inquiry, each.saga.name)
            ]
        }
    )


async def one(inquiry: Inquiry) -> Response:
    """Return one definition, with the schema of its input."""
    inquiry.query()
    return JSONResponse(whole(known(inquiry)))


async def graph(inquiry: Inquiry) -> Response:
    """Return the steps of one definition."""
    inquiry.query()
    return JSONResponse(tree(known(inquiry).saga).as_json())


def known(inquiry: Inquiry) -> Package:
    """Return the definition in the address, if the caller may start or read its sagas. Raises ``NotOffered``."""
    name = inquiry.path("name")
    package = inquiry.gateway.definitions.get(name)
    if package is None or not _may_know(inquiry, name):
        raise NotOffered(f"no saga is named `{name[:200]}` here", "`GET /definitions` lists them")
    return package


def _may_know(inquiry: Inquiry, name: str) -> bool:
    return inquiry.who.may("start", name) or inquiry.who.may("read", name)
