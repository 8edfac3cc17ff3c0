"""Two real databases for the same tests: a SQLite file, and a PostgreSQL server that the session starts for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sagadsl_bank import database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a bank."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bank.db"
    schema: str = request.getfixturevalue("postgresql_schema")
    return schema.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A bank without accounts."""
    engine = database.connect(url)
    database.create(engine)
    yield engine
    engine.dispose()
