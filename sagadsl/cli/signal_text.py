"""What a saga waits for, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING, Any

from sagadsl.reporting.schema_text import properties, type_text
from sagadsl.status.lines import moment, one_line, spell

if TYPE_CHECKING:
    from sagadsl.temporal.read.awaited import Awaited, OpenWait

_LONGEST = 200


def lines(saga_id: str, found: Sequence[Awaited], now: datetime, tail: str = "") -> Iterator[str]:
    """Yield the lines of ``signal --list``; *tail* ends each command."""
    if not found:
        yield "the saga knows no signal"
    for each in found:
        yield f"signal `{each.signal}`   payload: {_short(each.payload)}"
        if not each.waits:
            yield "   no step waits for it now"
        for wait in each.waits:
            yield f"   {wait.path}   {_wait(wait, now)}"
            if wait.id != saga_id:
                yield f"      sagadsl signal {quote(wait.id)} {each.signal} --payload JSON{tail}"
        if each.kept:
            senders = f", from {', '.join(one_line(by, 60) for by in each.senders)}" if each.senders else ""
            yield f"   {each.kept} kept for a later wait{senders}"


def _wait(wait: OpenWait, now: datetime) -> str:
    parts = [f"waits since {wait.since}" if wait.since else "waits"]
    if wait.until:
        parts.append(f"until {wait.until} (in {spell(moment(wait.until) - now)})")
    if wait.is_since_now:
        parts.append("for what comes after it has begun")
    return ", ".join(parts)


def _short(schema: Mapping[str, Any] | None) -> str:
    """Say in a few words which payloads fit."""
    keys = properties(schema)
    if not keys:
        return one_line(type_text(schema), _LONGEST)
    listed = ", ".join(f"{key.name}{'' if key.required else '?'}: {key.type}" for key in keys)
    return one_line(f"{{{listed}}}", _LONGEST)
