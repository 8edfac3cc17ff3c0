"""What is collected lives until the end: the collectors of garbage need not look through it again and again.

Thirteen thousand tests and all modules are a million objects. Each full collection of Python would walk through them:
without it, collecting tests takes two thirds of the time, and what runs inside this process four fifths.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator

import pytest


def pytest_configure() -> None:
    """Let servers and compilers written in Go, which are started hundreds of times, collect less often, too."""
    os.environ.setdefault("GOGC", "400")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without collections of garbage, and leave what there is then out of all that follow."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
