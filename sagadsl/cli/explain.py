"""``sagadsl explain``: the page of a code, and every other page of the documentation, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from sagadsl.cli import screen
from sagadsl.cli.options import common, output
from sagadsl.cli.page_text import anchors, section, shown
from sagadsl.columns import row
from sagadsl.diagnostics.codes import CODES
from sagadsl.language.bundled import page_names, page_text
from sagadsl.language.suggest import closest, did_you_mean

_WIDEST = 100


@click.command(short_help="Explain a code such as SD104.")
@click.argument("code", metavar="[CODE|PAGE]", required=False)
@click.option("--pages", is_flag=True, help="List the pages of the documentation.")
@output("text", "json")
@common
def explain(code: str | None, pages: bool) -> int:
    """Explain a code such as SD104: what is wrong, why it matters, a bad and a good example.

    A PAGE of the documentation is shown the same way, or a part of it: PAGE#PART.

    Without CODE, list them all.

    \b
    Examples:
      sagadsl explain SD104
      sagadsl explain | grep -i compensation
      sagadsl explain --pages
      sagadsl explain language#activity
    """
    if pages and code is not None:
        raise click.UsageError(f"`--pages` lists all pages; leave out `{code}`, or the option")
    if pages:
        listed = [{"name": name, "title": _title(page_text(name) or "")} for name in sorted(page_names(), key=_order)]
        screen.result({"pages": listed}, "\n".join(_listed(listed, _width())))
        return 0
    if code is None:
        rows = [{"code": each.code, "severity": each.severity.value, "title": each.title} for each in CODES.values()]
        screen.result({"codes": rows}, "\n".join(f"{row['code']}  {row['title']}" for row in rows))
        return 0
    known = CODES.get(code.upper())
    if known is None:
        return _explain_page(code)
    page = page_text(f"diagnostics/{known.code}")
    text = page if page is not None else f"# {known.code}: {known.title}"
    document = {"code": known.code, "severity": known.severity.value, "title": known.title, "page": page}
    screen.result(document, shown(text, f"diagnostics/{known.code}", _width()), is_data=True)
    return 0


def _explain_page(written: str) -> int:
    wanted, _, anchor = written.partition("#")
    names = page_names()
    by_last = {name.rpartition("/")[2]: name for name in names}
    name = wanted if wanted in names else by_last.get(wanted, "")
    text = page_text(name) if name else None
    if text is None:
        raise click.UsageError(_no_such(wanted, [*names, *by_last]))
    part = section(text, anchor) if anchor else text
    if part is None:
        hint = did_you_mean(anchor, anchors(text)) or f"see `sagadsl explain {wanted}`"
        raise click.UsageError(f"the page `{wanted}` has no part `{anchor}`; {hint}")
    screen.result({"name": name, "title": _title(text), "text": part}, shown(part, name, _width()), is_data=True)
    return 0


def _order(name: str) -> tuple[bool, str]:
    """Put the decisions last: they are of interest to those who change sagadsl."""
    return name.startswith("decisions/"), name


def _listed(pages: list[dict[str, str]], width: int | None) -> Iterator[str]:
    """Yield a line for each page; where a terminal has no room for the titles, they stand below the names."""
    column = max((len(each["name"]) for each in pages if not each["name"].startswith("decisions/")), default=0)
    fit = (column, max((len(each["title"]) for each in pages), default=0))
    for each in pages:
        yield from row((each["name"], each["title"]), fit, width)


def _no_such(written: str, names: Iterable[str]) -> str:
    if written[:2].upper() == "SD" and written[2:].isdigit():
        return f"there is no code `{written}`; {did_you_mean(written.upper(), CODES) or 'see `sagadsl explain`'}"
    near = closest(written.upper(), CODES, 0.8) or closest(written, names)
    hint = "`sagadsl explain --pages` lists the pages" if near is None else f"did you mean `{near}`?"
    return f"there is neither a code nor a page `{written}`; {hint}"


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ").replace("`", "")


def _width() -> int | None:
    """Return how wide the lines may be; ``None`` where no person reads them."""
    found = screen.width()
    return None if found is None else min(found, _WIDEST)
