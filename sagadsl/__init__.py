"""Sagas for Temporal, written as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagadsl.authoring import Context, Permanent, Transient, Unknown, activity

__all__ = ["Context", "Permanent", "Transient", "Unknown", "activity"]


def __getattr__(name: str) -> object:
    """Load what authors of activities import, when they do: the command line does not need it."""
    if name in __all__:
        from sagadsl import authoring  # noqa: PLC0415 # that is the point

        return getattr(authoring, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
