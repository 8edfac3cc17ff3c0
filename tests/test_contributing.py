"""The page for contributors names what is there, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _rooms(folder: Path) -> set[str]:
    return {
        each.name
        for each in folder.iterdir()
        if (each.is_dir() and (each / "__init__.py").is_file())
        or (each.suffix == ".py" and not each.name.startswith("__"))
    }


def test_every_room_is_on_the_page() -> None:
    named = {name.rstrip("/") for name in re.findall(r"`([\w./]+)`", PAGE)}

    assert _rooms(ROOT / "sagadsl") - named == set()
    assert {
        each.name for each in (ROOT / "sagadsl/language").iterdir() if (each / "__init__.py").is_file()
    } - named == set()


def test_every_path_on_the_page_exists() -> None:
    places = (ROOT, ROOT / "sagadsl", ROOT / "sagadsl/language", ROOT / "sagadsl/temporal")
    paths = re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", PAGE)
    files = [path for path in paths if "/" in path or path.endswith((".py", ".md", ".toml", ".json"))]

    assert len(files) > 50
    assert [path for path in files if not any((place / path).exists() for place in places)] == []


def test_every_test_on_the_page_exists() -> None:
    for path in re.findall(r"tests/[\w/]+\.py", PAGE):
        assert (ROOT / path).is_file(), path
