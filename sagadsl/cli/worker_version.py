"""The options by which a worker is a version of a worker deployment, and what its sagas do when another is current."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from sagadsl.cli.options import with_options
from sagadsl.immutable import Immutable

R = TypeVar("R")

PINNED, ON_CONTINUE, AUTO_UPGRADE = "pinned", "on-continue", "auto-upgrade"
_MEANINGS = {
    PINNED: "a saga ends on the build on which it began",
    ON_CONTINUE: "a saga goes over to the current build by continue-as-new",
    AUTO_UPGRADE: "a saga goes over to the current build at its next event",
}
"""What ``--versioning`` takes, and what it means for a saga."""

_SEPARATORS = ".:"
"""Stand between deployment and build where the server writes both as one name."""

_LONGEST = 255
"""A worker with a name that the server refuses polls without an error, and never gets a task (measured, 1.32)."""


class WorkerVersion(Immutable):
    """The version of a worker in a worker deployment of Temporal.

    Attributes:
        versioning: What becomes of its sagas when another version is current.
    """

    deployment: str
    build_id: str
    versioning: str

    def __str__(self) -> str:
        return f"{self.deployment}, build {self.build_id}: {_MEANINGS[self.versioning]}"

    def options(self) -> dict[str, Any]:
        """Return what ``build_worker`` has to know of it."""
        from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
        from temporalio.worker import WorkerDeploymentConfig

        moves = self.versioning == AUTO_UPGRADE
        config = WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(deployment_name=self.deployment, build_id=self.build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE if moves else VersioningBehavior.PINNED,
        )
        return {"deployment_config": config, "upgrades": self.versioning == ON_CONTINUE}


def versioned(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options for the version of a worker; the command gets it as ``version``."""

    @functools.wraps(command)
    def collected(**values: Any) -> R:
        deployment, build_id, versioning = (values.pop(key) for key in ("deployment", "build_id", "versioning"))
        return command(version=_version(deployment, build_id, versioning), **values)

    return with_options(collected, _OPTIONS)


_OPTIONS = (
    click.option("--deployment", metavar="NAME", help="Worker deployment of Temporal whose version this worker is."),
    click.option("--build-id", metavar="ID", help="Name of this version in the deployment, such as the image's tag."),
    click.option(
        "--versioning",
        type=click.Choice([*_MEANINGS]),
        default=PINNED,
        show_default=True,
        help="When another build is current: stay, go over by continue-as-new, or at the next event.",
    ),
)


def _version(deployment: str | None, build_id: str | None, versioning: str) -> WorkerVersion | None:
    if deployment is None and build_id is None:
        if versioning != PINNED:
            raise click.UsageError("`--versioning` is for a worker with `--deployment` and `--build-id`")
        return None
    if not deployment or not build_id:
        raise click.UsageError("`--deployment` and `--build-id` go together: a version is a build of a deployment")
    if set(_SEPARATORS) & set(deployment):
        raise click.UsageError(f"`--deployment {deployment}`: Temporal takes no name with a dot or a colon")
    for flag, text in (("--deployment", deployment), ("--build-id", build_id)):
        if len(text) > _LONGEST:
            raise click.UsageError(f"`{flag}` has {len(text)} characters, and may have {_LONGEST}")
    return WorkerVersion(deployment, build_id, versioning)
