"""Says which name of a definition was probably meant by a `--name` that chose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagadsl.cli import screen

if TYPE_CHECKING:
    from temporalio.client import Client


async def note_near_name(client: Client, name: str | None) -> None:
    """Write it to stderr; nothing without a name, or if no name of the newest sagas is near."""
    from sagadsl.temporal.read.near import near_name

    if name and (meant := await near_name(client, name)):
        screen.note(f"none of the newest sagas is called `{name}`; did you mean `--name {meant}`?")
