"""The disk that can be full and slow, in namespaces of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.chaos import disks
from tests.cluster.containers import apart

OPERATIONS, FLUSHES = 20, 60


def test_a_disk_is_as_slow_as_it_is_told_and_has_only_its_own_room(tmp_path: Path) -> None:
    """At least, that is: this machine may have more to do."""
    told = apart(__name__, tmp_path)
    assert told["room"] < 1000 * 2**20
    if told["can be slow"]:  # whether the kernel counts operations, and has such devices
        assert told["seconds"] > FLUSHES / OPERATIONS / 2


def main(folder: Path) -> dict[str, object]:
    data = folder / "data"
    disks.mount(data)
    found: dict[str, object] = {"room": shutil.disk_usage(data).total, "can be slow": disks.can_be_slow(data)}
    if found["can be slow"]:
        writes = f"import os; f = os.open({str(data / 'file')!r}, os.O_CREAT | os.O_WRONLY); input()\n"
        writes += f"for _ in range({FLUSHES}): os.write(f, b'x' * 8192); os.fdatasync(f)"
        with (
            subprocess.Popen([sys.executable, "-c", writes], stdin=subprocess.PIPE) as writing,
            disks.slow(data, [writing.pid], OPERATIONS),
        ):
            began = time.monotonic()
            writing.communicate(b"\n")
            found["seconds"] = time.monotonic() - began
        assert writing.returncode == 0
    disks.unmount(data)
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
