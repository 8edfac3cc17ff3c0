"""The gateway as an ASGI application: the routes."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sagadsl.engine.verbs import VERBS
from sagadsl.errors import SagadslError
from sagadsl.gateway import metrics, operating, problems, reading, starting
from sagadsl.gateway.access import ANYBODY, Door, TokensLost
from sagadsl.gateway.addresses import AsSent, decoded
from sagadsl.gateway.definitions import graph, summary, whole
from sagadsl.gateway.openapi import document
from sagadsl.gateway.problems import NoRoute, NotAllowed, NotOffered
from sagadsl.gateway.requests import Gateway, Handler, Inquiry, endpoint, rights
from sagadsl.temporal.connection import check_namespace

_READY_SECONDS = 3.0
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SCRIPTS = ("app", "api", "detail", "dom", "fields", "form", "graph", "json", "list")
_FILES = {"index.html": "text/html", "style.css": "text/css"} | {f"{name}.js": "text/javascript" for name in _SCRIPTS}
_READ = ["GET"]
_DO = ["POST"]


def application(gateway: Gateway) -> Starlette:
    """Return the application of *gateway*."""

    def route(path: str, handler: Handler, methods: list[str], *, open_to_all: bool = False) -> Route:
        return Route(path, endpoint(gateway, handler, open_to_all=open_to_all), methods=methods)

    operators = [route(f"/sagas/{{id}}/{name}", operating.verb(name), _DO) for name in VERBS]
    routes = [
        route("/sagas", reading.list_, _READ),
        route("/counts", reading.count, _READ),
        route("/sagas/{name}", starting.start, _DO),
        route("/sagas/{id}", reading.status, _READ),
        route("/sagas/{id}/result", reading.result, _READ),
        route("/sagas/{id}/events", reading.events, _READ),
        route("/sagas/{id}/trace", reading.trace, _READ),
        route("/sagas/{id}/graph", reading.graph, _READ),
        route("/sagas/{id}/explanation", reading.explanation, _READ),
        route("/sagas/{id}/signals/{signal}", operating.signal, _DO),
        route("/sagas/{id}/cancel", operating.cancel, _DO),
        *operators,
        route("/definitions", _definitions, _READ),
        route("/definitions/{name}", _definition, _READ),
        route("/definitions/{name}/graph", _graph, _READ),
        route("/me", _me, _READ),
        route("/openapi.json", _openapi, _READ),
        route("/metrics", _metrics, _READ),
        route("/healthz", _healthz, _READ, open_to_all=True),
        route("/readyz", _readyz, _READ, open_to_all=True),
        route("/", _file("index.html"), _READ, open_to_all=True),
        *(route(f"/page/{name}", _file(name), _READ, open_to_all=True) for name in _FILES if name != "index.html"),
    ]
    app = Starlette(
        routes=routes,
        middleware=[*_cross_origin(gateway), Middleware(AsSent)],
        exception_handlers={HTTPException: _no_route},
    )
    app.state.gateway = gateway
    return app


def _cross_origin(gateway: Gateway) -> list[Middleware]:
    if not gateway.options.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(gateway.options.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Workflow-Id"],
            expose_headers=["Location", "Retry-After", "ETag", "X-Request-Id", "Idempotent-Replayed"],
            max_age=600,
        )
    ]


async def _no_route(request: Request, error: Exception) -> Response:
    """Answer that there is no such address, or not with this method."""
    assert isinstance(error, HTTPException)
    found = NoRoute(
        f"there is no {request.method} {request.url.path[:200]}", "see /openapi.json", status=error.status_code
    )
    response = problems.problem(found)
    if error.status_code == 405:
        response.headers["Allow"] = await _allowed(Inquiry(request.app.state.gateway, request, ANYBODY, ""))
    return response


async def _allowed(call: Inquiry) -> str:
    """Return the methods of an address. Below `/sagas/`, a saga's name can be started, and an id can be read.

    A caller who may not know of a saga gets the same answer for its name as for an id.
    """
    path = call.request.url.path
    fitting = [each for each in call.request.app.routes if isinstance(each, Route) and each.path_regex.match(path)]
    if len(fitting) > 1:
        name = decoded(path.rpartition("/")[2])
        is_saga = call.gateway.shelf.get(name) is not None and await call.is_let_in("start", name)
        fitting = [each for each in fitting if ("POST" if is_saga else "GET") in (each.methods or ())]
    return ", ".join(sorted({method for each in fitting for method in each.methods or ()}))


async def _definitions(call: Inquiry) -> Response:
    """List the definitions that the caller may start or read."""
    call.query()
    return JSONResponse(
        {
            "definitions": [
                {**summary(each), "may_start": call.who.may("start", each.saga.name)}
                for each in call.gateway.shelf
                if _may_know(call, each.saga.name)
            ]
        }
    )


async def _definition(call: Inquiry) -> Response:
    """Return one definition, with the schema of its input."""
    call.query()
    return JSONResponse(whole(_known(call)))


async def _graph(call: Inquiry) -> Response:
    """Return the steps of one definition."""
    call.query()
    return JSONResponse(graph(_known(call).saga))


def _known(call: Inquiry) -> Any:
    name = call.path("name")
    package = call.gateway.shelf.get(name)
    if package is None or not _may_know(call, name):
        raise NotOffered(f"no saga is named `{name[:200]}` here", "`GET /definitions` lists them")
    return package


def _may_know(call: Inquiry, name: str) -> bool:
    return call.who.may("start", name) or call.who.may("read", name)


async def _me(call: Inquiry) -> Response:
    """Say who the caller is, and what the caller may do."""
    call.query()
    known = {"name": call.who.name, "is_known": call.who.is_known, "rights": rights(call.who)}
    return JSONResponse(known | {"web_ui": call.gateway.web_ui})


async def _openapi(call: Inquiry) -> Response:
    """Describe the gateway for programs."""
    call.query()
    return JSONResponse(document([each for each in call.gateway.shelf if call.who.may("start", each.saga.name)]))


async def _metrics(call: Inquiry) -> Response:
    """Return the counters. They cover all sagas, so the caller needs the right to read all."""
    call.query()
    if not call.who.may_all("read"):
        raise NotAllowed(f"`{call.who.name}` may not read every saga")
    are_well = [_is_well(door) for door in call.gateway.doors]
    call.gateway.metrics.tokens.set(all(are_well))
    return Response(call.gateway.metrics.page(), media_type=metrics.MEDIA)


def _is_well(door: Door) -> bool:
    try:
        return door.check()
    except TokensLost:
        return False


async def _healthz(_: Inquiry) -> Response:
    """Say that this process answers."""
    return JSONResponse({"status": "ok"})


async def _readyz(call: Inquiry) -> Response:
    """Say whether sagas can be started: tokens can be checked, the server answers, and has the namespace."""
    try:
        for door in call.gateway.doors:
            door.check()
    except TokensLost as error:
        return JSONResponse({"status": str(error)}, 503, {"Retry-After": "2"})
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await check_namespace(call.client, call.gateway.settings)
    except (SagadslError, TimeoutError):
        return JSONResponse({"status": "no answer from Temporal"}, 503, {"Retry-After": "2"})
    return JSONResponse({"status": "ok"})


def _file(name: str) -> Handler:
    """Return the handler of one file of the page."""
    content = resources.files("sagadsl.gateway.page").joinpath(name).read_bytes()

    async def send(_: Inquiry) -> Response:
        return Response(content, media_type=_FILES[name], headers={"Content-Security-Policy": _PAGE_POLICY})

    return send
