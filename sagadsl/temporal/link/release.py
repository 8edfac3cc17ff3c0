"""The name of the code that runs a saga, as its worker tells the server: the release of sagadsl.

The SDK would read every module that is loaded, and make a digest of them: a tenth of a second in each
process that begins.
It would also name another build for another plugin, although the code of the workflow is the same.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version


@cache
def release() -> str:
    """Return the version of sagadsl."""
    return version("sagadsl")


def build_id() -> str:
    """Return the build id of a worker or a replayer that is no version of a worker deployment."""
    return f"sagadsl-{release()}"
