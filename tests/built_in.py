"""The calls that come with sagadsl, made as a worker makes them: with the secrets that a definition names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sagadsl import Context
from sagadsl.activities import reach, tokens
from sagadsl.language.expressions.secrets import Named, named
from sagadsl.plugins.results import to_json_data
from sagadsl.plugins.signatures import InputReader, form


def permit(monkeypatch: pytest.MonkeyPatch, networks: str = "127.0.0.1", **secrets: str) -> None:
    """Let calls reach this machine and send it *secrets*, as its worker's operator would; forget fetched tokens."""
    monkeypatch.setenv(reach.NETWORKS, networks)
    monkeypatch.setenv(reach.SECRETS, ",".join(f"{name}@127.0.0.1" for name in secrets))
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(reach.HOSTS, raising=False)
    tokens._tokens.clear()


async def called(
    activity: Callable[..., Awaitable[Any]], call: dict[str, Any], written: Any = None, **context: Any
) -> Any:
    """Return what a *call* gives; *written* is what the definition says where it is not the call itself."""
    found = named(call if written is None else written) or Named({})
    secrets = {"secrets": found.places, "secrets_host": found.host, "secrets_hosts": found.hosts}
    arguments = InputReader(form(activity)).read((call,), Context(**secrets, **context))
    return to_json_data(await activity(**arguments.keyword))
