"""``sagadsl token`` makes tokens for the users of the gateway."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sagadsl.cli import screen
from sagadsl.cli.options import common, output
from sagadsl.errors import NeedsExtra


@click.command(short_help="Make a token for somebody who may use the gateway.")
@click.argument("name")
@click.option(
    "--start",
    multiple=True,
    metavar="SAGA",
    help="May start these sagas; `order-*` is every name that begins with `order-`.",
)
@click.option("--read", multiple=True, metavar="SAGA", help="May read these sagas.")
@click.option("--operate", multiple=True, metavar="SAGA", help="May signal, cancel and decide about these sagas.")
@click.option("--forget", multiple=True, metavar="SAGA", help="May have these sagas deleted for good.")
@click.option(
    "--payloads",
    multiple=True,
    type=click.Choice(["decode", "encode"]),
    help="May have payloads of all sagas decoded, or encoded: for Temporal's Web UI.",
)
@output("text", "json")
@common
def token(
    *,
    name: str,
    start: Sequence[str],
    read: Sequence[str],
    operate: Sequence[str],
    forget: Sequence[str],
    payloads: Sequence[str],
) -> int:
    """Make a token for somebody who may use the gateway.

    The token goes to stderr, and nothing keeps it. Its entry for the file of `serve --tokens` goes to stdout and
    holds only a digest.

    \b
    Example:
      echo "tokens:" > tokens.yaml
      sagadsl token shop --start transfer-money --read "*" >> tokens.yaml
    """
    from sagadsl.language.notation.scalars import write_yaml

    try:
        from sagadsl.gateway.access import new_token
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error)) from None
    if not (start or read or operate or forget or payloads):
        known = "`--start`, `--read`, `--operate`, `--forget` or `--payloads`"
        raise click.UsageError(f"a token that may do nothing is of no use: give {known}")
    made, entry = new_token(
        name, {"start": start, "read": read, "operate": operate, "forget": forget, "payloads": payloads}
    )
    if screen.session().output == "json":
        screen.result({"token": made, "entry": entry})
    else:
        screen.tell(f"the token of {name}, which is shown only now: {made}")
        screen.result({}, write_yaml([entry]), is_data=True)
    return 0
