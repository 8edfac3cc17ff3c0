"""A user's payload codec: how much longer it makes payloads, what happens when it fails, and when it is missing.

Every client and worker of sagadsl wraps its codec in a ``PatientCodec``. This module knows nothing of sagas.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from sagadsl.errors import SagadslError
from sagadsl.plugins.texts import described
from sagadsl.temporal.wire.codec_growth import DOUBTFUL_BYTES, LONGEST, PLAIN, CodecTooLong, Stretch, grade

ATTEMPTS = 5
_PAUSE_SECONDS = 0.2
"""Pause before the second attempt; it doubles. Five attempts take three seconds; a workflow task has ten."""

_SAMPLE_BYTES = 128 * 1024
_READABLE = (b"json/", b"binary/null", b"binary/plain", b"binary/protobuf", b"binary/sagadsl-")
"""Beginnings of the encodings that can be read without a codec."""

_NOT_STORED_HERE = ("[TMPRL1105]", "[TMPRL1106]")
"""Beginnings of the SDK's errors for a payload that lies in an external storage, when that storage is not set up."""

REFERENCE = "json/external-storage-reference"
"""The encoding of a payload that lies in an external storage."""

UNREADABLE = "the data cannot be read here"

_NOT_ASKING = frozenset({"temporalio", "sagadsl"})
"""Packages whose converters look at all contexts in one way, or at none."""

_Coding = Callable[[PayloadCodec, Sequence[Payload]], Awaitable[list[Payload]]]


class CodecFailed(SagadslError, ApplicationError):
    """The user's codec has failed several times. As the error of an activity, it does not come from the function."""

    code = "SD914"
    exit_code = 3

    def __init__(self, doing: str, error: Exception) -> None:
        self.why = f"the payload codec cannot {doing}: {described(error)}"[:1_000]
        ApplicationError.__init__(self, self.why, type=type(self).__name__)

    def __str__(self) -> str:
        return self.why

    @property
    def help(self) -> str:
        return "see to what the codec needs (its keys, its server), and try again: nothing is lost"


class DataUnreadable(SagadslError, ApplicationError):
    """This process cannot read the data, and another one may."""

    exit_code = 3

    def __init__(self, reason: str) -> None:
        self.why = f"{UNREADABLE}: {reason}"
        ApplicationError.__init__(self, self.why, type=type(self).__name__)

    def __str__(self) -> str:
        return self.why


class CodecMissing(DataUnreadable):
    """Data is encoded, and this process has no codec for it."""

    code = "SD915"

    def __init__(self, encoding: str) -> None:
        self._is_stored = encoding == REFERENCE
        coded = f"it is encoded as `{encoding[:100]}`, and there is no codec for that"
        super().__init__("it lies in an external storage, and this process has none" if self._is_stored else coded)

    @property
    def help(self) -> str:
        if self._is_stored:
            return "give this process what the workers have: `[storage]` of sagadsl.toml, or `--storage`"
        return (
            "give this process what the workers have: the keys (`[encryption]` of sagadsl.toml, `--encryption-key`), "
            "`--codec MODULE:NAME`, or `--codec-endpoint`"
        )


@dataclass(slots=True)
class _Measured:
    """What all copies of a codec share, so that it is measured once."""

    stretch: Stretch | None = None


class PatientCodec(PayloadCodec, WithSerializationContext):
    """The user's codec: measured before its first use, and tried again when it fails.

    Every error of the codec becomes a ``CodecFailed``, which may be tried again. Otherwise the SDK would end a run for
    good when the codec raises an error that says that it must not be tried again.
    """

    def __init__(
        self, codec: PayloadCodec | None, measured: _Measured | None = None, *, attempts: int = ATTEMPTS
    ) -> None:
        self.codec, self._attempts = codec, attempts
        self._measured = measured or _Measured(PLAIN if codec is None else None)

    @property
    def stretch(self) -> Stretch:
        """How much longer payloads become at most; before the codec is measured, the most that is allowed."""
        return self._measured.stretch or LONGEST

    def with_context(self, context: SerializationContext) -> PatientCodec:
        codec: object = self.codec
        if not isinstance(codec, WithSerializationContext):
            return self
        bound: Any = codec.with_context(context)
        return PatientCodec(bound, self._measured, attempts=self._attempts)

    def once(self) -> PatientCodec:
        """Return the codec without repetition, for data that others have written, perhaps with keys of their own."""
        return PatientCodec(self.codec, self._measured, attempts=1)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode by the user's codec. Raises ``CodecFailed``."""
        if self.codec is None:
            return list(payloads)
        await self.measure()
        return await self._patiently("encode", payloads, lambda codec, given: codec.encode(given))

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode by the user's codec. Raises ``CodecFailed``, ``CodecMissing``."""
        if self.codec is None:
            decoded = list(payloads)
        else:
            await self.measure()
            decoded = await self._patiently("decode", payloads, lambda codec, given: codec.decode(given))
        for each in decoded:
            encoding = each.metadata.get("encoding", b"")
            if encoding and not encoding.startswith(_READABLE):
                raise CodecMissing(encoding.decode("utf-8", "replace"))
        return decoded

    async def measure(self) -> Stretch:
        """Return how much longer payloads become. Raises ``CodecFailed``, also when they become too long."""
        if self._measured.stretch is None:
            samples = [_sample(0), _sample(_SAMPLE_BYTES)]
            sizes = [
                (
                    sample.ByteSize(),
                    _size(await self._patiently("encode", [sample], lambda codec, given: codec.encode(given))),
                )
                for sample in samples
            ]
            try:
                self._measured.stretch = grade(*sizes)
            except CodecTooLong as error:
                raise CodecFailed("be used", error) from None
        return self._measured.stretch

    async def _patiently(self, doing: str, payloads: Sequence[Payload], code: _Coding) -> list[Payload]:
        assert self.codec is not None
        attempt = 1
        while True:
            try:
                return await code(self.codec, payloads)
            except DataUnreadable:  # a further attempt reads no more
                raise
            except Exception as error:  # the user's code may raise anything
                if attempt >= self._attempts:
                    raise CodecFailed(doing, error) from error
            await asyncio.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
            attempt += 1


def _sample(size: int) -> Payload:
    """Return a payload that no codec can make shorter."""
    return Payload(metadata={"encoding": b"json/plain"}, data=random.Random(1).randbytes(size))


def _size(payloads: Sequence[Payload]) -> int:
    return sum(each.ByteSize() for each in payloads)


def patient(converter: DataConverter) -> DataConverter:
    """Return *converter* with its codec in a ``PatientCodec``."""
    codec = patient_codec(converter)
    if codec is converter.payload_codec:
        return converter
    if type(converter) is not DataConverter:
        return replace(converter, payload_codec=codec)
    return _AskedOnce(
        converter.payload_converter_class,
        codec,
        converter.failure_converter_class,
        external_storage=converter.external_storage,
    )


def patient_codec(converter: DataConverter) -> PatientCodec:
    """Return the codec of *converter* as a ``PatientCodec``, which it may be already."""
    codec = converter.payload_codec
    return codec if isinstance(codec, PatientCodec) else PatientCodec(codec)


def looks_at_contexts(converter: DataConverter) -> bool:
    """Whether a part of *converter* may want to know to what the data belongs; the SDK's own does not.

    A class of somebody else's may do so for some contexts alone, so it is not asked.
    """
    made_of = (converter.payload_converter_class, converter.failure_converter_class)
    if any(each.__module__.partition(".")[0] not in _NOT_ASKING for each in made_of):
        return True
    run = WorkflowSerializationContext(namespace="", workflow_id="")
    call = ActivitySerializationContext(
        namespace="",
        workflow_id="",
        workflow_type="",
        activity_type="",
        activity_id="",
        activity_task_queue="",
        is_local=True,
    )
    parts: tuple[object, ...] = (
        converter.payload_converter,
        converter.payload_codec,
        converter.failure_converter,
        converter.external_storage,
    )
    asked: list[Any] = [each for each in parts if isinstance(each, WithSerializationContext)]
    return any(part.with_context(each) is not part for part in asked for each in (run, call))


class _AskedOnce(DataConverter):
    """A converter that finds out once whether a part of it looks at contexts; the SDK's own does for each message."""

    _looks: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_looks", looks_at_contexts(self))

    def with_context(self, context: SerializationContext) -> Self:
        return super().with_context(context) if self._looks else self


def tried_once(converter: DataConverter) -> DataConverter:
    """Return *converter* with its codec tried once, see ``PatientCodec.once``."""
    codec = converter.payload_codec
    return replace(converter, payload_codec=codec.once()) if isinstance(codec, PatientCodec) else converter


def only_reading(converter: DataConverter) -> DataConverter:
    """Return *converter* for a replay: its external storage, if it has one, gives what is there and stores nothing.

    The SDK's replayer would store again what the replayed run sends, and nobody would ever refer to it.
    """
    storage = converter.external_storage
    if storage is None:
        return converter
    return replace(converter, external_storage=replace(storage, driver_selector=lambda _context, _payload: None))


@contextmanager
def reading() -> Iterator[None]:
    """Raise a clear error when data lies in an external storage that this client does not have."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_NOT_STORED_HERE):
            raise
        raise CodecMissing(REFERENCE) from None


def patient_client(client: Client) -> Client:
    """Return *client* with its codec in a ``PatientCodec``, and without plugins: they have done their work already."""
    config = client.config(active_config=True)
    converter = patient(config["data_converter"])
    if converter is config["data_converter"]:
        return client
    config["data_converter"], config["plugins"] = converter, []
    return Client(**config)


def stretch_of(client: Client) -> Stretch:
    """Return how much longer the client's codec makes payloads, at the most."""
    codec = client.data_converter.payload_codec
    if codec is None:
        return PLAIN
    return codec.stretch if isinstance(codec, PatientCodec) else LONGEST


async def encoded_size(converter: DataConverter, payloads: Sequence[Payload]) -> int:
    """Return the size of *payloads* in bytes, before or after encoding, whichever is more; see ``Stretch.fits``."""
    size = _size(payloads)
    if converter.payload_codec is None or size <= DOUBTFUL_BYTES:
        return size
    return max(size, _size(await converter.payload_codec.encode(payloads)))


def of_workflow(client: Client, id: str) -> DataConverter:
    """Return the converter for data that is sent to a workflow."""
    return client.data_converter.with_context(WorkflowSerializationContext(client.namespace, id))


def of_activity(client: Client, info: activity.Info) -> DataConverter:
    """Return the converter for the data of an attempt, in both directions."""
    return client.data_converter.with_context(
        ActivitySerializationContext(
            namespace=info.namespace,
            workflow_id=info.workflow_id,
            workflow_type=info.workflow_type,
            activity_type=info.activity_type,
            activity_id=info.activity_id,
            activity_task_queue=info.task_queue,
            is_local=info.is_local,
        )
    )
