"""Databases in which records of calls are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.once.places import PLACES, Place, Plain


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each kind of database in turn, without records."""
    make, kind = PLACES[request.param]
    if kind == "sqlite":
        made = make(f"sqlite:///{tmp_path}/acme.db")
    else:
        schema: str = request.getfixturevalue("postgresql_schema")
        made = make(schema.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    if isinstance(made, Plain):
        made.engine.dispose()
