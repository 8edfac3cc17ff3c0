"""The routes for signals, cancel and the operator's verbs. The saga and the audit log record who and why."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.responses import JSONResponse, Response

from sagadsl.engine.facts import Given
from sagadsl.engine.verbs import DECISIONS, GIVEN_WITH, VERBS, WITH_CHILDREN, Verb
from sagadsl.gateway.access import Principal
from sagadsl.gateway.problems import BadRequest
from sagadsl.gateway.requests import Handler, Inquiry
from sagadsl.status.plan import reset_lines
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import decisions, migrating, resetting, signalling
from sagadsl.temporal.read import runs
from sagadsl.temporal.wire.requests import Asked

DRY = (Verb.RESET,)
"""The verbs of which a body may ask what they would do: ``dry_run``."""

_LONGEST = 1000
_WAITS_SECONDS = 5.0
"""How long an answer waits for a saga that has nothing in flight."""


async def signal(inquiry: Inquiry) -> Response:
    """Send a signal whose payload is the body, and say what became of it."""
    inquiry.query()
    id_, name = await inquiry.saga("operate"), inquiry.path("signal")
    request = inquiry.key(id_, "signal", name)
    payload = await inquiry.body()
    with inquiry.audited("signal", id_, signal=name) as said:
        sent = await signalling.signal(inquiry.client, id_, name, payload, request=request, by=inquiry.who.name)
        said.result = "repeated" if sent.is_repeated else sent.state
    sent = await signalling.reply_shown(inquiry.client, sent)
    return JSONResponse(sent.as_json(), 202, {"Idempotent-Replayed": "true"} if sent.is_repeated else None)


async def cancel(inquiry: Inquiry) -> Response:
    """Ask a saga to stop and undo what it did."""
    inquiry.query()
    id_ = await inquiry.saga("operate")
    asked = await _asked(inquiry, with_step=False)
    with inquiry.audited("cancel", id_, why=asked["why"], by=asked["by"]) as said:
        await sagas.cancel(inquiry.client, id_, by=asked["by"], why=asked["why"])
        said.result = "asked"
    return JSONResponse({"id": id_, "requested": "cancel"}, 202)


async def migrate(inquiry: Inquiry) -> Response:
    """Let a saga go on with the definition of its name that the gateway has now."""
    inquiry.query()
    id_ = await inquiry.saga("operate")
    asked = await _migration(inquiry)
    name = await runs.name_of(inquiry.client, id_)
    package = inquiry.gateway.definitions.offered(name, asked.get("digest", ""))
    if asked["dry_run"]:
        return JSONResponse((await migrating.preview(inquiry.client, id_, package)).as_json())
    by_name = inquiry.gateway.options.by_name
    with inquiry.audited("migrate", id_, why=asked["why"], by=asked["by"]) as said:
        done = await migrating.migrate(
            inquiry.client, id_, package, by=asked["by"], why=asked["why"], by_name=by_name, seconds=_WAITS_SECONDS
        )
        said.result = done.outcome
    return JSONResponse(done.as_json())


async def _migration(inquiry: Inquiry) -> dict[str, Any]:
    """Return the contents of a body that asks for a migration."""
    body: Any = await inquiry.body({})
    texts = {"why", "digest"} | (set() if inquiry.who.is_known else {"by"})
    if not isinstance(body, dict) or set(body) - texts - {"dry_run"}:
        raise BadRequest("the body is not such a request", f"an object of {', '.join(sorted(texts | {'dry_run'}))}")
    for key in texts & set(body):
        if not isinstance(body[key], str) or len(body[key]) > _LONGEST:
            raise BadRequest(f"`{key}` is not a text of up to {_LONGEST} characters")
    if not isinstance(body.get("dry_run", False), bool):
        raise BadRequest("`dry_run` is not true or false")
    by = inquiry.who.name if inquiry.who.is_known else body.get("by") or inquiry.who.name
    return {"why": "", "dry_run": False, **body, "by": by}


def verb(name: str) -> Handler:
    """Return the handler of one operator's verb."""

    async def operate(inquiry: Inquiry) -> Response:
        inquiry.query()
        id_ = await inquiry.saga("operate")
        decision = VERBS[name] if VERBS[name] in DECISIONS else None
        asked = await _asked(inquiry, with_step=True, decision=decision, may_be_dry=VERBS[name] in DRY)
        if asked.get("dry_run"):
            plan = await resetting.preview(inquiry.client, id_, asked["step"])
            shown = {"id": id_, **plan.as_json()}
            return JSONResponse(shown | {"lines": list(reset_lines(shown))})
        details = {"step": asked["step"], "why": asked["why"], "by": asked["by"]}
        with inquiry.audited(name, id_, **details) as said:
            done = await decisions.operate(
                inquiry.client,
                id_,
                VERBS[name],
                Asked(asked["step"], asked["by"], asked["why"], asked.get("occurrence"), Given.read(asked)),
                request=inquiry.key(id_, name, asked["step"]),
            )
            said.result = done.status
        for each in done.children:
            inquiry.audit(name, each.id, each.problem.code if each.problem else each.status, **details)
        children = [each.as_json() for each in done.children]
        known = {"id": id_, "verb": name, "step": asked["step"] or None, "status": done.status}
        return JSONResponse(known | ({"children": children} if VERBS[name] in WITH_CHILDREN else {}))

    return operate


async def _asked(
    inquiry: Inquiry, *, with_step: bool, decision: Verb | None = None, may_be_dry: bool = False
) -> dict[str, Any]:
    keys = (
        *(("step",) if with_step else ()),
        *(() if decision is None else ("occurrence", *GIVEN_WITH[decision])),
        *(("dry_run",) if may_be_dry else ()),
    )
    return read_request(await inquiry.body({}), inquiry.who, keys)


def read_request(body: Any, who: Principal, keys: Collection[str]) -> dict[str, Any]:
    """Return what a body asks for. The token says who asks; only a gateway without tokens believes the body.

    Args:
        keys: What the body may hold beside who and why.
    """
    known = {"why", *keys} | (set() if who.is_known else {"by"})
    if not isinstance(body, dict) or set(body) - known:
        raise BadRequest(
            "the body is not such a request",
            f"an object of {', '.join(sorted(known))}; each may be left out",
        )
    whole = {"occurrence": read_occurrence(body["occurrence"])} if "occurrence" in body else {}
    for key in ("new_key", "nothing_to_undo", "dry_run", "forward", "undo"):
        if not isinstance(body.get(key, False), bool):
            raise BadRequest(f"`{key}` is not true or false")
    for key, value in body.items():
        if key in ("why", "step", "by", "to", "from", "digest") and (
            not isinstance(value, str) or len(value) > _LONGEST
        ):
            raise BadRequest(f"`{key}` is not a text of up to {_LONGEST} characters")
    by = who.name if who.is_known else body.get("by") or who.name
    return {"step": "", "why": "", **body, **whole, "by": by}


def read_occurrence(value: Any) -> int:
    """Return which wait of a step is meant; JSON has `1.0` for `1`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1 or value % 1:
        raise BadRequest("`occurrence` is not a whole number of at least 1")
    return int(value)
