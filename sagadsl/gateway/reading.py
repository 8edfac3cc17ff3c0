"""The routes that read sagas: the status of one, its result, its data, its changes as they come, and lists."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from temporalio.service import RPCError

from sagadsl.errors import SagadslError
from sagadsl.gateway.definitions import graph as graph_of
from sagadsl.gateway.problems import BadParameter
from sagadsl.gateway.requests import Inquiry
from sagadsl.gateway.starting import AGAIN
from sagadsl.gateway.watchers import Snapshot
from sagadsl.language.build import build
from sagadsl.language.notation.json_text import small_number
from sagadsl.language.paths import drawn, parse_call, path_in
from sagadsl.status.advice import release_of
from sagadsl.status.lines import StatusRow, rows, trouble, unpause
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.explaining import told
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.following import Picture
from sagadsl.temporal.read.listing import STATUSES, counts, page
from sagadsl.temporal.read.trace import trace as trace_of

log = logging.getLogger("sagadsl.gateway")

_BEAT = 15.0
"""Seconds between signs of life in a stream, which keep proxies from ending it; the token is checked then, too."""

_SEAL = 8
_PAGE = 50
_LARGEST_PAGE = 200


async def status(call: Inquiry) -> Response:
    """Return the status of a saga: now, or as soon as it differs from what the caller knows."""
    query = call.query("wait", "since")
    wait = call.wait(query.get("wait"))
    view = await call.view()
    if wait and view.picture.is_open and view.revision == query.get("since"):
        with call.waiting():
            view = await call.gateway.hub.after(view, wait)
    headers = {"ETag": f'"{view.revision}"', **({"Retry-After": AGAIN} if view.picture.is_open else {})}
    if f'"{view.revision}"' in call.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return JSONResponse(_document(view), headers=headers)


async def events(call: Inquiry) -> Response:
    """Send a saga each time it has changed, as server-sent events, until it has ended."""
    call.query()
    await call.view()  # a missing saga is an error, and not an empty stream
    seat = ExitStack()
    seat.enter_context(call.waiting())  # too many waiting requests are an error, too
    return _Events(_stream(call, call.path("id")), seat)


class _Events(StreamingResponse):
    """A stream that holds its seat from before its first byte until its end, however it ends."""

    def __init__(self, content: AsyncIterator[str], seat: ExitStack) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._seat = seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seat:
            await super().__call__(scope, receive, send)


async def _stream(call: Inquiry, id_: str) -> AsyncIterator[str]:
    is_open, name, checked = True, "", time.monotonic()
    try:
        async with aclosing(call.gateway.hub.views(id_)) as views, aclosing(_with_beats(views)) as seen:
            async for view in seen:
                if time.monotonic() - checked >= _BEAT:
                    checked = time.monotonic()
                    if not await call.is_let_in("read", name):
                        is_open = True
                        break
                if view is None:
                    yield ": still here\n\n"
                    continue
                is_open, name = view.picture.is_open, view.document["name"]
                yield f"id: {view.revision}\nevent: status\ndata: {json.dumps(_document(view))}\n\n"
    except (RPCError, SagadslError) as error:  # the answer has begun: it can only ask the client to come again
        is_open = True
        log.warning("%s the events of a saga have stopped: %s", call.id, str(error).partition("\n")[0])
    yield f"event: {'leave' if is_open else 'end'}\ndata: {{}}\n\n"


async def _with_beats(views: AsyncGenerator[Snapshot]) -> AsyncGenerator[Snapshot | None]:
    """Yield the snapshots, and ``None`` whenever none has come for a while."""
    coming: asyncio.Task[Snapshot | None] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(anext(views, None))
            done, _ = await asyncio.wait([coming], timeout=_BEAT)
            if not done:
                yield None
                continue
            view, coming = coming.result(), None
            if view is None:
                return
            yield view
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait([coming])


async def result(call: Inquiry) -> Response:
    """Return the result of a saga; 202 while it has not ended."""
    wait = call.wait(call.query("wait").get("wait"))
    view, id_ = await call.view(), call.path("id")
    if view.picture.is_open and wait:
        with call.waiting():
            try:
                async with asyncio.timeout(wait):
                    return JSONResponse((await runs.result(call.client, id_)).as_json())
            except TimeoutError:
                view = await call.gateway.hub.now(id_)
    if not view.picture.is_open:
        return JSONResponse((await runs.result(call.client, id_)).as_json())
    standing = {"id": id_, "status": view.document["status"], "output": None, "children": view.document["children"]}
    return JSONResponse(standing, 202, {"Retry-After": AGAIN})


async def trace(call: Inquiry) -> Response:
    """Return the data of a saga: its input, what it sent, and what came back."""
    call.query()
    return JSONResponse((await trace_of(call.client, await call.saga("read"))).as_json())


async def explanation(call: Inquiry) -> Response:
    """Tell in sentences what happened."""
    call.query()
    view = await call.view()
    return JSONResponse({"id": view.document["id"], "sentences": await told(call.client, view.picture)})


async def graph(call: Inquiry) -> Response:
    """Return the steps of the definition that a run is pinned to."""
    call.query()
    return JSONResponse(graph_of(build(await runs.definition(call.client, await call.saga("read")))))


async def list_(call: Inquiry) -> Response:
    """List sagas, newest first, as far as the caller may read them."""
    query = call.query("name", "status", "id", "limit", "page")
    status_ = _status(query.get("status"))
    size = small_number(query.get("limit", str(_PAGE))) or 0
    if not 1 <= size <= _LARGEST_PAGE:
        raise BadParameter(f"`limit` is `{query['limit'][:100]}`", f"a number from 1 to {_LARGEST_PAGE}")
    before = _page_time(call, query.get("page", ""))
    found = await page(
        call.client,
        _chosen(call, query),
        status=status_,
        fits=lambda name: call.who.may("read", name),
        size=size,
        before=before,
    )
    shown = {"sagas": [each.as_json() for each in found.sagas], "next_page": _page_text(call, found.next)}
    return JSONResponse(shown | {"as_of": found.as_of.isoformat(), "untold": found.untold})


async def count(call: Inquiry) -> Response:
    """Return how many sagas have each status."""
    query = call.query("name", "id")
    chosen = _chosen(call, query)
    if not chosen.is_exact:
        told = "the server's index does not count by a quote, a backslash or a control character in `id`"
        raise BadParameter(told, "list them: `GET /sagas` finds them, or count by what comes before it")
    as_of = datetime.now(UTC)
    return JSONResponse({"counts": await counts(call.client, chosen), "as_of": as_of.isoformat()})


def _chosen(call: Inquiry, query: dict[str, str]) -> Chosen:
    names = [] if call.who.may_all("read") else [tuple(call.who.rights.get("read", ()))]
    names += [(query["name"],)] if query.get("name") else []
    return Chosen(tuple(names), query.get("id", ""))


def _status(word: str | None) -> str | None:
    if word and word not in STATUSES:
        raise BadParameter(f"`status` is `{word[:100]}`", f"one of {', '.join(STATUSES)}")
    return word or None


def _page_text(call: Inquiry, before: datetime | None) -> str | None:
    """Return, as a part of an address, the time before which the next page begins."""
    raw = b"" if before is None else before.isoformat().encode()
    return base64.urlsafe_b64encode(_seal(call, raw) + raw).decode() if raw else None


def _page_time(call: Inquiry, text: str) -> datetime | None:
    """Return the time before which a page begins."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b"x"
    seal, told = raw[:_SEAL], raw[_SEAL:]
    if raw and seal != _seal(call, told):
        raise BadParameter("`page` is none that this gateway has given out", "take `next_page` of an answer")
    return datetime.fromisoformat(told.decode()) if told else None


def _seal(call: Inquiry, token: bytes) -> bytes:
    """Return a check sum that is equal in all gateways of a namespace, so that each accepts the others' pages."""
    return hashlib.blake2b(token, digest_size=_SEAL, key=call.client.namespace.encode()[:64]).digest()


def _document(view: Snapshot) -> dict[str, Any]:
    now = datetime.now(UTC)
    lines = rows(view.picture.status, view.picture.attempts, now, view.picture.tried) if view.picture.status else []
    why = list(trouble(view.picture.status)) if view.picture.is_open else []
    release = {"release": unpause(view.document["id"])} if view.document.get("held") else {}
    shown = [_line(each, view.picture) for each in lines]
    children = [_with_targets(child) for child in view.document["children"]]
    told = {"revision": view.revision, "lines": shown, "trouble": why, "children": children}
    return view.document | told | release


def _with_targets(child: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of a child saga, with the paths by which operators of the parent reach its waiting steps."""
    waits = [each | {"target": path_in(child["path"], each["path"])} for each in child["attention"]]
    return {**child, "attention": waits}


def _line(row: StatusRow, picture: Picture) -> dict[str, Any]:
    """Return a line of the status as `sagadsl status` shows it; durations are in seconds until now."""
    held = [each for call, each in picture.attempts.items() if each.paused and parse_call(call).line == row.key]
    note = f"{row.note}: {release_of(picture.status, held[0])}" if held else row.note
    return {
        "key": row.key,
        "box": drawn(parse_call(row.key).step),
        "undoes": row.undoes,
        "sign": row.sign,
        "state": row.state,
        "path": row.path,
        "what": row.what,
        "depth": row.depth,
        "note": note,
        "seconds": None if row.took is None else round(row.took.total_seconds(), 3),
        "wait": None if row.wait is None else round(row.wait.total_seconds(), 3),
        "is_open": row.state in ("running", "compensating"),
    }
