"""``sagadsl query``: asks a saga what its definition lets people ask."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.operate import connected, on_saga

if TYPE_CHECKING:
    from sagadsl.temporal.link.flags import Flags


@click.command(short_help="Ask a saga a query of its definition.")
@on_saga
@click.argument("name", metavar="NAME")
def query(*, id: str, name: str, flags: Flags) -> int:
    """Ask a saga a query of its definition (`queries`), and print the answer. A closed saga answers too.

    \b
    Examples:
      sagadsl query order-7 progress
      sagadsl query order-7 progress --json | jq .answer
    """
    from sagadsl.temporal.read.questions import ask

    answer = connected(flags, lambda client: ask(client, id, name))
    screen.result(
        {"id": id, "query": name, "answer": answer}, json.dumps(answer, ensure_ascii=False, indent=2), is_data=True
    )
    return 0
