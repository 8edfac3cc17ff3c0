"""Storages for large payloads, for the SDK's own external storage: a folder, and a bucket of AWS.

A payload is stored as the codec has encoded it, so encrypted if sagas are. The history holds a reference. References
come from the history, which others may write to: a driver opens nothing but what it could have stored itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import quote
from uuid import uuid4

from google.protobuf import json_format
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from sagadsl.errors import SagadslError, reason_of
from sagadsl.temporal.link.codec import REFERENCE, CodecMissing
from sagadsl.temporal.link.storage_setting import StorageSetting

FOLDER, BUCKET = "sagadsl.folder", "aws.s3driver"
"""Names of the drivers, which references have."""

_REFERENCE = ExternalStorageReference.DESCRIPTOR.full_name.encode()
_KEY = re.compile(r"[A-Za-z0-9_.~%-]+/[A-Za-z0-9_.~%-]+/[0-9a-f]{64}")
_SECONDS = 10
_LONGEST_NAME = 200


class StorageFailed(SagadslError):
    """The storage of large payloads cannot be used, or does not hold what a history refers to."""

    code = "SD919"
    exit_code = 3

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where, self.why = where, why

    def __str__(self) -> str:
        return f"the storage {self.where} cannot be used: {self.why}"[:1_000]

    @property
    def help(self) -> str:
        return "see to the storage that `[storage]`, `--storage` or SAGADSL_STORAGE names; nothing is lost"


class Erasing(Protocol):
    """A storage that can delete what it holds."""

    def name(self) -> str: ...

    async def erase(self, claims: Sequence[StorageDriverClaim]) -> None:
        """Delete what these references lead to; what is gone already is no error. Raises ``StorageFailed``."""
        ...


def with_storage(converter: DataConverter, setting: StorageSetting) -> DataConverter:
    """Return *converter* with the storage that is set, if one is. Raises ``StorageFailed``."""
    if setting.kind == "none":
        return converter
    driver = Folder(setting.where) if setting.kind == "folder" else _bucket(setting)
    storage = ExternalStorage(drivers=[driver], payload_size_threshold=setting.threshold)
    return replace(converter, external_storage=storage)


def storage_of(converter: DataConverter) -> dict[str, Erasing]:
    """Return the storages of a converter that can delete, by name."""
    drivers: Sequence[Any] = converter.external_storage.drivers if converter.external_storage else ()
    return {each.name(): each for each in drivers if hasattr(each, "erase")}


def references_in(message: Message) -> Iterator[tuple[str, StorageDriverClaim]]:
    """Yield the references to stored payloads in an event, each with the name of its storage."""
    if isinstance(message, Payload):
        if message.metadata.get("messageType") == _REFERENCE:
            found = json_format.Parse(message.data, ExternalStorageReference())
            yield found.driver_name, StorageDriverClaim(dict(found.claim_data))
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        entries = value.values() if field.message_type.GetOptions().map_entry else value
        for each in entries if field.is_repeated else [value]:
            if isinstance(each, Message):
                yield from references_in(each)


def refuse_references(messages: Iterable[Message]) -> None:
    """Raise ``CodecMissing`` if a message refers to a stored payload: for a client that has no storage."""
    if any(True for each in messages for _ in references_in(each)):
        raise CodecMissing(REFERENCE)


class Folder(StorageDriver):
    """Keeps payloads in files of a folder that all workers, clients and gateways share: ``NAMESPACE/WORKFLOW/SHA256``.

    Only the owner can read them. A file is complete as soon as it is there.
    """

    def __init__(self, folder: str) -> None:
        self._root = Path(folder)

    def name(self) -> str:
        return FOLDER

    def type(self) -> str:
        return FOLDER

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        """Write each payload into a file. Raises ``StorageFailed``."""
        target = context.target
        namespace = _part(getattr(target, "namespace", None))
        owner = _part(target.id if isinstance(target, StorageDriverWorkflowInfo) else None)
        return [await asyncio.to_thread(self._write, f"{namespace}/{owner}", each) for each in payloads]

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,  # noqa: ARG002 # the SDK's form
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Read the payloads back. Raises ``StorageFailed``."""
        return [await asyncio.to_thread(self._read, each) for each in claims]

    async def erase(self, claims: Sequence[StorageDriverClaim]) -> None:
        await asyncio.to_thread(self._erase, claims)

    def _write(self, owner: str, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString()
        key = f"{owner}/{hashlib.sha256(data).hexdigest()}"
        path = self._root / key
        with _told(str(self._root)):
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                beside = path.with_name(f".{uuid4().hex}")
                with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(path)
        return StorageDriverClaim({"key": key})

    def _read(self, claim: StorageDriverClaim) -> Payload:
        path = self._path(claim)
        with _told(str(self._root)):
            data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != path.name:
            raise StorageFailed(str(self._root), "a file holds something else than what was stored")
        return Payload.FromString(data)

    def _erase(self, claims: Sequence[StorageDriverClaim]) -> None:
        for path in {self._path(each) for each in claims}:
            with _told(str(self._root)):
                path.unlink(missing_ok=True)
                if path.parent.is_dir() and not any(path.parent.iterdir()):
                    path.parent.rmdir()

    def _path(self, claim: StorageDriverClaim) -> Path:
        key = claim.claim_data.get("key", "")
        if not _KEY.fullmatch(key) or ".." in PurePosixPath(key).parts:
            raise StorageFailed(str(self._root), "a history refers to something that was never stored here")
        return self._root / key


class Bucket(S3StorageDriver):
    """The SDK's driver for AWS, for one bucket: it reads from no other, whatever a reference says."""

    def __init__(self, client: Objects, bucket: str) -> None:
        super().__init__(client, bucket)
        self._objects, self._own = client, bucket

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Read the payloads back. Raises ``StorageFailed``."""
        for each in claims:
            self._key(each)
        return await super().retrieve(context, claims)

    async def erase(self, claims: Sequence[StorageDriverClaim]) -> None:
        for key in {self._key(each) for each in claims}:
            await self._objects.delete_object(bucket=self._own, key=key)

    def _key(self, claim: StorageDriverClaim) -> str:
        key = claim.claim_data.get("key", "")
        if claim.claim_data.get("bucket") != self._own or not key.startswith("v0/"):
            raise StorageFailed(f"s3://{self._own}", "a history refers to something that was never stored here")
        return key


class Objects(S3StorageDriverClient):
    """Objects of a bucket by botocore, each request in a thread."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        await self._ask(bucket, lambda: self._client.put_object(Bucket=bucket, Key=key, Body=data))

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        return bool(await self._ask(bucket, lambda: self._exists(bucket, key)))

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        return bytes(await self._ask(bucket, lambda: self._read(bucket, key)))

    async def delete_object(self, *, bucket: str, key: str) -> None:
        await self._ask(bucket, lambda: self._client.delete_object(Bucket=bucket, Key=key))

    def _read(self, bucket: str, key: str) -> Any:
        return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def _exists(self, bucket: str, key: str) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 # as in `_bucket`

        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return False
            raise
        return True

    async def _ask(self, bucket: str, work: Callable[[], Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 # as in `_bucket`

        try:
            return await asyncio.to_thread(work)
        except (BotoCoreError, ClientError) as error:
            raise StorageFailed(f"s3://{bucket}", str(error)) from None


def _bucket(setting: StorageSetting) -> StorageDriver:
    try:
        import botocore.session  # noqa: PLC0415 # only who uses it has it
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ModuleNotFoundError:
        reason = "the package `botocore` is not installed; `pip install 'sagadsl[aws]'` brings it"
        raise StorageFailed(setting.value, reason) from None
    config = Config(
        connect_timeout=_SECONDS,
        read_timeout=3 * _SECONDS,
        retries={"total_max_attempts": 3},
        s3={"addressing_style": "path"} if setting.endpoint else {},
    )
    try:
        client = botocore.session.get_session().create_client(
            "s3", region_name=setting.region, endpoint_url=setting.endpoint, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise StorageFailed(setting.value, str(error)) from None
    return Bucket(Objects(client), setting.where)


class _told:  # it reads as a statement
    """Raises what the file system says as ``StorageFailed``."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: Any, error: BaseException | None, _stack: Any) -> None:
        if isinstance(error, OSError):
            raise StorageFailed(self._where, reason_of(error)) from None


def _part(text: str | None) -> str:
    """Return a part of a path that no id can leave; a long one by its digest."""
    written = quote(text or "none", safe="").replace(".", "%2E")
    return written if len(written) <= _LONGEST_NAME else hashlib.sha256(written.encode()).hexdigest()
