"""All that people and programs can see of a saga that has ended, gathered, and whether it is one truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.read import runs
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.listing import page
from sagadsl.temporal.read.runs import Ended

_CLOSE = {"completed": "completed", "compensated": "failed", "failed": "failed", "cancelled": "canceled"}
_LAG = 40
"""How often the index is asked until it knows, and a worker that is busy until it answers."""

_TOO_MANY = (429, 503)

T = TypeVar("T")


async def when_there_is_room(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the server, which answers only so many questions about its index a second, until it has time."""
    for _ in range(_LAG):
        try:
            return await ask()
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
            await asyncio.sleep(0.5)
    return await ask()


async def _got(http: httpx2.AsyncClient, address: str) -> Any:
    """Return what the gateway answers, once it has time."""
    for _ in range(_LAG):
        answer = await http.get(address)
        if answer.status_code not in _TOO_MANY:
            break
        await asyncio.sleep(0.5)
    return answer.json()


@dataclass(frozen=True, slots=True)
class Views:
    """Of one saga.

    Attributes:
        words: Its status, by who says so.
        closed: Temporal's own word.
        report: As ``result`` gives it; of a cancelled saga, which has none, made of its ``status``.
        sentences: Of ``explain-run``.
    """

    ended: Ended
    words: Mapping[str, str]
    closed: str
    report: Mapping[str, Any]
    sentences: tuple[str, ...]
    status: Mapping[str, Any]
    result_document: Mapping[str, Any]

    def disagreements(self) -> Iterator[str]:
        """Yield where they do not agree."""
        word = self.ended.status
        for who, said in self.words.items():
            if said != word:
                yield f"result says `{word}`, {who} says `{said}`"
        if self.status.get("source") == "history":
            yield "no worker answers for its status"
        if self.closed != _CLOSE[word]:
            yield f"result says `{word}`, Temporal's close status is `{self.closed}`"
        if self.result_document != json.loads(json.dumps(self.ended.as_json())):
            yield f"result and the gateway's result differ: {self.ended.as_json()} and {self.result_document}"
        if self.ended.report is not None:
            for name, paths in _compensations(self.status).items():
                said = [each if isinstance(each, str) else each["path"] for each in self.ended.report[name]]
                if sorted(set(said)) != sorted(paths):
                    yield f"`{name}` of the report is {said}, of the status {paths}"


async def views(client: Client, http: httpx2.AsyncClient, url: str, id_: str) -> Views:
    """Ask everybody."""
    ended = await when_there_is_room(lambda: runs.result(client, id_))
    status = await _answered(client, id_)
    address = f"{url}/sagas/{quote(id_, safe='')}"
    result_document = await _got(http, f"{address}/result")
    words = {
        "status": status["status"],
        "the gateway": (await _got(http, address))["status"],
        "the page's stream": await _streamed(http, f"{address}/events"),
        "the list": await _listed(client, id_, ended.status),
        "the gateway's list": await _listed_there(http, url, id_),
    }
    if "/" not in id_ and ended.report is not None:
        words["the report"] = ended.report["status"]
    sentences = tuple((await _got(http, f"{address}/explanation"))["sentences"])
    report = ended.report or (_compensations(status) if ended.status == "cancelled" else {})
    if ended.report is None and report:
        report = {**report, "not_undone": [{"path": path} for path in report["not_undone"]]}
    return Views(ended, words, status["close_status"], report, sentences, status, result_document)


async def _answered(client: Client, id_: str) -> dict[str, Any]:
    """Return the status that a worker gives. Without one it comes from the history, which knows of no undoing."""
    status: dict[str, Any] = {}
    for _ in range(_LAG):
        status = await when_there_is_room(lambda: runs.status(client, id_))
        if status.get("source") != "history":
            break
        await asyncio.sleep(0.25)
    return status


def _compensations(status: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the status says of undoing, as a report does."""
    found: dict[str, list[str]] = {"undone": [], "not_undone": [], "not_attempted": []}
    names = {"done": "undone", "failed": "not_undone", "skipped": "not_undone", "not_attempted": "not_attempted"}
    for step in status["steps"]:
        word = (step.get("compensation") or {}).get("status")
        if word in names:
            found[names[word]].append(step["path"])
    return found


async def _listed_there(http: httpx2.AsyncClient, url: str, id_: str) -> str:
    """Return the status of the newest run in the gateway's list, which shows child sagas, too."""
    found = (await _got(http, f"{url}/sagas?limit=200&id={quote(id_, safe='')}"))["sagas"]
    return next((str(each["status"]) for each in found if each["id"] == id_), "nothing")


async def _streamed(http: httpx2.AsyncClient, address: str) -> str:
    said = ""
    async with http.stream("GET", address) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and '"status"' in line:
                said = json.loads(line.removeprefix("data: "))["status"]
            if line in ("event: end", "event: leave"):
                break
    return said


async def _listed(client: Client, id_: str, wanted: str) -> str:
    """Return the status in the list; the index lags, so that it is asked for a while."""
    said = "nothing"
    for _ in range(_LAG):
        runs = (await when_there_is_room(lambda: page(client, Chosen(query=f"WorkflowId = '{id_}'")))).sagas
        if runs:
            said = runs[0].status
        if said == wanted:
            break
        await asyncio.sleep(0.25)
    return said
