"""What `new` and `init` share: which files are written, and how that is told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from sagadsl.cli import screen
from sagadsl.columns import whole
from sagadsl.errors import reason_of
from sagadsl.scaffolds.files import Planned, Presence
from sagadsl.scaffolds.files import write as write_files

dry_run = click.option("--dry-run", is_flag=True, help="Write nothing, and say what would be written.")

_SCHEMA = Path("schemas", "saga.schema.json")


def name_of(path: str, *, is_file: bool = False) -> str:
    """Return the name of what is written to *path*. Raises ``click.UsageError`` if it is no name."""
    from sagadsl.scaffolds.projects import is_name

    name = path.removesuffix(".saga.yaml") if is_file else Path(path).absolute().name
    if not is_name(name):
        what = "a saga" if is_file else "a project and its Python package"
        raise click.UsageError(
            f"`{name}` cannot be the name of {what}: take lower case letters and digits, with `-` between words"
        )
    return name


def not_there(files: Iterable[Planned], folder: Path) -> None:
    """Raise ``click.UsageError`` if one of *files* is there: nothing is written then."""
    there = [str(folder / each.path) for each in files if os.path.lexists(folder / each.path)]
    if there:
        raise click.UsageError(f"{', '.join(f'`{each}`' for each in there)} is there already; nothing was written")


def put(files: Iterable[Planned], folder: Path, *, dry_run: bool, then: str = "") -> None:
    """Write files of which none is there, and tell. Raises ``click.UsageError`` if one is, or cannot be written."""
    planned = list(files)
    not_there(planned, folder)
    if not dry_run:
        write(planned, folder)
    tell(planned, folder, dry_run=dry_run, then=then)


def write(files: Sequence[Planned], folder: Path) -> None:
    """Write *files*. Raises ``click.UsageError`` when one cannot be written."""
    try:
        write_files(files, folder)
    except OSError as error:
        why = reason_of(error)
        raise click.UsageError(f"`{error.filename or folder}` cannot be written: {why}") from None


def tell(
    files: Sequence[Planned],
    folder: Path,
    *,
    dry_run: bool = False,
    then: str = "",
    kept: Sequence[Planned] = (),
    advice: Sequence[str] = (),
) -> None:
    """Tell which *files* were written, or would be, and which were *kept*, and what comes *then*."""
    done = [{"path": each.path, "done": "changed" if each.replaces else "written"} for each in files]
    done += [{"path": each.path, "done": "kept"} for each in kept]
    signs = {"written": "+", "changed": "~", "kept": "="}
    lines = [whole(f" {signs[each['done']]} {folder / each['path']}") for each in done]
    document = {"folder": str(folder), "dry_run": dry_run, "files": done, "advice": list(advice)}
    screen.result(document, "\n".join(lines))
    for each in advice:
        screen.note(f"left to you: {each}")
    if dry_run:
        screen.note("nothing was written (--dry-run)")
    elif then:
        screen.note(f"next: {then}")


def editor_schemas(folder: Path) -> tuple[str, list[Planned]]:
    """Return the folder of the schemas for editors as seen from *folder*, and those that are still to be written."""
    from sagadsl.scaffolds.projects import schemas

    for parent in (folder.absolute(), *folder.absolute().parents):
        if (parent / _SCHEMA).is_file():
            return Path(os.path.relpath(parent / _SCHEMA.parent, folder)).as_posix(), []
        if (parent / ".git").exists():
            break
    return _SCHEMA.parent.name, [each for each in schemas() if each.presence(folder) is Presence.NEW]
