"""The routes that read sagas: the status of one, its result, its data, its changes as they come, and lists."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from temporalio.service import RPCError

from sagadsl.drawing.tree import tree
from sagadsl.errors import SagadslError
from sagadsl.gateway.problems import BadParameter, NotAllowed
from sagadsl.gateway.requests import Inquiry
from sagadsl.gateway.starting import AGAIN
from sagadsl.gateway.watchers import Snapshot
from sagadsl.language.build import build
from sagadsl.language.notation.json_text import small_number
from sagadsl.language.paths import drawn, parse_call, path_in
from sagadsl.status.advice import release_of
from sagadsl.status.incidents import grouped
from sagadsl.status.lines import StatusRow, rows, told, trouble, unpause
from sagadsl.status.parts import MOST, PAGE, Part
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.awaited import awaited
from sagadsl.temporal.read.explaining import narrative
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.following import Picture
from sagadsl.temporal.read.listing import STATUSES, counts, page
from sagadsl.temporal.read.questions import ask
from sagadsl.temporal.read.secrets import end_shown
from sagadsl.temporal.read.trace import trace as trace_of
from sagadsl.temporal.read.waiting import waiting
from sagadsl.temporal.read.where import WrongCondition, condition

log = logging.getLogger("sagadsl.gateway")

BEAT = 15.0
"""Seconds between signs of life in a stream, which keep proxies from ending it; a signed token is checked then, too."""

_SEAL = 8
_PAGE = 50
_LARGEST_PAGE = 200


async def status(inquiry: Inquiry) -> Response:
    """Return the status of a saga: now, or as soon as it differs from what the caller knows; or that of one run, or a
    part of its steps."""
    query = inquiry.query("wait", "since", "run", "limit", "after")
    wait = inquiry.wait(query.get("wait"))
    part = which_part(query)
    run_id = query.get("run") or None
    if run_id is not None or part is not None:
        return JSONResponse(_document(await inquiry.view_of_run(run_id, part)))
    view = await inquiry.view()
    if wait and view.picture.is_open and view.revision == query.get("since"):
        with inquiry.waiting():
            name = view.document["name"]
            view = await inquiry.while_let_in(name, inquiry.gateway.watchers.after(view, wait))
    headers = {"ETag": f'"{view.revision}"', **({"Retry-After": AGAIN} if view.picture.is_open else {})}
    if f'"{view.revision}"' in inquiry.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return JSONResponse(_document(view), headers=headers)


async def events(inquiry: Inquiry) -> Response:
    """Send a saga each time it has changed, as server-sent events, until it has ended."""
    inquiry.query()
    view = await inquiry.view()  # a missing saga is an error, and not an empty stream
    seat = ExitStack()
    seat.enter_context(inquiry.waiting())  # too many waiting requests are an error, too
    return EventStream(_stream(inquiry, inquiry.path("id"), view), seat)


class EventStream(StreamingResponse):
    """A stream that holds its seat from before its first byte until its end, however it ends."""

    def __init__(self, content: AsyncIterator[str], seat: ExitStack) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._seat = seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seat:
            await super().__call__(scope, receive, send)


async def _stream(inquiry: Inquiry, id_: str, known: Snapshot) -> AsyncIterator[str]:
    is_open, name, checked = True, known.document["name"], time.monotonic()
    told = inquiry.gateway.revocation.told
    try:
        async with (
            aclosing(inquiry.gateway.watchers.views(id_, known)) as views,
            aclosing(_with_beats(views, told)) as seen,
        ):
            async for view in seen:
                if view is None or time.monotonic() - checked >= BEAT:
                    checked = time.monotonic()
                    if not await inquiry.is_let_in("read", name):
                        is_open = True
                        break
                if view is None:
                    yield ": still here\n\n"
                    continue
                is_open, name = view.picture.is_open, view.document["name"]
                yield _event(view)
    except (RPCError, SagadslError) as error:  # the answer has begun: it can only ask the client to come again
        is_open = True
        log.warning("%s the events of a saga have stopped: %s", inquiry.id, str(error).partition("\n")[0])
    yield f"event: {'leave' if is_open else 'end'}\ndata: {{}}\n\n"


def _event(view: Snapshot) -> str:
    """Return a snapshot as an event; all streams send the same text, which is made once."""
    if not view.event:
        view.event.append(f"id: {view.revision}\nevent: status\ndata: {json.dumps(_document(view))}\n\n")
    return view.event[0]


async def _with_beats(
    views: AsyncGenerator[Snapshot], told: Callable[[], Coroutine[Any, Any, object]]
) -> AsyncGenerator[Snapshot | None]:
    """Yield the snapshots, and ``None`` whenever none has come for a while, or tokens have changed."""
    coming: asyncio.Task[Snapshot | None] | None = None
    changed = asyncio.create_task(told())
    try:
        while True:
            coming = coming or asyncio.create_task(anext(views, None))
            await asyncio.wait([coming, changed], timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
            if changed.done():
                changed = asyncio.create_task(told())
                yield None
                continue
            if not coming.done():
                yield None
                continue
            view, coming = coming.result(), None
            if view is None:
                return
            yield view
    finally:
        open_ = [changed] if coming is None else [changed, coming]
        for each in open_:
            each.cancel()
        await asyncio.wait(open_)


async def result(inquiry: Inquiry) -> Response:
    """Return the result of a saga; 202 while it has not ended."""
    query = inquiry.query("wait", "secrets")
    wait, secrets = inquiry.wait(query.get("wait")), _shows_secrets(inquiry, query)
    view, id_ = await inquiry.view(), inquiry.path("id")
    if view.picture.is_open and wait:
        with inquiry.waiting():
            try:
                async with asyncio.timeout(wait):
                    telling = inquiry.gateway.watchers.lookout.ended(id_)
                    ended = await inquiry.while_let_in(view.document["name"], telling)
                    return await _end(inquiry, ended, secrets=secrets)
            except TimeoutError:
                view = await inquiry.gateway.watchers.now(id_)
    if not view.picture.is_open:
        return await _end(inquiry, await runs.result(inquiry.client, id_), secrets=secrets)
    shown = {"id": id_, "status": view.document["status"], "output": None, "children": view.document["children"]}
    return JSONResponse(shown, 202, {"Retry-After": AGAIN})


async def trace(inquiry: Inquiry) -> Response:
    """Return the data of a saga: its input, what it sent, and what came back."""
    query = inquiry.query("run", "secrets")
    run_id, secrets = query.get("run") or None, _shows_secrets(inquiry, query)
    id_ = await inquiry.saga("read", run_id=run_id)
    return JSONResponse((await trace_of(inquiry.client, id_, run_id=run_id, secrets=secrets)).as_json())


async def _end(inquiry: Inquiry, ended: runs.Ended, *, secrets: bool) -> Response:
    return JSONResponse((ended if secrets else await end_shown(inquiry.client, ended)).as_json())


def _shows_secrets(inquiry: Inquiry, query: Mapping[str, str]) -> bool:
    """Whether the caller asks to see what schemas mark as secret. Raises ``NotAllowed`` without the right to decode."""
    word = query.get("secrets", "")
    if word not in ("", "shown"):
        raise BadParameter(f"`secrets` is `{word[:100]}`", "`shown`, or leave it out")
    if word and not inquiry.who.may("payloads", "decode"):
        raise NotAllowed(f"`{inquiry.who.name}` may not see secrets: that takes the right to decode payloads")
    if word:
        inquiry.audit("show secrets", inquiry.path("id"), "done")
    return bool(word)


async def explanation(inquiry: Inquiry) -> Response:
    """Tell in sentences what happened."""
    run_id = inquiry.query("run").get("run") or None
    view = await (inquiry.view() if run_id is None else inquiry.view_of_run(run_id))
    sentences = await narrative(inquiry.client, view.picture, run_id=run_id)
    return JSONResponse({"id": view.document["id"], "sentences": sentences})


async def query(inquiry: Inquiry) -> Response:
    """Return the answer of a saga to a query of its definition."""
    inquiry.query()
    id_, name = await inquiry.saga("read"), inquiry.path("query")
    return JSONResponse({"id": id_, "query": name, "answer": await ask(inquiry.client, id_, name)})


async def signals(inquiry: Inquiry) -> Response:
    """Return the signals that a saga knows, and what waits for them."""
    inquiry.query()
    id_ = await inquiry.saga("read")
    return JSONResponse({"id": id_, "signals": [each.as_json() for each in await awaited(inquiry.client, id_)]})


async def graph(inquiry: Inquiry) -> Response:
    """Return the steps of the definition that a run is pinned to."""
    inquiry.query()
    return JSONResponse(tree(build(await runs.definition(inquiry.client, await inquiry.saga("read")))).as_json())


async def list_(inquiry: Inquiry) -> Response:
    """List sagas, newest first, as far as the caller may read them."""
    query = inquiry.query("name", "status", "id", "where", "limit", "page")
    status_ = _status(query.get("status"))
    size, before = which_page(inquiry, query)
    found = await page(
        inquiry.client,
        _chosen(inquiry, query),
        status=status_,
        fits=lambda name: inquiry.who.may("read", name),
        size=size,
        before=before,
    )
    shown = {"sagas": [each.as_json() for each in found.sagas], "next_page": page_text(inquiry, found.next)}
    return JSONResponse(shown | {"as_of": found.as_of.isoformat(), "untold": found.unanswered})


async def incidents(inquiry: Inquiry) -> Response:
    """Return what waits for a person, grouped by definition, step and error, as far as the caller may read it."""
    query = inquiry.query("name", "error")
    found = await waiting(inquiry.client, _chosen(inquiry, query), fits=lambda name: inquiry.who.may("read", name))
    error = query.get("error")
    groups = grouped(each for each in found.incidents if not error or each.type == error)
    shown = {"groups": [each.as_json() for each in groups], "as_of": found.as_of.isoformat()}
    return JSONResponse(shown | {"unanswered": found.unanswered, "has_more": found.has_more})


async def count(inquiry: Inquiry) -> Response:
    """Return how many sagas have each status."""
    query = inquiry.query("name", "id", "where")
    chosen = _chosen(inquiry, query)
    if not chosen.is_exact:
        message = "the server's index cannot count ids with a quote, a backslash or a control character"
        raise BadParameter(message, "list them with `GET /sagas`, or count by the part of the id before that character")
    as_of = datetime.now(UTC)
    return JSONResponse({"counts": await counts(inquiry.client, chosen), "as_of": as_of.isoformat()})


def _chosen(inquiry: Inquiry, query: dict[str, str]) -> Chosen:
    names = [] if inquiry.who.may_all("read") else [tuple(inquiry.who.rights.get("read", ()))]
    names += [(query["name"],)] if query.get("name") else []
    try:
        where = condition(query["where"]) if query.get("where") else ""
    except WrongCondition as wrong:
        raise BadParameter(f"`where`: {wrong}", wrong.help) from None
    return Chosen(tuple(names), query.get("id", ""), where=where)


def _status(word: str | None) -> str | None:
    if word and word not in STATUSES:
        raise BadParameter(f"`status` is `{word[:100]}`", f"one of {', '.join(STATUSES)}")
    return word or None


def which_page(inquiry: Inquiry, query: Mapping[str, str]) -> tuple[int, datetime | None]:
    """Return the most entries that a page may have, and the time before which it begins, from `limit` and `page`."""
    size = small_number(query.get("limit", str(_PAGE))) or 0
    if not 1 <= size <= _LARGEST_PAGE:
        raise BadParameter(f"`limit` is `{query['limit'][:100]}`", f"a number from 1 to {_LARGEST_PAGE}")
    return size, _page_time(inquiry, query.get("page", ""))


def which_part(query: Mapping[str, str]) -> Part | None:
    """Return the part of the steps that is asked for by `limit` and `after`; ``None`` if neither is there."""
    if "limit" not in query and "after" not in query:
        return None
    size = small_number(query.get("limit", str(PAGE))) or 0
    if not 1 <= size <= MOST:
        raise BadParameter(f"`limit` is `{query['limit'][:100]}`", f"a number from 1 to {MOST:,}")
    return Part(size, query.get("after", ""))


def page_text(inquiry: Inquiry, before: datetime | None) -> str | None:
    """Return, as a part of an address, the time before which the next page begins."""
    raw = b"" if before is None else before.isoformat().encode()
    return base64.urlsafe_b64encode(_seal(inquiry, raw) + raw).decode() if raw else None


def _page_time(inquiry: Inquiry, text: str) -> datetime | None:
    """Return the time before which a page begins."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b"x"
    seal, stamp = raw[:_SEAL], raw[_SEAL:]
    if raw and seal != _seal(inquiry, stamp):
        raise BadParameter("this gateway has not given out this `page`", "take `next_page` from an answer")
    return datetime.fromisoformat(stamp.decode()) if stamp else None


def _seal(inquiry: Inquiry, token: bytes) -> bytes:
    """Return a check sum that is equal in all gateways of a namespace, so that each accepts the others' pages."""
    return hashlib.blake2b(token, digest_size=_SEAL, key=inquiry.client.namespace.encode()[:64]).digest()


def _document(view: Snapshot) -> dict[str, Any]:
    now = datetime.now(UTC)
    lines = rows(view.picture.status, view.picture.attempts, now, view.picture.tried) if view.picture.status else []
    why = list(trouble(view.picture.status)) if view.picture.is_open else []
    release = {"release": unpause(view.document["id"])} if view.document.get("held") else {}
    shown = [_line(each, view.picture) for each in lines]
    children = [_with_targets(child) for child in view.document["children"]]
    notices = [_told(each) for each in view.document.get("notices", ())]
    more = {"revision": view.revision, "lines": shown, "trouble": why, "children": children, "told": notices}
    if "attention" in view.document:
        more["attention"] = [_with_kind(each) for each in view.document["attention"]]
    return view.document | more | release


def _told(notice: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call that tells of a pause, as a line of the status whose box the graph has."""
    return {
        "box": drawn(notice["call"]),
        "state": notice["status"],
        "text": next(told({"notices": [notice]}), ""),
    }


def _with_targets(child: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of a child saga, with the paths by which operators of the parent reach its waiting steps."""
    waits = [_with_kind(each) | {"target": path_in(child["path"], each["path"])} for each in child["attention"]]
    return {**child, "attention": waits}


def _with_kind(waits: Mapping[str, Any]) -> dict[str, Any]:
    """Return what waits for a decision, and whether it is the compensation of a step."""
    return {**waits, "undoes": parse_call(waits["path"]).undoes}


def _line(row: StatusRow, picture: Picture) -> dict[str, Any]:
    """Return a line of the status as `sagadsl status` shows it; durations are in seconds until now."""
    held = [each for inquiry, each in picture.attempts.items() if each.paused and parse_call(inquiry).line == row.key]
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
