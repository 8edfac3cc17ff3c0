"""Errors as HTTP answers: RFC 9457 problem documents with our codes. Says nothing of what is inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from sagadsl.codes import CODES
from sagadsl.errors import SagadslError
from sagadsl.gateway.limits import TooLarge, TooMany
from sagadsl.temporal.connection import NotConnected
from sagadsl.temporal.refusals import InvalidInput, NoAnswer, SagaNotFound

MEDIA = "application/problem+json"


class Refusal(SagadslError):
    """A request that the gateway itself refuses.

    Attributes:
        status: Of the answer.
    """

    exit_code = 4

    def __init__(self, status: int, code: str, detail: str, remedy: str = "", **headers: str) -> None:
        super().__init__(status, code, detail)
        self.status, self.kind, self.detail, self.remedy = status, code, detail, remedy
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __str__(self) -> str:
        return self.detail

    @property
    def help(self) -> str:
        return self.remedy


_STATUS: Mapping[str, int] = {
    "SD901": 503,
    "SD906": 400,
    "SD920": 422,
    "SD921": 422,
    "SD922": 409,
    "SD923": 404,
    "SD924": 409,
    "SD925": 409,
    "SD926": 503,
    "SD945": 429,
    "SD946": 413,
}


def problem(error: SagadslError) -> Response:
    """Return the answer to a request that ended so."""
    if isinstance(error, Refusal):
        status, code, headers = error.status, error.kind, dict(error.headers)
    else:
        status, code, headers = _STATUS.get(error.code, 500), error.code, {}
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
        case InvalidInput(problems=problems):
            detail = "the input does not fit the saga"
            more["errors"] = [_pointed(each) for each in problems]
        case NotConnected():  # its page names the server and its settings
            detail, remedy = "the saga service is not available at this moment", "try again"
        case SagaNotFound(id=id_):
            detail, remedy = f"there is no saga `{id_}`", ""
        case NoAnswer():  # it names the task queue
            detail, remedy = "no worker answers for this saga at this moment", "try again"
        case _ if error.code.startswith("SD92"):
            remedy = ""  # it speaks of the command line
    return answer(status, code, detail, remedy, headers, **more)


def internal() -> Response:
    """Return the answer for a mistake of ours."""
    return answer(500, "SD900", "the gateway made a mistake; its log says more", "", {})


def answer(status: int, code: str, detail: str, remedy: str, headers: Mapping[str, str], **more: Any) -> Response:
    """Return a problem document."""
    document = {"type": f"urn:sagadsl:{code}", "title": CODES[code].title, "status": status, "detail": detail}
    document |= {"code": code, **({"help": remedy} if remedy else {}), **more}
    return Response(json.dumps(document, ensure_ascii=False), status, headers, MEDIA)


def _pointed(sentence: str) -> dict[str, str]:
    """Return one problem of an input as its place and its reason; see ``language.conform``."""
    place, found, reason = sentence.partition("`: ")
    return {"path": place.lstrip("`"), "reason": reason} if found else {"path": "input", "reason": sentence}
