"""The documentation as a site: it builds strictly, and a browser shows it without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import chromium
from tests.needs import missing
from tests.patience import PATIENCE
from tools import docs_site

SITE = docs_site.SITE
LOOKED_AT = ("index.html", "tutorial.html", "graph.html", "reference/commands.html", "reference/codes.html")


@pytest.fixture(scope="module")
def site() -> Path:
    """The site, built as `make site` does; a link or an anchor that leads nowhere fails it."""
    command = [sys.executable, "-m", "tools.docs_site"]
    ran = subprocess.run(
        command, cwd=docs_site.ROOT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return SITE


def test_language_models_find_every_page(site: Path) -> None:
    listed = (site / "llms.txt").read_text(encoding="utf-8")
    sections = docs_site.sections(docs_site.CONFIG.read_text(encoding="utf-8"))
    pages = [page for _, each in sections for _, page in each]

    assert len(pages) == len(set(pages)) > 60
    for page in pages:
        assert f"]({page}): " in listed
        assert (site / page).is_file()
        assert (site / page).with_suffix(".html").is_file()


def test_the_reference_is_that_of_the_code(site: Path) -> None:
    commands, codes, keys, addresses = (
        (site / "reference" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("commands", "codes", "schema", "gateway")
    )

    assert "### sagadsl graph inject\n" in commands
    assert "[SD401](../diagnostics/SD401.md)" in codes
    assert "| `compensation` |" in keys
    assert "`GET /sagas/{id}/picture`" in addresses


def test_a_browser_shows_it_without_a_network(site: Path) -> None:
    """From files alone: no font, script or style is fetched, and drawings are pictures."""
    asked: list[str] = []
    wrong: list[str] = []
    try:
        with chromium.started() as browser:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            for name in LOOKED_AT:
                page.goto((site / name).as_uri())
                page.locator("article h1").first.wait_for()
                if name == "graph.html":
                    drawn = page.get_by_role("img", name="fulfil-order 1.0.0")
                    assert drawn.evaluate("each => each.decode().then(() => each.naturalWidth)") > 300
    except chromium.Unavailable as unavailable:
        missing("chromium", str(unavailable))
    assert [each for each in asked if not each.startswith(("file:", "data:", "blob:"))] == []
    assert wrong == []


def test_every_page_is_linked_where_people_begin() -> None:
    """In the README or in "How to …", and in the navigation of the site: else nobody finds it."""
    docs = docs_site.ROOT / "docs"
    linked = {
        (begin.parent / link).resolve()
        for begin in (docs_site.ROOT / "README.md", docs / "how-to.md")
        for link in re.findall(r"\]\(([^)#\s]+)", begin.read_text("utf-8"))
    }
    navigation = set(re.findall(r'"([^"]+\.md)"', (docs_site.ROOT / "zensical.toml").read_text("utf-8")))
    own_lists = [docs / "diagnostics", docs / "decisions"]  # the README links the folders, the site has a list of each
    pages = [page for page in docs.rglob("*.md") if page.parent not in own_lists]

    assert [str(page) for page in pages if page.resolve() not in linked] == []
    assert [str(page) for page in pages if page.relative_to(docs).as_posix() not in navigation] == []
    assert all(folder.resolve() in linked for folder in own_lists)


def test_a_link_that_leads_nowhere_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# x\n\n[gone](docs/gone.md)\n")
    monkeypatch.setattr(docs_site, "ROOT", tmp_path)
    monkeypatch.setattr(docs_site, "PAGES", tmp_path / "build" / "pages")

    with pytest.raises(docs_site.Broken, match=r"README\.md: links to docs/gone\.md, which is not there"):
        docs_site.Layout().write()
