"""The wall clock of a program that asks the kernel past libc, as programs in Go do; libfaketime changes nothing there.

The kernel maps the code of `clock_gettime` into each process (the vDSO). Written over it for one process, this asks the
kernel by a system call and adds so many seconds to the wall clock. Durations stay as they are.
"""

from __future__ import annotations

import os
import platform
import signal
import struct
import time
from contextlib import suppress
from pathlib import Path

from tests.patience import PATIENCE

_FUNCTION = b"__vdso_clock_gettime\0"
_DYNSYM = 11
_BEFORE = bytes.fromhex(
    "b8e4000000"  # mov eax, 228: clock_gettime
    "0f05"  # syscall
    "85ff"  # test edi, edi: is it the wall clock?
    "750d"  # jne to the end
    "48b9"  # mov rcx, and eight bytes of seconds
)
_AFTER = bytes.fromhex(
    "48010e"  # add [rsi], rcx
    "c3"  # ret
)


def can_shift() -> bool:
    """Whether this machine is of the kind for which the code is."""
    return platform.machine() == "x86_64" and platform.system() == "Linux"


def shift(pid: int, seconds: int) -> None:
    """Let the wall clock of a process be so many seconds ahead from now on; nothing of it runs meanwhile."""
    assert can_shift(), f"no clock of a Go program can be shifted on {platform.system()} {platform.machine()}"
    begin, end = _mapped(pid)
    deadline = time.monotonic() + PATIENCE
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            _until_stopped(pid, deadline)
            if not any(begin <= at < end for at in _places(pid)):  # else it would go on amid other code
                with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
                    memory.seek(begin)
                    image = memory.read(end - begin)
                    memory.seek(begin + _offset(image))
                    memory.write(_BEFORE + struct.pack("<q", seconds) + _AFTER)
                return
        finally:
            os.kill(pid, signal.SIGCONT)
        assert time.monotonic() < deadline, f"process {pid} is always asking for the time"


def _mapped(pid: int) -> tuple[int, int]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith("[vdso]"):
            begin, _, end = line.split()[0].partition("-")
            return int(begin, 16), int(end, 16)
    raise AssertionError(f"process {pid} has no vDSO")


def _until_stopped(pid: int, deadline: float) -> None:
    """A signal reaches the threads of a process one by one."""
    while any(state not in "TtZX" for state in _states(pid)):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.001)


def _states(pid: int) -> list[str]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found.append((task / "stat").read_text().rpartition(")")[2].split()[0])
    return found


def _places(pid: int) -> list[int]:
    """Return where each thread of a stopped process is."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found.append(int((task / "syscall").read_text().split()[-1], 16))
    return found


def _offset(image: bytes) -> int:
    """Return where the function is in the vDSO, a small ELF library."""
    (table,) = struct.unpack_from("<Q", image, 40)
    (count,) = struct.unpack_from("<H", image, 60)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + index * 64) for index in range(count)]
    symbols = next(each for each in sections if each[1] == _DYNSYM)
    names = sections[symbols[6]][4]
    for at in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, _, value, size = struct.unpack_from("<IBBHQQ", image, at)
        if image.startswith(_FUNCTION, names + name):
            assert size >= len(_BEFORE) + 8 + len(_AFTER)
            return int(value)
    raise AssertionError("the vDSO has no such function")
