"""Lays out the pages of the documentation site, and builds it: `make site`.

The pages are those of `docs/` as they stand. What they link to outside of it (definitions, examples, tools) becomes a
page, too, so that the site is whole without a network. The reference is generated from the code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools import docs_reference

ROOT = Path(__file__).resolve().parents[1]
PAGES, SITE = ROOT / "build" / "pages", ROOT / "build" / "site"
CONFIG = ROOT / "build" / "zensical.toml"

_WRITTEN = ROOT / "zensical.toml"
_OTHERS = "  # the others\n"

_DOCS = Path("docs")
_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})")
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
_DRAWING = re.compile(r"<!-- sagadsl graph (\S+) -->\n```mermaid\n.*?\n```\n<!-- /sagadsl graph -->", re.S)
_LANGUAGES = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".py": "python",
    ".sh": "bash",
    ".json": "json",
    ".go": "go",
    ".js": "javascript",
    ".java": "java",
}
_GENERATED = {Path("docs/diagnostics"): "reference/codes.md", Path("docs/decisions"): "reference/decisions.md"}
_LARGEST = 200_000
_LOADED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(https?://[^\s\">]+)|@import\s+url\(\"?(https?:[^)]+)"
)


class Broken(Exception):
    """A page links to something that is not there."""


class Layout:
    """The pages as the builder takes them: which file of the repository stands where."""

    def __init__(self) -> None:
        self._waiting: list[Path] = []
        self._placed: dict[Path, str] = {}

    def write(self) -> None:
        """Lay out every page, and whatever they link to."""
        shutil.rmtree(PAGES, ignore_errors=True)
        for path in sorted((ROOT / _DOCS).rglob("*")):
            if path.is_file():
                self.place(path.relative_to(ROOT))
        self.place(Path("README.md"))
        while self._waiting:
            self._write_one(self._waiting.pop())
        for name, text in docs_reference.pages().items():
            _save(name, text)
        CONFIG.write_text(_configuration(_WRITTEN.read_text(encoding="utf-8")), encoding="utf-8")
        _save("llms.txt", "".join(_for_machines()))

    def place(self, path: Path) -> str:
        """Return where a file or folder of the repository stands in the site."""
        if path in _GENERATED:
            return _GENERATED[path]
        if path not in self._placed:
            self._placed[path] = _place(path)
            self._waiting.append(path)
        return self._placed[path]

    def _write_one(self, path: Path) -> None:
        source, name = ROOT / path, self._placed[path]
        if source.is_dir():
            entries = sorted(each for each in source.iterdir() if not each.name.startswith((".", "__")))
            listed = "".join(f"- {self._entry(name, each)}\n" for each in entries)
            _save(name, f"# {path.as_posix()}\n\n{listed}")
        elif source.suffix == ".md":
            _save(name, _drawn(path, name, "\n".join(self._linked(path, name, source.read_text(encoding="utf-8")))))
        elif path.is_relative_to(_DOCS):
            (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, PAGES / name)
        else:
            _save(name, f"# {path.as_posix()}\n\n````{_LANGUAGES.get(source.suffix, 'text')}\n{_text(source)}\n````\n")

    def _entry(self, page: str, path: Path) -> str:
        """Return the entry of a file in the list of its folder; what is in folders within has no page because of it."""
        if path.is_dir():
            return f"{path.name}/"
        return f"[{path.name}]({_from(page, self.place(path.relative_to(ROOT)))})"

    def _linked(self, path: Path, name: str, text: str) -> Iterator[str]:
        """Yield the lines of a page whose links lead to where things stand in the site."""
        fence = ""
        for line in text.splitlines():
            found = _FENCE.match(line)
            if found and (not fence or line.strip().startswith(fence)):
                fence = "" if fence else found[2]
            yield line if fence or found else _LINK.sub(lambda link: self._link(path, name, link), line)

    def _link(self, path: Path, name: str, link: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", link[2]):
            return link[0]
        target = Path(os.path.normpath(path.parent / link[2]))
        if not (ROOT / target).exists():
            raise Broken(f"{path}: links to {link[2]}, which is not there")
        return f"{link[1]}{_from(name, self.place(target))}{link[3] or ''}{link[4]}"


def _place(path: Path) -> str:
    if path == Path("README.md"):
        return "index.md"
    if path.is_relative_to(_DOCS):
        return path.relative_to(_DOCS).as_posix()
    if (ROOT / path).is_dir():
        return f"source/{path.as_posix()}/index.md"
    return f"source/{path.as_posix()}" + ("" if path.suffix == ".md" else ".md")


def _from(page: str, target: str) -> str:
    return Path(os.path.relpath(target, Path(page).parent)).as_posix()


def _text(source: Path) -> str:
    if source.stat().st_size > _LARGEST:
        return f"({source.stat().st_size:,} bytes)"
    return source.read_text(encoding="utf-8", errors="replace").rstrip("\n")


def _drawn(path: Path, name: str, text: str) -> str:
    """Return a page whose drawings are pictures of our own: a browser without a network cannot fetch Mermaid."""

    def picture(found: re.Match[str]) -> str:
        title, drawn = docs_reference.picture((ROOT / path).parent / found[1])
        place = f"pictures/{Path(found[1]).name}.svg"
        _save(place, drawn)
        return f"![{title}]({_from(name, place)})"

    return _DRAWING.sub(picture, text)


def _save(name: str, text: str) -> None:
    place = PAGES / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")


Section = tuple[str, list[tuple[str, str]]]


def sections(text: str) -> list[Section]:
    """Return the sections of the site, with the title and the file of each page."""
    project: dict[str, Any] = tomllib.loads(text)["project"]
    found = []
    for section in project["nav"]:
        ((title, entries),) = section.items()
        pages = [next(iter(each.items())) if isinstance(each, dict) else (_title(each), each) for each in entries]
        found.append((title, pages))
    return found


def _title(page: str) -> str:
    return (PAGES / page).read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def _configuration(text: str) -> str:
    """Return the configuration of the builder, with a section for the pages that no other section has."""
    listed = {page for _, pages in sections(text) for _, page in pages}
    names = [page.relative_to(ROOT / _DOCS) for page in sorted((ROOT / _DOCS).glob("**/*.md"))]
    others = [
        json.dumps(each.as_posix())
        for each in names
        if each.as_posix() not in listed and _DOCS / each.parent not in _GENERATED
    ]
    return text.replace(_OTHERS, f'  {{ "More" = [{", ".join(others)}] }},\n' if others else "")


def _for_machines() -> Iterator[str]:
    """Yield the list of all pages for language models, in the form of llmstxt.org."""
    yield "# sagadsl\n\n> Sagas as YAML definitions (steps, retries, timeouts, compensations), "
    yield "checked before anything runs, and run on Temporal.\n"
    for title, pages in sections(CONFIG.read_text(encoding="utf-8")):
        yield f"\n## {title}\n\n"
        for name, page in pages:
            yield f"- [{name}]({page}): {_first_sentence((PAGES / page).read_text(encoding='utf-8'))}\n"


def _first_sentence(text: str) -> str:
    for paragraph in text.split("\n\n"):
        if paragraph.strip() and not re.match(r"[#`<|>\-!]", paragraph.strip()):
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
            return re.split(r"(?<=[.:])\s", plain)[0]
    return ""


def fetched(site: Path) -> Iterator[str]:
    """Yield what a browser would fetch from elsewhere to show a page."""
    for page in sorted(site.rglob("*.html")):
        for found in _LOADED.finditer(page.read_text(encoding="utf-8")):
            if 'rel="canonical"' not in found[0]:
                yield f"{page.relative_to(site)} fetches {found[1] or found[2]}"


def build() -> int:
    """Lay out and build the site; return an exit code."""
    Layout().write()
    builder = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict", "-f", str(CONFIG)]
    if code := subprocess.run(builder, cwd=ROOT, check=False).returncode:
        return code
    for page in PAGES.rglob("*.md"):  # llms.txt names the pages as they were written
        shutil.copy(page, SITE / page.relative_to(PAGES))
    wrong = list(fetched(SITE))
    print("\n".join(wrong) or f"the site is in {SITE.relative_to(ROOT)}: {len(list(SITE.rglob('*.html')))} pages")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(build())
    except Broken as broken:
        sys.exit(f"error: {broken}")
