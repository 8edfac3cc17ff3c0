"""The page of the gallery: its definitions, by the pattern that each of them shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sagadsl.language.load import load_many
from sagadsl.language.loaded import Loaded

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "definitions" / "gallery"
PAGE = ROOT / "docs" / "gallery.md"

PATTERNS = {
    "book together or not at all": "Several participants do their part; when one refuses, the others undo theirs.",
    "choices": "The data decide which way a saga goes, and whom it calls.",
    "loops with memory": "Each round knows what the rounds before it have found.",
    "in parallel": "Steps run at the same time: all of them, as a graph, or until enough have ended.",
    "batches": "Many items, a few at a time; one that fails does not always end the rest.",
    "people decide": "A saga waits for people, for days if need be, and reminds them.",
    "waiting and polling": "A saga waits for a moment or for somebody else's work.",
    "after the point of no return": "Up to the pivot everything can be undone; behind it the saga only goes forward.",
    "child sagas": "A saga is a step of another one, and undoes itself when the other one goes back.",
    "agents": "A model proposes what comes next; the definition says what it may do, how often, and who has to agree.",
    "when something is stuck": "The saga stays as it is until an operator decides, and tells somebody that it waits.",
}
"""Every pattern that a label names, in the order of the page, and what it is about."""

_HEAD = """# The gallery

Real processes in [the language](language.md), each with a [suite](test.md) that shows how it goes well and how it
fails. None of their activities is installed: they are to be read, played, and copied. This plays one, and its suite:

```sh
sagadsl simulate definitions/gallery/buy_goods.saga.yaml
sagadsl test definitions/gallery/buy_goods.saga-test.yaml
```

`python -m tests.definitions.gallery_page` writes this page. Tests play every suite here in virtual time and its first
case on a real server, and explore every definition with one fault.
"""


@cache
def gallery() -> tuple[Loaded, ...]:
    """Return every definition of the gallery, in the order of the file names."""
    return load_many(sorted(FOLDER.glob("*.saga.yaml")))


def page() -> str:
    """Return the text of the page, as of now."""
    return "\n".join([_HEAD, *_by_pattern()]).rstrip("\n") + "\n"


def _by_pattern() -> Iterator[str]:
    shown: dict[str, list[str]] = defaultdict(list)
    for loaded in gallery():
        assert loaded.saga is not None, loaded.document.name
        file = Path(loaded.document.name).name
        line = f"- [{loaded.saga.name}](../definitions/gallery/{file}): {loaded.saga.description}"
        shown[loaded.saga.labels["pattern"]].append(line)
    for pattern, about in PATTERNS.items():
        yield f"## {pattern.capitalize()}\n\n{about}\n"
        yield from shown[pattern]
        yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
