"""``sagadsl forget``: deletes what the server keeps of a saga."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.operate import connected, on_saga
from sagadsl.language.suggest import counted, listed

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.ask.forgetting import Forgotten, KeptRun
    from sagadsl.temporal.link.flags import Flags


_NAMED = 5


@click.command(short_help="Delete all that the server keeps of a saga.")
@click.option("--why", metavar="TEXT", required=True, help="Why; whoever keeps the output of the command keeps it.")
@click.option("--dry-run", is_flag=True, help="Only list what would be deleted.")
@click.option("--even-open", is_flag=True, help="Also if it is open: it is terminated, and undoes nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until the server has deleted it.",
)
@on_saga
def forget(*, id: str, why: str, dry_run: bool, even_open: bool, yes: bool, timeout: float, flags: Flags) -> int:
    """Delete all that the server keeps of a saga: every run under its id, with its data, its entry in the
    index, and the runs of its child sagas. That cannot be taken back. An open saga is refused, and so is a child
    of an open one.

    The server deletes in its own time, so the command looks until it knows nothing of them any more. The exit code
    is 4 if it still does when the time is over, and if the saga is refused.

    \b
    Examples:
      sagadsl forget transfer-42 --why "request 17 of a customer" --dry-run
      sagadsl forget transfer-42 --why "request 17 of a customer" --yes
    """
    from sagadsl.temporal.ask import forgetting

    kept = connected(flags, lambda client: forgetting.kept_runs(client, id))
    if dry_run:
        shown = {"id": id, "runs": [each.as_json() for each in kept], "dry_run": True}
        screen.result(shown, "\n".join(_lines(kept)))
        return 0
    connected(flags, lambda client: forgetting.refuse_open(client, id, kept, even_open=even_open))
    if not yes:
        screen.need_a_person("look at what would be deleted with `--dry-run`; to delete it, add `--yes`")
        for line in _lines(kept):
            screen.tell(line)
        screen.ask("Delete them for good?")

    async def carry_out(client: Client) -> Forgotten:
        return await forgetting.forget(client, id, even_open=even_open, patience=timeout)

    found = connected(flags, carry_out)
    gone = len(found.runs) - len(found.left)
    text = f"forgotten: {id}, {counted(gone, 'run', 'runs')}"
    if found.left:
        asked = counted(len(found.runs), "run", "runs")
        text = f"asked to delete {asked} of {id}; the server still knows {len(found.left)} of them"
    elif found.stored:
        text += f", {counted(found.stored, 'stored payload', 'stored payloads')}"
    screen.result(found.as_json() | {"why": why}, text)
    if found.unreached:
        screen.warn(
            f"{found.unreached} payloads lie in a storage that this process does not have, and stay there: "
            "name it with `--storage`, or delete them there"
        )
    if found.shared:
        stay = counted(found.shared, "stored payload stays", "stored payloads stay")
        screen.warn(
            f"{stay}, as {listed(found.shared_with, _NAMED)} got or gave the same data: forget that, too "
            "(a schedule: delete it, and forget its last run)"
        )
    for each in found.keepers:
        if each.is_schedule:
            screen.warn(f"schedule `{each.id}` keeps the result for its next run: delete it, or forget that run, too")
    if others := [each.id for each in found.keepers if not each.is_schedule]:
        where = "keeps it in its history" if len(others) == 1 else "keep it in their histories"
        screen.warn(f"{listed(others, _NAMED)} got or gave the same data, and {where}: forget that, too")
    if found.left:
        for line in _lines(found.left):
            screen.note(line)
        problem = forgetting.StillKept(id, len(found.left))
        screen.warn(f"[{problem.code}] {problem}: {problem.help}")
        return problem.exit_code
    return 0


def _lines(runs: tuple[KeptRun, ...]) -> list[str]:
    """Return the runs, one a line."""
    return [
        f"{each.id}  run {each.run_id}  {each.name}{'  child' if each.child else ''}{'  open' if each.is_open else ''}"
        for each in runs
    ]
