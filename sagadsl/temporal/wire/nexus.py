"""What goes along with a Nexus operation, and how its endpoint is made. Replay-critical."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

KEY_HEADER, CALL_HEADER = "idempotency-key", "sagadsl-call"
"""The headers with the key and the id of the call, as a handler sees them: in small letters."""

MADE_BY_NEXUS = "OperationError"
"""The type of the error in which Nexus puts what a handler has raised about an operation."""

_AS_IT_IS = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def headers(key: str, call_id: str) -> dict[str, str]:
    """Return the headers of an operation. What is no ASCII stands in them as in an address, since HTTP carries them."""
    return {KEY_HEADER: quote(key, _AS_IT_IS), CALL_HEADER: quote(call_id, _AS_IT_IS)}


def call_of_operation(found: Mapping[str, str], operation: str) -> str:
    """Return the id of the call from the headers of an operation; that of another caller has the operation's name."""
    return unquote(found[CALL_HEADER]) if CALL_HEADER in found else operation


def how_to_create(endpoint: str) -> str:
    """Return the command that makes an endpoint, with what only people know in capitals."""
    target = "--target-namespace NAMESPACE --target-task-queue QUEUE"
    return f"temporal operator nexus endpoint create --name {endpoint} {target}"
