"""The routes for signals, cancel and the operator's verbs. The saga and the audit log record who and why."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from sagadsl.engine.verbs import DECISIONS, VERBS, WITH_CHILDREN
from sagadsl.errors import SagadslError
from sagadsl.gateway.problems import BadRequest
from sagadsl.gateway.requests import Handler, Inquiry
from sagadsl.temporal import client as sagas
from sagadsl.temporal import decisions, signalling
from sagadsl.temporal.requests import Asked

_LONGEST = 1000


async def signal(call: Inquiry) -> Response:
    """Send a signal whose payload is the body, and say what became of it."""
    call.query()
    id_, name = await call.saga("operate"), call.path("signal")
    request = call.key(id_, "signal", name)
    payload = await call.body()
    try:
        sent = await signalling.signal(call.client, id_, name, payload, request=request)
    except SagadslError as error:
        call.audit("signal", id_, error.code, signal=name)
        raise
    call.audit("signal", id_, "repeated" if sent.is_repeated else sent.state, signal=name)
    return JSONResponse(sent.as_json(), 202, {"Idempotent-Replayed": "true"} if sent.is_repeated else None)


async def cancel(call: Inquiry) -> Response:
    """Ask a saga to stop and undo what it did."""
    call.query()
    id_ = await call.saga("operate")
    asked = await _asked(call, with_step=False)
    try:
        await sagas.cancel(call.client, id_, by=asked["by"], why=asked["why"])
    except SagadslError as error:
        call.audit("cancel", id_, error.code, why=asked["why"], by=asked["by"])
        raise
    call.audit("cancel", id_, "asked", why=asked["why"], by=asked["by"])
    return JSONResponse({"id": id_, "requested": "cancel"}, 202)


def verb(name: str) -> Handler:
    """Return the handler of one operator's verb."""

    async def operate(call: Inquiry) -> Response:
        call.query()
        id_ = await call.saga("operate")
        asked = await _asked(call, with_step=True, with_occurrence=VERBS[name] in DECISIONS)
        told = {"step": asked["step"], "why": asked["why"], "by": asked["by"]}
        try:
            done = await decisions.operate(
                call.client,
                id_,
                VERBS[name],
                Asked(asked["step"], asked["by"], asked["why"], asked.get("occurrence")),
                request=call.key(id_, name, asked["step"]),
            )
        except SagadslError as error:
            call.audit(name, id_, error.code, **told)
            raise
        call.audit(name, id_, done.status, **told)
        for each in done.children:
            call.audit(name, each.id, each.problem.code if each.problem else each.status, **told)
        children = [each.as_json() for each in done.children]
        known = {"id": id_, "verb": name, "step": asked["step"] or None, "status": done.status}
        return JSONResponse(known | ({"children": children} if VERBS[name] in WITH_CHILDREN else {}))

    return operate


async def _asked(call: Inquiry, *, with_step: bool, with_occurrence: bool = False) -> dict[str, Any]:
    """Return the contents of the body. The token says who asks; only a gateway without tokens believes the body."""
    body: Any = await call.body()
    known = {"why", *(["step"] if with_step else []), *(["occurrence"] if with_occurrence else [])}
    known |= set() if call.who.is_known else {"by"}
    if body is None:
        body = {}
    if not isinstance(body, dict) or set(body) - known:
        raise BadRequest(
            "the body is no such request",
            f"an object of {', '.join(sorted(known))}; each may be left out",
        )
    occurrence = body.get("occurrence", 1)
    if isinstance(occurrence, bool) or not isinstance(occurrence, int | float) or occurrence < 1 or occurrence % 1:
        raise BadRequest("`occurrence` is no whole number from 1 on")
    for key, value in body.items():
        if key != "occurrence" and (not isinstance(value, str) or len(value) > _LONGEST):
            raise BadRequest(f"`{key}` is no text of up to {_LONGEST} characters")
    by = call.who.name if call.who.is_known else body.get("by") or call.who.name
    whole = {"occurrence": int(occurrence)} if "occurrence" in body else {}
    return {"step": "", "why": "", **body, **whole, "by": by}
