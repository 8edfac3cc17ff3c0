"""The shapes of real definitions elsewhere, and the definitions that we ship, say what they mean without a finding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagadsl.language.analysis.known import Known, Signature
from sagadsl.language.load import load_many
from sagadsl.plugins.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
SHAPES = sorted((ROOT / "tests" / "shapes").glob("*.saga.yaml"))
DEFINITIONS = sorted((ROOT / "definitions").glob("*.saga.yaml"))


def test_every_shape_of_the_collection_is_here() -> None:
    """W1 to W17."""
    assert [path.name[:3] for path in SHAPES] == [f"W{number:02}" for number in range(1, 18)]


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.name[:3])
def test_a_shape_can_be_expressed(path: Path) -> None:
    """Its first lines say which shape it is, and how the language expresses it."""
    (loaded,) = load_many([path])

    assert loaded.findings == ()
    assert loaded.saga is not None
    assert path.read_text("utf-8").startswith(f"# Shape W{int(path.name[1:3])}: ")


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.name.removesuffix(".saga.yaml"))
def test_a_shipped_definition_has_no_findings_with_the_plugins_it_was_written_for(path: Path) -> None:
    """`make lint` says the same; this says it with the types of the activities."""
    catalogue = Catalogue.discover(folder=ROOT)
    found = {name: catalogue.signature(name) for name in catalogue.names}
    known = Known(activities={name: each for name, each in found.items() if isinstance(each, Signature)})

    (loaded,) = load_many([path], known)

    assert loaded.findings == ()
    assert loaded.saga is not None


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.name.removesuffix(".saga.yaml"))
def test_editors_find_the_schema_of_a_shipped_definition(path: Path) -> None:
    """The modeline on the first line, with a path that exists."""
    first = path.read_text("utf-8").splitlines()[0]
    modeline = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)

    assert modeline is not None
    assert (path.parent / modeline[1]).is_file()


def test_a_definition_is_named_like_its_file() -> None:
    named = {path.name: load_many([path])[0].saga for path in DEFINITIONS}

    assert [
        file
        for file, saga in named.items()
        if saga is None or saga.name.replace("-", "_") != file.removesuffix(".saga.yaml")
    ] == []
