"""The routes for the work that a closed run has left: recover, redrive, terminate. All of them are audited."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from sagadsl.gateway.problems import BadRequest
from sagadsl.gateway.requests import Handler, Inquiry
from sagadsl.status.plan import lines
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import recovery

FLAGS = {"recover": ("forward", "dry_run"), "redrive": ("undo", "dry_run"), "terminate": ("undo",)}
"""What a body may say beside who and why, by verb: each is true or false."""

_FROM = "from"
"""What a body of ``redrive`` may also say: the step to which the saga goes back."""

_LONGEST = 1000


def taking_up(name: str) -> Handler:
    """Return the handler of ``recover`` or ``redrive``."""

    async def take_up(inquiry: Inquiry) -> Response:
        inquiry.query()
        id_ = await inquiry.saga("operate")
        asked = await _asked(inquiry, name)
        to = asked.get(_FROM, "")
        if to and asked.get("undo"):
            raise BadRequest("`from` goes on, and `undo` goes back", "one of them")
        how = recovery.how_of(name, forward=asked.get("forward", False), undo=asked.get("undo", False))
        if asked.get("dry_run"):
            plan = (await recovery.look(inquiry.client, id_, name, how, to=to)).as_json()
            return JSONResponse(plan | {"lines": list(lines(plan))})
        with inquiry.audited(name, id_, why=asked["why"], by=asked["by"]) as said:
            prospect = await recovery.look(inquiry.client, id_, name, how, to=to)
            started = await recovery.take_up(inquiry.client, prospect, by=asked["by"], why=asked["why"])
            said.result = started.run_id
        done = {"id": id_, "verb": name, "run_id": started.run_id, "plan": prospect.as_json()}
        return JSONResponse(done, 202)

    return take_up


async def terminate(inquiry: Inquiry) -> Response:
    """Kill a saga; with ``undo``, a new run undoes what it has done."""
    inquiry.query()
    id_ = await inquiry.saga("operate")
    asked = await _asked(inquiry, "terminate")
    by, why, run_id = asked["by"], asked["why"], None
    reason = f"{why or 'no reason was given'} ({by})"
    with inquiry.audited("terminate", id_, why=why, by=by) as said:
        if asked.get("undo"):
            started = await recovery.terminate_and_undo(inquiry.client, id_, reason=reason, by=by, why=why)
            run_id = started.run_id
        else:
            await sagas.terminate(inquiry.client, id_, reason)
        said.result = run_id or "terminated"
    return JSONResponse({"id": id_, "requested": "terminate", "run_id": run_id}, 202)


async def _asked(inquiry: Inquiry, verb: str) -> dict[str, Any]:
    """Return the contents of the body. The token says who asks; only a gateway without tokens believes the body."""
    body: Any = await inquiry.body({})
    texts = {"why"} | (set() if inquiry.who.is_known else {"by"}) | ({_FROM} if verb == "redrive" else set())
    if not isinstance(body, dict) or set(body) - texts - set(FLAGS[verb]):
        known = ", ".join(sorted({*texts, *FLAGS[verb]}))
        raise BadRequest("the body is not such a request", f"an object of {known}; each may be left out")
    for key, value in body.items():
        if key in texts and (not isinstance(value, str) or len(value) > _LONGEST):
            raise BadRequest(f"`{key}` is not a text of up to {_LONGEST} characters")
        if key in FLAGS[verb] and not isinstance(value, bool):
            raise BadRequest(f"`{key}` is not true or false")
    by = inquiry.who.name if inquiry.who.is_known else body.get("by") or inquiry.who.name
    return {"why": "", **body, "by": by}
