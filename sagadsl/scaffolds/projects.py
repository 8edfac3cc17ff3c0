"""The files of a project, of a plugin, and of what a repository that is there needs for sagas."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.language.bundled import schema_text
from sagadsl.scaffolds.files import Planned, template
from sagadsl.scaffolds.pyproject import with_activities

_ACTIVITIES = ("reserve", "release", "charge", "refund")
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*\Z")
_SCHEMAS = ("saga", "suite")
SETTINGS = "sagadsl.toml"


class Advice(Immutable):
    """What a scaffold leaves to its user."""

    text: str


def is_name(name: str) -> bool:
    """Whether a project and its Python package can be called *name*."""
    return _NAME.match(name) is not None


def _values(name: str) -> dict[str, str]:
    """Return the values of templates for a project called *name*."""
    return {"NAME": name, "PACKAGE": name.replace("-", "_"), "SCHEMAS": "../schemas"}


def project(name: str) -> Iterator[Planned]:
    """Yield the files of a new project: definitions, activities, tests, and what checks them."""
    values = _values(name) | {"TESTPATHS": '"tests", "definitions"', "DESCRIPTION": "Sagas and what they call."}
    yield Planned("README.md", template("project-readme.md", values))
    yield from _package(values)
    yield from _definitions(values)
    yield Planned(".github/workflows/sagas.yaml", _workflow("pip install '.[dev]'"))
    yield Planned(".pre-commit-config.yaml", template("pre-commit-config.yaml", {}))


def plugin(name: str) -> Iterator[Planned]:
    """Yield the files of a package with activities."""
    values = _values(name) | {"TESTPATHS": '"tests"', "DESCRIPTION": "Activities for sagas."}
    yield Planned("README.md", template("plugin-readme.md", values))
    yield from _package(values)


def additions(folder: Path) -> Iterator[Planned | Advice]:
    """Yield what a repository needs for sagas, and what its own files have to say besides.

    Raises ``Unmergeable`` and ``NeedsExtra``.
    """
    package = _package_of(folder)
    if package is None:
        name, module, install = "local", "activities", "pip install sagadsl"
        yield Planned("activities.py", template("activities.py", _values(name)))
        yield Planned(SETTINGS, f'modules = ["{module}"]\n')
        if (folder / SETTINGS).exists():
            yield Advice(f'add `modules = ["{module}"]` to {SETTINGS}, if it has no `modules` yet')
    else:
        name, where, install = package.name, package.folder, "pip install ."
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        values = _values(name)
        yield Planned(f"{where}/saga_activities.py", template("activities.py", values))
        points = {f"{name}.{each}": f"{name}.saga_activities:{each}" for each in _ACTIVITIES}
        yield Planned("pyproject.toml", with_activities(text, points), replaces=True)
        yield Advice("install the package again, so that its activities are found: `pip install -e .`")
    yield from _definitions(_values(name))
    if (folder / ".gitlab-ci.yml").exists():
        yield Advice(
            "add a job to .gitlab-ci.yml: `sagadsl validate --format gitlab definitions > gl-code-quality-report.json`"
        )
    else:
        yield Planned(".github/workflows/sagas.yaml", _workflow(install))
    yield Planned(".pre-commit-config.yaml", template("pre-commit-config.yaml", {}))
    if (folder / ".pre-commit-config.yaml").exists():
        yield Advice("add a hook to .pre-commit-config.yaml: `entry: sagadsl validate`, `files: \\.saga\\.ya?ml$`")


def schemas() -> Iterator[Planned]:
    """Yield the schemas with which editors complete and check."""
    for each in _SCHEMAS:
        yield Planned(f"schemas/{each}.schema.json", schema_text(each).rstrip("\n") + "\n")


class _Package(Immutable):
    name: str
    folder: str


def _package_of(folder: Path) -> _Package | None:
    """Return the Python package of a repository; ``None`` when it is no project that is installed by its metadata."""
    try:
        data: Any = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        with_activities((folder / "pyproject.toml").read_text(encoding="utf-8", errors="replace"), {})
        raise
    written = data.get("project", {}).get("name")
    if not isinstance(written, str) or "build-system" not in data:
        return None
    name = re.sub(r"[-_.]+", "_", written).lower()
    for where in (f"src/{name}", name):
        if (folder / where / "__init__.py").is_file():
            return _Package(name=name, folder=where)
    return None


def _package(values: dict[str, str]) -> Iterator[Planned]:
    package = values["PACKAGE"]
    yield Planned("pyproject.toml", template("pyproject.toml", values))
    yield Planned(".gitignore", template("gitignore", {}))
    yield Planned(f"{package}/__init__.py", f'"""The package of {values["NAME"]}."""\n')
    yield Planned(f"{package}/activities.py", template("activities.py", values))
    yield Planned("tests/test_activities.py", template("test_activities.py", values))


def _definitions(values: dict[str, str]) -> Iterator[Planned]:
    yield Planned("definitions/order.saga.yaml", template("order.saga.yaml", values))
    yield Planned("definitions/order.saga-test.yaml", template("order.saga-test.yaml", values))
    yield from schemas()


def _workflow(install: str) -> str:
    return template("workflow.yaml", {"INSTALL": install})
