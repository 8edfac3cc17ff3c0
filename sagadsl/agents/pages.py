"""What a language model reads before it writes: the guide, the references, the gallery, the schema by parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from sagadsl.agents.folder import ToolRefused
from sagadsl.immutable import Immutable
from sagadsl.language.bundled import pages_folder, schema_text
from sagadsl.language.suggest import did_you_mean, listed

_STORIES = "gallery/"
FIRST = "authoring"
"""The page to read first."""

_PACKAGE = Path(__file__).parents[1]
_TREE = _PACKAGE.parent  # in an editable install the pages are beside the package
_PAGES = {
    FIRST: ("authoring.md", "How to write a definition, for language models"),
    "language": ("language.md", "The language: every key"),
    "expressions": ("expressions.md", "Expressions: filters, tests, what can be read where"),
    "suites": ("test.md", "Suites: how a definition is tested"),
    "gallery": ("gallery.md", "Real processes by pattern"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class GuidePage(Immutable):
    """One page, by the name that `sagadsl://NAME` has."""

    name: str
    title: str

    @property
    def kind(self) -> str:
        """Its media type."""
        return "application/yaml" if self.name.startswith(_STORIES) else "text/markdown"


def pages() -> Iterator[GuidePage]:
    """Yield all pages."""
    for name, (_, title) in _PAGES.items():
        yield GuidePage(name, title)
    for path in sorted(_gallery().glob("*.saga.yaml")):
        name = path.name.removesuffix(".saga.yaml")
        yield GuidePage(f"{_STORIES}{name}", f"{name.replace('_', ' ')}: a definition with its suite")


def text(name: str) -> str:
    """Return a page. Raises ``ToolRefused`` if there is none of this name."""
    if name in _PAGES:
        return (pages_folder() / _PAGES[name][0]).read_text("utf-8")
    story = name.removeprefix(_STORIES).replace("-", "_")
    path = _gallery() / f"{story}.saga.yaml"
    if not _NAME.fullmatch(story) or not path.is_file():
        known = [each.name for each in pages()]
        raise ToolRefused(f"there is no page `{name}`; {did_you_mean(name, known) or f'there are {listed(known)}'}")
    suite = path.with_name(f"{story}.saga-test.yaml")
    return f"{path.read_text('utf-8')}\n# {suite.name}\n{suite.read_text('utf-8')}"


def schema(of: str, part: str | None) -> str:
    """Return a part of a schema, or the list of its parts. Raises ``ToolRefused`` if there is none of this name."""
    whole = json.loads(schema_text(of))
    parts = whole["definitions"]
    if part is None:
        return json.dumps(
            {"keys": whole["properties"], "required": whole["required"], "parts": sorted(parts)}, indent=1
        )
    if part not in parts:
        raise ToolRefused(f"the schema has no part `{part}`; {did_you_mean(part, parts) or f'it has {listed(parts)}'}")
    return json.dumps(parts[part], indent=1)


def _gallery() -> Path:
    inside = _PACKAGE / "guides" / "gallery"
    return inside if inside.is_dir() else _TREE / "definitions" / "gallery"
