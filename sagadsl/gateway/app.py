"""The gateway as an ASGI application: the routes."""

from __future__ import annotations

import asyncio
from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sagadsl.drawing.looks import on_page
from sagadsl.engine.verbs import VERBS
from sagadsl.errors import SagadslError
from sagadsl.gateway import (
    forgetting,
    metrics,
    offering,
    operating,
    payloads,
    pictures,
    problems,
    reading,
    redriving,
    starting,
)
from sagadsl.gateway.access import ANYBODY, Authenticator, TokensLost
from sagadsl.gateway.addresses import AsSent, decoded
from sagadsl.gateway.jobs import routes as jobs
from sagadsl.gateway.openapi import document
from sagadsl.gateway.problems import NoRoute, NotAllowed
from sagadsl.gateway.requests import Gateway, Handler, Inquiry, endpoint, rights
from sagadsl.temporal.link.connection import check_namespace

_READY_SECONDS = 3.0
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SCRIPTS = (
    "app",
    "api",
    "change",
    "detail",
    "dom",
    "fields",
    "form",
    "incidents",
    "inputs",
    "jobs",
    "json",
    "list",
    "parts",
    "picture",
    "takeup",
    "timeline",
)
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
        route("/incidents", reading.incidents, _READ),
        route("/sagas/{name}", starting.start, _DO),
        route("/sagas/{id}", reading.status, _READ),
        route("/sagas/{id}/result", reading.result, _READ),
        route("/sagas/{id}/events", reading.events, _READ),
        route("/sagas/{id}/trace", reading.trace, _READ),
        route("/sagas/{id}/graph", reading.graph, _READ),
        route("/sagas/{id}/picture", pictures.of_run, _READ),
        route("/sagas/{id}/explanation", reading.explanation, _READ),
        route("/sagas/{id}/queries/{query}", reading.query, _READ),
        route("/sagas/{id}/signals", reading.signals, _READ),
        route("/sagas/{id}/signals/{signal}", operating.signal, _DO),
        route("/sagas/{id}/cancel", operating.cancel, _DO),
        route("/sagas/{id}/migrate", operating.migrate, _DO),
        route("/sagas/{id}/recover", redriving.taking_up("recover"), _DO),
        route("/sagas/{id}/redrive", redriving.taking_up("redrive"), _DO),
        route("/sagas/{id}/terminate", redriving.terminate, _DO),
        route("/sagas/{id}/forget", forgetting.forget, _DO),
        *operators,
        route("/jobs", jobs.list_, _READ),
        route("/jobs", jobs.begin, _DO),
        route("/jobs/{id}", jobs.look, _READ),
        route("/jobs/{id}/events", jobs.events, _READ),
        route("/jobs/{id}/cancel", jobs.cancel, _DO),
        route("/codec/encode", payloads.coding("encode"), _DO),
        route("/codec/decode", payloads.coding("decode"), _DO),
        route("/definitions", offering.list_, _READ),
        route("/definitions/{name}", offering.one, _READ),
        route("/definitions/{name}/graph", offering.graph, _READ),
        route("/definitions/{name}/picture", pictures.of_definition, _READ),
        route("/me", _me, _READ),
        route("/openapi.json", _openapi, _READ),
        route("/metrics", _metrics, _READ),
        route("/healthz", _healthz, _READ, open_to_all=True),
        route("/readyz", _readyz, _READ, open_to_all=True),
        route("/", _file("index.html"), _READ, open_to_all=True),
        *(route(f"/page/{name}", _file(name), _READ, open_to_all=True) for name in _FILES if name != "index.html"),
        route("/page/picture.css", _sent(on_page().encode(), "text/css"), _READ, open_to_all=True),
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
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Workflow-Id", "X-Namespace"],
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


async def _allowed(inquiry: Inquiry) -> str:
    """Return the methods of an address. Below `/sagas/`, a saga's name can be started, and an id can be read.

    A caller who may not know of a saga gets the same answer for its name as for an id.
    """
    path = inquiry.request.url.path
    fitting = [each for each in inquiry.request.app.routes if isinstance(each, Route) and each.path_regex.match(path)]
    if len({each.path for each in fitting}) > 1:
        name = decoded(path.rpartition("/")[2])
        is_saga = inquiry.gateway.definitions.get(name) is not None and await inquiry.is_let_in("start", name)
        fitting = [each for each in fitting if ("POST" if is_saga else "GET") in (each.methods or ())]
    return ", ".join(sorted({method for each in fitting for method in each.methods or ()}))


async def _me(inquiry: Inquiry) -> Response:
    """Say who the caller is, and what the caller may do."""
    inquiry.query()
    known = {"name": inquiry.who.name, "is_known": inquiry.who.is_known, "rights": rights(inquiry.who)}
    return JSONResponse(known | {"web_ui": inquiry.gateway.web_ui})


async def _openapi(inquiry: Inquiry) -> Response:
    """Describe the gateway for programs."""
    inquiry.query()
    return JSONResponse(
        document([each for each in inquiry.gateway.definitions if inquiry.who.may("start", each.saga.name)])
    )


async def _metrics(inquiry: Inquiry) -> Response:
    """Return the counters. They cover all sagas, so the caller needs the right to read all."""
    inquiry.query()
    if not inquiry.who.may_all("read"):
        raise NotAllowed(f"`{inquiry.who.name}` may not read every saga")
    are_well = [_is_well(authenticator) for authenticator in inquiry.gateway.authenticators]
    inquiry.gateway.metrics.tokens.set(all(are_well))
    if inquiry.gateway.fleet is not None:
        await inquiry.gateway.fleet.show(each.saga.name for each in inquiry.gateway.definitions)
    return Response(inquiry.gateway.metrics.page(), media_type=metrics.MEDIA)


def _is_well(authenticator: Authenticator) -> bool:
    try:
        return authenticator.check()
    except TokensLost:
        return False


async def _healthz(_: Inquiry) -> Response:
    """Say that this process answers."""
    return JSONResponse({"status": "ok"})


async def _readyz(inquiry: Inquiry) -> Response:
    """Say whether sagas can be started: tokens can be checked, the server answers, and has the namespace."""
    try:
        for authenticator in inquiry.gateway.authenticators:
            authenticator.check()
    except TokensLost as error:
        return JSONResponse({"status": str(error)}, 503, {"Retry-After": "2"})
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await check_namespace(inquiry.client, inquiry.gateway.settings)
    except (SagadslError, TimeoutError):
        return JSONResponse({"status": "no answer from Temporal"}, 503, {"Retry-After": "2"})
    return JSONResponse({"status": "ok"})


def _file(name: str) -> Handler:
    """Return the handler of one file of the page."""
    return _sent(resources.files("sagadsl.gateway.page").joinpath(name).read_bytes(), _FILES[name])


def _sent(content: bytes, media: str) -> Handler:
    async def send(_: Inquiry) -> Response:
        return Response(content, media_type=media, headers={"Content-Security-Policy": _PAGE_POLICY})

    return send
