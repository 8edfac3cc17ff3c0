"""``POST /sagas/{name}``: start a saga, once for each key."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable
from contextlib import nullcontext
from typing import Any, TypeVar

from starlette.responses import JSONResponse, Response
from temporalio.service import RPCError

from sagadsl.gateway.addresses import encoded
from sagadsl.gateway.problems import BadKey, KeyReused, NotAllowed, NotOffered, NoToken
from sagadsl.gateway.requests import Inquiry
from sagadsl.language.notation.json_text import canonical
from sagadsl.language.suggest import did_you_mean
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask.answers import answer_shown
from sagadsl.temporal.read.secrets import end_shown
from sagadsl.temporal.refusals import AlreadyStarted, InputRefused
from sagadsl.temporal.wire.arguments import Package

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=+~-]{0,199}")
"""The form of an id: it is a part of addresses, so it has no character that has to be escaped."""

_T = TypeVar("_T")

AGAIN = "1"
"""Seconds after which a client may ask for the saga's status."""


async def start(inquiry: Inquiry) -> Response:
    """Start the saga that the address names; the body is its input."""
    name = inquiry.path("name")
    package = _offered(inquiry, name)
    asked = inquiry.query("wait").get("wait")
    until_answer = asked == "answer"
    wait = inquiry.wait("true" if until_answer else asked)
    id_ = _id(inquiry, name)
    input_ = await inquiry.body()
    lookout = inquiry.gateway.watchers.lookout
    with inquiry.waiting() if wait else nullcontext():  # before anything is started: a refusal must not be one that did
        started, repeated = await _started(inquiry, package, id_, input_)
        until = asyncio.get_running_loop().time() + wait
        answer = ended = None
        if until_answer:
            answer = await _before(until, inquiry.while_let_in(name, lookout.answer(started.id), "start"))
        if wait and answer is None:
            ended = await _before(until, inquiry.while_let_in(name, lookout.ended(started.id), "start"))
    where = f"{inquiry.request.scope.get('root_path', '')}/sagas/{encoded(started.id)}"
    headers = {"Location": where, **({"Idempotent-Replayed": "true"} if repeated else {})}
    if answer is not None:
        answer = await answer_shown(inquiry.client, answer)
        return JSONResponse({**answer.as_json(), "run_id": started.run_id, "name": started.name}, 200, headers)
    if ended is not None:
        shown = await end_shown(inquiry.client, ended)
        return JSONResponse({**shown.as_json(), "run_id": started.run_id, "name": started.name}, 200, headers)
    document = {"id": started.id, "run_id": started.run_id, "name": started.name, "repeated": repeated}
    links = {"status": where, "result": f"{where}/result", "events": f"{where}/events"}
    return JSONResponse(document | {"links": links}, 202, {**headers, "Retry-After": AGAIN})


async def _started(inquiry: Inquiry, package: Package, id_: str | None, input_: Any) -> tuple[sagas.Started, bool]:
    """Start a run, or find the one that the same request has started; return it, and whether it was there before."""
    name = package.saga.name
    request = await asyncio.to_thread(fingerprint, name, input_)
    try:
        with inquiry.gateway.metrics.start_call.time():
            started = await sagas.start(
                inquiry.client,
                name if inquiry.gateway.options.by_name else package,
                _fitting(package, input_),
                id=id_,
                task_queue=inquiry.gateway.options.task_queue or package.saga.task_queue,
                once=True,
                request=request,
            )
    except AlreadyStarted as error:
        started = _same(inquiry, error, name, request)
        inquiry.gateway.metrics.start(name, "repeated")
        return started, True
    except InputRefused:
        inquiry.gateway.metrics.start(name, "refused")
        raise
    except (RPCError, asyncio.CancelledError):  # nobody knows whether the server has heard of it
        inquiry.audit("start", id_ or "", "unknown", name=name)
        raise
    inquiry.gateway.metrics.start(name, "started")
    inquiry.audit("start", started.id, "started", name=name)
    return started, False


async def _before(until: float, telling: Awaitable[_T]) -> _T | None:
    """Return what a run tells; ``None`` when it does not in time, nobody knows, or the caller has lost the token: the
    start is certain."""
    try:
        async with asyncio.timeout_at(until):
            return await telling
    except (TimeoutError, RPCError, NoToken):
        return None


def _offered(inquiry: Inquiry, name: str) -> Package:
    """Return the definition of this name, if the caller may know of it."""
    allowed = [each.saga.name for each in inquiry.gateway.definitions if inquiry.who.may("start", each.saga.name)]
    package = inquiry.gateway.definitions.get(name)
    if package is None or not (inquiry.who.may("start", name) or inquiry.who.may("read", name)):
        hint = did_you_mean(name, allowed)
        raise NotOffered(f"no saga is named `{name[:200]}` here", hint or "`GET /definitions` lists them")
    inquiry.demand("start", name)
    return package


def _id(inquiry: Inquiry, name: str) -> str | None:
    """Return the id of the run: the caller's choice, or made from the caller's idempotency key."""
    chosen, key = inquiry.request.headers.get("workflow-id"), inquiry.key(name)
    if chosen is not None:
        if not _ID.fullmatch(chosen):
            raise BadKey(f"`{chosen[:200]}` is not an id", "letters, digits and `._:@=+~-`, up to 200")
        if not inquiry.who.may("read", name):  # the error for a taken id would reveal somebody else's run
            raise NotAllowed(
                f"`{inquiry.who.name}` may not read saga `{name}`, so it cannot choose ids", "send an `Idempotency-Key`"
            )
    return chosen if chosen is not None or not key else f"{name}-{key}"


def fingerprint(name: str, input_: Any) -> str:
    """Return a text that differs for different requests under one key; a client may send `30.0` for `30`."""
    return hashlib.sha256(canonical([name, input_]).encode()).hexdigest()[:32]


def _fitting(package: Package, input_: Any) -> Any:
    """Replace a missing body: a saga whose input is an object gets an empty one."""
    return {} if input_ is None and package.check_input(None) else input_


def _same(inquiry: Inquiry, error: AlreadyStarted, name: str, request: str) -> sagas.Started:
    """Return the existing run, if the same request has started it; otherwise raise an error."""
    if error.name == name and error.request == request:
        return sagas.Started(error.id, error.run_id, name, "")
    inquiry.gateway.metrics.start(name, "refused")
    if "idempotency-key" in inquiry.request.headers:
        raise KeyReused("this idempotency key was used before, for another input", "use a key for one request only")
    raise error
