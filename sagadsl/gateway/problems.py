"""Errors as HTTP answers: RFC 9457 problem documents with our codes. They reveal nothing of the inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.responses import Response

from sagadsl.diagnostics.codes import CODES
from sagadsl.errors import SagadslError, Worded
from sagadsl.gateway.limits import TooLarge, TooMany
from sagadsl.temporal.link.connection import NotConnected, ServerRefused
from sagadsl.temporal.refusals import (
    AlreadyStarted,
    ComesTooEarly,
    InputRefused,
    NoAnswer,
    NotAnswered,
    NotAwaited,
    NotBegun,
    SagaNotFound,
    UnfitPayload,
)

MEDIA = "application/problem+json"


class Refusal(Worded):
    """The gateway itself refuses a request; there is one subclass for each kind.

    Attributes:
        status: Status code of the answer.
    """

    exit_code = 4
    status: ClassVar[int] = 400

    def __init__(self, message: str, remedy: str = "", *, status: int | None = None, **headers: str) -> None:
        super().__init__(message, remedy)
        self.answered = status or self.status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class NoToken(Refusal):
    """The request has no valid token."""

    code, status = "SD942", 401


class NotAllowed(Refusal):
    """The caller is known, and may not do this."""

    code, status = "SD943", 403


class Foreign(Refusal):
    """The request comes from a page of another site, or names another host."""

    code, status = "SD944", 403


class BadParameter(Refusal):
    """A parameter of the address is wrong."""

    code = "SD947"


class BadBody(Refusal):
    """The body is not JSON."""

    code = "SD948"


class TookTooLong(Refusal):
    """The answer took longer than the gateway allows."""

    code, status = "SD949", 504


class NotOffered(Refusal):
    """The gateway does not have the saga, or not for this caller."""

    code, status = "SD950", 404


class BadKey(Refusal):
    """An id or an idempotency key has a wrong form."""

    code = "SD951"


class KeyReused(Refusal):
    """The idempotency key belongs to another request already."""

    code, status = "SD952", 409


class BadRequest(Refusal):
    """An operator's request has a wrong form."""

    code, status = "SD953", 422


class NoRoute(Refusal):
    """The address does not exist."""

    code, status = "SD954", 404


_STATUS: Mapping[str, int] = {
    "SD901": 503,
    "SD914": 503,
    "SD915": 503,
    "SD918": 503,
    "SD906": 400,
    "SD920": 422,
    "SD921": 422,
    "SD922": 409,
    "SD923": 404,
    "SD924": 409,
    "SD928": 409,
    "SD925": 409,
    "SD977": 409,
    "SD926": 503,
    "SD927": 422,
    "SD961": 504,
    "SD962": 409,
    "SD963": 404,
    "SD964": 422,
    "SD965": 409,
    "SD966": 409,
    "SD969": 409,
    "SD967": 409,
    "SD970": 409,
    "SD971": 503,
    "SD972": 409,
    "SD973": 409,
    "SD974": 409,
    "SD945": 429,
    "SD946": 413,
    "SD957": 503,
}


def problem(error: SagadslError) -> Response:
    """Return the answer to a request that ended with *error*."""
    if isinstance(error, Refusal):
        status, headers = error.answered, dict(error.headers)
    else:
        status, headers = _STATUS.get(error.code, 500), {}
    if isinstance(error, ServerRefused) and error.is_for_now:
        status = 503
    if status == 500:
        return internal()
    detail, remedy = str(error), error.help
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.again)
    elif status == 503:
        headers["Retry-After"] = "2"
    elif isinstance(error, TooLarge):
        headers["Connection"] = "close"  # the rest of the body is not read
    more: dict[str, Any] = {}
    match error:
        case InputRefused(problems=problems):
            detail = "the input does not fit the saga"
            more["errors"] = [_pointed(each) for each in problems]
        case UnfitPayload(signal=signal, problems=problems):
            detail = f"the payload does not fit signal `{signal}`"
            more["errors"] = [_pointed(each, signal) for each in problems]
        case NotAnswered():  # the help of this error names the task queue
            remedy = "the same request again, with the same `Idempotency-Key`, counts once"
        case ComesTooEarly():
            remedy = "send it again when the wait has begun"
        case NotBegun() | NotAwaited():  # the help of these errors is about the command line
            remedy = ""
        case NotConnected():  # this error names the server and its settings
            detail, remedy = "the saga service is not available at this moment", "try again"
        case SagaNotFound(id=id_):
            detail = f"there is no saga `{id_}`"
            remedy = "check the id; a saga that has ended is deleted when the server has kept it for its time"
        case NoAnswer():  # this error names the task queue
            detail, remedy = "no worker answers for this saga at this moment", "try again"
        case AlreadyStarted(id=id_):
            detail, remedy = (
                f"the id `{id_}` is taken by another saga, or by one with another input",
                "choose another id",
            )
        case _ if error.code.startswith(("SD92", "SD97")):
            remedy = ""  # it is about the command line
    return answer(status, error.code, detail, remedy, headers, **more)


def internal() -> Response:
    """Return the answer for a bug in the gateway."""
    return answer(500, "SD900", "the gateway made a mistake; its log says more", "", {})


def answer(status: int, code: str, detail: str, remedy: str, headers: Mapping[str, str], **more: Any) -> Response:
    """Return a problem document."""
    document = {"type": f"urn:sagadsl:{code}", "title": CODES[code].title, "status": status, "detail": detail}
    document |= {"code": code, **({"help": remedy} if remedy else {}), **more}
    return Response(json.dumps(document, ensure_ascii=False), status, headers, MEDIA)


def _pointed(sentence: str, whole: str = "input") -> dict[str, str]:
    """Split one problem of a value into its place and its reason; see ``language.schema.conform``."""
    place, found, reason = sentence.partition("`: ")
    return {"path": place.lstrip("`"), "reason": reason} if found else {"path": whole, "reason": sentence}
