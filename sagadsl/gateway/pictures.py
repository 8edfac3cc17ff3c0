"""The routes that draw: a definition, and how a run stands in it, as the picture that ``sagadsl graph`` makes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from sagadsl.drawing.marks import Marks, marks
from sagadsl.drawing.svg import svg
from sagadsl.drawing.tree import tree
from sagadsl.gateway.offering import known
from sagadsl.gateway.problems import BadParameter
from sagadsl.gateway.requests import Inquiry
from sagadsl.gateway.watchers import Snapshot
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.language.notation.json_text import small_number
from sagadsl.status.lines import rows
from sagadsl.temporal.read import runs

NARROWEST, WIDEST = 200, 10_000
"""Widths that can be asked for, in pixels."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""For whoever opens the address itself: a picture needs its own colours, and nothing else."""


async def of_run(inquiry: Inquiry) -> Response:
    """Draw the definition of a run, with the state of each step."""
    query = inquiry.query("run", "width")
    width, run_id = _width(query.get("width")), query.get("run") or None
    view = await (inquiry.view() if run_id is None else inquiry.view_of_run(run_id))
    found = view.picture
    lines = rows(found.status, found.attempts, datetime.now(UTC), found.tried) if found.status else []
    states = marks(lines, view.document.get("notices", ()))
    return await _drawn(await _definition(inquiry, view, run_id), states, width)


async def of_definition(inquiry: Inquiry) -> Response:
    """Draw one definition that the gateway offers."""
    width = _width(inquiry.query("width").get("width"))
    return await _drawn(known(inquiry).saga, None, width)


async def _definition(inquiry: Inquiry, view: Snapshot, run_id: str | None) -> Saga:
    """Return the definition of a run.

    The gateway's own one of this name will do if the run says that it has the same, or if no worker is there to say
    which one it has.
    """
    offered = inquiry.gateway.definitions.get(view.document["name"])
    if offered is not None and view.document.get("digest", offered.saga.digest) == offered.saga.digest:
        return offered.saga
    found: dict[str, Any] = await runs.definition(inquiry.client, view.document["id"], run_id=run_id)
    return build(found)


async def _drawn(saga: Saga, states: Marks | None, width: float | None) -> Response:
    drawn = await asyncio.to_thread(lambda: svg(tree(saga), states, width))  # a large one takes some tenths of a second
    return Response(drawn, media_type="image/svg+xml", headers={"Content-Security-Policy": _POLICY})


def _width(text: str | None) -> float | None:
    """Return the width that is asked for; ``None`` if none is."""
    if text is None:
        return None
    width = small_number(text)
    if width is None or not NARROWEST <= width <= WIDEST:
        raise BadParameter(f"`width` is `{text[:100]}`", f"a number of pixels from {NARROWEST} to {WIDEST:,}")
    return float(width)
