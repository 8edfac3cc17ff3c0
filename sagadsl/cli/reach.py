"""The commands that a text tells people to copy: they reach the same server as the command that prints them."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

from sagadsl.later import compiled_later

if TYPE_CHECKING:
    from sagadsl.temporal.link.settings import ConnectionSettings

WITHOUT_SERVER = frozenset(
    (
        "new",
        "init",
        "lsp",
        "validate",
        "diff",
        "explain",
        "schema",
        "plugins",
        "simulate",
        "explore",
        "test",
        "dev",
        "token",
        "keygen",
        "sign",
        "verify",
        "completion",
    )
)
"""The commands that take no connection."""

ASKING = frozenset(("terminate", "recover", "redrive", "reset", "forget"))
"""The commands that ask a person before they do anything to one saga, and that need `--yes` where nobody is there."""

_COMMAND = compiled_later(r"`(?P<command>sagadsl (?P<name>[a-z][a-z-]*)\b[^`\n]*)`")
_VERBS = frozenset(("schedule", "history"))
"""Groups: only their own commands take a connection."""


def same_server(settings: ConnectionSettings) -> str:
    """Return the flags for the same connection, as far as they may be shown. Variables need none."""
    shown = {"--address": settings.address, "-n": settings.namespace, "--profile": settings.profile}
    named = [f"{flag} {quote(each.value)}" for flag, each in shown.items() if each.origin.startswith("--")]
    named += [settings.tls.origin] if settings.tls.origin in ("--tls", "--no-tls") else []
    named += [f"{each.origin} {quote(each.value)}" for _, each in settings.tls_details if each.origin.startswith("--")]
    return " ".join([*named, settings.codec.flags] if settings.codec.flags else named)


def reaching(text: str, options: str) -> str:
    """Return *text* in which every command between back-quotes has these *options*, if it takes a connection."""

    def completed(found: re.Match[str]) -> str:
        words = found["command"].split()
        alone = len(words) == 2 and (found["name"] in _VERBS or "…" in found["command"])
        if alone or found["name"] in WITHOUT_SERVER or options in found["command"] or "--help" in words:
            return found[0]
        return f"`{found['command']} {options}`"

    return _COMMAND.sub(completed, text) if options else text


def unasked(text: str) -> str:
    """Return *text* in which every command between back-quotes that would ask a person has ``--yes``."""

    def answered(found: re.Match[str]) -> str:
        asks = found["name"] in ASKING and not {"--yes", "--dry-run", "--help"} & {*found["command"].split()}
        return f"`{found['command']} --yes`" if asks else found[0]

    return _COMMAND.sub(answered, text)
