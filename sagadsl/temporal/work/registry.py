"""The definitions of a worker's own folder, by name, and the local activities that every worker of sagas has.

A saga that is started by its name asks here once. Its history keeps the answer, so that an
edited file changes no run that has begun.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from sagadsl.engine.journal import RULES
from sagadsl.immutable import replace
from sagadsl.language.own_errors import DEFINITION_NOT_FOUND, NOT_POSSIBLE
from sagadsl.language.raw_steps import children_of
from sagadsl.language.versions import name_and_version, of_version
from sagadsl.temporal.link.settings import page_setting
from sagadsl.temporal.read.index import keeps_names, keeps_status, usable
from sagadsl.temporal.run.knowledge import Knowledge
from sagadsl.temporal.run.opening import DEFINITION_ACTIVITY
from sagadsl.temporal.run.workflow import CANCEL_ACTIVITY
from sagadsl.temporal.wire.arguments import DEFAULTS, RunOptions, envelope, to_bytes, to_payload
from sagadsl.temporal.wire.attributes import used
from sagadsl.temporal.work.arrivals import came
from sagadsl.temporal.work.attempts import attempts, taken
from sagadsl.temporal.work.endpoints import endpoint
from sagadsl.temporal.work.inheriting import inherit
from sagadsl.temporal.work.lost_tasks import lost
from sagadsl.trust.signatures import NO_SIGNATURES, Signatures

Data = Mapping[str, Any]
NOTHING: Data = {}


class Registry:
    """Definitions by name, older ones by name and version (``order@1``); it never changes."""

    def __init__(
        self, definitions: Mapping[str, Data], options: RunOptions = DEFAULTS, signatures: Signatures = NO_SIGNATURES
    ) -> None:
        """Take definitions with signatures. Raises ``SettingsUnusable`` for an address of the page that is none."""
        self._definitions = dict(sorted(definitions.items()))
        self._signatures = signatures
        own = {name: of_version(name, str(each.get("version", ""))) for name, each in definitions.items()}
        newest = {name: other for name, other in own.items() if not name_and_version(name)[1]}
        self._others = {other: name for name, other in newest.items() if other != name}
        self._options = replace(options, rules=options.rules or RULES, page=options.page or page_setting(os.environ))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._definitions)

    @property
    def versions(self) -> tuple[str, ...]:
        """The further names by which the newest definitions are known: each with its version."""
        return tuple(self._others)

    def definition(self, name: str) -> Data:
        """Return a definition as data. Raises ``KeyError``."""
        return self._definitions[self._others.get(name, name)]

    def envelope(
        self, name: str, *, keeps_names: bool = False, keeps_status: bool = False, index: Data = NOTHING
    ) -> dict[str, Any]:
        """Return the envelope to which a run of saga *name* is pinned. Raises ``KeyError``.

        Args:
            keeps_names, keeps_status: Whether the server's index has these attributes; see ``index``.
            index: Those of the definition that it has.
        """
        options = replace(
            self._options,
            status_attribute=self._options.status_attribute or keeps_status,
            name_attributes=self._options.name_attributes or keeps_names,
            index=index,
        )
        own = self._others.get(name, name)
        return envelope(self._definitions[own], children_of(own, self._definitions), options, self._signatures)

    def attributes(self, name: str) -> dict[str, str]:
        """Return the search attributes of saga *name* and of its children, each with its type."""
        own = self._others.get(name, name)
        return used(self._definitions[own], children_of(own, self._definitions))

    def activities(self) -> list[Callable[..., Any]]:
        """Return the local activities that the workflow asks."""

        @activity.defn(name=DEFINITION_ACTIVITY)
        async def definition(name: str) -> RawValue:
            if name not in self._definitions and name not in self._others:
                message = Knowledge(self.names, ()).without_saga(name)
                raise ApplicationError(message, type=DEFINITION_NOT_FOUND, non_retryable=True)
            client = activity.client()
            try:
                names, status = await keeps_names(client), await keeps_status(client)
                index = await usable(client, self.attributes(name))
            except RPCError:  # the saga runs without them, and lists then ask it for its status
                names, status, index = False, False, {}
            found = self.envelope(name, keeps_names=names, keeps_status=status, index=index)
            return RawValue(to_payload(to_bytes(found)))  # the SDK's own converter would sort the keys

        return [definition, cancel, attempts, taken, came, endpoint, inherit, lost]


@activity.defn(name=CANCEL_ACTIVITY)
async def cancel(workflow_id: str, run_id: str) -> None:
    """Cancel the run that calls this: Temporal lets a run close as Canceled only after a cancel."""
    info = activity.info()
    if not info.is_local or (workflow_id, run_id) != (info.workflow_id, info.workflow_run_id):
        raise ApplicationError("a saga cancels no run but its own", type=NOT_POSSIBLE, non_retryable=True)
    await activity.client().get_workflow_handle(workflow_id, run_id=run_id).cancel()
