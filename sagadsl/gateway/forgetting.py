"""The route that has a saga deleted. The audit log keeps who asked, when and why, and no data of the saga."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from sagadsl.gateway.problems import BadRequest
from sagadsl.gateway.requests import Inquiry
from sagadsl.temporal.ask.forgetting import delete, kept_runs, refuse_open

_LONGEST = 1000
_WAITS_SECONDS = 5.0


async def forget(inquiry: Inquiry) -> Response:
    """Delete all runs of a saga and of its child sagas: 200 when they are gone, 202 while the server still knows any.

    The caller needs the right for the names of all of them. Others that refer to the same stored payloads are counted,
    and named to whom may read them.
    """
    inquiry.query()
    id_ = await inquiry.saga("forget")
    asked = await _asked(inquiry)
    runs = await kept_runs(inquiry.client, id_)
    for name in sorted({each.name for each in runs}):
        inquiry.demand("forget", name)
    if asked["dry_run"]:
        return JSONResponse({"id": id_, "runs": [each.as_json() for each in runs], "dry_run": True})
    about = {"why": asked["why"], "by": asked["by"], "runs": str(len(runs))}
    with inquiry.audited("forget", id_, **about) as said:
        await refuse_open(inquiry.client, id_, runs, even_open=asked["even_open"])
        found = await delete(
            inquiry.client,
            id_,
            runs,
            even_open=asked["even_open"],
            patience=min(_WAITS_SECONDS, inquiry.gateway.options.longest_wait),
            permit=lambda run: inquiry.demand("forget", run.name),
        )
        said.result = "asked" if found.left or found.unreached else "shared" if found.shared else "forgotten"
    every = inquiry.who.may_all("read")
    told = found.as_json(lambda other: inquiry.who.may("read", other.name) if other.name else every)
    return JSONResponse(told, 202 if found.left or found.unreached or found.shared else 200)


async def _asked(inquiry: Inquiry) -> dict[str, Any]:
    """Return the contents of the body. The token says who asks; only a gateway without tokens believes the body."""
    body: Any = await inquiry.body({})
    texts, flags = {"why"} | (set() if inquiry.who.is_known else {"by"}), {"dry_run", "even_open"}
    if not isinstance(body, dict) or set(body) - texts - flags:
        raise BadRequest("the body is not such a request", f"an object of {', '.join(sorted(texts | flags))}")
    for key, value in body.items():
        if key in texts and (not isinstance(value, str) or len(value) > _LONGEST):
            raise BadRequest(f"`{key}` is not a text of up to {_LONGEST} characters")
        if key in flags and not isinstance(value, bool):
            raise BadRequest(f"`{key}` is not true or false")
    if not body.get("why"):
        raise BadRequest("the body does not say why", 'as in `{"why": "request 17 of a customer"}`')
    by = inquiry.who.name if inquiry.who.is_known else body.get("by") or inquiry.who.name
    return {"why": "", "dry_run": False, "even_open": False, **body, "by": by}
