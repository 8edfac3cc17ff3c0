"""The routes for jobs: begin one, or see first which sagas it would ask; follow it, and cancel it."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

from starlette.responses import JSONResponse, Response
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from sagadsl.engine.verbs import ENDED
from sagadsl.errors import SagadslError
from sagadsl.gateway.jobs.orders import QUEUE, WORKFLOW, JobOrder, workflow_id
from sagadsl.gateway.jobs.reading import JobHead, JobView, job_view, jobs_page, links
from sagadsl.gateway.jobs.verbs import DIGESTS, JOB_VERBS
from sagadsl.gateway.operating import read_occurrence, read_request
from sagadsl.gateway.problems import BadRequest, KeyReused, NotOffered
from sagadsl.gateway.reading import BEAT, EventStream, page_text, which_page
from sagadsl.gateway.requests import Inquiry
from sagadsl.gateway.starting import AGAIN, fingerprint
from sagadsl.immutable import replace
from sagadsl.language.suggest import counted
from sagadsl.temporal.ask.many import Addressee, Choice, that_take
from sagadsl.temporal.ask.recovery import newest_run
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.refusals import SagaNotFound

MOST = 5_000
"""How many sagas one job asks."""

LARGEST = 16_000
"""Most bytes of what is asked of each saga."""

LONGEST_TEXT = 1_000
RATE = 20.0
_EXAMPLES = 10
_LINE = re.compile(rf"[^\x00-\x1f\x7f]{{1,{LONGEST_TEXT}}}")
_AT_ONCE = 20
_MOST_BYTES = 1_500_000
_BESIDE = 20
_POLL_SECONDS = 0.5
_CHOICE = ("name", "status", "query", "error", "sagas")
_KEYS = frozenset({"verb", "with", "step", "rate", "dry_run", *_CHOICE})


async def begin(inquiry: Inquiry) -> Response:
    """Begin a job, or only say which sagas it would ask."""
    inquiry.query()
    body = await inquiry.body()
    asked = _asked(body)
    verb = asked["verb"]
    said = read_request(asked.get("with", {}), inquiry.who, JOB_VERBS[verb].keys)
    _check_said(verb, said)
    key = inquiry.key("job")
    job = f"job-{key or secrets.token_hex(16)}"
    print_ = fingerprint(WORKFLOW, body)
    if key and not asked.get("dry_run") and (earlier := await _earlier(inquiry, job, print_)) is not None:
        return earlier
    choice = _fitting(await _choice(inquiry, asked))
    if verb == "migrate":
        said |= {DIGESTS: _digests(inquiry, choice, said.pop("digest", ""))}
    if asked.get("dry_run") or not choice.targets:
        return JSONResponse(_preview(verb, choice))
    rate = float(asked.get("rate", RATE))
    order = JobOrder(job, verb, said, choice.targets, rate, inquiry.who.name, inquiry.who.realm)
    return await _begun(inquiry, order, choice, print_)


async def _begun(inquiry: Inquiry, order: JobOrder, choice: Choice, print_: str) -> Response:
    about = {
        "verb": order.verb,
        "who": order.who,
        "owner": inquiry.who.identity,
        "asked": len(order.targets),
        "print": print_,
    }
    try:
        await inquiry.client.start_workflow(
            WORKFLOW,
            order.to_json(),
            id=workflow_id(order.id),
            task_queue=QUEUE,
            memo={WORKFLOW: about},
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=f"{order.verb}: {counted(len(order.targets), 'saga', 'sagas')}",
        )
    except WorkflowAlreadyStartedError:  # the same request came twice at once
        earlier = await _earlier(inquiry, order.id, print_)
        assert earlier is not None
        return earlier
    inquiry.audit(f"job {order.verb}", order.id, "started", asked=str(len(order.targets)), why=order.said["why"])
    answer = _preview(order.verb, choice) | {"id": order.id, "repeated": False, "links": links(order.id)}
    return JSONResponse(answer, 202, {"Location": f"/jobs/{order.id}", "Retry-After": AGAIN})


async def _earlier(inquiry: Inquiry, job: str, print_: str) -> Response | None:
    """Return the answer for a job that the same request has begun before."""
    try:
        described = await describe(inquiry.client, workflow_id(job))
    except SagaNotFound:
        return None
    about = described.memo.get(WORKFLOW, {})
    if about.get("print") != print_:
        raise KeyReused("this idempotency key was used before, for another job", "use a key for one request only")
    answer = {"id": job, "verb": about["verb"], "count": about["asked"], "repeated": True, "links": links(job)}
    headers = {"Location": f"/jobs/{job}", "Retry-After": AGAIN, "Idempotent-Replayed": "true"}
    return JSONResponse(answer, 202, headers)


async def list_(inquiry: Inquiry) -> Response:
    """List jobs, newest first, as far as the caller may see them."""
    size, before = which_page(inquiry, inquiry.query("limit", "page"))
    found, then = await jobs_page(inquiry.client, lambda job: _may_see(inquiry, job), size=size, before=before)
    return JSONResponse({"jobs": [each.as_json() for each in found], "next_page": page_text(inquiry, then)})


async def look(inquiry: Inquiry) -> Response:
    """Return how far a job is."""
    answers = inquiry.query("answers").get("answers", "false")
    if answers not in ("true", "false"):
        raise BadRequest("`answers` is not true or false", status=400)
    view = await _view(inquiry)
    headers = {} if view.is_over else {"Retry-After": AGAIN}
    return JSONResponse(view.as_json(whole=answers == "true"), headers=headers)


async def cancel(inquiry: Inquiry) -> Response:
    """Ask no further saga; what has been asked stays asked."""
    inquiry.query()
    view = await _view(inquiry)
    if not view.is_over:
        await inquiry.client.get_workflow_handle(workflow_id(view.id)).cancel()
    inquiry.audit("job cancel", view.id, view.state)
    return JSONResponse({"id": view.id, "requested": "cancel"}, 202)


async def events(inquiry: Inquiry) -> Response:
    """Send a job each time it has changed, as server-sent events, until it is over."""
    inquiry.query()
    view = await _view(inquiry)
    seat = ExitStack()
    seat.enter_context(inquiry.waiting())
    return EventStream(_stream(inquiry, view), seat)


async def _stream(inquiry: Inquiry, view: JobView) -> AsyncIterator[str]:
    checked, sent, revocation = time.monotonic(), "", inquiry.gateway.revocation
    edition = revocation.edition
    while True:
        data = json.dumps(view.as_json())
        if data != sent:
            sent = data
            yield f"event: progress\ndata: {data}\n\n"
        if view.is_over:
            yield "event: end\ndata: {}\n\n"
            return
        await asyncio.sleep(_POLL_SECONDS)
        try:
            if time.monotonic() - checked >= BEAT or edition != revocation.edition:
                checked, edition = time.monotonic(), revocation.edition
                if not await inquiry.is_still_let_in():
                    break
                yield ": still here\n\n"
            view = await _view(inquiry)
        except SagadslError:  # the answer has begun: it can only ask the client to come again
            break
    yield "event: leave\ndata: {}\n\n"


async def _view(inquiry: Inquiry) -> JobView:
    """Return the job in the address, if the caller has made it or may operate every saga. Raises ``NotOffered``."""
    job = inquiry.path("id")
    try:
        view = await job_view(inquiry.client, job)
    except SagaNotFound:
        view = None
    if view is None or not _may_see(inquiry, view.head):
        raise NotOffered(f"there is no job `{job[:200]}`")
    return view


def _may_see(inquiry: Inquiry, job: JobHead) -> bool:
    return job.owner == inquiry.who.identity or inquiry.who.may_all("operate")


def _digests(inquiry: Inquiry, choice: Choice, digest: str) -> dict[str, str]:
    """Return the digests of the definitions to which the sagas migrate, by name.

    Raises:
        NotOffered: The gateway has no definition of one of the sagas.
        BadRequest: It has another one than *digest* says.
    """
    names = {each.name for each in choice.targets}
    return {name: inquiry.gateway.definitions.offered(name, digest).saga.digest for name in sorted(names)}


def _asked(body: Any) -> dict[str, Any]:
    """Return the body of a job. Raises ``BadRequest``."""
    if not isinstance(body, dict) or set(body) - _KEYS:
        raise BadRequest("the body is not a job", f"an object of {', '.join(sorted(_KEYS))}")
    if not isinstance(body.get("verb"), str) or body["verb"] not in JOB_VERBS:
        raise BadRequest("`verb` is not what a job can ask", f"one of {', '.join(JOB_VERBS)}")
    if not any(body.get(key) for key in _CHOICE):
        raise BadRequest("the body does not say which sagas are meant", f"choose by {', '.join(_CHOICE)}")
    if not isinstance(body.get("with", {}), dict):
        raise BadRequest("`with` is not an object")
    if "sagas" in body and len(set(body) & {*_CHOICE, "step"}) > 1:
        raise BadRequest("`sagas` names the sagas, so nothing else can choose them")
    for key in ("name", "query", "error", "step"):
        text = body.get(key, "")
        if key in body and not (isinstance(text, str) and _LINE.fullmatch(text)):
            raise BadRequest(f"`{key}` is not a text on one line of up to {LONGEST_TEXT} characters")
    statuses = JOB_VERBS[body["verb"]].statuses
    if "status" in body and body["status"] not in statuses:
        raise BadRequest(f"`status` is not one for `{body['verb']}`", f"one of {', '.join(statuses)}")
    rate = body.get("rate", RATE)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.01 <= rate <= 1000:
        raise BadRequest("`rate` is not a number from 0.01 to 1,000")
    if not isinstance(body.get("dry_run", False), bool):
        raise BadRequest("`dry_run` is not true or false")
    return body


def _check_said(verb: str, said: dict[str, Any]) -> None:
    for key in JOB_VERBS[verb].needs:
        if not isinstance(said.get(key), str) or not _LINE.fullmatch(said[key]):
            raise BadRequest(f"`with` lacks `{key}`, a text on one line of up to {LONGEST_TEXT} characters")
    if (both := JOB_VERBS[verb].never_both) and all(key in said for key in both):
        raise BadRequest(f"`with` has {' and '.join(f'`{key}`' for key in both)}", "one of them")
    if len(json.dumps(said)) > LARGEST:
        raise BadRequest(f"`with` has more than {LARGEST:,} bytes")


async def _choice(inquiry: Inquiry, asked: dict[str, Any]) -> Choice:
    """Return the sagas that are meant, as far as the caller may operate them."""
    if "sagas" in asked:
        return Choice(await _named(inquiry, asked["verb"], asked["sagas"]))
    who = inquiry.who
    names = [] if who.may_all("operate") else [tuple(who.rights.get("operate", ()))]
    names += [(asked["name"],)] if asked.get("name") else []
    return await that_take(
        inquiry.client,
        asked["verb"],
        Chosen(tuple(names), query=asked.get("query", "")),
        status=asked.get("status", ""),
        error=asked.get("error", ""),
        step=asked.get("step", ""),
        most=MOST,
        fits=lambda name: who.may("operate", name),
    )


def _fitting(choice: Choice) -> Choice:
    """Leave out the sagas at the end that do not fit into the input of a workflow."""
    size = 0
    for number, each in enumerate(choice.targets):
        size += len(each.key.encode()) + len(each.name.encode()) + _BESIDE
        if size > _MOST_BYTES:
            return replace(choice, targets=choice.targets[:number], has_more=True)
    return choice


async def _named(inquiry: Inquiry, verb: str, listed: Any) -> tuple[Addressee, ...]:
    """Return the sagas that the caller has named. Raises an error if one of them is not the caller's to operate."""
    if not isinstance(listed, list) or len(listed) > MOST:
        raise BadRequest(f"`sagas` is not a list of up to {MOST:,} sagas")
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(each: Any) -> Addressee:
        id_, step, occurrence = _named_one(each)
        async with turn:
            name = await inquiry.name_for("operate", id_)
            run_id = (await newest_run(inquiry.client, id_)).run_id if verb in ENDED else ""
        return Addressee(id_, name, run_id, step, occurrence if step else None)

    found = await asyncio.gather(*(one(each) for each in listed))
    return tuple({each.key: each for each in found}.values())


def _named_one(each: Any) -> tuple[str, str, int | None]:
    if not isinstance(each, dict) or set(each) - {"id", "step", "occurrence"}:
        raise BadRequest("an entry of `sagas` is not an object of `id`, `step` and `occurrence`")
    id_, step, occurrence = each.get("id"), each.get("step", ""), each.get("occurrence")
    if not (isinstance(id_, str) and _LINE.fullmatch(id_) and isinstance(step, str) and len(step) <= LONGEST_TEXT):
        raise BadRequest(f"`id` or `step` of an entry of `sagas` is not a text of up to {LONGEST_TEXT} characters")
    return id_, step, None if occurrence is None else read_occurrence(occurrence)


def _preview(verb: str, choice: Choice) -> dict[str, Any]:
    """Return how many sagas are meant, of which kinds, and the first of them."""
    kinds = Counter((each.name, each.path, each.reason) for each in choice.targets)
    return {
        "verb": verb,
        "count": len(choice.targets),
        "kinds": [
            {"name": name, "step": path or None, "reason": reason or None, "count": count}
            for (name, path, reason), count in kinds.most_common(_EXAMPLES)
        ],
        "examples": [
            {"id": each.id, "name": each.name, "step": each.path or None} for each in choice.targets[:_EXAMPLES]
        ],
        "unanswered": choice.unanswered,
        "has_more": choice.has_more,
    }
