"""``sagadsl graph``: a definition or a run as a drawing, and drawings inside pages that stay up to date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import load_definitions, the_one
from sagadsl.cli.files import near_file, why_of
from sagadsl.cli.operate import connected
from sagadsl.cli.options import common, connection, form, output, output_file
from sagadsl.diagnostics.findings import Severity
from sagadsl.drawing.dot import dot
from sagadsl.drawing.flow import flow
from sagadsl.drawing.marks import Marks, marks
from sagadsl.drawing.mermaid import mermaid
from sagadsl.drawing.pages import Injected, NotInjected
from sagadsl.drawing.pages import inject as injected
from sagadsl.drawing.svg import svg
from sagadsl.drawing.tree import Tree, tree
from sagadsl.immutable import Immutable
from sagadsl.language.build import build
from sagadsl.status.lines import rows

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.link.flags import Flags

FORMATS = ("mermaid", "dot", "svg", "json")
_SHOW = "show"


class _Graph(click.Group):
    """A group whose first word may also be a file: then the command is ``show``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, args if args and args[0] in own else [_SHOW, *args])


@click.group(cls=_Graph, short_help="Draw a definition, or how a run stands in it.")
@common
def graph() -> None:
    """Draw a definition, or how a run stands in it. `graph FILE` is short for `graph show FILE`.

    \b
    Examples:
      sagadsl graph order.saga.yaml
      sagadsl graph order.saga.yaml -f dot | dot -Tpng -o order.png
      sagadsl graph --run order-42
      sagadsl graph inject README.md --check
    """


@graph.command(_SHOW, short_help="Draw a definition, or how a run stands in it.")
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--run", metavar="ID", help="A saga, instead of FILE: its definition with the state of each step.")
@form(*FORMATS, help="Form of the drawing.")
@output_file
@connection
@common
def show(*, file: str | None, run: str | None, format: str, output_file: str | None, flags: Flags) -> int:
    """Draw a definition, or how a run stands in it.

    FILE is a definition, `FILE#NAME` or `-`. No server is needed for it. With `--run` the drawing
    shows the definition that the run itself has, whatever the file says today.

    \b
    Examples:
      sagadsl graph order.saga.yaml
      sagadsl graph --run order-42 -f svg --output-file order-42.svg
    """
    if (file is None) == (run is None):
        raise click.UsageError("name a definition by its file, or a saga by `--run ID`: one of them")
    if file is None:
        assert run is not None
        drawn, states = _of_run(run, flags)
    else:
        definitions = load_definitions([file])  # a drawing needs no activity
        if not definitions.are_usable:
            definitions.show()
            return definitions.exit_code
        saga = the_one(definitions, file, "`graph` draws one").saga
        assert saga is not None
        drawn, states = tree(saga), None
    screen.write(_text(drawn, states, format), output_file)
    return 0


def _of_run(id: str, flags: Flags) -> tuple[Tree, Marks]:
    from sagadsl.temporal.read import runs
    from sagadsl.temporal.read.following import picture

    async def look(client: Client) -> tuple[Tree, Marks]:
        found = await picture(client, id)
        lines = rows(found.status, found.attempts, datetime.now(UTC), found.tried)
        return tree(build(await runs.definition(client, id))), marks(lines, found.status.get("notices", ()))

    return connected(flags, look)


def _text(drawn: Tree, states: Marks | None, format: str) -> str:
    match format:
        case "dot":
            return dot(flow(drawn, states))
        case "svg":
            return svg(drawn, states)
        case "json":
            found = {path: {"state": each.state, "undo": each.undo_state} for path, each in (states or {}).items()}
            return json.dumps({"schema_version": 1, **drawn.as_json(), "states": found}, ensure_ascii=False)
        case _:
            return mermaid(flow(drawn, states))


@graph.command("inject", short_help="Put drawings between the markers of a page.")
@click.argument("pages", metavar="PAGE...", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when a page would change.")
@output("text", "json")
@common
def inject(*, pages: Sequence[str], check: bool) -> int:
    """Put the Mermaid drawing of each definition that a page names between its markers.

    A page of Markdown says where: `<!-- sagadsl graph FILE -->` on a line of its own, and after it
    `<!-- /sagadsl graph -->`. FILE is relative to the page. A page that is up to date is not touched.

    Exit code: 0 all pages are up to date now, 1 with --check a page is not, 2 a page, its markers
    or a definition cannot be used.

    \b
    Examples:
      sagadsl graph inject README.md
      sagadsl graph inject docs/*.md --check
    """
    found = [_Page.of(Path(page)) for page in pages]
    if not check:
        for each in found:  # only when all of them can be drawn
            each.write()
    late = check and any(each.has_changed for each in found)
    screen.result(
        {"ok": not late, "pages": [each.as_json() for each in found]}, "\n".join(each.line(check) for each in found)
    )
    return 1 if late else 0


class _Page(Immutable):
    """A page before and after."""

    path: Path
    before: str
    after: Injected

    @classmethod
    def of(cls, path: Path) -> _Page:
        try:
            before = path.read_bytes().decode("utf-8")  # as it is, also the ends of its lines
        except (OSError, UnicodeDecodeError) as error:
            raise NotInjected(
                f"{path}: cannot be read: {why_of(error)}", near_file(str(path), (".md",)) or "name a page of Markdown"
            ) from None
        return cls(path, before, injected(before, str(path), lambda named, place: _drawing(path, named, place)))

    @property
    def has_changed(self) -> bool:
        return self.after.text != self.before

    def write(self) -> None:
        if self.has_changed:
            try:
                self.path.write_bytes(self.after.text.encode("utf-8"))
            except OSError as error:
                raise NotInjected(f"{self.path}: cannot be written: {why_of(error)}", "") from None

    def as_json(self) -> dict[str, object]:
        return {"page": str(self.path), "drawings": self.after.drawings, "changed": self.has_changed}

    def line(self, is_check: bool) -> str:
        drawings = f"{self.after.drawings} drawing{'s' if self.after.drawings > 1 else ''}"
        how = ("is out of date" if is_check else "is written") if self.has_changed else "is up to date"
        return f"{self.path} {how}: {drawings}"


def _drawing(page: Path, named: str, place: str) -> str:
    """Return the drawing of a definition that a page names."""
    file = str(page.parent / named)
    definitions = load_definitions([file])
    if not definitions.are_usable:
        errors = [each for each in definitions.findings if each.severity is Severity.ERROR]
        raise NotInjected(
            f"{place}: `{file}` cannot be drawn: {errors[0].message}", f"`sagadsl validate {file}` says more"
        )
    saga = the_one(definitions, file, "a drawing shows one").saga
    assert saga is not None
    return mermaid(flow(tree(saga)))
