"""The definitions that a gateway offers by name: their list, and their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.gateway.problems import BadRequest, NotOffered
from sagadsl.immutable import Immutable, field
from sagadsl.temporal.wire.arguments import Package

Data = Mapping[str, Any]


class OfferedDefinitions(Immutable):
    """Definitions by name."""

    packages: Mapping[str, Package] = field(default_factory=dict)

    def get(self, name: str) -> Package | None:
        """Return the definition of this name."""
        return self.packages.get(name)

    def offered(self, name: str, digest: str = "") -> Package:
        """Return the definition of this name.

        Raises:
            NotOffered: There is none.
            BadRequest: It has another *digest*; an empty one is any.
        """
        package = self.get(name)
        if package is None:
            raise NotOffered(f"the gateway has no definition of saga `{name[:200]}`", "`GET /definitions` lists them")
        if digest not in ("", package.saga.digest):
            raise BadRequest(
                "the gateway has another definition than `digest` names",
                f"it has version `{package.saga.version}` with the digest {package.saga.digest}",
                status=409,
            )
        return package

    def __iter__(self) -> Iterator[Package]:
        return iter(self.packages.values())


def summary(package: Package) -> dict[str, Any]:
    """Return the entry for a list of definitions."""
    saga = package.saga
    return {
        "name": saga.name,
        "version": saga.version,
        "description": saga.description,
        "digest": saga.digest,
        "steps": len(saga.places),
        "signals": sorted(saga.signals),
    }


def whole(package: Package) -> dict[str, Any]:
    """Return everything that a form or a client's author needs."""
    return {
        **summary(package),
        "input": package.definition.get("input", True),
        "signal_payloads": dict(package.saga.signals),
        "definition": package.definition,
    }
