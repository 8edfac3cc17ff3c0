"""The search attributes by which sagas are found. A run sets them only if the server has them registered:
a workflow that sets an unknown attribute is blocked for ever (measured)."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from sagadsl.language.model import Saga

SAGA_NAME = SearchAttributeKey.for_keyword("SagaName")
SAGA_VERSION = SearchAttributeKey.for_keyword("SagaVersion")
SAGA_STATUS = SearchAttributeKey.for_keyword("SagaStatus")
"""A saga sets it when it first needs an operator (paused, failed), and keeps it up to date from then on. For a saga
without it, Temporal's own status is right: running, completed, canceled, or failed and undone."""


def at_start(saga: Saga) -> TypedSearchAttributes:
    """Return the attributes with which every saga is started."""
    return TypedSearchAttributes(
        [SearchAttributePair(SAGA_NAME, saga.name), SearchAttributePair(SAGA_VERSION, saga.version)]
    )


def to_set(saga: Saga) -> list[SearchAttributeUpdate[str]]:
    """Return the same attributes for a saga that sets them itself."""
    return [SAGA_NAME.value_set(saga.name), SAGA_VERSION.value_set(saga.version)]
