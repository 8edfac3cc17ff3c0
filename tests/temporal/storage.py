"""A storage outside Temporal, as the SDK lets users have one for large payloads: here a dictionary."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

THRESHOLD = 10_000


class Dictionary(StorageDriver):
    """Keeps payloads in this process."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def name(self) -> str:
        return "dictionary"

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        claims = []
        for each in payloads:
            key = uuid.uuid4().hex
            self.kept[key] = each.SerializeToString()
            claims.append(StorageDriverClaim({"key": key}))
        return claims

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        return [Payload.FromString(self.kept[each.claim_data["key"]]) for each in claims]


def stored(driver: StorageDriver) -> DataConverter:
    """Return a converter that keeps what is larger than ``THRESHOLD`` elsewhere."""
    return DataConverter(external_storage=ExternalStorage(drivers=[driver], payload_size_threshold=THRESHOLD))
