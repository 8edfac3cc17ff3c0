"""What stands in the folder of a project: modules that ``-m`` may mean, and what seems to have an activity."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from sagadsl.language.suggest import closest
from sagadsl.later import compiled_later
from sagadsl.plugins.offers import GROUP

_SHOWN = 3
_MOST_FILES = 200
_MOST_BYTES = 200_000
"""A file of activities is smaller: a larger one is not read only to give advice."""
_FILE = compiled_later(r"[./]*(?P<path>[\w/\\-]+)\.py")


def is_there(module: str, folder: Path) -> bool:
    """Whether *module* is clearly there, without an import: right in *folder*, or imported already."""
    path = folder.joinpath(*module.split("."))
    is_name = all(each.isidentifier() for each in module.split("."))
    return module in sys.modules or (is_name and (path.with_suffix(".py").is_file() or path.is_dir()))


def meant_by(module: str, folder: Path) -> str:
    """Return what to do about *module*, which is not there."""
    there = sorted({path.stem if path.suffix else path.name for path in _sources(folder)})
    named = _FILE.fullmatch(module)
    if named is not None:
        name = named["path"].strip("/").replace("/", ".")
        return f"a module is named without `.py`: `-m {name}`"
    if "/" in module:
        return f"a module is named with dots: `-m {module.strip('./').replace('/', '.')}`"
    if near := closest(module, there):
        return f"did you mean `-m {near}`?"
    return "correct its name: modules are looked for in the current folder, and among what is installed"


def modules_in(module: ModuleType) -> str:
    """Return the modules of a folder that was named as a module, with what to write; empty if it has none."""
    inner = sorted({path.stem for folder in getattr(module, "__path__", ()) for path in _sources(Path(folder))})
    named = " ".join(f"-m {module.__name__}.{each}" for each in inner[:_SHOWN])
    return f"; it is a folder, whose modules have names of their own: `{named}`" if inner else ""


def that_name(activity: str, folder: Path) -> Iterator[str]:
    """Yield the modules of *folder* whose text has the name of *activity* between quotes."""
    wanted = re.compile(rf"""["']{re.escape(activity)}["']""")
    for path in _sources(folder):
        try:
            if path.suffix and path.stat().st_size <= _MOST_BYTES:
                text = path.read_text(encoding="utf-8")
                if "sagadsl" in text and wanted.search(text):
                    yield path.stem
        except (OSError, UnicodeDecodeError):
            continue


def project_offering(activity: str, folder: Path) -> Path | None:
    """Return the folder of the project around *folder* whose ``pyproject.toml`` offers *activity* as an entry point;
    ``None`` if the nearest project does not."""
    import tomllib  # noqa: PLC0415 # only advice needs it

    for place in (folder, *folder.absolute().parents):
        file = place / "pyproject.toml"
        try:
            project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            return None
        groups = project.get("entry-points", {}) if isinstance(project, dict) else {}
        offered = groups.get(GROUP, {}) if isinstance(groups, dict) else {}
        beginnings = {activity[:end] for end, each in enumerate(activity) if each == "."}  # of a class or a module
        return place if isinstance(offered, dict) and not offered.keys().isdisjoint({activity, *beginnings}) else None
    return None


def _sources(folder: Path) -> Iterator[Path]:
    """Yield the modules and packages right in *folder*, sorted."""
    try:
        found = sorted(folder.iterdir())[:_MOST_FILES]
    except OSError:
        return
    for path in found:
        is_module = path.suffix == ".py" and path.stem.isidentifier()
        if is_module or (path.name.isidentifier() and (path / "__init__.py").is_file()):
            yield path
