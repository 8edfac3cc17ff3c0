"""``sagadsl explain``: the page of a code, as the documentation has it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from sagadsl.cli import screen
from sagadsl.cli.options import common, output
from sagadsl.diagnostics.codes import CODES
from sagadsl.language.suggest import did_you_mean


@click.command(short_help="Explain a code such as SD104.")
@click.argument("code", required=False)
@output("text", "json")
@common
def explain(code: str | None) -> int:
    """Explain a code such as SD104: what is wrong, why it matters, a bad and a good example.

    \b
    Without CODE, list them all.
    Examples:
      sagadsl explain SD104
      sagadsl explain | grep -i compensation
    """
    if code is None:
        rows = [{"code": each.code, "severity": each.severity.value, "title": each.title} for each in CODES.values()]
        screen.result({"codes": rows}, "\n".join(f"{row['code']}  {row['title']}" for row in rows))
        return 0
    known = CODES.get(code.upper())
    if known is None:
        raise click.UsageError(
            f"there is no code `{code}`; {did_you_mean(code.upper(), CODES) or 'see `sagadsl explain`'}"
        )
    page = _page(known.code)
    text = page if page is not None else f"# {known.code}: {known.title}"
    document = {"code": known.code, "severity": known.severity.value, "title": known.title, "page": page}
    screen.result(document, text.rstrip())
    return 0


def _page(code: str) -> str | None:
    """Return the page of *code*: in the installed package, else in a source tree."""
    package = Path(str(files("sagadsl")))
    for folder in (package / "explanations", package.parent / "docs" / "diagnostics"):
        page = folder / f"{code}.md"
        if page.is_file():
            return page.read_text(encoding="utf-8")
    return None
