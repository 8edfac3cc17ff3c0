"""Search attributes by which sagas are found. Set only where the server has them registered: a workflow
that sets an unknown one is blocked for ever (measured)."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from sagadsl.language.model import Saga

SAGA_NAME = SearchAttributeKey.for_keyword("SagaName")
SAGA_VERSION = SearchAttributeKey.for_keyword("SagaVersion")
SAGA_STATUS = SearchAttributeKey.for_keyword("SagaStatus")
"""Set as soon as a saga needs a person (paused, failed), and kept up to date after that. One without it stands as
Temporal's own status says: running, completed, canceled, or failed and undone."""


def at_start(saga: Saga) -> TypedSearchAttributes:
    """Return what every saga is started with."""
    return TypedSearchAttributes(
        [SearchAttributePair(SAGA_NAME, saga.name), SearchAttributePair(SAGA_VERSION, saga.version)]
    )


def to_set(saga: Saga) -> list[SearchAttributeUpdate[str]]:
    """Return the same, for a saga that sets them itself."""
    return [SAGA_NAME.value_set(saga.name), SAGA_VERSION.value_set(saga.version)]
