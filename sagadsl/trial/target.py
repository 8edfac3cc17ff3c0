"""The saga that a case is about, and one that it may become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.language.model import Saga
from sagadsl.trial.names import Names


class Target(Immutable):
    """A saga on which cases are played.

    Attributes:
        definition: The saga as data; ``children`` are its child sagas as data, for a host that takes data.
    """

    saga: Saga
    sagas: Mapping[str, Saga]
    definition: Mapping[str, Any]
    children: Mapping[str, Mapping[str, Any]]
    names: Names
