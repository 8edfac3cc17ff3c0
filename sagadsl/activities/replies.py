"""What an HTTP reply means: a result, or an error that says whether to try again and whether it happened."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sagadsl.activities.exchange import Final, Outgoing, Reply, target
from sagadsl.activities.inputs import clean, clean_data
from sagadsl.authoring import Failure, Permanent, Transient, Unknown
from sagadsl.language.notation.json_text import read_json

TRY_LATER = (408, 425, 429)
"""Client errors that another attempt may cure."""
_NOT_DONE = (501, 503, 505)
"""Server errors that say that nothing was done; after the others nobody knows."""
_EXCERPT = 500

Expected = Annotated[str, Field(pattern=r"^[1-5]xx$")] | Annotated[int, Field(ge=100, le=599)]
Expect = list[Expected] | Expected


class Response(BaseModel):
    """What came back. The body is `json` if it is JSON, `text` otherwise."""

    model_config = ConfigDict(extra="forbid")
    status: int
    headers: dict[str, str]
    json_body: Annotated[Any, Field(alias="json")] = None
    text: str | None = None


def result(reply: Reply, secrets: Iterable[str]) -> Response:
    """Return the reply with every secret that it repeats blotted out."""
    headers = {name: clean(value, secrets) for name, value in reply.headers.items()}
    if _says_json(reply):
        try:
            data = clean_data(read_json(reply.body), secrets)
            return Response.model_validate({"status": reply.status, "headers": headers, "json": data})
        except (ValueError, RecursionError):
            pass  # says that it is JSON and is not: the text tells more than an error
    try:
        text = reply.body.decode(reply.encoding, errors="replace")
    except LookupError:
        text = reply.body.decode(errors="replace")
    return Response(status=reply.status, headers=headers, text=clean(text, secrets))


def json_of(reply: Reply) -> Any:
    """Return the body of a reply, if it is JSON; ``None`` otherwise."""
    try:
        return read_json(reply.body) if _says_json(reply) else None
    except (ValueError, RecursionError):
        return None


def is_expected(status: int, expect: Expect) -> bool:
    """Whether a status is one of those that mean success."""
    every = expect if isinstance(expect, list) else [expect]
    return status in every or f"{status // 100}xx" in every


def status_error(message: Outgoing, reply: Reply, secrets: Iterable[str]) -> Failure:
    """Return the error for a status that nobody expects."""
    status = reply.status
    error_type = f"Http{status}"
    details = details_of(reply, secrets)
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    text = f"{target(message)}: status {status}{phrase}"
    after = retry_after(reply.headers.get("retry-after"))
    if status >= 500:
        definite = status in _NOT_DONE or message.reads
        kind: type[Failure] = Transient if definite else Unknown
        return kind(text, details, type=error_type, retry_after=after)
    if status in TRY_LATER:
        return Transient(text, details, type=error_type, retry_after=after)
    if status < 400 and not message.reads:
        # 2xx or 3xx that the definition did not expect: something has happened.
        return Final(text, details, type=error_type)
    return Permanent(text, details, type=error_type)


def details_of(reply: Reply, secrets: Iterable[str]) -> dict[str, Any]:
    """Return what an error tells of a reply."""
    shown = result(reply, secrets)
    body = shown.text if shown.text is not None else json.dumps(shown.json_body, ensure_ascii=False)
    return {"status": reply.status, "headers": shown.headers, "body": body[:_EXCERPT]}


def retry_after(header: str | None) -> timedelta | None:
    """Return the pause that the server asks for, at most a day; ``None`` if it asks for none."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.strip().isdecimal() else parsedate_to_datetime(header).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 1.0), 86400.0))


def _says_json(reply: Reply) -> bool:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
