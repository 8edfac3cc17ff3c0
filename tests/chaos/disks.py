"""PostgreSQL's own disk: a small one in memory, which can be full, and as a block device can be slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MB = 900
_LOOP = 7
"""The number of such devices in the kernel."""
_OLD, _NEW = Path("/sys/fs/cgroup/blkio"), Path("/sys/fs/cgroup")
_GROUP = "sagadsl-chaos-"
_PROGRAMS = ("mkfs.ext4", "losetup")


def mount(data: Path) -> None:
    """Give PostgreSQL a disk of its own; the mount namespace of this process takes it along.

    It is a file system on a block device whose blocks are in memory; where there are no such devices, in memory itself.
    """
    data.mkdir(parents=True)
    blocks = data.with_name("blocks")
    blocks.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_MB + 100}m", "tmpfs", str(blocks)], check=True)
    image = blocks / "image"
    with image.open("wb") as file:
        file.truncate(_MB * 2**20)
    if all(map(shutil.which, _PROGRAMS)):
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        if not subprocess.run(["mount", "-o", "loop", str(image), str(data)], check=False).returncode:
            (data / "lost+found").rmdir()  # PostgreSQL wants an empty folder
            return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_MB}m", "tmpfs", str(data)], check=True)


def unmount(data: Path) -> None:
    """Take the disk away, if there is one: processes that were just killed may still hold it for a moment."""
    for place in (data, data.with_name("blocks")):
        if place.is_mount():
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def can_be_slow(data: Path) -> bool:
    """Whether this is a block device whose operations the kernel can count for some processes."""
    return os.major(data.stat().st_dev) == _LOOP and (_OLD.is_dir() or _has_io())


@contextmanager
def slow(data: Path, pids: Collection[int], operations: int) -> Iterator[None]:
    """Let these processes, and those that they begin, read and write so many times a second on their disk."""
    device = data.stat().st_dev
    named = f"{os.major(device)}:{os.minor(device)}"
    root = _OLD if _OLD.is_dir() else _NEW
    if root is _NEW:
        (root / "cgroup.subtree_control").write_text("+io")
    group = root / f"{_GROUP}{uuid.uuid4()}"
    group.mkdir()
    try:
        if root is _NEW:
            (group / "io.max").write_text(f"{named} wiops={operations} riops={operations}")
        else:
            for what in ("write", "read"):
                (group / f"blkio.throttle.{what}_iops_device").write_text(f"{named} {operations}")
        _move(pids, group)
        yield
    finally:
        _move([int(pid) for pid in (group / "cgroup.procs").read_text().split()], root)
        while (group / "cgroup.procs").read_text().strip():  # one that has begun meanwhile
            _move([int(pid) for pid in (group / "cgroup.procs").read_text().split()], root)
        group.rmdir()


def _move(pids: Collection[int], group: Path) -> None:
    for pid in pids:
        with suppress(OSError):  # it has ended
            (group / "cgroup.procs").write_text(str(pid))


def _has_io() -> bool:
    with suppress(OSError):
        return "io" in (_NEW / "cgroup.controllers").read_text().split()
    return False
