"""How a rollout stands: which version of a queue's workers gets new sagas, and which still has some to end."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import VersionDrainageStatus, WorkerVersioningMode
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse, DescribeWorkerDeploymentRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.immutable import Immutable

_DRAINAGE: Mapping[int, str] = {
    VersionDrainageStatus.VERSION_DRAINAGE_STATUS_DRAINING: "draining",
    VersionDrainageStatus.VERSION_DRAINAGE_STATUS_DRAINED: "drained",
}


class Rollout(Immutable):
    """The versions of one worker deployment.

    Attributes:
        current: The build that gets new sagas; empty when none does.
        ramping: The build that gets a part of them; empty for none.
        percentage: How large that part is.
        others: What the server says of the other builds: ``draining`` (pinned sagas are left), ``drained``, or empty.
        polling: Builds whose workers poll the queue.
        has_others: Workers without a version poll it as well, and get the new sagas when no build is current.
    """

    deployment: str
    current: str
    ramping: str
    percentage: float
    others: Mapping[str, str]
    polling: tuple[str, ...]
    has_others: bool = False

    @property
    def newest(self) -> str:
        """One of the builds that poll: the last by name, as nobody says which came last."""
        return self.polling[-1] if self.polling else "BUILD"

    def __str__(self) -> str:
        if not self.current:
            others = "only workers without a version get new sagas" if self.has_others else "nobody gets new sagas"
            return f"no build of {self.deployment} is current, so {others}"
        parts = [f"build {self.current} of {self.deployment} is current"]
        if self.ramping:
            parts.append(f"build {self.ramping} gets {self.percentage:g} % of the new sagas")
        parts += [f"build {build} is {word}" for build, word in self.others.items() if word]
        return "; ".join(parts)


async def rollout(client: Client, queue: DescribeTaskQueueResponse) -> Rollout | None:
    """Return how the rollout of a described queue stands; ``None`` when its workers have no versions."""
    versioned = [
        each.deployment_options
        for each in queue.pollers
        if each.deployment_options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    ]
    routed = queue.versioning_info.current_deployment_version
    name = routed.deployment_name or next((each.deployment_name for each in versioned), "")
    if not name:
        return None
    polling = tuple(sorted({each.build_id for each in versioned if each.deployment_name == name}))
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
    try:
        info = (await client.workflow_service.describe_worker_deployment(request)).worker_deployment_info
    except RPCError:  # an older server, or one that has not heard of it yet
        info = WorkerDeploymentInfo()
    config = info.routing_config
    current = config.current_deployment_version.build_id or routed.build_id
    ramping = config.ramping_deployment_version.build_id
    others = {
        each.deployment_version.build_id: _DRAINAGE.get(each.drainage_status, "")
        for each in info.version_summaries
        if each.deployment_version.build_id not in (current, ramping)
    }
    has_others = len(versioned) < len(queue.pollers)
    return Rollout(name, current, ramping, config.ramping_version_percentage, others, polling, has_others)
