"""Unpacks archives whose digest was right and whose content is nobody's friend all the same."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from sagadsl.errors import reason_of

MOST_BYTES = 64_000_000
"""Of an archive, and of what is in it: many thousand definitions."""
MOST_FILES = 10_000
_GZIP = b"\x1f\x8b"
_BESIDE = 1_024 * MOST_FILES
"""Bytes of an archive beside those of its files."""
_DELETED = ".wh."


class UnfitContent(ValueError):
    """The archive cannot be unpacked; the message says why."""


class SpaceLeft:
    """How much may still be unpacked; all layers of an image share it."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> None:
        self.bytes, self.files = most_bytes, most_files

    def take(self, size: int) -> None:
        """Note a file of *size* bytes. Raises ``UnfitContent``."""
        self.bytes -= size
        self.files -= 1
        if self.bytes < 0:
            raise UnfitContent(f"it has more than {MOST_BYTES:,} bytes when it is unpacked")
        if self.files < 0:
            raise UnfitContent(f"it has more than {MOST_FILES:,} files")


def unpack(data: bytes, folder: Path, room: SpaceLeft) -> None:
    """Write the files of a tar archive, compressed by gzip or not, below *folder*. Raises ``UnfitContent``.

    It takes files and folders alone: no links, no devices, no path that leads out, no more than there is room.
    """
    plain = _inflated(data, room) if data.startswith(_GZIP) else data
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                room.take(member.size)
                _write(archive, member, folder)
    except UnfitContent:
        raise
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise UnfitContent(f"it is no tar archive: {error}") from None


def write_file(name: str, data: bytes, folder: Path, room: SpaceLeft) -> None:
    """Write one file that came by itself. Raises ``UnfitContent`` for a name that is a path."""
    room.take(len(data))
    if not name or name in (".", "..") or any(each in name for each in "/\\\0"):
        raise UnfitContent(f"`{name[:100]}` is no name of a file")
    try:
        (folder / name).write_bytes(data)
    except OSError as error:
        raise UnfitContent(f"`{name[:100]}` cannot be written: {reason_of(error)}") from None


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = member.name[:100]
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise UnfitContent(f"`{name}` is neither a plain file nor a folder")
    parts = PurePosixPath(member.name).parts
    if ".." in parts or PurePosixPath(member.name).is_absolute() or any(each in member.name for each in "\\\0"):
        raise UnfitContent(f"`{name}` leads out of the archive")
    if hasattr(tarfile, "data_filter"):  # since 3.11.4; it knows more than we do
        try:
            tarfile.data_filter(member, str(folder))
        except tarfile.FilterError as error:
            raise UnfitContent(str(error)) from None
    target = folder.joinpath(*parts)
    if target.name.startswith(_DELETED):
        raise UnfitContent(f"`{name}` deletes what an earlier layer has: build the image from scratch")
    try:
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            return
        content = archive.extractfile(member)
        assert content is not None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.read())
    except (OSError, ValueError) as error:  # a name that is too long, a folder where a file is
        raise UnfitContent(f"`{name}` cannot be written: {reason_of(error)}") from None


def _inflated(data: bytes, room: SpaceLeft) -> bytes:
    """Return what gzip has compressed, if it is not too much."""
    most = room.bytes + _BESIDE
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            found = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnfitContent(f"it cannot be decompressed: {error}") from None
    if len(found) > most:
        raise UnfitContent(f"it has more than {MOST_BYTES:,} bytes when it is unpacked")
    return found
